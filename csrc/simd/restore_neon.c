/* Up to eight blocks in lanes, with NEON. */
#include "simd/restore_neon.h"

#include "base/bits.h"
#include "base/cpu.h"

#if FC_NEON
#include <arm_neon.h>

#include "simd/restore_common.h"

#define LANES 4
#define MOST_GROUPS 2
#define FEWEST_IN_LANES 3 /* with half of the lanes empty, two blocks gain nothing for sure */

/* LANES blocks on their way. All have the order of the highest, with coefficients of zero
 * beyond their own.
 *
 * Vectors are unsigned: their sums wrap, in the words of C too. */
typedef struct {
    int32_t *x[LANES]; /* lanes without a block do what the first does, to its block */
    uint32x4_t half, reach; /* see fc_reach() */
    int32x4_t shift; /* negative: NEON shifts left */
    uint32x4_t coefficient[FC_MAX_ORDER];
    uint32x4_t past[FC_MAX_ORDER]; /* samples, the newest last; or sums, see restore_fixed */
} group;

/* A few samples of one group and as many of the other take turns: while the one waits
 * for itself, a processor goes on with the other, and neither needs more registers
 * than there are. */
typedef struct {
    int groups, order;
    int64_t from, until; /* samples, a multiple of LANES of them */
    group group[MOST_GROUPS];
} lanes;

/* Row i of four becomes column i. */
FC_INLINE void transpose(uint32x4_t v[LANES]) {
    uint64x2_t a[LANES];
    for (int i = 0; i < LANES; i += 2) {
        a[i] = vreinterpretq_u64_u32(vtrn1q_u32(v[i], v[i + 1]));
        a[i + 1] = vreinterpretq_u64_u32(vtrn2q_u32(v[i], v[i + 1]));
    }
    for (int i = 0; i < 2; i++) {
        v[i] = vreinterpretq_u32_u64(vtrn1q_u64(a[i], a[i + 2]));
        v[i + 2] = vreinterpretq_u32_u64(vtrn2q_u64(a[i], a[i + 2]));
    }
}

FC_INLINE uint32x4_t unfold(uint32x4_t folded) {
    return veorq_u32(vshrq_n_u32(folded, 1), vtstq_u32(folded, vdupq_n_u32(1)));
}

FC_INLINE uint32x4_t load(const int32_t *from) { return vreinterpretq_u32_s32(vld1q_s32(from)); }

/* LANES residuals of each block: v[t] has the one at i + t of every block. */
FC_INLINE void load_residuals(const group *g, int64_t i, uint32x4_t v[LANES]) {
    for (int k = 0; k < LANES; k++) v[k] = unfold(load(g->x[k] + i));
    transpose(v);
}

FC_INLINE void store_samples(group *g, int64_t i, uint32x4_t v[LANES]) {
    for (int t = 0; t < LANES; t++) g->reach = vorrq_u32(g->reach, vaddq_u32(v[t], g->half));
    transpose(v);
    for (int k = 0; k < LANES; k++) vst1q_s32(g->x[k] + i, vreinterpretq_s32_u32(v[k]));
}

/* The samples of all blocks at i. */
static uint32x4_t gather(const group *g, int64_t i) {
    int32_t at[LANES];
    for (int k = 0; k < LANES; k++) at[k] = g->x[k][i];
    return load(at);
}

/* What a predictor says: past[j] has, of the order samples before, the jth. The newest,
 * which has been waited for, comes last into the sum. */
FC_INLINE uint32x4_t predict_narrow(const group *g, const uint32x4_t *past, int order) {
    uint32x4_t sum = vmulq_u32(past[0], g->coefficient[order - 1]);
    for (int j = order - 1; j-- > 0;) sum = vmlaq_u32(sum, past[order - 1 - j], g->coefficient[j]);
    return vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(sum), g->shift));
}

/* The same in sums of 64 bits, which hold all; after the shift the low 32 matter. */
FC_INLINE uint32x4_t predict_wide(const group *g, const uint32x4_t *past, int order) {
    int64x2_t low = vdupq_n_s64(0), high = low;
    for (int j = order; j-- > 0;) {
        int32x4_t x = vreinterpretq_s32_u32(past[order - 1 - j]);
        int32x4_t c = vreinterpretq_s32_u32(g->coefficient[j]);
        low = vmlal_s32(low, vget_low_s32(x), vget_low_s32(c));
        high = vmlal_high_s32(high, x, c);
    }
    low = vshlq_s64(low, vmovl_s32(vget_low_s32(g->shift)));
    high = vshlq_s64(high, vmovl_high_s32(g->shift));
    return vuzp1q_u32(vreinterpretq_u32_s64(low), vreinterpretq_u32_s64(high));
}

/* LANES samples of each block, at i. */
FC_INLINE void restore_some(group *g, int64_t i, int order, int wide) {
    uint32x4_t past[FC_MAX_ORDER + LANES], v[LANES];
    for (int j = 0; j < order; j++) past[j] = g->past[j];
    load_residuals(g, i, v);
    UNROLLED for (int t = 0; t < LANES; t++) {
        uint32x4_t prediction = wide ? predict_wide(g, past + t, order)
                                     : predict_narrow(g, past + t, order);
        past[t + order] = v[t] = vaddq_u32(v[t], prediction);
    }
    for (int j = 0; j < order; j++) g->past[j] = past[j + LANES];
    store_samples(g, i, v);
}

FC_INLINE void restore_lpc(lanes *l, int order, int wide) {
    for (int g = 0; g < l->groups; g++)
        for (int j = 0; j < order; j++)
            l->group[g].past[j] = gather(l->group + g, l->from - order + j);
    for (int64_t i = l->from; i < l->until; i += LANES)
        for (int g = 0; g < l->groups; g++) restore_some(l->group + g, i, order, wide);
}

/* Fixed predictors of one order: sums of sums. past[k] is the kth difference
 * at the sample before. */
FC_INLINE void restore_some_fixed(group *g, int64_t i, int order) {
    uint32x4_t sum[4], v[LANES];
    for (int k = 0; k < order; k++) sum[k] = g->past[k];
    load_residuals(g, i, v);
    for (int t = 0; t < LANES; t++)
        for (int k = order - 1; k >= 0; k--) v[t] = sum[k] = vaddq_u32(sum[k], v[t]);
    for (int k = 0; k < order; k++) g->past[k] = sum[k];
    store_samples(g, i, v);
}

FC_INLINE void restore_fixed(lanes *l, int order) {
    for (int g = 0; g < l->groups; g++) {
        uint32x4_t *sum = l->group[g].past;
        for (int j = 0; j < order; j++) sum[j] = gather(l->group + g, l->from - 1 - j);
        for (int k = 1; k < order; k++)
            for (int j = order - 1; j >= k; j--) sum[j] = vsubq_u32(sum[j - 1], sum[j]);
    }
    for (int64_t i = l->from; i < l->until; i += LANES)
        for (int g = 0; g < l->groups; g++) restore_some_fixed(l->group + g, i, order);
}

FC_INLINE void restore_narrow(lanes *l, int order) { restore_lpc(l, order, 0); }
FC_INLINE void restore_wide(lanes *l, int order) { restore_lpc(l, order, 1); }

static void restore_same_fixed(lanes *l) { CALL_BY_FIXED_ORDER(restore_fixed) }
static void restore_all_narrow(lanes *l) { CALL_BY_ORDER(restore_narrow) }
static void restore_all_wide(lanes *l) { CALL_BY_ORDER(restore_wide) }

static int is_any_wide(const fc_restoring *blocks, int n) {
    for (int k = 0; k < n; k++)
        if (blocks[k].predictor->wide) return 1;
    return 0;
}

/* Of blocks from first to n - 1. */
static void fill_group(group *g, const fc_restoring *blocks, int first, int n, int order) {
    int32_t shift[LANES], half[LANES], coefficient[FC_MAX_ORDER][LANES];
    for (int k = 0; k < LANES; k++) {
        const fc_restoring *block = blocks + (first + k < n ? first + k : first);
        const fc_predictor *p = block->predictor;
        g->x[k] = block->x;
        shift[k] = -p->shift;
        half[k] = (int32_t)fc_reach(0, p->bits);
        for (int j = 0; j < order; j++) coefficient[j][k] = j < p->order ? p->coefficient[j] : 0;
    }
    g->shift = vld1q_s32(shift);
    g->half = load(half);
    g->reach = vdupq_n_u32(0);
    for (int j = 0; j < order; j++) g->coefficient[j] = load(coefficient[j]);
}

/* Of blocks from first to n - 1. */
static void note_reach(const group *g, fc_restoring *blocks, int first, int n) {
    uint32_t reach[LANES];
    vst1q_u32(reach, g->reach);
    for (int k = 0; k < LANES && first + k < n; k++) blocks[first + k].reach |= reach[k];
}

int64_t fc_restore_neon(fc_restoring *blocks, int n) {
    lanes l;
    if (n < FEWEST_IN_LANES) return 0;
    l.order = order_of_lanes(blocks, n);
    l.from = l.order;
    l.until = l.from + (fewest_samples(blocks, n) - l.from) / LANES * LANES;
    if (l.until <= l.from) return 0;
    restore_beginnings(blocks, n, l.from);
    l.groups = (n + LANES - 1) / LANES;
    for (int g = 0; g < l.groups; g++)
        fill_group(l.group + g, blocks, g * LANES, n, l.order);
    if (is_same_fixed(blocks, n)) restore_same_fixed(&l);
    else if (is_any_wide(blocks, n)) restore_all_wide(&l);
    else restore_all_narrow(&l);
    for (int g = 0; g < l.groups; g++) note_reach(l.group + g, blocks, g * LANES, n);
    return l.until;
}
#else
int64_t fc_restore_neon(fc_restoring *blocks, int n) {
    (void)blocks, (void)n;
    return 0;
}
#endif
