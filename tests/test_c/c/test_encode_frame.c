/* Our frame encoder: both decoders must give back what it was given, its frames
 * stay within their bound, and take no more room than libFLAC's do.
 *
 * cc -O1 -g -fsanitize=address,undefined -DFC_PORTABLE -Icsrc tests/test_c/c/test_encode_frame.c \
 *    $(find csrc -name '*.c' ! -path '*hdf5*') -lFLAC -lm
 * Without -DFC_PORTABLE the code for this processor is tested instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/decode_frame.h"
#include "encode/encode_frame.h"
#include "encode_frames.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "flaccodec.h"
#include "signals.h"
#include "taken.h"

static int failures, frames_seen;
static fc_decoder *reference;
static size_t our_bytes, their_bytes;

static void fail(const char *what, const coding *how, int kind) {
    fprintf(stderr, "%s: signal %d, %d channels, %d bits, level %d, blocks of %d\n", what, kind,
            how->channels, how->bits, how->level, how->block_size);
    failures++;
}

/* A frame in exactly the room that it may use. */
static coded_frame encode(fc_frame_encoder *encoder, const coding *how, int32_t *const *signal,
                          int64_t samples, int64_t number) {
    size_t room = fc_frame_bound(samples, how->channels, how->bits) + FC_FRAME_SLACK;
    coded_frame f = {malloc(room), 0, samples};
    f.size = fc_encode_frame_fast(encoder, (const int32_t *const *)signal, how->channels,
                                  how->bits, samples, number, f.bytes);
    return f;
}

/* Returns what its number takes beyond a byte. */
static size_t check_header(const coding *how, int kind, const coded_frame *f, int64_t number) {
    fc_frame_header h = {0};
    if (!fc_read_frame_header(f->bytes, f->size, &h) || h.channels != how->channels
        || h.bits != how->bits || h.samples != f->samples || h.number != number)
        fail("wrong header", how, kind);
    if (f->size > fc_frame_bound(f->samples, how->channels, how->bits))
        fail("larger than its bound", how, kind);
    return h.number_size - 1;
}

static void check_samples(const coding *how, int kind, const coded_frame *f,
                          int32_t *const *signal) {
    taken ours, theirs;
    taken truth = {how->channels, f->samples, {signal[0], signal[1]}, {NULL, NULL}, 0};
    make_buffers(&ours, how->channels, f->samples, 0x55);
    make_buffers(&theirs, how->channels, f->samples, 0xaa);
    if (fc_decode_frame_fast(f->bytes, f->size, how->channels, f->samples, ours.channel)
        || !same(&ours, &truth))
        fail("our decoder differs", how, kind);
    if (fc_decode_frame(reference, f->bytes, f->size, how->channels, f->samples, take, &theirs)
        || !same(&theirs, &truth))
        fail("libFLAC differs", how, kind);
    free_buffers(&ours);
    free_buffers(&theirs);
}

static size_t libflac_size(const coding *how, int32_t *const *signal, int64_t samples) {
    coded_frames frames = encode_frames(how, (const int32_t *const *)signal, samples);
    size_t size = frames.size;
    free_frames(&frames);
    return size;
}

/* How small a signal without noise gets hangs on how the coefficients happen to round. */
static int is_comparable(const coding *how, int kind) {
    return how->channels == 1 && kind != ALTERNATING && kind != ALTERNATING_BLOCKS && kind != SINE;
}

/* Each new block of one size, then the first size again: windows are kept for two. */
static void check_coding(const coding *how, int kind, int64_t most) {
    fc_frame_encoder *encoder = fc_new_frame_encoder(how->level, most);
    int32_t *signal[2] = {malloc((size_t)most * 4), malloc((size_t)most * 4)};
    for (int i = 0; i < 4; i++) {
        int64_t samples = i % 2 ? most : 16 + random_below(most - 15);
        int64_t number = random_below(INT64_C(1) << (1 + random_below(31)));
        make_signal(kind, how->bits, samples, signal[0]);
        make_signal((int)random_below(N_SIGNALS), how->bits, samples, signal[1]);
        coded_frame f = encode(encoder, how, signal, samples, number);
        size_t more = check_header(how, kind, &f, number);
        check_samples(how, kind, &f, signal);
        coding theirs = *how;
        theirs.block_size = (int)samples;
        if (is_comparable(how, kind)) {
            our_bytes += f.size - more;
            their_bytes += libflac_size(&theirs, signal, samples);
        }
        frames_seen++;
        free(f.bytes);
    }
    free(signal[0]);
    free(signal[1]);
    fc_delete_frame_encoder(encoder);
}

/* One sample that is far from all others, wherever it stands. */
static void check_spike(void) {
    int bits = 32 - 4 * (int)random_below(7);
    if (bits == 28) bits = 32;
    coding how = {1, bits, (int)random_below(FC_MAX_FAST_LEVEL + 1), 0, 16 + (int)random_below(300)};
    int64_t n = how.block_size;
    int32_t *signal[2] = {calloc((size_t)n, 4), NULL};
    for (int64_t i = 0; i < n; i++) signal[0][i] = (int32_t)random_below(1 + random_below(3));
    signal[0][random_below(n)] = clip(random_below(2) ? -0x1p31 : 0x1p31, bits);
    fc_frame_encoder *encoder = fc_new_frame_encoder(how.level, n);
    coded_frame f = encode(encoder, &how, signal, n, 0);
    check_header(&how, -1, &f, 0);
    check_samples(&how, -1, &f, signal);
    frames_seen++;
    free(f.bytes);
    free(signal[0]);
    fc_delete_frame_encoder(encoder);
}

int main(int argc, char **argv) {
    int rounds = begin_rounds(argc, argv);
    reference = fc_new_decoder();
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < N_SIGNALS; kind++)
            for (int w = 0; w < 6; w++)
                for (int level = 0; level <= FC_MAX_FAST_LEVEL; level++) {
                    int most = random_block_size();
                    coding how = {1 + !random_below(3), sample_widths[w], level, 0, most};
                    check_coding(&how, kind, most);
                }
    for (int i = 0; i < rounds * 5000; i++) check_spike();
    if (our_bytes > their_bytes) fail("libFLAC's frames are smaller", &(coding){0}, -1);
    fc_delete_decoder(reference);
    printf("%d frames, %zu bytes where libFLAC takes %zu, %d failures\n", frames_seen, our_bytes,
           their_bytes, failures);
    return failures != 0;
}
