/* The bytes of a chunk around its FLAC frames: docs/format.md in C. */
#ifndef FC_FORMAT_H
#define FC_FORMAT_H

#include <stddef.h>

#include "flaccodec.h"
#include "samples/dtype.h"
#include "samples/exceptions.h"
#include "threads/stop.h"

/* -- numbers, little-endian ----------------------------------------------------- */

void fc_put32(uint8_t *at, uint32_t value);
void fc_put64(uint8_t *at, uint64_t value);
void fc_put_double(uint8_t *at, double value);
uint32_t fc_get32(const uint8_t *at);
uint64_t fc_get64(const uint8_t *at);
double fc_get_double(const uint8_t *at);

/* -- the header ------------------------------------------------------------------ */

/* Sets the fields of `header` that follow from others: `n_frames`, `offset_width` and `head_size`,
 * from `dtype`, `mode`, `flags`, `n_streams`, `stream_size` and `frame_size`. Returns FC_OK, or
 * FC_ERR_TOO_LARGE if no chunk can be so large. */
int fc_derive(fc_header *header, fc_error *error);

/* Returns the bytes of all samples. */
static inline size_t fc_samples_size(const fc_header *h) {
    return (size_t)(h->n_streams * h->stream_size * fc_item_size(h->dtype));
}

/* Returns how many samples frame number `frame` of each stream has. */
static inline int64_t fc_frame_samples(const fc_header *h, int64_t frame) {
    int64_t left = h->stream_size - frame * h->frame_size;
    return left < h->frame_size ? left : h->frame_size;
}

/* Writes the header to `head`, with the checksum over it and the index, which must be there
 * already. `head` has header->head_size bytes. */
void fc_write_head(uint8_t *head, const fc_header *header);

/* Checks that a whole chunk of `size` bytes has the length that its header declares. Returns
 * FC_OK, FC_ERR_TRUNCATED or FC_ERR_TRAILING. */
int fc_check_length(const fc_header *h, int64_t size, fc_error *error);

/* -- the index -------------------------------------------------------------------- */

/* Return at which byte of the head a table of the index begins: offsets, quanta, entries of
 * frames. */
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

/* Returns the entry of a frame of `size` bytes: its size (no frame has 2**20 bytes) in the low
 * FC_FRAME_SIZE_BITS bits, and 12 bits of its CRC-16 above. So an index and a frame of
 * different chunks do not fit together. */
uint32_t fc_frame_entry(const uint8_t *frame, size_t size);

/* Returns the entry of frame `g`, counted over all streams. */
static inline uint32_t fc_get_entry(const uint8_t *head, const fc_header *h, int64_t g) {
    return fc_get32(head + fc_sizes_at(h) + 4 * g);
}

/* Returns the bytes of frame `g`, counted over all streams. */
static inline uint32_t fc_frame_bytes(const uint8_t *head, const fc_header *h, int64_t g) {
    return fc_get_entry(head, h, g) & ((1u << FC_FRAME_SIZE_BITS) - 1);
}

/* Return offset and quanta of a stream, from the index or from the header. */
uint64_t fc_stream_offset(const uint8_t *head, const fc_header *h, int64_t stream);
double fc_stream_quanta(const uint8_t *head, const fc_header *h, int64_t stream);

/* -- the streams ------------------------------------------------------------------ */

/* Writes the FC_STREAM_HEADER_SIZE bytes before a stream's frames. `smallest_frame` and
 * `largest_frame`: bytes. */
void fc_write_stream_header(uint8_t *at, const fc_header *h, int bits, int channels,
                            uint32_t smallest_frame, uint32_t largest_frame);

/* Sets `*crc` to the checksum of all streams, `size` bytes. Returns FC_OK, FC_ERR_MEMORY or
 * FC_ERR_STOPPED. */
int fc_streams_checksum(const uint8_t *streams, int64_t size, int n_threads,
                        fc_stopping *stopping, uint32_t *crc, fc_error *error);

/* -- the exceptions --------------------------------------------------------------- */

#define FC_EXCEPTION_SIZE 24 /* bytes in a chunk */

/* Write and read the FC_EXCEPTION_SIZE bytes of an exception. */
void fc_write_exception(uint8_t *at, const fc_exception *exception);
fc_exception fc_read_exception(const uint8_t *at);

/* Returns which of the `n` exceptions of a table is the first that ends after sample `sample` of
 * `stream`; `n` if none does. */
int64_t fc_find_exception(const uint8_t *table, int64_t n, int64_t stream, int64_t sample);

/* Checks a table of exceptions, h->exceptions_size bytes: its checksum, order and ranges. Returns
 * FC_OK, FC_ERR_EXCEPTIONS or FC_ERR_STOPPED. */
int fc_check_exceptions(const uint8_t *table, const fc_header *h, fc_stopping *stopping,
                        fc_error *error);

#endif
