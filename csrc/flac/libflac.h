/* libFLAC, one frame at a time. */
#ifndef FC_LIBFLAC_H
#define FC_LIBFLAC_H

#include "flaccodec.h"

/* Returns whether the environment variable `variable` is "libflac": then libFLAC does what
 * otherwise our own code does, so that the two can be compared. */
int fc_wants_libflac(const char *variable);

/* Takes a frame of `size` bytes that an encoder made. `tag` is what fc_encode_block() got with the
 * frame's samples. Returns an fc_code. */
typedef int (*fc_take_frame)(void *context, int64_t tag, const uint8_t *frame, size_t size);

/* Encoders, one for each kind of block (channels, bits, samples) so far. They are kept, since
 * one takes as long to set up as to encode thousands of samples. */
typedef struct fc_encoders fc_encoders;

/* Makes encoders for `level`, 0 to FC_MAX_LEVEL, that call `take` with `context`. Returns NULL
 * if there is no memory. */
fc_encoders *fc_new_encoders(int level, fc_take_frame take, void *context);

/* Frees encoders; NULL is allowed. */
void fc_delete_encoders(fc_encoders *encoders);

/* Encodes one block: `samples` samples, at least FC_MIN_FRAME_SIZE, of 1 or 2 channels with `bits`
 * bits each. Its frame is given to `take` with the next block of the same kind, or by
 * fc_flush_encoders(). Frames of one kind come in order; their numbers mean nothing. Returns
 * FC_OK, or what `take` returned, or why libFLAC failed. */
int fc_encode_block(fc_encoders *encoders, const int32_t *const *channel, int channels, int bits,
                    int64_t samples, int64_t tag);

/* Has `take` called for all frames that were not taken yet. Returns as fc_encode_block(). */
int fc_flush_encoders(fc_encoders *encoders);

/* A decoder of single frames. */
typedef struct fc_decoder fc_decoder;

/* Returns a new decoder, NULL if there is no memory. */
fc_decoder *fc_new_decoder(void);

/* Frees a decoder; NULL is allowed. */
void fc_delete_decoder(fc_decoder *decoder);

/* Takes the samples of a frame whose checksums are right. `channel[1]` is NULL if there is one
 * channel. */
typedef void (*fc_take_samples)(void *context, const int32_t *const *channel);

/* Decodes one frame, which must fill `size` bytes and have `samples` samples of `channels`
 * channels. Calls `take` once on success, else never. Returns FC_OK, FC_ERR_FRAME or
 * FC_ERR_MEMORY. */
int fc_decode_frame(fc_decoder *decoder, const uint8_t *frame, size_t size, int channels,
                    int64_t samples, fc_take_samples take, void *context);

#endif
