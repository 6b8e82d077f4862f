/* Our own encoder of FLAC frames, for the levels at which libFLAC tries one window: it does the
 * same in less time. At higher levels it works beside libFLAC. */
#ifndef FC_ENCODE_FRAME_H
#define FC_ENCODE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bit_writer.h"

#define FC_MAX_FAST_LEVEL 5

#define FC_FRAME_SLACK FC_WRITER_SLACK /* bytes after fc_frame_bound() that may be written */

/* An encoder and its working memory. One thread at a time may use it. */
typedef struct fc_frame_encoder fc_frame_encoder;

/* Makes an encoder for frames of up to `most_samples` samples. `level` is 0 to
 * FC_MAX_FAST_LEVEL. Returns NULL if there is no memory. */
fc_frame_encoder *fc_new_frame_encoder(int level, int64_t most_samples);

/* Frees an encoder; NULL is allowed. */
void fc_delete_frame_encoder(fc_frame_encoder *encoder);

/* Writes a frame of 1 or 2 channels to `out`, with `number` as its number. `bits`, of a sample, is
 * 8, 12, 16, 20, 24 or 32; all samples must fit in them. `samples` is at least
 * FC_MIN_FRAME_SIZE. `out` has fc_frame_bound() + FC_FRAME_SLACK bytes. Returns the frame's
 * size. */
size_t fc_encode_frame_fast(fc_frame_encoder *encoder, const int32_t *const *channel, int channels,
                            int bits, int64_t samples, int64_t number, uint8_t *out);

#endif
