/* Our own decoder of FLAC frames, for those that numeric arrays have: a
 * fixed block size, one channel or two independent ones, 8 to 32 bits. */
#ifndef FC_SUBFRAME_H
#define FC_SUBFRAME_H

#include "flaccodec.h"

#define FC_NOT_OURS (-1) /* a frame that libFLAC must decode */

/* Decodes one frame, which must fill size bytes and hold so many samples of
 * so many channels (1 or 2). channel[c] has room for samples. Checks the
 * frame's CRCs. Returns FC_OK, FC_ERR_FRAME or FC_NOT_OURS; unless it was
 * FC_OK, the channels hold unspecified values.
 *
 * Looks at no byte but those of the frame, whatever they are, and takes no
 * memory. */
int fc_decode_frame_fast(const uint8_t *frame, size_t size, int channels, int64_t samples,
                         int32_t *const channel[2]);

#endif
