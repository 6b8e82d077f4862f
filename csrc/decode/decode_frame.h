/* Our own decoder of FLAC frames, for those that numeric arrays have: a fixed block size, one
 * channel or two independent ones, 8 to 32 bits. */
#ifndef FC_DECODE_FRAME_H
#define FC_DECODE_FRAME_H

#include "decode/batch.h"
#include "flac/frame.h"
#include "flaccodec.h"

#define FC_NOT_OURS (-1) /* the code of a frame that libFLAC must decode */

/* A frame to decode. `header`, `wanted` and `loadable` may be 0. */
typedef struct fc_frame_task {
    const uint8_t *frame; /* in: its bytes, all `size` of them */
    size_t size;
    int channels; /* in: 1 or 2; a frame with another number is refused */
    int code;     /* out: FC_OK, FC_ERR_FRAME or FC_NOT_OURS */
    int64_t samples;        /* in: of a channel, 1 to 65536; likewise */
    int32_t *channel[2];    /* out: `samples` samples for each channel */
    fc_frame_header header; /* in: if it has been read and checked already */
    int64_t wanted;         /* in: how many samples are needed, the first ones; 0 for all */
    size_t loadable; /* in: bytes from `frame` on that may be loaded, if more than `size` */
} fc_frame_task;

/* Decodes `n` frames, 0 to FC_MAX_BATCH, and checks their CRCs. Takes least time for each if the
 * frames have one size.
 *
 * If a task's code is not FC_OK, its channels hold unspecified values. So do samples after
 * `wanted`; a fault of the frame there may be found by its CRC only.
 *
 * Loads only bytes of the frames and those that `loadable` allows; the latter change no result.
 * Allocates no memory. */
void fc_decode_frames_fast(fc_frame_task *tasks, int n);

/* Decodes one frame: `frame`, `size`, `channels`, `samples` and `channel` are those of a task.
 * Returns its code. */
int fc_decode_frame_fast(const uint8_t *frame, size_t size, int channels, int64_t samples,
                         int32_t *const channel[2]);

#endif
