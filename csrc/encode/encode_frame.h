/* Our own encoder of FLAC frames, for the levels that try one window: what
 * libFLAC does there, in less time. At higher levels it stands beside libFLAC. */
#ifndef FC_ENCODE_FRAME_H
#define FC_ENCODE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bit_writer.h"

#define FC_MAX_FAST_LEVEL 5

/* Bytes behind fc_frame_bound() that may be stored to. */
#define FC_FRAME_SLACK FC_WRITER_SLACK

/* Windows and blocks, for frames of up to so many samples. */
typedef struct fc_frame_encoder fc_frame_encoder;

fc_frame_encoder *fc_new_frame_encoder(int level, int64_t most_samples);
void fc_delete_frame_encoder(fc_frame_encoder *encoder);

/* Writes a frame of 1 or 2 channels of samples of 8, 12, 16, 20, 24 or 32
 * bits, FC_MIN_FRAME_SIZE samples or more, under its number. out has room for
 * fc_frame_bound() and FC_FRAME_SLACK. Returns the frame's size. */
size_t fc_encode_frame_fast(fc_frame_encoder *encoder, const int32_t *const *channel, int channels,
                            int bits, int64_t samples, int64_t number, uint8_t *out);

#endif
