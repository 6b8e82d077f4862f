#include "flac/predictor.h"

#include "base/bits.h"
#include "flac/residual.h"

void fc_set_fixed(fc_predictor *p, int order) {
    static const int8_t coefficients[5][4] = {
        {0, 0, 0, 0}, {1, 0, 0, 0}, {2, -1, 0, 0}, {3, -3, 1, 0}, {4, -6, 4, -1}};
    p->order = order;
    p->shift = 0;
    p->fixed = 1;
    p->magnitudes = (1 << order) - 1;
    for (int j = 0; j < order; j++) p->coefficient[j] = coefficients[order][j];
}

/* A sum is at most 2**(bits - 1) times the sum of the magnitudes. Without a
 * shift its low 32 bits suffice, for these are all of the sample. */
void fc_set_width(fc_predictor *p, int bits) {
    p->bits = bits;
    p->wide = p->shift && (int64_t)p->magnitudes << (bits - 1) > INT32_MAX;
}

/* Order n is order 1 n times over: each sums up what comes from the one
 * before, so that the sums do not wait for one another. */
FC_INLINE void restore_fixed(int order, int32_t *x, int64_t from, int64_t samples) {
    uint32_t sum[4] = {0};
    /* sum[k]: the (order - 1 - k)th difference at the sample before from. */
    for (int k = 0; k < order; k++) {
        static const int8_t row[4][4] = {{1}, {1, -1}, {1, -2, 1}, {1, -3, 3, -1}};
        for (int j = 0; j < order - k; j++)
            sum[k] += (uint32_t)row[order - 1 - k][j] * (uint32_t)x[from - 1 - j];
    }
    for (int64_t i = from; i < samples; i++) {
        uint32_t value = (uint32_t)fc_unfold(x[i]);
        for (int k = 0; k < order; k++) value = sum[k] += value;
        x[i] = (int32_t)value;
    }
}

/* The newest sample stays in a register: the chain from sample to sample is
 * one product and one sum, whatever the order. */
#define RESTORE_LPC(bits)                                                                     \
    FC_INLINE void restore##bits(int order, const fc_predictor *p, int32_t *x, int64_t i, \
                                 int64_t samples) {                                       \
        uint##bits##_t c[FC_MAX_ORDER];                                                   \
        for (int j = 0; j < order; j++)                                                   \
            c[j] = (uint##bits##_t)(int##bits##_t)p->coefficient[j];                      \
        int32_t last = x[i - 1];                                                          \
        for (; i < samples; i++) {                                                        \
            uint##bits##_t sum = 0;                                                       \
            for (int j = 1; j < order; j++)                                               \
                sum += c[j] * (uint##bits##_t)(int##bits##_t)x[i - 1 - j];                \
            sum += c[0] * (uint##bits##_t)(int##bits##_t)last;                            \
            last = (int32_t)((uint32_t)fc_unfold(x[i])                                    \
                             + (uint32_t)((int##bits##_t)sum >> p->shift));              \
            x[i] = last;                                                                  \
        }                                                                                 \
    }
RESTORE_LPC(32)
RESTORE_LPC(64)

/* A loop for each of the orders that encoders choose most. */
#define RESTORE_BY_ORDER(bits)                                                 \
    switch (p->order) {                                                        \
    case 1: restore##bits(1, p, x, from, samples); return;                     \
    case 2: restore##bits(2, p, x, from, samples); return;                     \
    case 3: restore##bits(3, p, x, from, samples); return;                     \
    case 4: restore##bits(4, p, x, from, samples); return;                     \
    case 5: restore##bits(5, p, x, from, samples); return;                     \
    case 6: restore##bits(6, p, x, from, samples); return;                     \
    case 7: restore##bits(7, p, x, from, samples); return;                     \
    case 8: restore##bits(8, p, x, from, samples); return;                     \
    case 9: restore##bits(9, p, x, from, samples); return;                     \
    case 10: restore##bits(10, p, x, from, samples); return;                   \
    case 11: restore##bits(11, p, x, from, samples); return;                   \
    case 12: restore##bits(12, p, x, from, samples); return;                   \
    default: restore##bits(p->order, p, x, from, samples);                     \
    }

static void restore_narrow(const fc_predictor *p, int32_t *x, int64_t from, int64_t samples) {
    RESTORE_BY_ORDER(32)
}

static void restore_wide(const fc_predictor *p, int32_t *x, int64_t from, int64_t samples) {
    RESTORE_BY_ORDER(64)
}

static void restore_by_order(int order, int32_t *x, int64_t from, int64_t samples) {
    switch (order) {
    case 0: restore_fixed(0, x, from, samples); break;
    case 1: restore_fixed(1, x, from, samples); break;
    case 2: restore_fixed(2, x, from, samples); break;
    case 3: restore_fixed(3, x, from, samples); break;
    default: restore_fixed(4, x, from, samples);
    }
}

static uint32_t reach_of(const int32_t *x, int64_t samples, int bits) {
    uint32_t reach = 0;
    for (int64_t i = 0; i < samples; i++) reach |= fc_reach(x[i], bits);
    return reach;
}

void fc_restore_block(fc_restoring *block, int64_t from) {
    const fc_predictor *p = block->predictor;
    if (p->fixed) restore_by_order(p->order, block->x, from, block->samples);
    else (p->wide ? restore_wide : restore_narrow)(p, block->x, from, block->samples);
    block->reach |= reach_of(block->x + from, block->samples - from, p->bits);
}
