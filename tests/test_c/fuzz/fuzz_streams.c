/* A libFuzzer target: any bytes as FLAC streams of other writers, as they are
 * and with the checksums of what looks like frames made right. */
#include <stdlib.h>
#include <string.h>

#include "flaccodec.h"
#include "repair.h"

#define MOST_SAMPLES (1 << 16)

/* A request, made of STREAMINFO where there is one. */
typedef struct {
    int64_t stream_size, first, last;
    int32_t channels;
} request;

/* As decode_streams' callers know it from elsewhere; mostly as the stream has it. */
static request make_request(const uint8_t *bytes, size_t size) {
    uint32_t choice = fc_crc32c(0, bytes, (int64_t)size);
    request r = {1 + choice % 5000, 0, 0, 1 + (int32_t)(choice >> 13 & 1)};
    if (size >= 42) {
        r.channels = 1 + (bytes[20] >> 1 & 1);
        int64_t total = (int64_t)bytes[23] << 16 | bytes[24] << 8 | bytes[25];
        if (total && total <= MOST_SAMPLES) r.stream_size = total;
    }
    r.last = r.stream_size;
    if (choice >> 16 & 1) {
        r.first = (choice >> 17) % r.stream_size;
        r.last = r.first + 1 + (choice >> 5) % (r.stream_size - r.first);
    }
    return r;
}

static int decode(const uint8_t *bytes, size_t size, const request *r, int filling,
                  uint8_t *out, size_t out_size) {
    int64_t start = 0, nbytes = (int64_t)size;
    fc_error error;
    memset(out, filling, out_size);
    int code = fc_decode_streams(bytes, nbytes, &start, &nbytes, 1, r->stream_size, r->first,
                                 r->last, r->channels, out, 1, NULL, &error);
    if (code && (code != error.code || error.stream)) abort();
    return code;
}

static void try_streams(const uint8_t *bytes, size_t size) {
    request r = make_request(bytes, size);
    size_t out_size = (size_t)(r.last - r.first) * 4 * (size_t)r.channels;
    uint8_t *out = malloc(out_size), *again = malloc(out_size);
    int code = decode(bytes, size, &r, 0x55, out, out_size);
    if (code != decode(bytes, size, &r, 0xaa, again, out_size)) abort();
    if (!code && memcmp(out, again, out_size)) abort();
    free(out);
    free(again);
}

static int is_sync(const uint8_t *bytes) { return bytes[0] == 0xff && (bytes[1] & 0xfe) == 0xf8; }

/* Whatever lies between two sync codes is taken for a frame. */
static void repair_stream(uint8_t *bytes, size_t size) {
    size_t begin = size;
    for (size_t at = 42; at <= size; at++) {
        if (at < size && (at + 1 == size || !is_sync(bytes + at))) continue;
        if (begin < at) repair_frame(bytes + begin, at - begin);
        begin = at;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = malloc(size ? size : 1);
    memcpy(bytes, data, size);
    try_streams(bytes, size);
    repair_stream(bytes, size);
    if (memcmp(bytes, data, size)) try_streams(bytes, size);
    free(bytes);
    return 0;
}
