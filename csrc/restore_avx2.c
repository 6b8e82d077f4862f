/* Samples restored from residuals with AVX2, eight blocks at once, each in a
 * lane of its own: what is serial within a block is not across blocks. */
#include "restore_avx2.h"

#include "bits.h"
#include "cpu.h"

#if FC_X86
#include <immintrin.h>

#define LANES 8
#define LOOP FC_TARGET_AVX2 FC_INLINE

/* Eight blocks on their way. All have the order of the highest, with
 * coefficients of zero beyond their own. */
typedef struct {
    int32_t *x[LANES];
    int order;
    int64_t from, until; /* samples, a multiple of 8 of them */
    __m256i shift;
    __m256i bias; /* 2**15 times the sum of the coefficients */
    __m256i coefficient[FC_MAX_ORDER];
    __m256i pair[FC_MAX_ORDER / 2]; /* of these, in 16 bits each */
} lanes;

/* Row i of eight becomes column i. */
LOOP void transpose(__m256i v[LANES]) {
    __m256i a[LANES], b[LANES];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

/* Eight residuals of each block: v[t] has the one at i + t of every block. */
LOOP void load_residuals(const lanes *l, int64_t i, __m256i v[LANES]) {
    const __m256i one = _mm256_set1_epi32(1);
    for (int k = 0; k < LANES; k++) {
        __m256i folded = _mm256_loadu_si256((const __m256i *)(l->x[k] + i));
        __m256i sign = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(folded, one));
        v[k] = _mm256_xor_si256(_mm256_srli_epi32(folded, 1), sign);
    }
    transpose(v);
}

LOOP void store_samples(const lanes *l, int64_t i, __m256i v[LANES]) {
    transpose(v);
    for (int k = 0; k < LANES; k++) _mm256_storeu_si256((__m256i *)(l->x[k] + i), v[k]);
}

/* The samples of all blocks at i. */
LOOP __m256i gather(const lanes *l, int64_t i) {
    int32_t at[LANES];
    for (int k = 0; k < LANES; k++) at[k] = l->x[k][i];
    return _mm256_loadu_si256((const __m256i *)at);
}

/* For the products of 16 bits by 16 that are summed two by two, a sample and
 * the one before it share a lane: the newer in the low half. */
LOOP __m256i pair(__m256i newer, __m256i older_shifted) {
    return _mm256_blend_epi16(newer, older_shifted, 0xaa);
}

/* Samples of 16 bits, sums of 32. pairs[order - 1] is the newest of those
 * before, as in the loops below. */
LOOP void restore_short(const lanes *l, int order) {
    __m256i pairs[FC_MAX_ORDER + LANES], v[LANES];
    __m256i last = gather(l, l->from - order);
    for (int j = 1; j < order; j++) {
        __m256i y = gather(l, l->from - order + j);
        pairs[j] = pair(y, _mm256_slli_epi32(last, 16));
        last = y;
    }
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++) {
            __m256i sum = _mm256_madd_epi16(pairs[t + 1], l->pair[order / 2 - 1]);
            for (int j = order / 2 - 1; j-- > 0;)
                sum = _mm256_add_epi32(
                    sum, _mm256_madd_epi16(pairs[t + order - 1 - 2 * j], l->pair[j]));
            v[t] = _mm256_add_epi32(v[t], _mm256_srav_epi32(sum, l->shift));
            pairs[t + order] = pair(v[t], _mm256_slli_epi32(last, 16));
            last = v[t];
        }
        for (int j = 1; j < order; j++) pairs[j] = pairs[j + LANES];
        store_samples(l, i, v);
    }
}

/* Any samples, in halves: y = high * 2**16 + low + 2**15, with signed high
 * and low, has the sum H * 2**16 + L with H of the high halves and L of the
 * low ones and of what 2**15 gives, the bias. As the shift s is at most 15,
 * that shifted right is H * 2**(16 - s) + (L >> s). Of H the low bits do; L
 * takes 32, if neither the positive coefficients nor the negative ones sum
 * up to more than 2**15: low + 2**15 is 0 to 2**16 - 1. */
LOOP void restore_split(const lanes *l, int order) {
    __m256i low[FC_MAX_ORDER + LANES], high[FC_MAX_ORDER + LANES], v[LANES];
    const __m256i flip = _mm256_set1_epi32(0x8000);
    __m256i rest = _mm256_sub_epi32(_mm256_set1_epi32(16), l->shift);
    __m256i last = gather(l, l->from - order), last_low;
    last_low = _mm256_slli_epi32(_mm256_xor_si256(last, flip), 16);
    for (int j = 1; j < order; j++) {
        __m256i y = gather(l, l->from - order + j), y_low = _mm256_xor_si256(y, flip);
        low[j] = pair(y_low, last_low);
        high[j] = pair(_mm256_srli_epi32(y, 16), last);
        last = y;
        last_low = _mm256_slli_epi32(y_low, 16);
    }
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++) {
            __m256i sum = l->bias, high_sum = _mm256_setzero_si256();
            for (int j = order / 2; j-- > 0;) {
                int at = t + order - 1 - 2 * j;
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low[at], l->pair[j]));
                high_sum = _mm256_add_epi32(high_sum, _mm256_madd_epi16(high[at], l->pair[j]));
            }
            __m256i y = _mm256_add_epi32(v[t], _mm256_srav_epi32(sum, l->shift));
            y = _mm256_add_epi32(y, _mm256_sllv_epi32(high_sum, rest));
            __m256i y_low = _mm256_xor_si256(y, flip);
            low[t + order] = pair(y_low, last_low);
            high[t + order] = pair(_mm256_srli_epi32(y, 16), last);
            v[t] = last = y;
            last_low = _mm256_slli_epi32(y_low, 16);
        }
        for (int j = 1; j < order; j++) {
            low[j] = low[j + LANES];
            high[j] = high[j + LANES];
        }
        store_samples(l, i, v);
    }
}

/* Sums in 64 bits, of which the low 32 matter after the shift, at most 15:
 * so that a logical one does. Even lanes and odd ones apart, since products
 * are of the low halves of 64 bits. */
LOOP void restore_wide(const lanes *l, int order) {
    __m256i past[FC_MAX_ORDER + LANES], past_odd[FC_MAX_ORDER + LANES], v[LANES];
    __m256i even[FC_MAX_ORDER], odd[FC_MAX_ORDER];
    const __m256i low_half = _mm256_set1_epi64x(0xffffffff);
    __m256i even_shift = _mm256_and_si256(l->shift, low_half);
    __m256i odd_shift = _mm256_srli_epi64(l->shift, 32);
    for (int j = 0; j < order; j++) {
        past[j] = gather(l, l->from - order + j);
        past_odd[j] = _mm256_srli_epi64(past[j], 32);
        even[j] = l->coefficient[j];
        odd[j] = _mm256_srli_epi64(l->coefficient[j], 32);
    }
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++) {
            __m256i sum = _mm256_mul_epi32(past[t], even[order - 1]);
            __m256i sum_odd = _mm256_mul_epi32(past_odd[t], odd[order - 1]);
            for (int j = order - 1; j-- > 0;) {
                int at = t + order - 1 - j;
                sum = _mm256_add_epi64(sum, _mm256_mul_epi32(past[at], even[j]));
                sum_odd = _mm256_add_epi64(sum_odd, _mm256_mul_epi32(past_odd[at], odd[j]));
            }
            sum = _mm256_srlv_epi64(sum, even_shift);
            sum_odd = _mm256_slli_epi64(_mm256_srlv_epi64(sum_odd, odd_shift), 32);
            v[t] = _mm256_add_epi32(v[t], _mm256_blend_epi32(sum, sum_odd, 0xaa));
            past[t + order] = v[t];
            past_odd[t + order] = _mm256_srli_epi64(v[t], 32);
        }
        for (int j = 0; j < order; j++) {
            past[j] = past[j + LANES];
            past_odd[j] = past_odd[j + LANES];
        }
        store_samples(l, i, v);
    }
}

/* Fixed predictors of one order: sums of sums. sum[k] is the kth difference
 * at the sample before. */
LOOP void restore_fixed(const lanes *l, int order) {
    __m256i sum[4], v[LANES];
    for (int j = 0; j < order; j++) sum[j] = gather(l, l->from - 1 - j);
    for (int k = 1; k < order; k++)
        for (int j = order - 1; j >= k; j--) sum[j] = _mm256_sub_epi32(sum[j - 1], sum[j]);
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v);
        for (int t = 0; t < LANES; t++)
            for (int k = order - 1; k >= 0; k--) v[t] = sum[k] = _mm256_add_epi32(sum[k], v[t]);
        store_samples(l, i, v);
    }
}

FC_TARGET_AVX2 static void restore_same_fixed(const lanes *l) {
    switch (l->order) {
    case 1: restore_fixed(l, 1); return;
    case 2: restore_fixed(l, 2); return;
    case 3: restore_fixed(l, 3); return;
    default: restore_fixed(l, 4);
    }
}

#define FOR_ORDER(call)                      \
    switch (l->order) {                      \
    case 2: call(l, 2); return;              \
    case 4: call(l, 4); return;              \
    case 6: call(l, 6); return;              \
    case 8: call(l, 8); return;              \
    case 10: call(l, 10); return;            \
    case 12: call(l, 12); return;            \
    default: call(l, l->order);              \
    }

FC_TARGET_AVX2 static void restore_all_short(const lanes *l) { FOR_ORDER(restore_short) }
FC_TARGET_AVX2 static void restore_all_split(const lanes *l) { FOR_ORDER(restore_split) }
/* Hardly ever needed: one loop for all orders. */
FC_TARGET_AVX2 static void restore_all_wide(const lanes *l) { restore_wide(l, l->order); }

static int highest_order(const fc_restoring *blocks, int n) {
    int order = 0;
    for (int k = 0; k < n; k++)
        if (blocks[k].predictor->order > order) order = blocks[k].predictor->order;
    return order;
}

static int is_same_fixed(const fc_restoring *blocks, int n) {
    for (int k = 0; k < n; k++)
        if (!blocks[k].predictor->fixed || !blocks[k].predictor->order
            || blocks[k].predictor->order != blocks[0].predictor->order)
            return 0;
    return 1;
}

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

static int64_t fewest_samples(const fc_restoring *blocks, int n) {
    int64_t samples = blocks[0].samples;
    for (int k = 1; k < n; k++)
        if (blocks[k].samples < samples) samples = blocks[k].samples;
    return samples;
}

/* Lanes beyond n do again what the first does, to the same effect: all
 * residuals of a step are loaded before its samples are stored. */
FC_TARGET_AVX2 static void fill_lanes(lanes *l, const fc_restoring *blocks, int n) {
    int32_t shift[LANES], coefficient[LANES];
    for (int k = 0; k < LANES; k++) {
        l->x[k] = blocks[k < n ? k : 0].x;
        shift[k] = blocks[k < n ? k : 0].predictor->shift;
    }
    l->shift = _mm256_loadu_si256((const __m256i *)shift);
    l->bias = _mm256_setzero_si256();
    for (int j = 0; j < l->order; j++) {
        for (int k = 0; k < LANES; k++) {
            const fc_predictor *p = blocks[k < n ? k : 0].predictor;
            coefficient[k] = j < p->order ? p->coefficient[j] : 0;
        }
        l->coefficient[j] = _mm256_loadu_si256((const __m256i *)coefficient);
        l->bias = _mm256_add_epi32(l->bias, _mm256_slli_epi32(l->coefficient[j], 15));
    }
    for (int j = 0; j + 1 < l->order; j += 2)
        l->pair[j / 2] = pair(l->coefficient[j], _mm256_slli_epi32(l->coefficient[j + 1], 16));
}

int64_t fc_restore_avx2(const fc_restoring *blocks, int n) {
    lanes l;
    int same_fixed = is_same_fixed(blocks, n);
    l.order = highest_order(blocks, n);
    /* Orders in twos, for half as much code; 32 is even. */
    if (!same_fixed) l.order = l.order ? l.order + (l.order & 1) : 2;
    l.from = l.order;
    l.until = l.from + ((fewest_samples(blocks, n) - l.from) & ~(int64_t)7);
    if (l.until <= l.from) return 0;
    for (int k = 0; k < n; k++)
        fc_restore_block(&(fc_restoring){blocks[k].predictor, blocks[k].x, l.from},
                         blocks[k].predictor->order);
    fill_lanes(&l, blocks, n);
    if (same_fixed) restore_same_fixed(&l);
    else if (all_short(blocks, n)) restore_all_short(&l);
    else if (can_all_split(blocks, n)) restore_all_split(&l);
    else restore_all_wide(&l);
    return l.until;
}
#else
int64_t fc_restore_avx2(const fc_restoring *blocks, int n) {
    (void)blocks, (void)n;
    return 0;
}
#endif
