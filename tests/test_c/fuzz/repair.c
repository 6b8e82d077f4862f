#include "repair.h"

#include <string.h>

#include "base/checksum.h"
#include "chunk/format.h"

size_t frame_header_size(const uint8_t *frame, size_t size) {
    if (size < 6) return 0;
    size_t number = 0;
    while (number < 7 && frame[4] & 0x80 >> number) number++;
    int samples = frame[2] >> 4, rate = frame[2] & 15;
    size_t before = 4 + (number < 2 ? 1 : number) + (samples == 6) + 2 * (samples == 7)
        + (rate == 12) + 2 * (rate == 13 || rate == 14);
    return before < size ? before + 1 : 0;
}

void repair_frame(uint8_t *frame, size_t size) {
    size_t header = frame_header_size(frame, size);
    if (!header || header + 2 > size) return;
    frame[header - 1] = fc_crc8(frame, header - 1);
    uint16_t crc = fc_crc16(frame, size - 2);
    frame[size - 2] = (uint8_t)(crc >> 8);
    frame[size - 1] = (uint8_t)crc;
}

/* Returns where the frames end, which is beyond the chunk where they do not
 * fit. */
static int64_t repair_frames(uint8_t *chunk, int64_t size, const fc_header *h) {
    int64_t at = h->head_size;
    for (int64_t g = 0; g < h->n_streams * h->n_frames; g++) {
        if (g % h->n_frames == 0) at += FC_STREAM_HEADER_SIZE;
        int64_t bytes = fc_frame_bytes(chunk, h, g);
        if (at > size || bytes > size - at) return size + 1;
        repair_frame(chunk + at, (size_t)bytes);
        fc_put32(chunk + fc_sizes_at(h) + 4 * g, fc_frame_entry(chunk + at, (size_t)bytes));
        at += bytes;
    }
    return at;
}

static void repair_parts(uint8_t *chunk, int64_t size, int64_t streams_at, int64_t streams_end) {
    int64_t exceptions = size - streams_end;
    fc_put64(chunk + 32, (uint64_t)(streams_end - streams_at));
    fc_put64(chunk + 40, (uint64_t)exceptions);
    fc_put32(chunk + 48, fc_crc32c(0, chunk + streams_at, streams_end - streams_at));
    fc_put32(chunk + 52, exceptions ? fc_crc32c(0, chunk + streams_end, exceptions) : 0);
}

void repair_chunk(uint8_t *chunk, size_t size) {
    fc_header h;
    fc_error error;
    if (fc_read_header(chunk, (int64_t)size, &h, &error) || h.head_size > (int64_t)size) return;
    int64_t end = repair_frames(chunk, (int64_t)size, &h);
    if (end <= (int64_t)size) repair_parts(chunk, (int64_t)size, h.head_size, end);
    fc_put32(chunk + 60, fc_crc32c(fc_crc32c(0, chunk, 60), chunk + 64, h.head_size - 64));
}
