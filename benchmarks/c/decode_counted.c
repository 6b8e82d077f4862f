/* Does one thing of decoding so many times, for a counter of instructions: restores
 * blocks of samples, or decodes a chunk. tests/test_c/cross.py counts them.
 *
 * cc -O3 -Icsrc benchmarks/c/decode_counted.c $(find csrc -name '*.c' ! -path '*hdf5*') -lFLAC -lm
 * ./a.out [case [times]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/batch.h"
#include "flaccodec.h"

#define SAMPLES 4096 /* of a frame */
#define STREAMS 8
#define FRAMES 4 /* of a stream */

/* -- restoring ------------------------------------------------------------------ */

/* What is in the blocks makes no difference to how many instructions it takes. */
static void restore(int order, int shift, int bits, int n, int times) {
    static int32_t x[STREAMS][SAMPLES];
    fc_predictor p = {.order = order, .shift = shift, .magnitudes = 1 << 12};
    fc_restoring blocks[STREAMS];
    if (!shift) fc_set_fixed(&p, order);
    for (int j = 0; shift && j < order; j++) p.coefficient[j] = 100 + j;
    fc_set_width(&p, bits);
    for (int k = 0; k < n; k++) blocks[k] = (fc_restoring){&p, x[k], SAMPLES};
    for (int i = 0; i < times; i++) fc_restore_blocks(blocks, n);
}

/* -- decoding --------------------------------------------------------------------- */

/* Oscillations under noise that takes 6 bits less. */
static void make_signal(int bits, int64_t n, int32_t *x) {
    uint32_t state = 1;
    double scale = ldexp(1, bits - 1);
    for (int64_t i = 0; i < n; i++) {
        double t = (double)i, noise = -6;
        for (int k = 0; k < 12; k++) {
            state = state * 1664525 + 1013904223;
            noise += ldexp(state >> 8, -24);
        }
        x[i] = (int32_t)(scale * (0.5 * sin(t * 0.0123) + 0.2 * sin(t * 0.171)
                                  + 0.05 * sin(t * 0.9) + noise / 32));
    }
}

static void decode(int bits, int level, int times) {
    static int32_t x[STREAMS * FRAMES * SAMPLES], out[STREAMS * FRAMES * SAMPLES];
    int64_t stream = FRAMES * SAMPLES, size;
    uint8_t *chunk;
    fc_error error;
    make_signal(bits, STREAMS * stream, x);
    fc_encode_options options = {.dtype = FC_INT32, .level = level, .n_streams = STREAMS,
                                 .stream_size = stream, .frame_size = SAMPLES, .n_threads = 1};
    fc_view from = {(uint8_t *)x, NULL, stream * 4, 4, 0};
    fc_view to = {(uint8_t *)out, NULL, stream * 4, 4, 0};
    if (fc_encode(&from, &options, &chunk, &size, &error)) exit(1);
    fc_expect expect = {FC_INT32, STREAMS, stream};
    fc_piece whole = {chunk, 0, size};
    for (int i = 0; i < times; i++)
        if (fc_decode(chunk, size, &whole, 1, &expect, NULL, 0, &to, 1, NULL, &error)) exit(1);
    if (times && memcmp(x, out, sizeof x)) exit(1);
    fc_free(chunk);
}

/* -- */

static const struct {
    const char *name;
    int bits, order, shift, n; /* of blocks to restore; n is 0 where a chunk is decoded */
    int level;
} cases[] = {
    {"restore fixed, order 2", 17, 2, 0, 8, 0},
    {"restore fixed, order 2, 3 blocks", 17, 2, 0, 3, 0},
    {"restore narrow, order 2", 16, 2, 10, 8, 0},
    {"restore narrow, order 8", 16, 8, 10, 8, 0},
    {"restore narrow, order 8, 3 blocks", 16, 8, 10, 3, 0},
    {"restore narrow, order 12", 16, 12, 10, 8, 0},
    {"restore wide, order 2", 22, 2, 10, 8, 0},
    {"restore wide, order 8", 22, 8, 10, 8, 0},
    {"restore wide, order 8, 3 blocks", 22, 8, 10, 3, 0},
    {"restore wide, order 12", 22, 12, 10, 8, 0},
    {"restore wide, order 32", 22, 32, 10, 8, 0},
    {"decode 17 bits, level 5", 17, 0, 0, 0, 5},
    {"decode 17 bits, level 0", 17, 0, 0, 0, 0},
    {"decode 16 bits, level 5", 16, 0, 0, 0, 5},
    {"decode 12 bits, level 5", 12, 0, 0, 0, 5},
};

/* Without arguments, a line for each case: its name, and the samples of one time. */
int main(int argc, char **argv) {
    int count = sizeof cases / sizeof *cases, which = argc > 1 ? atoi(argv[1]) : -1;
    int times = argc > 2 ? atoi(argv[2]) : 1;
    for (int i = 0; which < 0 && i < count; i++)
        printf("%d\t%s\n", SAMPLES * (cases[i].n ? cases[i].n : STREAMS * FRAMES), cases[i].name);
    if (which < 0 || which >= count) return 0;
    if (cases[which].n)
        restore(cases[which].order, cases[which].shift, cases[which].bits, cases[which].n, times);
    else decode(cases[which].bits, cases[which].level, times);
    return 0;
}
