/* How fast frames become samples: our decoder against libFLAC's, on one
 * thread, over the same bytes, into memory that stays in the cache as little
 * as a caller's array would. Contestants take turns; medians are shown.
 *
 * cc -O3 -Icsrc -Itests/c benchmarks/c/decode_frames.c \
 *    csrc/*.c -lFLAC -lm -ldl
 * ./a.out [another libFLAC.so [turns [bits [level [block size]]]]]
 */
#define _GNU_SOURCE
#include <FLAC/stream_decoder.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "encode_frames.h"
#include "subframe.h"

#define SAMPLES 2000000
#define MAX_TURNS 101

/* -- libFLAC, whichever ----------------------------------------------------------- */

typedef struct {
    const char *name;
    FLAC__StreamDecoder *(*make)(void);
    FLAC__StreamDecoderInitStatus (*init)(
        FLAC__StreamDecoder *, FLAC__StreamDecoderReadCallback, FLAC__StreamDecoderSeekCallback,
        FLAC__StreamDecoderTellCallback, FLAC__StreamDecoderLengthCallback,
        FLAC__StreamDecoderEofCallback, FLAC__StreamDecoderWriteCallback,
        FLAC__StreamDecoderMetadataCallback, FLAC__StreamDecoderErrorCallback, void *);
    FLAC__bool (*flush)(FLAC__StreamDecoder *);
    FLAC__bool (*process)(FLAC__StreamDecoder *);
    FLAC__StreamDecoder *decoder;
    const uint8_t *bytes;
    size_t size, given;
    int32_t *out;
    int64_t samples;
} libflac;

static FLAC__StreamDecoderReadStatus give(const FLAC__StreamDecoder *d, FLAC__byte *to,
                                          size_t *size, void *client) {
    libflac *f = client;
    (void)d;
    if (*size > f->size - f->given) *size = f->size - f->given;
    memcpy(to, f->bytes + f->given, *size);
    f->given += *size;
    return *size ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
                 : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

static FLAC__StreamDecoderWriteStatus take(const FLAC__StreamDecoder *d, const FLAC__Frame *frame,
                                           const FLAC__int32 *const *buffer, void *client) {
    libflac *f = client;
    (void)d;
    memcpy(f->out + f->samples, buffer[0], frame->header.blocksize * sizeof *f->out);
    f->samples += frame->header.blocksize;
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void complain(const FLAC__StreamDecoder *d, FLAC__StreamDecoderErrorStatus s, void *c) {
    (void)d, (void)c;
    fprintf(stderr, "libFLAC: error %d\n", (int)s);
    exit(1);
}

static int open_libflac(libflac *f, void *library, const char *name) {
    *f = (libflac){.name = name};
    *(void **)&f->make = dlsym(library, "FLAC__stream_decoder_new");
    *(void **)&f->init = dlsym(library, "FLAC__stream_decoder_init_stream");
    *(void **)&f->flush = dlsym(library, "FLAC__stream_decoder_flush");
    *(void **)&f->process = dlsym(library, "FLAC__stream_decoder_process_until_end_of_stream");
    if (!f->make || !f->init || !f->flush || !f->process) return 0;
    f->decoder = f->make();
    return f->decoder
        && !f->init(f->decoder, give, NULL, NULL, NULL, NULL, take, NULL, complain, f);
}

static void decode_libflac(libflac *f, const uint8_t *bytes, size_t size, int32_t *out) {
    f->bytes = bytes;
    f->size = size;
    f->given = 0;
    f->out = out;
    f->samples = 0;
    f->flush(f->decoder);
    f->process(f->decoder);
}

/* -- ours -------------------------------------------------------------------------- */

static void decode_ours(const coded_frames *frames, const uint8_t *bytes, int32_t *out) {
    static int32_t blocks[FC_MAX_BATCH][65536 + 48];
    for (int i = 0, n; i < frames->n; i += n) {
        fc_frame_task tasks[FC_MAX_BATCH];
        for (n = 0; n < FC_MAX_BATCH && i + n < frames->n; n++) {
            const coded_frame *f = frames->items + i + n;
            tasks[n] = (fc_frame_task){bytes, f->size, 1, 0, f->samples, {blocks[n], NULL}};
            bytes += f->size;
        }
        fc_decode_frames_fast(tasks, n);
        for (int k = 0; k < n; out += tasks[k++].samples) {
            if (tasks[k].code) exit(1);
            memcpy(out, blocks[k], (size_t)tasks[k].samples * sizeof *out);
        }
    }
}

/* -- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may use the processor too */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

static uint64_t random_state = 88172645463325252u;

static double uniform(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1p-53;
}

/* Oscillations of all but the full range of so many bits, under noise whose
 * standard deviation is 2**(bits - 6). */
static void make_signal(int bits, int32_t *x) {
    double scale = ldexp(1, bits - 1);
    for (int64_t i = 0; i < SAMPLES; i++) {
        double t = (double)i;
        double noise = sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
        x[i] = (int32_t)(scale * (0.5 * sin(t * 0.0123) + 0.2 * sin(t * 0.171) + 0.05 * sin(t * 0.9)
                                  + noise / 32));
    }
}

static void compare(libflac *others, int n_others, int bits, int level, int block, int turns) {
    static int32_t signal[SAMPLES], out[SAMPLES];
    static double times[3][MAX_TURNS];
    make_signal(bits, signal);
    coding how = {1, bits <= 12 ? 12 : bits <= 20 ? 20 : 32, level, 0, block};
    const int32_t *channel[2] = {signal, signal};
    coded_frames frames = encode_frames(&how, channel, SAMPLES);
    uint8_t *bytes = malloc(frames.size), *at = bytes;
    for (int i = 0; i < frames.n; at += frames.items[i++].size)
        memcpy(at, frames.items[i].bytes, frames.items[i].size);
    for (int turn = 0; turn < turns; turn++)
        for (int who = 0; who <= n_others; who++) {
            memset(out, 0, sizeof out);
            double begin = seconds();
            if (who) decode_libflac(others + who - 1, bytes, frames.size, out);
            else decode_ours(&frames, bytes, out);
            times[who][turn] = seconds() - begin;
            if (memcmp(out, signal, sizeof out)) {
                fprintf(stderr, "wrong samples: %d\n", who);
                exit(1);
            }
        }
    double ours = median(times[0], turns);
    printf("%4d %5d %6d %9.2f %9.0f", bits, level, block, 8.0 * (double)frames.size / SAMPLES,
           4e-6 * SAMPLES / ours);
    for (int who = 1; who <= n_others; who++)
        printf(" %9.0f (x%.2f)", 4e-6 * SAMPLES / median(times[who], turns),
               median(times[who], turns) / ours);
    printf("\n");
    fflush(stdout);
    free(bytes);
    free_frames(&frames);
}

int main(int argc, char **argv) {
    static const int all_bits[] = {12, 17, 27}, levels[] = {0, 3, 5, 8};
    static const int blocks[] = {100, 1000, 4096};
    int turns = argc > 2 ? atoi(argv[2]) : 7, n_others = 0;
    libflac others[2];
    if (turns < 1 || turns > MAX_TURNS) turns = 7;
    n_others += open_libflac(others, RTLD_DEFAULT, "linked");
    /* Bound deeply, or it would call the functions of the one linked. */
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) : NULL;
    if (argc > 1 && !library) fprintf(stderr, "%s\n", dlerror());
    if (library) n_others += open_libflac(others + n_others, library, "the other");
    printf("MB of int32 a second: ours");
    for (int i = 0; i < n_others; i++) printf(", %s", others[i].name);
    printf("\nbits level  block bits coded\n");
    int only_bits = argc > 3 ? atoi(argv[3]) : 0, only_level = argc > 4 ? atoi(argv[4]) : -1;
    int only_block = argc > 5 ? atoi(argv[5]) : 0;
    for (int b = 0; b < 3; b++)
        for (int l = 0; l < 4; l++)
            for (int s = 0; s < 3; s++) {
                if (only_bits && only_bits != all_bits[b]) continue;
                if (only_level >= 0 && only_level != levels[l]) continue;
                if (only_block && only_block != blocks[s]) continue;
                compare(others, n_others, all_bits[b], levels[l], blocks[s], turns);
            }
    return 0;
}
