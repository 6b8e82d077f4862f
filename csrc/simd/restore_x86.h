/* The loops of x86 processors that restore LANES blocks at once, each in a lane of its own:
 * samples of one block must wait for one another, those of different blocks need not.
 *
 * restore_avx2.c and restore_avx512.c include this. Before, they define VECTOR and how it is
 * worked on: OP(name) is the intrinsic of that name; ADD_PRODUCTS, PAIR, ODD_OF_SECOND, XOR,
 * AND, OR3, ZERO, LOAD, STORE, SET1_64, transpose() and unfold() have other names in AVX2 than in
 * AVX-512. */
#include "flac/residual.h"
#include "simd/restore_common.h"

#define LOOP TARGET FC_INLINE
#define FETCHED_AHEAD 1024 /* bytes */

/* LANES blocks on their way. All have the order of the highest, with
 * coefficients of zero beyond their own. */
typedef struct {
    int n; /* blocks; lanes without one do what the first does, and store nothing */
    int32_t *x[LANES];
#ifdef TILED
    const int32_t *tile; /* residuals from sample from on, those of all lanes side by side */
#endif
    int order;
    int64_t from, until; /* samples, a multiple of LANES of them */
    VECTOR half, reach; /* see fc_reach() */
    VECTOR shift;
    VECTOR bias; /* 2**15 times the sum of the coefficients */
    VECTOR coefficient[FC_MAX_ORDER];
    /* These in 16 bits each. The first goes with the newest sample, which is alone: there is
     * no time to pair it. Those after it are in pairs, and the last is alone again. */
    VECTOR first, first_high, pair[FC_MAX_ORDER / 2], last;
} lanes;

/* LANES residuals of each block: v[t] has the one at i + t of every block. */
LOOP void load_residuals(const lanes *l, int64_t i, VECTOR v[LANES]) {
#ifdef TILED
    for (int t = 0; t < LANES; t++) v[t] = unfold(LOAD(l->tile + (i - l->from + t) * LANES));
#else
    for (int k = 0; k < LANES; k++) v[k] = unfold(LOAD(l->x[k] + i));
    transpose(v);
#endif
}

/* Has the cache fetch what is written some steps later: so many rows at once
 * are too many for a processor to follow. An address behind the block does no harm. */
LOOP void fetch_ahead(const int32_t *at) {
    __builtin_prefetch((const void *)((uintptr_t)at + FETCHED_AHEAD), 1, 2);
}

LOOP VECTOR store_samples(const lanes *l, int64_t i, VECTOR v[LANES], VECTOR reach) {
    VECTOR half = l->half;
    for (int t = 0; t < LANES; t += 2)
        reach = OR3(reach, OP(add_epi32)(v[t], half), OP(add_epi32)(v[t + 1], half));
    transpose(v);
    for (int k = 0; k < LANES; k++) {
        if (k >= l->n) continue;
        fetch_ahead(l->x[k] + i);
        STORE(l->x[k] + i, v[k]);
    }
    return reach;
}

/* The samples of all blocks at i. */
LOOP VECTOR gather(const lanes *l, int64_t i) {
    int32_t at[LANES];
    for (int k = 0; k < LANES; k++) at[k] = l->x[k][i];
    return LOAD(at);
}

/* For the products of 16 bits by 16 that are summed two by two, a sample and
 * the one before it share a lane: the newer in the low half. */
LOOP VECTOR pair(VECTOR newer, VECTOR older) {
    return PAIR(newer, OP(slli_epi32)(older, 16));
}

LOOP VECTOR pair_high(VECTOR newer, VECTOR older) {
    return PAIR(OP(srli_epi32)(newer, 16), older);
}

/* Samples of 16 bits, sums of 32. pairs[j] has, of those before, the one at j
 * and the one before that. */
LOOP void restore_short(lanes *l, int order) {
    VECTOR pairs[FC_MAX_ORDER + LANES], v[LANES];
    VECTOR newest = gather(l, l->from - order), before = ZERO;
    for (int j = 0; j < order - 1; j++) {
        pairs[j] = pair(newest, before);
        before = newest;
        newest = gather(l, l->from - order + 1 + j);
    }
    VECTOR reach = l->reach;
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        UNROLLED for (int t = 0; t < LANES; t++) {
            VECTOR sum = OP(madd_epi16)(pairs[t], l->last);
            for (int j = order / 2 - 1; j-- > 0;)
                sum = ADD_PRODUCTS(sum, pairs[t + order - 2 - 2 * j], l->pair[j]);
            sum = ADD_PRODUCTS(sum, newest, l->first);
            v[t] = OP(add_epi32)(v[t], OP(srav_epi32)(sum, l->shift));
            pairs[t + order - 1] = pair(newest, before);
            before = newest;
            newest = v[t];
        }
        for (int j = 0; j < order - 1; j++) pairs[j] = pairs[j + LANES];
        reach = store_samples(l, i, v, reach);
    }
    l->reach = reach;
}

/* Any samples, in halves: y = high * 2**16 + low + 2**15, with signed high
 * and low, has the sum H * 2**16 + L with H of the high halves and L of the
 * low ones and of what 2**15 gives, the bias. As the shift s is at most 15,
 * that shifted right is H * 2**(16 - s) + (L >> s). Of H the low bits do; L
 * takes 32, if neither the positive coefficients nor the negative ones sum
 * up to more than 2**15: low + 2**15 is 0 to 2**16 - 1. */
LOOP void restore_split(lanes *l, int order) {
    VECTOR low[FC_MAX_ORDER + LANES], high[FC_MAX_ORDER + LANES], v[LANES];
    const VECTOR flip = OP(set1_epi32)(0x8000), flip_both = OP(set1_epi32)((int)0x80008000);
    VECTOR rest = OP(sub_epi32)(OP(set1_epi32)(16), l->shift);
    VECTOR newest = gather(l, l->from - order), before = ZERO;
    for (int j = 0; j < order - 1; j++) {
        low[j] = XOR(pair(newest, before), flip_both);
        high[j] = pair_high(newest, before);
        before = newest;
        newest = gather(l, l->from - order + 1 + j);
    }
    VECTOR reach = l->reach;
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        UNROLLED for (int t = 0; t < LANES; t++) {
            VECTOR sum = ADD_PRODUCTS(l->bias, low[t], l->last);
            VECTOR high_sum = OP(madd_epi16)(high[t], l->last);
            for (int j = order / 2 - 1; j-- > 0;) {
                int at = t + order - 2 - 2 * j;
                sum = ADD_PRODUCTS(sum, low[at], l->pair[j]);
                high_sum = ADD_PRODUCTS(high_sum, high[at], l->pair[j]);
            }
            sum = ADD_PRODUCTS(sum, XOR(newest, flip), l->first);
            high_sum = ADD_PRODUCTS(high_sum, newest, l->first_high);
            VECTOR y = OP(add_epi32)(v[t], OP(sllv_epi32)(high_sum, rest));
            y = OP(add_epi32)(y, OP(srav_epi32)(sum, l->shift));
            low[t + order - 1] = XOR(pair(newest, before), flip_both);
            high[t + order - 1] = pair_high(newest, before);
            before = newest;
            v[t] = newest = y;
        }
        for (int j = 0; j < order - 1; j++) {
            low[j] = low[j + LANES];
            high[j] = high[j + LANES];
        }
        reach = store_samples(l, i, v, reach);
    }
    l->reach = reach;
}

/* Sums in 64 bits, of which the low 32 matter after the shift, at most 15:
 * so that a logical one does. Even lanes and odd ones apart, since products
 * are of the low halves of 64 bits. */
LOOP void restore_wide(lanes *l, int order) {
    VECTOR past[FC_MAX_ORDER + LANES], past_odd[FC_MAX_ORDER + LANES], v[LANES];
    VECTOR even[FC_MAX_ORDER], odd[FC_MAX_ORDER];
    const VECTOR low_half = SET1_64(0xffffffff);
    VECTOR even_shift = AND(l->shift, low_half);
    VECTOR odd_shift = OP(srli_epi64)(l->shift, 32);
    for (int j = 0; j < order; j++) {
        past[j] = gather(l, l->from - order + j);
        past_odd[j] = OP(srli_epi64)(past[j], 32);
        even[j] = l->coefficient[j];
        odd[j] = OP(srli_epi64)(l->coefficient[j], 32);
    }
    VECTOR reach = l->reach;
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++) {
            VECTOR sum = OP(mul_epi32)(past[t], even[order - 1]);
            VECTOR sum_odd = OP(mul_epi32)(past_odd[t], odd[order - 1]);
            for (int j = order - 1; j-- > 0;) {
                int at = t + order - 1 - j;
                sum = OP(add_epi64)(sum, OP(mul_epi32)(past[at], even[j]));
                sum_odd = OP(add_epi64)(sum_odd, OP(mul_epi32)(past_odd[at], odd[j]));
            }
            sum = OP(srlv_epi64)(sum, even_shift);
            sum_odd = OP(slli_epi64)(OP(srlv_epi64)(sum_odd, odd_shift), 32);
            v[t] = OP(add_epi32)(v[t], ODD_OF_SECOND(sum, sum_odd));
            past[t + order] = v[t];
            past_odd[t + order] = OP(srli_epi64)(v[t], 32);
        }
        for (int j = 0; j < order; j++) {
            past[j] = past[j + LANES];
            past_odd[j] = past_odd[j + LANES];
        }
        reach = store_samples(l, i, v, reach);
    }
    l->reach = reach;
}

/* Fixed predictors of one order: sums of sums. sum[k] is the kth difference
 * at the sample before. */
LOOP void restore_fixed(lanes *l, int order) {
    VECTOR sum[4], v[LANES];
    for (int j = 0; j < order; j++) sum[j] = gather(l, l->from - 1 - j);
    for (int k = 1; k < order; k++)
        for (int j = order - 1; j >= k; j--) sum[j] = OP(sub_epi32)(sum[j - 1], sum[j]);
    VECTOR reach = l->reach;
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++)
            for (int k = order - 1; k >= 0; k--) v[t] = sum[k] = OP(add_epi32)(sum[k], v[t]);
        reach = store_samples(l, i, v, reach);
    }
    l->reach = reach;
}

TARGET static void restore_same_fixed(lanes *l) { CALL_BY_FIXED_ORDER(restore_fixed) }
TARGET static void restore_all_short(lanes *l) { CALL_BY_ORDER(restore_short) }
TARGET static void restore_all_split(lanes *l) { CALL_BY_ORDER(restore_split) }
/* Hardly ever needed: one loop for all orders. */
TARGET static void restore_all_wide(lanes *l) { restore_wide(l, l->order); }

static int all_short(const fc_restoring *blocks, int n) {
    for (int k = 0; k < n; k++)
        if (blocks[k].predictor->wide || blocks[k].predictor->bits > 16) return 0;
    return 1;
}

/* See restore_split. Precisions are up to 15 bits, so that no sum overflows. */
static int can_split(const fc_predictor *p) {
    int positive = 0, negative = 0;
    for (int j = 0; j < p->order; j++)
        if (p->coefficient[j] > 0) positive += p->coefficient[j];
        else negative -= p->coefficient[j];
    return positive <= 1 << 15 && negative <= 1 << 15;
}

static int can_all_split(const fc_restoring *blocks, int n) {
    for (int k = 0; k < n; k++)
        if (!can_split(blocks[k].predictor)) return 0;
    return 1;
}

typedef void restoring_loop(lanes *);

/* Fixed predictors of one order have a loop of their own. */
static restoring_loop *choose_loop(const fc_restoring *blocks, int n) {
    if (is_same_fixed(blocks, n)) return restore_same_fixed;
    if (all_short(blocks, n)) return restore_all_short;
    return can_all_split(blocks, n) ? restore_all_split : restore_all_wide;
}

TARGET static void fill_lanes(lanes *l, const fc_restoring *blocks, int n) {
    int32_t shift[LANES], coefficient[LANES], half[LANES];
    l->n = n;
    l->order = order_of_lanes(blocks, n);
    for (int k = 0; k < LANES; k++) {
        l->x[k] = blocks[k < n ? k : 0].x;
        shift[k] = blocks[k < n ? k : 0].predictor->shift;
        half[k] = (int32_t)fc_reach(0, blocks[k < n ? k : 0].predictor->bits);
    }
    l->shift = LOAD(shift);
    l->half = LOAD(half);
    l->reach = ZERO;
    l->bias = ZERO;
    for (int j = 0; j < l->order; j++) {
        for (int k = 0; k < LANES; k++) {
            const fc_predictor *p = blocks[k < n ? k : 0].predictor;
            coefficient[k] = j < p->order ? p->coefficient[j] : 0;
        }
        l->coefficient[j] = LOAD(coefficient);
        l->bias = OP(add_epi32)(l->bias, OP(slli_epi32)(l->coefficient[j], 15));
    }
    if (!l->order) return;
    l->first = pair(l->coefficient[0], ZERO);
    l->first_high = pair(ZERO, l->coefficient[0]);
    for (int j = 1; j + 1 < l->order; j += 2)
        l->pair[j / 2] = pair(l->coefficient[j], l->coefficient[j + 1]);
    l->last = pair(l->coefficient[l->order - 1], ZERO);
}

TARGET static void note_reach(const lanes *l, fc_restoring *blocks) {
    uint32_t reach[LANES];
    STORE(reach, l->reach);
    for (int k = 0; k < l->n; k++) blocks[k].reach |= reach[k];
}
