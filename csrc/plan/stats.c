#include "plan/stats.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/vectors.h"
#include "samples/dtype.h"
#include "samples/order.h"
#include "samples/view.h"

#define LANES 16 /* of their own, since a compiler may not reorder a float reduction */

#define SCAN_INTEGERS(name, type, lowest, highest, ordered)                           \
    FC_WIDE_LOOP static void scan_##name(const type *x, int64_t count, fc_stats *s) { \
        type lo = highest, hi = lowest;                                               \
        for (int64_t i = 0; i < count; i++) {                                         \
            type v = x[i];                                                            \
            lo = v < lo ? v : lo;                                                     \
            hi = v > hi ? v : hi;                                                     \
        }                                                                             \
        s->n = count;                                                                 \
        s->lo = ordered(lo);                                                          \
        s->hi = ordered(hi);                                                          \
    }
#define PLAIN(v) ((int64_t)(v))
#define UNSIGNED64(v) ((int64_t)((v) ^ FC_SIGN64))
SCAN_INTEGERS(int8, int8_t, INT8_MIN, INT8_MAX, PLAIN)
SCAN_INTEGERS(int16, int16_t, INT16_MIN, INT16_MAX, PLAIN)
SCAN_INTEGERS(int32, int32_t, INT32_MIN, INT32_MAX, PLAIN)
SCAN_INTEGERS(int64, int64_t, INT64_MIN, INT64_MAX, PLAIN)
SCAN_INTEGERS(uint8, uint8_t, 0, UINT8_MAX, PLAIN)
SCAN_INTEGERS(uint16, uint16_t, 0, UINT16_MAX, PLAIN)
SCAN_INTEGERS(uint32, uint32_t, 0, UINT32_MAX, PLAIN)
SCAN_INTEGERS(uint64, uint64_t, 0, UINT64_MAX, UNSIGNED64)

#define SCAN_BITS(bits)                                                             \
    FC_WIDE_LOOP static void scan_bits##bits(const int##bits##_t *x, int64_t count, \
                                          fc_stats *s) {                            \
        int##bits##_t lo = INT##bits##_MAX, hi = INT##bits##_MIN;                   \
        for (int64_t i = 0; i < count; i++) {                                       \
            int##bits##_t v = fc_order##bits(x[i]);                                    \
            lo = v < lo ? v : lo;                                                   \
            hi = v > hi ? v : hi;                                                   \
        }                                                                           \
        s->n = count;                                                               \
        s->lo = lo;                                                                 \
        s->hi = hi;                                                                 \
    }
SCAN_BITS(32)
SCAN_BITS(64)

#define SCAN_FLOATS(type, largest, absolute)                                            \
    FC_WIDE_LOOP static void scan_##type(const type *x, int64_t count, type limit, fc_stats *s) { \
        type lo[LANES], hi[LANES];                                                    \
        int32_t others[LANES] = {0};                                                  \
        int64_t n_other = 0, i = 0;                                                   \
        for (int j = 0; j < LANES; j++) lo[j] = largest, hi[j] = -largest;                \
        for (; i + LANES <= count; i += LANES) {                                      \
            fc_fetch_ahead(x + i, LANES * sizeof *x);                                    \
            for (int j = 0; j < LANES; j++) {                                         \
                type v = x[i + j];                                                    \
                int finite = absolute(v) <= limit;                                    \
                lo[j] = finite & (v < lo[j]) ? v : lo[j];                             \
                hi[j] = finite & (v > hi[j]) ? v : hi[j];                             \
                others[j] += !finite;                                                 \
            }                                                                         \
        }                                                                             \
        for (; i < count; i++) {                                                      \
            type v = x[i];                                                            \
            if (!(absolute(v) <= limit)) {                                            \
                n_other++;                                                            \
                continue;                                                             \
            }                                                                         \
            if (v < lo[0]) lo[0] = v;                                                 \
            if (v > hi[0]) hi[0] = v;                                                 \
        }                                                                             \
        s->min = lo[0];                                                               \
        s->max = hi[0];                                                               \
        for (int j = 0; j < LANES; j++) {                                             \
            if (lo[j] < s->min) s->min = lo[j];                                       \
            if (hi[j] > s->max) s->max = hi[j];                                       \
            n_other += others[j];                                                     \
        }                                                                             \
        s->n = count - n_other;                                                       \
        s->n_other = n_other;                                                         \
    }
SCAN_FLOATS(float, FLT_MAX, fabsf)
SCAN_FLOATS(double, DBL_MAX, fabs)

static void scan_floats(int dtype, const void *block, int64_t count, double limit, fc_stats *s) {
    FC_RETURN_BY_FLOAT(dtype, scan, (block, count, limit, s));
}

static fc_moments measure(int dtype, const void *block, int64_t count, const fc_stats *s) {
    FC_RETURN_BY_FLOAT(dtype, fc_measure, (block, count, s->min, s->max, s->n));
}

static void scan_quantized(int dtype, int rule, double limit, const void *block, int64_t count,
                           fc_stats *s) {
    scan_floats(dtype, block, count, limit, s);
    if (rule == FC_QUANTA_PRECISION && s->n) s->moments = measure(dtype, block, count, s);
}

void fc_scan_block(int dtype, int rule, double limit, const void *block, int64_t count,
                   fc_stats *s) {
    memset(s, 0, sizeof *s);
    if (rule != FC_QUANTA_NONE) {
        scan_quantized(dtype, rule, limit, block, count, s);
        return;
    }
    switch ((fc_dtype)dtype) {
    case FC_INT8: scan_int8(block, count, s); return;
    case FC_INT16: scan_int16(block, count, s); return;
    case FC_INT32: scan_int32(block, count, s); return;
    case FC_INT64: scan_int64(block, count, s); return;
    case FC_UINT8: scan_uint8(block, count, s); return;
    case FC_UINT16: scan_uint16(block, count, s); return;
    case FC_UINT32: scan_uint32(block, count, s); return;
    case FC_UINT64: scan_uint64(block, count, s); return;
    case FC_FLOAT32: scan_bits32(block, count, s); return;
    case FC_FLOAT64: scan_bits64(block, count, s); return;
    }
    __builtin_trap();
}

static void merge_range(fc_stats *a, const fc_stats *b) {
    a->lo = b->lo < a->lo ? b->lo : a->lo;
    a->hi = b->hi > a->hi ? b->hi : a->hi;
    a->min = b->min < a->min ? b->min : a->min;
    a->max = b->max > a->max ? b->max : a->max;
}

void fc_merge_stats(fc_stats *a, const fc_stats *b) {
    int64_t others = a->n_other + b->n_other;
    fc_marked marked = {a->marked.n + b->marked.n, a->marked.seen | b->marked.seen};
    if (b->n && !a->n) {
        *a = *b;
    } else if (b->n) {
        if (a->moments.n) fc_merge_moments(&a->moments, b->moments);
        merge_range(a, b);
        a->n += b->n;
    }
    a->n_other = others;
    a->marked = marked;
}

void fc_add_zeros(fc_stats *stats, const fc_marks *marks, int64_t n) {
    if (!n) return;
    stats->n_other += n;
    stats->marked.n += n;
    stats->marked.seen |= UINT32_C(1) << marks->zero;
}

#define FIND_LARGEST(type)                                                      \
    static int64_t largest_##type(const type *x, int64_t count) {               \
        int64_t best = -1;                                                      \
        for (int64_t i = 0; i < count; i++)                                     \
            if (isfinite(x[i]) && (best < 0 || fabs(x[i]) > fabs(x[best]))) best = i; \
        return best;                                                            \
    }
FIND_LARGEST(float)
FIND_LARGEST(double)

int64_t fc_find_largest(int dtype, const void *block, int64_t count) {
    FC_RETURN_BY_FLOAT(dtype, largest, (block, count));
}
