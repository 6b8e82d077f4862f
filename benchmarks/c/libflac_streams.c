/* Decodes and encodes with libFLAC alone, in the shared library of the given path.
 * Decoding turns FLAC streams into samples, with one decoder for each thread, used for one
 * stream after the other. Encoding turns samples into one stream.
 *
 * benchmarks/contestants/libflac.py compiles and calls it.
 */
#define _GNU_SOURCE
#include <FLAC/stream_decoder.h>
#include <FLAC/stream_encoder.h>
#include <dlfcn.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Exported by libFLAC, but not in its headers. */
extern FLAC__bool FLAC__stream_encoder_set_do_md5(FLAC__StreamEncoder *, FLAC__bool);

#define DECODER_FUNCTIONS(F)               \
    F(decoder, new)                        \
    F(decoder, delete)                     \
    F(decoder, init_stream)                \
    F(decoder, reset)                      \
    F(decoder, process_until_end_of_stream)

#define ENCODER_FUNCTIONS(F)               \
    F(encoder, new)                        \
    F(encoder, delete)                     \
    F(encoder, set_channels)               \
    F(encoder, set_bits_per_sample)        \
    F(encoder, set_compression_level)      \
    F(encoder, set_blocksize)              \
    F(encoder, set_streamable_subset)      \
    F(encoder, set_do_md5)                 \
    F(encoder, init_stream)                \
    F(encoder, process)                    \
    F(encoder, finish)

#define POINTER(kind, name) __typeof__(&FLAC__stream_##kind##_##name) name;
typedef struct {
    DECODER_FUNCTIONS(POINTER)
} decoding_functions;

typedef struct {
    ENCODER_FUNCTIONS(POINTER)
} encoding_functions;

typedef struct {
    const uint8_t *bytes, *end;
    int32_t *out;
    int64_t room; /* samples */
    int failed;
} one_stream;

static FLAC__StreamDecoderReadStatus give(const FLAC__StreamDecoder *decoder, FLAC__byte *to,
                                          size_t *size, void *client) {
    one_stream *s = client;
    size_t left = (size_t)(s->end - s->bytes);
    (void)decoder;
    if (*size > left) *size = left;
    memcpy(to, s->bytes, *size);
    s->bytes += *size;
    return *size ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
                 : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

static FLAC__StreamDecoderWriteStatus take(const FLAC__StreamDecoder *decoder,
                                           const FLAC__Frame *frame,
                                           const FLAC__int32 *const *channel, void *client) {
    one_stream *s = client;
    int64_t n = frame->header.blocksize;
    (void)decoder;
    if (frame->header.channels != 1 || n > s->room)
        return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    memcpy(s->out, channel[0], (size_t)n * sizeof *s->out);
    s->out += n;
    s->room -= n;
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void complain(const FLAC__StreamDecoder *decoder, FLAC__StreamDecoderErrorStatus status,
                     void *client) {
    (void)decoder, (void)status;
    ((one_stream *)client)->failed = 1;
}

/* RTLD_DEEPBIND: otherwise it may call functions of another libFLAC in this process. */
static void *open_library(const char *path) {
    return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
}

#define FIND(kind, name) \
    if (!(*(void **)&f->name = dlsym(library, "FLAC__stream_" #kind "_" #name))) return 0;

static int load_decoder(decoding_functions *f, const char *path) {
    void *library = open_library(path);
    if (!library) return 0;
    DECODER_FUNCTIONS(FIND)
    return 1;
}

static int load_encoder(encoding_functions *f, const char *path) {
    void *library = open_library(path);
    if (!library) return 0;
    ENCODER_FUNCTIONS(FIND)
    return 1;
}

/* Decodes `n_streams` streams of `stream_size` samples and one channel. Stream i is the
 * `nbytes[i]` bytes from `bytes + starts[i]` on; its samples go to `out + i * stream_size`.
 * Returns the number of streams that failed, or -1 if the library cannot be used. */
int64_t decode_streams(const char *path, const uint8_t *bytes, const int64_t *starts,
                       const int64_t *nbytes, int64_t n_streams, int64_t stream_size,
                       int32_t *out, int32_t n_threads) {
    decoding_functions f;
    if (!load_decoder(&f, path)) return -1;
    int64_t failures = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : failures) if (n_threads > 1)
    {
        one_stream s = {0};
        FLAC__StreamDecoder *decoder = f.new();
        int is_ready = decoder
                    && !f.init_stream(decoder, give, NULL, NULL, NULL, NULL, take, NULL,
                                      complain, &s);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < n_streams; i++) {
            s = (one_stream){bytes + starts[i], bytes + starts[i] + nbytes[i],
                             out + i * stream_size, stream_size, 0};
            int done = is_ready && f.reset(decoder) && f.process_until_end_of_stream(decoder);
            failures += !done || s.failed || s.room;
        }
        if (decoder) f.delete(decoder);
    }
    return failures;
}

/* Where an encoder's bytes go. */
typedef struct {
    uint8_t *at, *end;
} room;

static FLAC__StreamEncoderWriteStatus keep(const FLAC__StreamEncoder *encoder,
                                           const FLAC__byte *bytes, size_t size,
                                           uint32_t samples, uint32_t number, void *client) {
    room *r = client;
    (void)encoder, (void)samples, (void)number;
    if (size > (size_t)(r->end - r->at)) return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR;
    memcpy(r->at, bytes, size);
    r->at += size;
    return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

/* Encodes `n_samples` samples of `bits` bits as one FLAC stream without MD5, a block at a time.
 * `out` has room for `size` bytes. Returns the size of the stream, or -1. */
int64_t encode_stream(const char *path, const int32_t *samples, int64_t n_samples, int32_t bits,
                      int32_t level, int32_t block_size, uint8_t *out, int64_t size) {
    encoding_functions f;
    if (!load_encoder(&f, path)) return -1;
    FLAC__StreamEncoder *encoder = f.new();
    room r = {out, out + size};
    if (!encoder) return -1;
    int good = f.set_channels(encoder, 1) && f.set_bits_per_sample(encoder, (uint32_t)bits)
        && f.set_streamable_subset(encoder, 0)
        && f.set_compression_level(encoder, (uint32_t)level)
        && f.set_blocksize(encoder, (uint32_t)block_size) && f.set_do_md5(encoder, 0)
        && !f.init_stream(encoder, keep, NULL, NULL, NULL, &r);
    for (int64_t i = 0; good && i < n_samples; i += block_size) {
        int64_t n = n_samples - i < block_size ? n_samples - i : block_size;
        const int32_t *channel = samples + i;
        good = f.process(encoder, &channel, (uint32_t)n);
    }
    good = good && f.finish(encoder);
    f.delete(encoder);
    return good ? r.at - out : -1;
}
