#include "flac/libflac.h"

#include <FLAC/stream_decoder.h>
#include <FLAC/stream_encoder.h>
#include <stdlib.h>
#include <string.h>

/* In libFLAC's library but not in its headers. */
extern FLAC__bool FLAC__stream_encoder_set_do_md5(FLAC__StreamEncoder *, FLAC__bool);

int fc_wants_libflac(const char *variable) {
    const char *value = getenv(variable);
    return value && !strcmp(value, "libflac");
}

#define MAX_ENCODERS 8
#define NO_TAG (-1)

/* An encoder for blocks of one kind. libFLAC gives out a frame when the first
 * sample after it has come, so one block is always pending; a flush feeds
 * one sample of a dummy block, whose frame is thrown away. */
typedef struct {
    FLAC__StreamEncoder *flac;
    fc_encoders *owner;
    int channels, bits;
    int64_t samples;
    int64_t tag;    /* of the block whose frame is pending */
    int flushed;    /* one sample of a dummy block is in */
    int64_t used;   /* when, for replacing the one unused for longest */
    int code;
} encoder;

struct fc_encoders {
    int level;
    fc_take_frame take;
    void *context;
    int64_t clock;
    int32_t *silence;
    int64_t silence_samples;
    encoder items[MAX_ENCODERS];
};

static FLAC__StreamEncoderWriteStatus take_write(const FLAC__StreamEncoder *flac,
                                                 const FLAC__byte *bytes, size_t size,
                                                 uint32_t samples, uint32_t number,
                                                 void *client) {
    encoder *e = client;
    (void)flac, (void)number;
    if (!samples || e->tag == NO_TAG) return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
    e->code = e->owner->take(e->owner->context, e->tag, bytes, size);
    return e->code ? FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR
                   : FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static void close_encoder(encoder *e) {
    if (!e->flac) return;
    e->tag = NO_TAG;
    FLAC__stream_encoder_delete(e->flac);
    e->flac = NULL;
}

static int open_encoder(fc_encoders *all, encoder *e, int channels, int bits, int64_t samples) {
    *e = (encoder){FLAC__stream_encoder_new(), all, channels, bits, samples, NO_TAG, 0, 0, 0};
    FLAC__StreamEncoder *flac = e->flac;
    if (!flac) return FC_ERR_MEMORY;
    FLAC__bool ok = FLAC__stream_encoder_set_channels(flac, (uint32_t)channels)
        && FLAC__stream_encoder_set_bits_per_sample(flac, (uint32_t)bits)
        && FLAC__stream_encoder_set_sample_rate(flac, 44100)
        && FLAC__stream_encoder_set_streamable_subset(flac, false)
        && FLAC__stream_encoder_set_compression_level(flac, (uint32_t)all->level)
        /* The two channels are words of one number, not left and right. */
        && FLAC__stream_encoder_set_do_mid_side_stereo(flac, false)
        && FLAC__stream_encoder_set_loose_mid_side_stereo(flac, false)
        && FLAC__stream_encoder_set_blocksize(flac, (uint32_t)samples)
        && FLAC__stream_encoder_set_do_md5(flac, false);
    if (ok && FLAC__stream_encoder_init_stream(flac, take_write, NULL, NULL, NULL, e)
                  == FLAC__STREAM_ENCODER_INIT_STATUS_OK)
        return FC_OK;
    close_encoder(e);
    return FC_ERR_ENCODER;
}

static int feed(encoder *e, const int32_t *const *channel, int64_t samples) {
    if (FLAC__stream_encoder_process(e->flac, channel, (uint32_t)samples)) return FC_OK;
    return e->code ? e->code : FC_ERR_ENCODER;
}

static int feed_silence(encoder *e, int64_t samples) {
    const int32_t *channel[2] = {e->owner->silence, e->owner->silence};
    return feed(e, channel, samples);
}

static int flush(encoder *e) {
    if (!e->flac || e->flushed) return FC_OK;
    int code = feed_silence(e, 1);
    e->tag = NO_TAG;
    e->flushed = 1;
    return code;
}

static int is_kind(const encoder *e, int channels, int bits, int64_t samples) {
    return e->flac && e->channels == channels && e->bits == bits && e->samples == samples;
}

static int make_silence(fc_encoders *all, int64_t samples) {
    if (samples <= all->silence_samples) return FC_OK;
    free(all->silence);
    all->silence = calloc((size_t)samples, sizeof(int32_t));
    all->silence_samples = all->silence ? samples : 0;
    return all->silence ? FC_OK : FC_ERR_MEMORY;
}

static int find_encoder(fc_encoders *all, int channels, int bits, int64_t samples,
                        encoder **found) {
    encoder *oldest = all->items;
    for (encoder *e = all->items; e < all->items + MAX_ENCODERS; e++) {
        if (is_kind(e, channels, bits, samples)) return *found = e, FC_OK;
        if (!e->flac || (oldest->flac && e->used < oldest->used)) oldest = e;
    }
    int code = flush(oldest);
    if (!code) code = make_silence(all, samples);
    if (code) return code;
    close_encoder(oldest);
    *found = oldest;
    return open_encoder(all, oldest, channels, bits, samples);
}

fc_encoders *fc_new_encoders(int level, fc_take_frame take, void *context) {
    fc_encoders *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->level = level;
    all->take = take;
    all->context = context;
    return all;
}

void fc_delete_encoders(fc_encoders *all) {
    if (!all) return;
    for (int i = 0; i < MAX_ENCODERS; i++) close_encoder(all->items + i);
    free(all->silence);
    free(all);
}

int fc_encode_block(fc_encoders *all, const int32_t *const *channel, int channels, int bits,
                    int64_t samples, int64_t tag) {
    encoder *e;
    int code = find_encoder(all, channels, bits, samples, &e);
    if (!code && e->flushed) code = feed_silence(e, samples - 1);
    if (code) return code;
    e->flushed = 0;
    e->used = ++all->clock;
    /* The first sample brings the pending frame, under the pending tag. */
    code = feed(e, channel, 1);
    e->tag = tag;
    const int32_t *rest[2] = {channel[0] + 1, channels == 2 ? channel[1] + 1 : NULL};
    return code ? code : feed(e, rest, samples - 1);
}

int fc_flush_encoders(fc_encoders *all) {
    for (int i = 0; i < MAX_ENCODERS; i++) {
        int code = flush(all->items + i);
        if (code) return code;
    }
    return FC_OK;
}

struct fc_decoder {
    FLAC__StreamDecoder *flac;
    const uint8_t *bytes;
    size_t size, given;
    int channels;
    int64_t samples;
    fc_take_samples take;
    void *context;
    int frames, errors;
};

static FLAC__StreamDecoderReadStatus give_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__byte *buffer, size_t *size, void *client) {
    fc_decoder *d = client;
    (void)flac;
    if (*size > d->size - d->given) *size = d->size - d->given;
    if (!*size) return FLAC__STREAM_DECODER_READ_STATUS_ABORT;
    memcpy(buffer, d->bytes + d->given, *size);
    d->given += *size;
    return FLAC__STREAM_DECODER_READ_STATUS_CONTINUE;
}

static FLAC__StreamDecoderTellStatus tell_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__uint64 *position, void *client) {
    (void)flac;
    *position = ((fc_decoder *)client)->given;
    return FLAC__STREAM_DECODER_TELL_STATUS_OK;
}

static int fills_its_bytes(const fc_decoder *d) {
    FLAC__uint64 position;
    return FLAC__stream_decoder_get_decode_position(d->flac, &position) && position == d->size;
}

/* Some versions of libFLAC give out samples that have more bits than the frame says. */
static int all_fit(const FLAC__Frame *frame, const FLAC__int32 *const *buffer) {
    uint32_t outside = 0, half = UINT32_C(1) << (frame->header.bits_per_sample - 1);
    for (uint32_t c = 0; c < frame->header.channels; c++)
        for (uint32_t i = 0; i < frame->header.blocksize; i++)
            outside |= ((uint32_t)buffer[c][i] + half) >> 1 >> (frame->header.bits_per_sample - 1);
    return !outside;
}

/* libFLAC calls this after it has checked the frame's CRC-16, and after the
 * error callback where that was wrong. */
static FLAC__StreamDecoderWriteStatus take_samples(const FLAC__StreamDecoder *flac,
                                                   const FLAC__Frame *frame,
                                                   const FLAC__int32 *const *buffer,
                                                   void *client) {
    fc_decoder *d = client;
    (void)flac;
    if (d->errors || frame->header.channels != (uint32_t)d->channels
        || frame->header.blocksize != d->samples || !fills_its_bytes(d) || !all_fit(frame, buffer))
        return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    const int32_t *channel[2] = {buffer[0], d->channels == 2 ? buffer[1] : NULL};
    d->take(d->context, channel);
    d->frames++;
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void note_error(const FLAC__StreamDecoder *flac, FLAC__StreamDecoderErrorStatus status,
                       void *client) {
    (void)flac, (void)status;
    ((fc_decoder *)client)->errors++;
}

/* What libFLAC wants to have seen before it takes a frame that leaves the
 * sample rate to STREAMINFO: one of 44.1 kHz, with blocks of any size. */
static const uint8_t stream_header[FC_STREAM_HEADER_SIZE] = {
    'f', 'L', 'a', 'C', 0x80, 0, 0, 34, 0, FC_MIN_FRAME_SIZE, 0xff, 0xff, 0, 0, 0, 0, 0, 0,
    0x0a, 0xc4, 0x40, 0xf0};

static int open_decoder(fc_decoder *d) {
    d->bytes = stream_header;
    d->size = sizeof stream_header;
    return FLAC__stream_decoder_init_stream(d->flac, give_bytes, NULL, tell_bytes, NULL, NULL,
                                            take_samples, NULL, note_error, d)
            == FLAC__STREAM_DECODER_INIT_STATUS_OK
        && FLAC__stream_decoder_process_until_end_of_metadata(d->flac) && !d->errors;
}

fc_decoder *fc_new_decoder(void) {
    fc_decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->flac = FLAC__stream_decoder_new();
    if (d->flac && open_decoder(d)) return d;
    fc_delete_decoder(d);
    return NULL;
}

void fc_delete_decoder(fc_decoder *d) {
    if (!d) return;
    if (d->flac) FLAC__stream_decoder_delete(d->flac);
    free(d);
}

int fc_decode_frame(fc_decoder *d, const uint8_t *frame, size_t size, int channels,
                    int64_t samples, fc_take_samples take, void *context) {
    FLAC__StreamDecoder *flac = d->flac;
    *d = (fc_decoder){flac, frame, size, 0, channels, samples, take, context, 0, 0};
    /* A flush forgets the frame before, so that a gap is not filled with
     * silence, and after a failure makes the decoder usable again. */
    if (!FLAC__stream_decoder_flush(flac)) return FC_ERR_MEMORY;
    while (!d->frames && !d->errors)
        if (!FLAC__stream_decoder_process_single(flac)) return FC_ERR_FRAME;
    return d->errors || d->frames != 1 ? FC_ERR_FRAME : FC_OK;
}
