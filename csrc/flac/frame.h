/* FLAC frames (RFC 9639, section 9), as far as a chunk needs them without libFLAC: their
 * headers, their numbers, and verbatim frames. */
#ifndef FC_FRAME_H
#define FC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bit_writer.h"

#define FC_MAX_FRAME_HEADER 16 /* bytes */

/* The header of a frame, parsed. */
typedef struct fc_frame_header {
    int channels;
    int bits;           /* of a sample; 0 if only STREAMINFO says */
    int64_t samples;    /* of a channel */
    int64_t number;     /* of the frame in its stream */
    size_t size;        /* bytes of this header, with its CRC-8 */
    size_t number_at;   /* at which byte the coded number begins */
    size_t number_size; /* bytes of the coded number */
} fc_frame_header;

/* Returns the most bytes that a frame takes in a chunk: those of a verbatim one. `bits`: of a
 * sample. */
size_t fc_frame_bound(int64_t samples, int channels, int bits);

/* Reads the header of a frame of fixed block size and independent channels from `size` bytes,
 * and checks its CRC-8. Returns 0 if these bytes are no such header. */
int fc_read_frame_header(const uint8_t *bytes, size_t size, fc_frame_header *header);

/* Returns the bytes that a frame of `size` bytes takes under another number, 0 if it is no
 * frame. */
size_t fc_renumbered_size(const uint8_t *frame, size_t size, int64_t number);

/* Copies a frame of `size` bytes to `out` under another number, with CRCs that fit. `out` has
 * fc_renumbered_size() bytes. Returns that size, 0 if it is no frame. */
size_t fc_renumber_frame(const uint8_t *frame, size_t size, int64_t number, uint8_t *out);

/* Writes the header of a frame, with its CRC-8, to `out`, which has FC_MAX_FRAME_HEADER bytes.
 * `channels` is 1 or 2; `bits`, of a sample, 8, 12, 16, 20, 24 or 32; `samples` 1 to 65535.
 * Returns the header's size. */
size_t fc_write_frame_header(uint8_t *out, int channels, int bits, int64_t samples,
                             int64_t number);

/* Ends a frame that begins at `frame`: fills the last byte with zeros and writes the CRC-16.
 * Returns the frame's size. */
size_t fc_end_frame(uint8_t *frame, const fc_bit_writer *writer);

/* Writes a frame of verbatim subframes, which may have fewer samples than an encoder takes.
 * Parameters are those of fc_write_frame_header(); `out` has fc_frame_bound() +
 * FC_WRITER_SLACK bytes. Returns the frame's size. */
size_t fc_write_verbatim_frame(const int32_t *const *channel, int channels, int bits,
                               int64_t samples, int64_t number, uint8_t *out);

#endif
