/* Our own decoder of FLAC frames, for those that numeric arrays have: a
 * fixed block size, one channel or two independent ones, 8 to 32 bits. */
#ifndef FC_SUBFRAME_H
#define FC_SUBFRAME_H

#include "flac/frame.h"
#include "flaccodec.h"

#define FC_NOT_OURS (-1) /* a frame that libFLAC must decode */

#define FC_MAX_BATCH 32 /* frames that are decoded together */

/* A frame to decode: it must fill size bytes and hold so many samples of so
 * many channels (1 or 2). channel[c] has room for samples. Zero will do for
 * what comes after that. */
typedef struct fc_frame_task {
    const uint8_t *frame;
    size_t size;
    int channels;
    int code; /* what came of it: FC_OK, FC_ERR_FRAME or FC_NOT_OURS */
    int64_t samples;
    int32_t *channel[2];
    fc_frame_header header; /* where it has been read, and checked */
    int64_t wanted;         /* samples, the first ones; all where it is 0 */
    size_t loadable;        /* bytes from frame on that may be loaded, where more follow it */
} fc_frame_task;

/* Decodes n frames, up to FC_MAX_BATCH, and checks their CRCs; frames of one
 * size together take least time each. Unless its code is FC_OK, a frame's
 * channels hold unspecified values, and so they do beyond the samples that are wanted: there
 * a frame may be checked by its CRC alone.
 *
 * Loads no byte but those of the frames and those that it may, which change
 * nothing, whatever they are; takes no memory but the stack's. */
void fc_decode_frames_fast(fc_frame_task *tasks, int n);

/* Decodes one frame; returns its code. */
int fc_decode_frame_fast(const uint8_t *frame, size_t size, int channels, int64_t samples,
                         int32_t *const channel[2]);

#endif
