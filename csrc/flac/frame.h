/* FLAC frames (RFC 9639, section 9) as far as a chunk needs to read and
 * write them without libFLAC: their headers, and small verbatim frames. */
#ifndef FC_FRAME_H
#define FC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bit_writer.h"

#define FC_MAX_FRAME_HEADER 16

typedef struct fc_frame_header {
    int channels;
    int bits;         /* a sample; 0 where only STREAMINFO tells */
    int64_t samples;  /* a channel */
    int64_t number;   /* of the frame in its stream */
    size_t size;      /* bytes of this header, CRC-8 included */
    size_t number_at; /* where the coded number begins, and how long it is */
    size_t number_size;
} fc_frame_header;

/* The most bytes that a frame may take in a chunk: those of a verbatim one. */
size_t fc_frame_bound(int64_t samples, int channels, int bits);

/* Reads the header of a fixed-block-size frame of independent channels and
 * checks its CRC-8. 0 where these bytes are no such header. */
int fc_read_frame_header(const uint8_t *bytes, size_t size, fc_frame_header *header);

/* The size that a frame has under another number; 0 where it is not a frame. */
size_t fc_renumbered_size(const uint8_t *frame, size_t size, int64_t number);

/* Copies a frame to out (fc_renumbered_size() bytes) under another number, with
 * its CRCs made right. Returns its new size, 0 where it is not a frame. */
size_t fc_renumber_frame(const uint8_t *frame, size_t size, int64_t number, uint8_t *out);

/* Writes a frame's header, its CRC-8 included; returns its size. */
size_t fc_write_frame_header(uint8_t *out, int channels, int bits, int64_t samples,
                             int64_t number);

/* Ends a frame: fills the last byte up and writes the CRC-16. Returns its size. */
size_t fc_end_frame(uint8_t *frame, const fc_bit_writer *writer);

/* Writes a frame of verbatim subframes, for blocks shorter than those that
 * an encoder takes; stores up to FC_WRITER_SLACK bytes behind it. */
size_t fc_write_verbatim_frame(const int32_t *const *channel, int channels, int bits,
                               int64_t samples, int64_t number, uint8_t *out);

#endif
