/* The bytes of a chunk around its FLAC frames: docs/format.md in C. */
#ifndef FC_FORMAT_H
#define FC_FORMAT_H

#include <stddef.h>

#include "flaccodec.h"
#include "threads/stop.h"

#define FC_EXCEPTION_SIZE 24
#define FC_EXCEPTION_MAX_RUN UINT32_MAX

/* Samples whose value is stored as it is: length samples of stream from
 * start, each with these bits. */
typedef struct fc_exception {
    uint32_t stream;
    uint32_t length;
    uint64_t start;
    uint64_t bits;
} fc_exception;

void fc_put32(uint8_t *at, uint32_t value);
void fc_put64(uint8_t *at, uint64_t value);
uint32_t fc_get32(const uint8_t *at);
uint64_t fc_get64(const uint8_t *at);
void fc_put_double(uint8_t *at, double value);
double fc_get_double(const uint8_t *at);
void fc_put_double(uint8_t *at, double value);

int fc_is_float(int dtype);
int fc_item_size(int dtype); /* bytes of a sample; 0 for an unknown dtype */

/* Fills in the fields of header that follow from the others (n_frames,
 * offset_width, head_size); FC_ERR_TOO_LARGE where a chunk cannot be so. */
int fc_derive(fc_header *header, fc_error *error);

/* Bytes of all samples. */
static inline size_t fc_samples_size(const fc_header *h) {
    return (size_t)(h->n_streams * h->stream_size * fc_item_size(h->dtype));
}

/* Writes the header with the checksum over it and the index behind it. */
void fc_write_head(uint8_t *head, const fc_header *header);

/* The parts of an index. */
static inline int64_t fc_offsets_at(const fc_header *h) {
    (void)h;
    return FC_HEADER_SIZE;
}
static inline int64_t fc_quanta_at(const fc_header *h) {
    return FC_HEADER_SIZE + h->offset_width * h->n_streams;
}
static inline int64_t fc_sizes_at(const fc_header *h) {
    return fc_quanta_at(h) + (h->flags & FC_FLAG_QUANTA ? 8 * h->n_streams : 0);
}
/* An index entry: the bytes of a frame (no frame has 2**20) in the low bits,
 * and 12 bits of its CRC-16, so that a frame and an index vouch for being of
 * the same chunk. */
uint32_t fc_frame_entry(const uint8_t *frame, size_t size);
static inline uint32_t fc_get_entry(const uint8_t *head, const fc_header *h, int64_t g) {
    return fc_get32(head + fc_sizes_at(h) + 4 * g);
}
static inline uint32_t fc_frame_bytes(const uint8_t *head, const fc_header *h, int64_t g) {
    return fc_get_entry(head, h, g) & ((1u << FC_FRAME_SIZE_BITS) - 1);
}
uint64_t fc_stream_offset(const uint8_t *head, const fc_header *h, int64_t stream);
double fc_stream_quanta(const uint8_t *head, const fc_header *h, int64_t stream);

/* Samples of frame number frame of any stream. */
static inline int64_t fc_frame_samples(const fc_header *h, int64_t frame) {
    int64_t left = h->stream_size - frame * h->frame_size;
    return left < h->frame_size ? left : h->frame_size;
}

/* Writes the FC_STREAM_HEADER_SIZE bytes that go before a stream's frames. */
void fc_write_stream_header(uint8_t *at, const fc_header *h, int bits, int channels,
                            uint32_t smallest_frame, uint32_t largest_frame);

/* Checks that a whole chunk has the length that its header declares. */
int fc_check_length(const fc_header *h, int64_t size, fc_error *error);

/* The checksum of all streams, by several threads. */
int fc_streams_checksum(const uint8_t *streams, int64_t size, int n_threads,
                        fc_stopping *stopping, uint32_t *crc, fc_error *error);

void fc_write_exception(uint8_t *at, const fc_exception *exception);
fc_exception fc_read_exception(const uint8_t *at);

/* Checks a table of exceptions: order, ranges, the checksum of the header. */
int fc_check_exceptions(const uint8_t *table, const fc_header *h, fc_stopping *stopping,
                        fc_error *error);

#endif
