/* libFLAC alone, whichever shared library is named: FLAC streams to samples,
 * a decoder for each thread, used for one stream after the other.
 *
 * benchmarks/libflac.py compiles and calls it.
 */
#define _GNU_SOURCE
#include <FLAC/stream_decoder.h>
#include <dlfcn.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(F)                       \
    F(new)                                 \
    F(delete)                              \
    F(init_stream)                         \
    F(reset)                               \
    F(process_until_end_of_stream)

typedef struct {
#define F(name) __typeof__(&FLAC__stream_decoder_##name) name;
    FUNCTIONS(F)
#undef F
} libflac;

typedef struct {
    const uint8_t *bytes, *end;
    int32_t *out;
    int64_t room; /* samples of a channel */
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
    if (n > s->room) return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    s->room -= n;
    if (frame->header.channels == 1) {
        memcpy(s->out, channel[0], (size_t)n * sizeof *s->out);
        s->out += n;
    } else {
        for (int64_t i = 0; i < n; i++) {
            *s->out++ = channel[0][i];
            *s->out++ = channel[1][i];
        }
    }
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void complain(const FLAC__StreamDecoder *decoder, FLAC__StreamDecoderErrorStatus status,
                     void *client) {
    (void)decoder, (void)status;
    ((one_stream *)client)->failed = 1;
}

static int load(libflac *f, const char *path) {
    /* Bound deeply, or it would call the functions of another libFLAC in this process. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!library) return 0;
#define F(name) \
    if (!(*(void **)&f->name = dlsym(library, "FLAC__stream_decoder_" #name))) return 0;
    FUNCTIONS(F)
#undef F
    return 1;
}

/* Decodes n_streams streams of stream_size samples, from bytes + starts[i] on, in nbytes[i]
 * bytes, to out: int32, the channels of a sample side by side. Returns the number of streams
 * that failed, or -1 where the library cannot be used. */
int64_t decode_streams(const char *path, const uint8_t *bytes, const int64_t *starts,
                       const int64_t *nbytes, int64_t n_streams, int64_t stream_size,
                       int64_t channels, int32_t *out, int32_t n_threads) {
    libflac f;
    if (!load(&f, path)) return -1;
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
                             out + i * stream_size * channels, stream_size, 0};
            int done = is_ready && f.reset(decoder) && f.process_until_end_of_stream(decoder);
            failures += !done || s.failed || s.room;
        }
        if (decoder) f.delete(decoder);
    }
    return failures;
}
