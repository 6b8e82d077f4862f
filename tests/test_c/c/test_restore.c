/* Blocks restored together, in whatever lanes this processor has, against the
 * samples that their residuals are of; and against blocks restored one by one.
 *
 * cc -O1 -g -fsanitize=address,undefined -DFC_PORTABLE -Icsrc tests/test_c/c/test_restore.c \
 *    $(find csrc -name '*.c' ! -path '*hdf5*') -lFLAC -lm
 * Without -DFC_PORTABLE the code for this processor is tested instead. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "decode/batch.h"
#include "signals.h"

#define MOST_BLOCKS 20
#define MOST_SAMPLES 400
#define MARGIN 8 /* samples before a block and behind it, which stay as they are */
#define UNTOUCHED 0x55555555

static int failures, blocks_seen;

/* How the predictors of blocks that are restored together are chosen. */
typedef enum { ANY, NARROW, WIDE, FIXED, N_KINDS } mixture;

typedef struct {
    fc_predictor predictor;
    int64_t samples;
    int32_t truth[MOST_SAMPLES], x[MARGIN + MOST_SAMPLES + MARGIN];
} block;

static void fail(const char *what, mixture kind, int n, int which, const block *b) {
    fprintf(stderr, "%s: mixture %d, block %d of %d: order %d, shift %d, %s, %d bits, %d samples\n",
            what, (int)kind, which, n, b->predictor.order, b->predictor.shift,
            b->predictor.fixed ? "fixed" : b->predictor.wide ? "wide" : "narrow",
            b->predictor.bits, (int)b->samples);
    failures++;
}

/* -- predictors --------------------------------------------------------------- */

/* A negative magnitude of 2**14 is the most that 15 bits hold. */
static void set_linear(fc_predictor *p, int order, int precision, int shift) {
    int most = 1 << (precision - 1), extreme = !random_below(4);
    *p = (fc_predictor){.order = order, .shift = shift};
    for (int j = 0; j < order; j++) {
        p->coefficient[j] = extreme ? -most : (int32_t)random_below(2 * most) - most;
        p->magnitudes += abs(p->coefficient[j]);
    }
}

static void set_narrow(fc_predictor *p, int order) {
    do set_linear(p, order, 1 + (int)random_below(15), (int)random_below(16));
    while (fc_set_width(p, 8 + (int)random_below(17)), p->wide);
}

static void set_wide(fc_predictor *p, int order) {
    do set_linear(p, order, 1 + (int)random_below(15), (int)random_below(16));
    while (fc_set_width(p, 32), !p->wide);
}

static void set_fixed(fc_predictor *p, int order) {
    *p = (fc_predictor){0};
    fc_set_fixed(p, order % 5);
    fc_set_width(p, sample_widths[random_below(6)]);
}

static void set_predictor(fc_predictor *p, mixture kind, int order) {
    switch (kind) {
    case NARROW: set_narrow(p, order); break;
    case WIDE: set_wide(p, order); break;
    case FIXED: set_fixed(p, order); break;
    default:
        if (random_below(4)) set_linear(p, order, 1 + (int)random_below(15), (int)random_below(16));
        else set_fixed(p, order);
        fc_set_width(p, sample_widths[random_below(6)]);
    }
    /* What is behind those that it has is none of it. */
    for (int j = p->order; j < FC_MAX_ORDER; j++) p->coefficient[j] = (int32_t)random64() >> 17;
}

/* -- blocks ------------------------------------------------------------------- */

/* Modulo 2**32, as a decoder reckons: samples and sums may be as large as they like. */
static void predict(block *b) {
    const fc_predictor *p = &b->predictor;
    for (int64_t i = 0; i < b->samples; i++) {
        int64_t sum = 0;
        for (int j = 0; j < p->order && i >= p->order; j++)
            sum += (int64_t)p->coefficient[j] * b->truth[i - 1 - j];
        uint32_t residual = (uint32_t)b->truth[i] - (uint32_t)(sum >> p->shift);
        int32_t folded = (int32_t)(residual << 1 ^ (0 - (residual >> 31)));
        b->x[MARGIN + i] = i < p->order ? b->truth[i] : folded;
    }
}

/* Residuals and warm-up samples of any bits. */
static void forge(block *b) {
    int same = !random_below(4);
    uint32_t value = (uint32_t)random64();
    for (int64_t i = 0; i < b->samples; i++)
        b->x[MARGIN + i] = (int32_t)(same ? value : (uint32_t)random64());
    memcpy(b->truth, b->x + MARGIN, (size_t)b->samples * sizeof *b->truth);
}

/* Restored alone. */
static int restore_truth(block *b) {
    fc_restoring alone = {&b->predictor, b->truth, b->samples, 0};
    fc_restore_block(&alone, b->predictor.order);
    return fc_fits(&alone);
}

static void fill(block *b, int64_t samples, int forged) {
    int order = b->predictor.order;
    b->samples = samples > order ? samples : order + 1;
    for (int i = 0; i < MARGIN + MOST_SAMPLES + MARGIN; i++) b->x[i] = UNTOUCHED;
    make_signal((int)random_below(N_SIGNALS), b->predictor.bits, b->samples, b->truth);
    if (forged) forge(b);
    else predict(b);
}

static int is_untouched(const int32_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] != UNTOUCHED) return 0;
    return 1;
}

static void check(mixture kind, int n, int order, int mixed) {
    static block blocks[MOST_BLOCKS];
    fc_restoring restoring[MOST_BLOCKS];
    int forged = (int)random_below(2), fits[MOST_BLOCKS];
    int64_t samples = 1 + random_below(random_below(3) ? 80 : MOST_SAMPLES);
    for (int k = 0; k < n; k++) {
        block *b = blocks + k;
        set_predictor(&b->predictor, kind, mixed ? 1 + (int)random_below(order) : order);
        if (mixed && !random_below(3)) samples = 1 + random_below(MOST_SAMPLES);
        fill(b, samples, forged);
        fits[k] = forged ? restore_truth(b) : 1;
        restoring[k] = (fc_restoring){&b->predictor, b->x + MARGIN, b->samples, 0};
    }
    fc_restore_blocks(restoring, n);
    for (int k = 0; k < n; k++) {
        const block *b = blocks + k;
        const int32_t *end = b->x + MARGIN + b->samples;
        if (fc_fits(restoring + k) != fits[k]) fail("fits where it does not", kind, n, k, b);
        if (fits[k] && memcmp(b->x + MARGIN, b->truth, (size_t)b->samples * sizeof *b->truth))
            fail(forged ? "together, differs from alone" : "other samples", kind, n, k, b);
        if (!is_untouched(b->x, MARGIN) || !is_untouched(end, b->x + sizeof b->x / 4 - end))
            fail("wrote outside", kind, n, k, b);
        blocks_seen++;
    }
}

int main(int argc, char **argv) {
    int rounds = begin_rounds(argc, argv);
    for (int round = 0; round < 2 * rounds; round++)
        for (int order = 1; order <= FC_MAX_ORDER; order++)
            for (int n = 1; n <= MOST_BLOCKS; n++)
                for (mixture kind = ANY; kind < N_KINDS; kind++)
                    for (int mixed = 0; mixed < 2; mixed++) check(kind, n, order, mixed);
    printf("%d blocks, %d failures\n", blocks_seen, failures);
    return failures != 0;
}
