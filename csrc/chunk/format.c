#include "chunk/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/error.h"
#include "samples/dtype.h"
#include "threads/jobs.h"

#define SAMPLE_RATE 44100 /* says nothing; a rate that every FLAC reader takes */
#define MAX_FRAMES (INT64_C(1) << 40)       /* in a chunk */
#define MAX_STREAM_SIZE ((INT64_C(1) << 36) - 1) /* FLAC's total samples field */
#define MAX_STREAM_FRAMES (INT64_C(1) << 31)     /* FLAC's frame numbers */

static const uint8_t magic[4] = {'F', 'P', 'C', 'K'};

#define PUT(bits)                                                      \
    void fc_put##bits(uint8_t *at, uint##bits##_t value) {             \
        for (int i = 0; i < bits / 8; i++) at[i] = (uint8_t)(value >> (8 * i)); \
    }                                                                  \
    uint##bits##_t fc_get##bits(const uint8_t *at) {                   \
        uint##bits##_t value = 0;                                      \
        for (int i = bits / 8; i-- > 0;)                               \
            value = (uint##bits##_t)((uint64_t)value << 8 | at[i]);    \
        return value;                                                  \
    }
PUT(32)
PUT(64)

void fc_put_double(uint8_t *at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    fc_put64(at, bits);
}

double fc_get_double(const uint8_t *at) {
    uint64_t bits = fc_get64(at);
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static int offset_width(const fc_header *h) {
    if (!(h->flags & FC_FLAG_OFFSETS)) return 0;
    return h->mode == FC_MODE_QUANTIZED ? 8 : fc_item_size(h->dtype) == 8 ? 8 : 4;
}

int fc_derive(fc_header *h, fc_error *error) {
    if (h->n_streams > UINT32_MAX)
        return fc_fail_values(error, FC_ERR_TOO_LARGE, h->n_streams, UINT32_MAX);
    if (h->stream_size > MAX_STREAM_SIZE)
        return fc_fail_values(error, FC_ERR_TOO_LARGE, h->stream_size, MAX_STREAM_SIZE);
    h->n_frames = (h->stream_size + h->frame_size - 1) / h->frame_size;
    if (h->n_frames > MAX_STREAM_FRAMES)
        return fc_fail_values(error, FC_ERR_TOO_LARGE, h->n_frames, MAX_STREAM_FRAMES);
    if (h->n_streams > MAX_FRAMES / h->n_frames)
        return fc_fail_values(error, FC_ERR_TOO_LARGE, h->n_streams, MAX_FRAMES / h->n_frames);
    h->offset_width = offset_width(h);
    h->head_size = fc_sizes_at(h) + 4 * h->n_streams * h->n_frames;
    return FC_OK;
}

int64_t fc_head_bound(int32_t dtype, int64_t n_streams, int64_t stream_size,
                      int64_t frame_size) {
    fc_error ignored;
    fc_header h = {.dtype = dtype, .n_streams = n_streams, .stream_size = stream_size,
                   .frame_size = frame_size, .flags = FC_FLAG_OFFSETS};
    if (!fc_item_size(dtype) || n_streams < 1 || stream_size < 1
        || frame_size < FC_MIN_FRAME_SIZE || frame_size > FC_MAX_FRAME_SIZE)
        return -1;
    if (fc_is_float(dtype)) {
        h.mode = FC_MODE_QUANTIZED;
        h.flags |= FC_FLAG_QUANTA;
    }
    return fc_derive(&h, &ignored) ? -1 : h.head_size;
}

void fc_write_head(uint8_t *head, const fc_header *h) {
    memset(head, 0, FC_HEADER_SIZE);
    memcpy(head, magic, 4);
    head[4] = FC_FORMAT_VERSION;
    head[5] = (uint8_t)h->dtype;
    head[6] = (uint8_t)h->mode;
    head[7] = (uint8_t)h->flags;
    fc_put32(head + 8, (uint32_t)h->n_streams);
    fc_put32(head + 12, (uint32_t)h->frame_size);
    fc_put64(head + 16, (uint64_t)h->stream_size);
    fc_put_double(head + 24, h->quanta);
    fc_put64(head + 32, (uint64_t)h->streams_size);
    fc_put64(head + 40, (uint64_t)h->exceptions_size);
    fc_put32(head + 48, h->streams_crc);
    fc_put32(head + 52, h->exceptions_crc);
    uint32_t crc = fc_crc32c(0, head, 60);
    fc_put32(head + 60, fc_crc32c(crc, head + 64, h->head_size - 64));
}

static int is_quanta(double quanta) { return isfinite(quanta) && quanta > 0; }

/* Mode, flags and quanta agree with the dtype and with one another. */
static int fields_agree(const fc_header *h) {
    int quantized = h->mode == FC_MODE_QUANTIZED;
    if ((h->mode == FC_MODE_INTEGER) == fc_is_float(h->dtype)) return 0;
    if (!quantized && h->flags & FC_FLAG_QUANTA) return 0;
    if (!quantized && h->exceptions_size) return 0;
    if (quantized && !(h->flags & FC_FLAG_QUANTA)) return is_quanta(h->quanta);
    return h->quanta == 0;
}

static int sizes_make_sense(const fc_header *h) {
    const int64_t limit = INT64_C(1) << 60;
    return h->n_streams > 0 && h->stream_size > 0 && h->frame_size >= FC_MIN_FRAME_SIZE
        && h->frame_size <= FC_MAX_FRAME_SIZE && h->streams_size >= 0
        && h->streams_size < limit && h->exceptions_size >= 0
        && h->exceptions_size < limit && h->exceptions_size % FC_EXCEPTION_SIZE == 0;
}

int fc_read_header(const uint8_t *bytes, int64_t size, fc_header *h, fc_error *error) {
    if (size < FC_HEADER_SIZE)
        return fc_fail_values(error, FC_ERR_TRUNCATED, size, FC_HEADER_SIZE);
    if (memcmp(bytes, magic, 4)) return fc_fail(error, FC_ERR_MAGIC);
    if (bytes[4] != FC_FORMAT_VERSION)
        return fc_fail_values(error, FC_ERR_VERSION, bytes[4], FC_FORMAT_VERSION);
    *h = (fc_header){
        .version = bytes[4], .dtype = bytes[5], .mode = bytes[6], .flags = bytes[7],
        .n_streams = fc_get32(bytes + 8), .frame_size = fc_get32(bytes + 12),
        .stream_size = (int64_t)fc_get64(bytes + 16), .quanta = fc_get_double(bytes + 24),
        .streams_size = (int64_t)fc_get64(bytes + 32),
        .exceptions_size = (int64_t)fc_get64(bytes + 40),
        .streams_crc = fc_get32(bytes + 48), .exceptions_crc = fc_get32(bytes + 52),
        .head_crc = fc_get32(bytes + 60)};
    if (h->flags & ~(FC_FLAG_OFFSETS | FC_FLAG_QUANTA | FC_FLAG_BIG_ENDIAN)
        || fc_get32(bytes + 56) || !fc_item_size(h->dtype) || h->mode > FC_MODE_LOSSLESS)
        return fc_fail(error, FC_ERR_RESERVED);
    if (!sizes_make_sense(h) || !fields_agree(h) || signbit(h->quanta)
        || (!h->exceptions_size && h->exceptions_crc) || fc_derive(h, error))
        return fc_fail(error, FC_ERR_HEADER);
    h->chunk_size = h->head_size + h->streams_size + h->exceptions_size;
    return FC_OK;
}

static int frames_add_up(const uint8_t *head, const fc_header *h) {
    int64_t frames = h->n_streams * h->n_frames;
    int64_t total = FC_STREAM_HEADER_SIZE * h->n_streams;
    for (int64_t g = 0; g < frames; g++) total += fc_frame_bytes(head, h, g);
    return total == h->streams_size;
}

static int index_quanta_make_sense(const uint8_t *head, const fc_header *h) {
    if (!(h->flags & FC_FLAG_QUANTA)) return 1;
    for (int64_t s = 0; s < h->n_streams; s++)
        if (!is_quanta(fc_stream_quanta(head, h, s))) return 0;
    return 1;
}

int fc_check_expected(const fc_header *h, const fc_expect *expect, fc_error *error) {
    if (h->dtype != expect->dtype)
        return fc_fail_values(error, FC_ERR_DTYPE, h->dtype, expect->dtype);
    if (h->n_streams != expect->n_streams || h->stream_size != expect->stream_size) {
        fc_fail_values(error, FC_ERR_SHAPE, h->n_streams, expect->n_streams);
        error->sample = h->stream_size;
        return error->code;
    }
    return FC_OK;
}

int fc_check_head(const uint8_t *head, int64_t size, fc_error *error) {
    fc_header h;
    int code = fc_read_header(head, size, &h, error);
    if (code) return code;
    if (size < h.head_size)
        return fc_fail_values(error, FC_ERR_TRUNCATED, size, h.head_size);
    uint32_t crc = fc_crc32c(fc_crc32c(0, head, 60), head + 64, h.head_size - 64);
    if (crc != h.head_crc)
        return fc_fail_values(error, FC_ERR_HEAD_CHECKSUM, crc, h.head_crc);
    if (!frames_add_up(head, &h)) return fc_fail(error, FC_ERR_INDEX);
    return index_quanta_make_sense(head, &h) ? FC_OK : fc_fail(error, FC_ERR_HEADER);
}

uint64_t fc_stream_offset(const uint8_t *head, const fc_header *h, int64_t stream) {
    const uint8_t *at = head + fc_offsets_at(h) + h->offset_width * stream;
    if (h->offset_width == 8) return fc_get64(at);
    return h->offset_width ? (uint64_t)(int64_t)(int32_t)fc_get32(at) : 0;
}

double fc_stream_quanta(const uint8_t *head, const fc_header *h, int64_t stream) {
    if (!(h->flags & FC_FLAG_QUANTA)) return h->quanta;
    return fc_get_double(head + fc_quanta_at(h) + 8 * stream);
}

uint32_t fc_frame_entry(const uint8_t *frame, size_t size) {
    uint32_t crc = size < 2 ? 0 : (uint32_t)(frame[size - 2] << 8 | frame[size - 1]);
    return (uint32_t)size | crc << FC_FRAME_SIZE_BITS;
}

static void put_big_endian(uint8_t *at, int bytes, uint64_t value) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

void fc_write_stream_header(uint8_t *at, const fc_header *h, int bits, int channels,
                            uint32_t smallest_frame, uint32_t largest_frame) {
    int64_t block = h->n_frames > 1 ? h->frame_size : h->stream_size;
    if (block < FC_MIN_FRAME_SIZE) block = FC_MIN_FRAME_SIZE;
    memset(at, 0, FC_STREAM_HEADER_SIZE);
    memcpy(at, "fLaC", 4);
    at[4] = 0x80; /* the last metadata block, of type STREAMINFO */
    put_big_endian(at + 5, 3, 34);
    put_big_endian(at + 8, 2, (uint64_t)block);
    put_big_endian(at + 10, 2, (uint64_t)block);
    put_big_endian(at + 12, 3, smallest_frame);
    put_big_endian(at + 15, 3, largest_frame);
    put_big_endian(at + 18, 8, (uint64_t)SAMPLE_RATE << 44 | (uint64_t)(channels - 1) << 41
                                   | (uint64_t)(bits - 1) << 36 | (uint64_t)h->stream_size);
}

#define CHECKSUM_PIECE (INT64_C(1) << 20)

typedef struct {
    const uint8_t *streams;
    int64_t size;
    uint32_t *crcs; /* of each piece */
} checksum;

static int64_t piece_size(const checksum *c, int64_t piece) {
    int64_t left = c->size - piece * CHECKSUM_PIECE;
    return left < CHECKSUM_PIECE ? left : CHECKSUM_PIECE;
}

static int checksum_piece(void *context, int thread, int64_t piece, fc_error *error) {
    checksum *c = context;
    (void)thread, (void)error;
    c->crcs[piece] = fc_crc32c(0, c->streams + piece * CHECKSUM_PIECE, piece_size(c, piece));
    return FC_OK;
}

int fc_streams_checksum(const uint8_t *streams, int64_t size, int n_threads,
                        fc_stopping *stopping, uint32_t *crc, fc_error *error) {
    int64_t pieces = (size + CHECKSUM_PIECE - 1) / CHECKSUM_PIECE;
    checksum c = {streams, size, malloc((size_t)pieces * sizeof *c.crcs + 1)};
    if (!c.crcs) return fc_fail(error, FC_ERR_MEMORY);
    int code = fc_run_jobs(pieces < 4 ? 1 : n_threads, pieces, checksum_piece, NULL, &c, stopping,
                           error);
    *crc = 0;
    for (int64_t i = 0; i < pieces && !code; i++)
        *crc = fc_crc32c_join(*crc, c.crcs[i], piece_size(&c, i));
    free(c.crcs);
    return code;
}

int fc_check_length(const fc_header *h, int64_t size, fc_error *error) {
    if (size == h->chunk_size) return FC_OK;
    return fc_fail_values(error, size < h->chunk_size ? FC_ERR_TRUNCATED : FC_ERR_TRAILING, size,
                          h->chunk_size);
}

int fc_check_chunk(const uint8_t *chunk, int64_t size, const fc_expect *expect, fc_error *error) {
    fc_header h;
    int code = fc_read_header(chunk, size, &h, error);
    if (!code) code = fc_check_expected(&h, expect, error);
    if (!code) code = fc_check_length(&h, size, error);
    return code ? code : fc_check_head(chunk, size, error);
}

int fc_check_streams(const uint8_t *chunk, int64_t size, int32_t n_threads, const fc_stop *stop,
                     fc_error *error) {
    fc_header h;
    uint32_t crc;
    fc_stopping stopping = fc_begin_stopping(stop);
    int code = fc_read_header(chunk, size, &h, error);
    if (code) return code;
    code = fc_check_length(&h, size, error);
    if (code) return code;
    code = fc_streams_checksum(chunk + h.head_size, h.streams_size, n_threads, &stopping, &crc,
                               error);
    code = fc_end_stopping(&stopping, code, error);
    if (code || crc == h.streams_crc) return code;
    return fc_fail_values(error, FC_ERR_STREAMS_CHECKSUM, crc, h.streams_crc);
}

void fc_write_exception(uint8_t *at, const fc_exception *exception) {
    fc_put32(at, exception->stream);
    fc_put32(at + 4, exception->length);
    fc_put64(at + 8, exception->start);
    fc_put64(at + 16, exception->bits);
}

fc_exception fc_read_exception(const uint8_t *at) {
    return (fc_exception){fc_get32(at), fc_get32(at + 4), fc_get64(at + 8), fc_get64(at + 16)};
}

int64_t fc_find_exception(const uint8_t *table, int64_t n, int64_t stream, int64_t sample) {
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        fc_exception e = fc_read_exception(table + FC_EXCEPTION_SIZE * mid);
        if (e.stream < stream || (e.stream == stream && (int64_t)(e.start + e.length) <= sample))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int fc_check_exceptions(const uint8_t *table, const fc_header *h, fc_stopping *stopping,
                        fc_error *error) {
    uint32_t crc = fc_crc32c(0, table, h->exceptions_size);
    if (crc != h->exceptions_crc)
        return fc_fail_values(error, FC_ERR_EXCEPTIONS, crc, h->exceptions_crc);
    uint64_t stream = 0, free_from = 0;
    for (int64_t at = 0; at < h->exceptions_size; at += FC_EXCEPTION_SIZE) {
        fc_exception e = fc_read_exception(table + at);
        if (fc_is_stopped_at(stopping, at / FC_EXCEPTION_SIZE))
            return fc_fail(error, FC_ERR_STOPPED);
        if (e.stream != stream) free_from = 0;
        if (e.stream < stream || e.stream >= h->n_streams || !e.length || e.start < free_from
            || e.start >= (uint64_t)h->stream_size
            || e.length > (uint64_t)h->stream_size - e.start)
            return fc_fail_at(error, FC_ERR_EXCEPTIONS, e.stream, -1, (int64_t)e.start);
        stream = e.stream;
        free_from = e.start + e.length;
    }
    return FC_OK;
}
