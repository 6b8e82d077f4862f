/* Up to eight blocks in lanes, with NEON. */
#include "restore_neon.h"

#include "bits.h"
#include "cpu.h"

#if FC_NEON
#include <arm_neon.h>

#include "restore_blocks.h"

#define LANES 4 /* of a vector */
#define MOST_VECTORS 2

/* One vector of blocks on their way, or two, of which one is worked on while the other
 * waits for itself. All lanes have the order of the highest, with coefficients of zero
 * beyond their own.
 *
 * Vectors are unsigned: their sums wrap, in the words of C too. */
typedef struct {
    int n; /* blocks; lanes without one do what the first does, and store nothing */
    int32_t *x[MOST_VECTORS * LANES];
    int order;
    int64_t from, until; /* samples, a multiple of LANES of them */
    int32x4_t shift[MOST_VECTORS]; /* negative: NEON shifts left */
    uint32x4_t coefficient[FC_MAX_ORDER][MOST_VECTORS];
} lanes;

/* Row i of four becomes column i. */
FC_INLINE void transpose(uint32x4_t v[LANES][MOST_VECTORS], int which) {
    uint64x2_t a[LANES];
    for (int i = 0; i < LANES; i += 2) {
        a[i] = vreinterpretq_u64_u32(vtrn1q_u32(v[i][which], v[i + 1][which]));
        a[i + 1] = vreinterpretq_u64_u32(vtrn2q_u32(v[i][which], v[i + 1][which]));
    }
    for (int i = 0; i < 2; i++) {
        v[i][which] = vreinterpretq_u32_u64(vtrn1q_u64(a[i], a[i + 2]));
        v[i + 2][which] = vreinterpretq_u32_u64(vtrn2q_u64(a[i], a[i + 2]));
    }
}

FC_INLINE uint32x4_t unfold(uint32x4_t folded) {
    return veorq_u32(vshrq_n_u32(folded, 1), vtstq_u32(folded, vdupq_n_u32(1)));
}

FC_INLINE uint32x4_t load(const int32_t *from) { return vreinterpretq_u32_s32(vld1q_s32(from)); }

/* LANES residuals of each block: v[t] has the one at i + t of every block. */
FC_INLINE void load_residuals(const lanes *l, int64_t i, uint32x4_t v[LANES][MOST_VECTORS],
                              int vectors) {
    for (int w = 0; w < vectors; w++) {
        for (int k = 0; k < LANES; k++) v[k][w] = unfold(load(l->x[w * LANES + k] + i));
        transpose(v, w);
    }
}

FC_INLINE void store_samples(const lanes *l, int64_t i, uint32x4_t v[LANES][MOST_VECTORS],
                             int vectors) {
    for (int w = 0; w < vectors; w++) {
        transpose(v, w);
        for (int k = 0; k < LANES; k++) {
            if (w * LANES + k >= l->n) continue;
            fetch_ahead(l->x[w * LANES + k] + i);
            vst1q_s32(l->x[w * LANES + k] + i, vreinterpretq_s32_u32(v[k][w]));
        }
    }
}

/* The samples of a vector's blocks at i. */
FC_INLINE uint32x4_t gather(const lanes *l, int64_t i, int which) {
    int32_t at[LANES];
    for (int k = 0; k < LANES; k++) at[k] = l->x[which * LANES + k][i];
    return load(at);
}

/* What a predictor says: past[j] has, of the order samples before, the jth. The newest,
 * which has been waited for, comes last into the sum. */
FC_INLINE uint32x4_t predict_narrow(const lanes *l, uint32x4_t past[][MOST_VECTORS], int order,
                                    int w) {
    uint32x4_t sum = vmulq_u32(past[0][w], l->coefficient[order - 1][w]);
    for (int j = order - 1; j-- > 0;)
        sum = vmlaq_u32(sum, past[order - 1 - j][w], l->coefficient[j][w]);
    return vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(sum), l->shift[w]));
}

/* The same in sums of 64 bits, which hold all; after the shift the low 32 matter. */
FC_INLINE uint32x4_t predict_wide(const lanes *l, uint32x4_t past[][MOST_VECTORS], int order,
                                  int w) {
    int64x2_t low = vdupq_n_s64(0), high = low;
    for (int j = order; j-- > 0;) {
        int32x4_t x = vreinterpretq_s32_u32(past[order - 1 - j][w]);
        int32x4_t c = vreinterpretq_s32_u32(l->coefficient[j][w]);
        low = vmlal_s32(low, vget_low_s32(x), vget_low_s32(c));
        high = vmlal_high_s32(high, x, c);
    }
    low = vshlq_s64(low, vmovl_s32(vget_low_s32(l->shift[w])));
    high = vshlq_s64(high, vmovl_high_s32(l->shift[w]));
    return vuzp1q_u32(vreinterpretq_u32_s64(low), vreinterpretq_u32_s64(high));
}

FC_INLINE void restore_predicted(const lanes *l, int order, int vectors, int wide) {
    uint32x4_t past[FC_MAX_ORDER + LANES][MOST_VECTORS], v[LANES][MOST_VECTORS];
    for (int j = 0; j < order; j++)
        for (int w = 0; w < vectors; w++) past[j][w] = gather(l, l->from - order + j, w);
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v, vectors);
        UNROLLED for (int t = 0; t < LANES; t++)
            UNROLLED for (int w = 0; w < vectors; w++) {
                uint32x4_t prediction = wide ? predict_wide(l, past + t, order, w)
                                             : predict_narrow(l, past + t, order, w);
                past[t + order][w] = v[t][w] = vaddq_u32(v[t][w], prediction);
            }
        for (int j = 0; j < order; j++)
            for (int w = 0; w < vectors; w++) past[j][w] = past[j + LANES][w];
        store_samples(l, i, v, vectors);
    }
}

/* Fixed predictors of one order: sums of sums. sum[k] is the kth difference
 * at the sample before. */
FC_INLINE void restore_fixed(const lanes *l, int order, int vectors) {
    uint32x4_t sum[4][MOST_VECTORS], v[LANES][MOST_VECTORS];
    for (int w = 0; w < vectors; w++) {
        for (int j = 0; j < order; j++) sum[j][w] = gather(l, l->from - 1 - j, w);
        for (int k = 1; k < order; k++)
            for (int j = order - 1; j >= k; j--)
                sum[j][w] = vsubq_u32(sum[j - 1][w], sum[j][w]);
    }
    for (int64_t i = l->from; i < l->until; i += LANES) {
        load_residuals(l, i, v, vectors);
        for (int t = 0; t < LANES; t++)
            for (int w = 0; w < vectors; w++)
                for (int k = order - 1; k >= 0; k--)
                    v[t][w] = sum[k][w] = vaddq_u32(sum[k][w], v[t][w]);
        store_samples(l, i, v, vectors);
    }
}

#define FIXED_1(l, order) restore_fixed(l, order, 1)
#define FIXED_2(l, order) restore_fixed(l, order, 2)
#define NARROW_1(l, order) restore_predicted(l, order, 1, 0)
#define NARROW_2(l, order) restore_predicted(l, order, 2, 0)
#define WIDE_1(l, order) restore_predicted(l, order, 1, 1)
#define WIDE_2(l, order) restore_predicted(l, order, 2, 1)

typedef void restoring_loop(const lanes *);

static void restore_fixed_1(const lanes *l) { FOR_FIXED_ORDER(FIXED_1) }
static void restore_fixed_2(const lanes *l) { FOR_FIXED_ORDER(FIXED_2) }
static void restore_narrow_1(const lanes *l) { FOR_ORDER(NARROW_1) }
static void restore_narrow_2(const lanes *l) { FOR_ORDER(NARROW_2) }
static void restore_wide_1(const lanes *l) { FOR_ORDER(WIDE_1) }
static void restore_wide_2(const lanes *l) { FOR_ORDER(WIDE_2) }

static restoring_loop *choose_loop(const fc_restoring *blocks, int n) {
    static restoring_loop *const loops[3][MOST_VECTORS] = {{restore_fixed_1, restore_fixed_2},
                                                           {restore_narrow_1, restore_narrow_2},
                                                           {restore_wide_1, restore_wide_2}};
    int wide = 0;
    for (int k = 0; k < n; k++) wide |= blocks[k].predictor->wide;
    return loops[is_same_fixed(blocks, n) ? 0 : 1 + wide][n > LANES];
}

static void fill_vector(lanes *l, int w, const fc_restoring *blocks, int n) {
    int32_t shift[LANES], coefficient[FC_MAX_ORDER][LANES];
    for (int k = 0; k < LANES; k++) {
        int block = w * LANES + k < n ? w * LANES + k : 0;
        const fc_predictor *p = blocks[block].predictor;
        l->x[w * LANES + k] = blocks[block].x;
        shift[k] = -p->shift;
        for (int j = 0; j < l->order; j++) coefficient[j][k] = j < p->order ? p->coefficient[j] : 0;
    }
    l->shift[w] = vld1q_s32(shift);
    for (int j = 0; j < l->order; j++) l->coefficient[j][w] = load(coefficient[j]);
}

int64_t fc_restore_neon(const fc_restoring *blocks, int n) {
    lanes l = {.n = n, .order = order_of_lanes(blocks, n)};
    l.from = l.order;
    l.until = l.from + (fewest_samples(blocks, n) - l.from) / LANES * LANES;
    if (l.until <= l.from) return 0;
    restore_beginnings(blocks, n, l.from);
    for (int w = 0; w < MOST_VECTORS; w++) fill_vector(&l, w, blocks, n);
    choose_loop(blocks, n)(&l);
    return l.until;
}
#else
int64_t fc_restore_neon(const fc_restoring *blocks, int n) {
    (void)blocks, (void)n;
    return 0;
}
#endif
