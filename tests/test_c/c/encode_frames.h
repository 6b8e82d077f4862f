/* For tests and benchmarks: a signal's frames, as libFLAC's encoder has them. */
#ifndef ENCODE_FRAMES_H
#define ENCODE_FRAMES_H

#include <FLAC/stream_encoder.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern FLAC__bool FLAC__stream_encoder_set_do_md5(FLAC__StreamEncoder *, FLAC__bool);

typedef struct {
    uint8_t *bytes;
    size_t size;
    int64_t samples;
} coded_frame;

typedef struct {
    coded_frame *items;
    int n;
    size_t size;
} coded_frames;

typedef struct {
    int channels, bits, level, exhaustive;
    int block_size;
    int max_order; /* of predictors; 0 for that of the level */
} coding;

static FLAC__StreamEncoderWriteStatus keep_frame(const FLAC__StreamEncoder *encoder,
                                                 const FLAC__byte *bytes, size_t size,
                                                 uint32_t samples, uint32_t number,
                                                 void *client) {
    coded_frames *frames = client;
    (void)encoder, (void)number;
    if (!samples) return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
    frames->items = realloc(frames->items, ((size_t)frames->n + 1) * sizeof *frames->items);
    coded_frame *frame = frames->items + frames->n++;
    *frame = (coded_frame){malloc(size), size, samples};
    memcpy(frame->bytes, bytes, size);
    frames->size += size;
    return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

/* Frames of exactly their size in memory, so that a sanitizer sees a read
 * beyond; n is 0 where libFLAC does not take such a coding. */
static coded_frames encode_frames(const coding *how, const int32_t *const *channel,
                                  int64_t samples) {
    coded_frames frames = {NULL, 0, 0};
    FLAC__StreamEncoder *encoder = FLAC__stream_encoder_new();
    FLAC__stream_encoder_set_channels(encoder, (uint32_t)how->channels);
    FLAC__stream_encoder_set_bits_per_sample(encoder, (uint32_t)how->bits);
    FLAC__stream_encoder_set_streamable_subset(encoder, false);
    FLAC__stream_encoder_set_compression_level(encoder, (uint32_t)how->level);
    FLAC__stream_encoder_set_do_mid_side_stereo(encoder, false);
    FLAC__stream_encoder_set_loose_mid_side_stereo(encoder, false);
    FLAC__stream_encoder_set_blocksize(encoder, (uint32_t)how->block_size);
    FLAC__stream_encoder_set_do_md5(encoder, false);
    FLAC__stream_encoder_set_do_exhaustive_model_search(encoder, how->exhaustive);
    if (how->max_order)
        FLAC__stream_encoder_set_max_lpc_order(encoder, (uint32_t)how->max_order);
    if (FLAC__stream_encoder_init_stream(encoder, keep_frame, NULL, NULL, NULL, &frames)
        == FLAC__STREAM_ENCODER_INIT_STATUS_OK) {
        FLAC__stream_encoder_process(encoder, channel, (uint32_t)samples);
        FLAC__stream_encoder_finish(encoder);
    }
    FLAC__stream_encoder_delete(encoder);
    return frames;
}

static void free_frames(coded_frames *frames) {
    for (int i = 0; i < frames->n; i++) free(frames->items[i].bytes);
    free(frames->items);
    *frames = (coded_frames){NULL, 0, 0};
}

#endif
