#include "sound.h"

#include <FLAC/stream_decoder.h>
#include <string.h>

typedef struct {
    const uint8_t *bytes;
    size_t left;
    int failed, frames, sound;
} judging;

static judging now;

static FLAC__StreamDecoderReadStatus give_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__byte *buffer, size_t *size, void *client) {
    (void)flac, (void)client;
    if (*size > now.left) *size = now.left;
    if (!*size) return FLAC__STREAM_DECODER_READ_STATUS_ABORT;
    memcpy(buffer, now.bytes, *size);
    now.bytes += *size;
    now.left -= *size;
    return FLAC__STREAM_DECODER_READ_STATUS_CONTINUE;
}

static int fits(const FLAC__Frame *frame, const FLAC__int32 *samples) {
    for (uint32_t i = 0; i < frame->header.blocksize; i++) {
        FLAC__int32 above = samples[i] >> (frame->header.bits_per_sample - 1);
        if (above != 0 && above != -1) return 0;
    }
    return 1;
}

static FLAC__StreamDecoderWriteStatus judge_samples(const FLAC__StreamDecoder *flac,
                                                    const FLAC__Frame *frame,
                                                    const FLAC__int32 *const *buffer,
                                                    void *client) {
    (void)flac, (void)client;
    now.frames++;
    now.sound = 1;
    for (uint32_t c = 0; c < frame->header.channels; c++)
        now.sound &= !frame->subframes[c].wasted_bits && fits(frame, buffer[c]);
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void note_error(const FLAC__StreamDecoder *flac, FLAC__StreamDecoderErrorStatus status,
                       void *client) {
    (void)flac, (void)status, (void)client;
    now.failed = 1;
}

int is_sound(const uint8_t *frame, size_t size) {
    static FLAC__StreamDecoder *flac;
    if (!flac) {
        flac = FLAC__stream_decoder_new();
        FLAC__stream_decoder_init_stream(flac, give_bytes, NULL, NULL, NULL, NULL, judge_samples,
                                         NULL, note_error, NULL);
    }
    now = (judging){frame, size, 0, 0, 0};
    FLAC__stream_decoder_flush(flac);
    while (!now.frames && !now.failed && FLAC__stream_decoder_process_single(flac)) {}
    return now.frames == 1 && !now.failed && now.sound;
}
