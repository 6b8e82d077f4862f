/* libFLAC, a frame at a time. */
#ifndef FC_LIBFLAC_H
#define FC_LIBFLAC_H

#include "flaccodec.h"

/* Whether an environment variable says "libflac": it is to do what our own code
 * would do, so that the two can be compared. */
int fc_wants_libflac(const char *variable);

/* Where the encoder hands over its frames: blocks of one call come back in
 * order, each with the tag that it was fed with. */
typedef int (*fc_take_frame)(void *context, int64_t tag, const uint8_t *frame, size_t size);

/* Encoders for blocks of every kind that has come up, kept for the next
 * block: setting one up costs as much as encoding thousands of samples. */
typedef struct fc_encoders fc_encoders;

fc_encoders *fc_new_encoders(int level, fc_take_frame take, void *context);
void fc_delete_encoders(fc_encoders *encoders);

/* Feeds one block, FC_MIN_FRAME_SIZE samples or more. Its frame comes with
 * the next block of the kind or with fc_flush_encoders; frames are numbered
 * in no way that means anything. Returns what take returned. */
int fc_encode_block(fc_encoders *encoders, const int32_t *const *channel, int channels, int bits,
                    int64_t samples, int64_t tag);
int fc_flush_encoders(fc_encoders *encoders);

/* A decoder of single frames. */
typedef struct fc_decoder fc_decoder;

fc_decoder *fc_new_decoder(void);
void fc_delete_decoder(fc_decoder *decoder);

/* Where the decoder hands over the samples of a frame, its checksums right;
 * channel[1] is NULL where there is one channel. */
typedef void (*fc_take_samples)(void *context, const int32_t *const *channel);

/* Decodes one frame, which must fill size bytes and hold so many samples of
 * so many channels. take is called once, and only on success. */
int fc_decode_frame(fc_decoder *decoder, const uint8_t *frame, size_t size, int channels,
                    int64_t samples, fc_take_samples take, void *context);

#endif
