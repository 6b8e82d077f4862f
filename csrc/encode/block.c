#include "encode/block.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/cpu.h"

typedef int32_t ints __attribute__((vector_size(32)));
typedef float floats __attribute__((vector_size(32)));
typedef int32_t four_ints __attribute__((vector_size(16)));
typedef int64_t longs __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(32)));

#define LOAD(type, to, from) \
    type to;                 \
    memcpy(&to, from, sizeof to)

/* Defines name(parameters) out of name_body: compiled for any processor and
 * for those with AVX2, and chosen when it is called. */
#if FC_X86
#define FOR_EACH_CPU(type, name, parameters, arguments)                    \
    static type name##_any parameters { return name##_body arguments; }    \
    FC_TARGET_AVX2 static type name##_avx2 parameters { return name##_body arguments; } \
    type name parameters {                                                 \
        return fc_this_cpu() >= FC_CPU_AVX2 ? name##_avx2 arguments : name##_any arguments; \
    }
#else
#define FOR_EACH_CPU(type, name, parameters, arguments) \
    type name parameters { return name##_body arguments; }
#endif

/* -- survey -------------------------------------------------------------------- */

FC_INLINE void fc_survey_block_body(const int32_t *x, int64_t samples, fc_survey *survey) {
    uint32_t used = 0, set = 0, differing = 0, first = (uint32_t)x[0];
    for (int64_t i = 0; i < samples; i++) {
        used |= (uint32_t)(x[i] ^ x[i] >> 31);
        set |= (uint32_t)x[i];
        differing |= (uint32_t)x[i] ^ first;
    }
    survey->bits = used ? 33 - __builtin_clz(used) : 1;
    survey->wasted = set ? __builtin_ctz(set) : 0;
    survey->constant = !differing;
}
FOR_EACH_CPU(void, fc_survey_block, (const int32_t *x, int64_t samples, fc_survey *survey),
             (x, samples, survey))

/* -- differences ----------------------------------------------------------------- */

/* Differences of order 0 to 4 of a vector of samples, from these and the
 * vectors that begin 1 to 4 samples before. Written out, since arrays that a
 * loop goes over stay in memory. */
#define DIFFERENCES(d, a)                                               \
    d[0] = a[0];                                                        \
    a[0] -= a[1], a[1] -= a[2], a[2] -= a[3], a[3] -= a[4], d[1] = a[0]; \
    a[0] -= a[1], a[1] -= a[2], a[2] -= a[3], d[2] = a[0];              \
    a[0] -= a[1], a[1] -= a[2], d[3] = a[0];                            \
    d[4] = a[0] - a[1];

FC_INLINE void sum_last_differences(const int32_t *x, int64_t from, int64_t samples,
                                    double sums[5]) {
    for (int64_t i = from; i < samples; i++) {
        int64_t a[5], d[5];
        for (int k = 0; k < 5; k++) a[k] = x[i - k];
        DIFFERENCES(d, a)
        for (int k = 0; k < 5; k++) sums[k] += (double)(d[k] < 0 ? -d[k] : d[k]);
    }
}

/* A difference of order 4 takes 4 bits more than the samples. */
#define MOST_BITS_NARROW 28

FC_INLINE int64_t sum_narrow_differences(const int32_t *x, int64_t samples, double sums[5]) {
    floats sum[5] = {{0}};
    int64_t i = 4;
    for (; i + 8 <= samples; i += 8) {
        ints a[5], d[5];
#pragma GCC unroll 5
        for (int k = 0; k < 5; k++) memcpy(a + k, x + i - k, sizeof *a);
        DIFFERENCES(d, a)
#pragma GCC unroll 5
        for (int k = 0; k < 5; k++)
            sum[k] += (floats)((ints)__builtin_convertvector(d[k], floats) & INT32_MAX);
    }
    for (int k = 0; k < 5; k++)
        for (int lane = 0; lane < 8; lane++) sums[k] += (double)sum[k][lane];
    return i;
}

FC_INLINE int64_t sum_wide_differences(const int32_t *x, int64_t samples, double sums[5]) {
    longs sum[5] = {{0}};
    int64_t i = 4;
    for (; i + 4 <= samples; i += 4) {
        longs a[5], d[5];
#pragma GCC unroll 5
        for (int k = 0; k < 5; k++) {
            LOAD(four_ints, some, x + i - k);
            a[k] = __builtin_convertvector(some, longs);
        }
        DIFFERENCES(d, a)
#pragma GCC unroll 5
        for (int k = 0; k < 5; k++) {
            longs sign = d[k] < 0;
            sum[k] += (d[k] ^ sign) - sign;
        }
    }
    for (int k = 0; k < 5; k++)
        for (int lane = 0; lane < 4; lane++) sums[k] += (double)sum[k][lane];
    return i;
}

FC_INLINE void fc_sum_differences_body(const int32_t *x, int64_t samples, int bits,
                                       double sums[5]) {
    for (int k = 0; k < 5; k++) sums[k] = 0;
    int64_t done = bits <= MOST_BITS_NARROW ? sum_narrow_differences(x, samples, sums)
                                            : sum_wide_differences(x, samples, sums);
    sum_last_differences(x, done, samples, sums);
}
FOR_EACH_CPU(void, fc_sum_differences,
             (const int32_t *x, int64_t samples, int bits, double sums[5]),
             (x, samples, bits, sums))

/* -- autocorrelation --------------------------------------------------------------- */

FC_INLINE void fc_autocorrelate_body(const int32_t *x, const float *window, int64_t samples,
                                     double *windowed, double autocorrelation[FC_LAGS]) {
    for (int64_t i = 0; i < samples; i++) windowed[i] = (double)window[i] * (double)x[i];
    for (int64_t i = samples; i < samples + 4; i++) windowed[i] = 0;
    doubles sum[FC_LAGS] = {{0}};
    for (int64_t i = 0; i < samples; i += 4) {
        LOAD(doubles, now, windowed + i);
#pragma GCC unroll 9
        for (int lag = 0; lag < FC_LAGS; lag++) {
            LOAD(doubles, before, windowed + i - lag);
            sum[lag] += now * before;
        }
    }
    for (int lag = 0; lag < FC_LAGS; lag++)
        autocorrelation[lag] = (sum[lag][0] + sum[lag][1]) + (sum[lag][2] + sum[lag][3]);
}
FOR_EACH_CPU(void, fc_autocorrelate,
             (const int32_t *x, const float *window, int64_t samples, double *windowed,
              double autocorrelation[FC_LAGS]),
             (x, window, samples, windowed, autocorrelation))

/* -- residuals --------------------------------------------------------------------- */

/* Arithmetic is modulo 2**32, and nothing exceeds that where the predictor is
 * not wide. */
FC_INLINE int fold_narrow(int order, const fc_predictor *p, const int32_t *restrict x,
                          int64_t samples, uint32_t *restrict folded) {
    uint32_t c[FC_MAX_ORDER];
    for (int j = 0; j < order; j++) c[j] = (uint32_t)p->coefficient[j];
    for (int64_t i = order; i < samples; i++) {
        uint32_t sum = 0;
        for (int j = 0; j < order; j++) sum += c[j] * (uint32_t)x[i - 1 - j];
        uint32_t residual = (uint32_t)x[i] - (uint32_t)((int32_t)sum >> p->shift);
        folded[i] = residual << 1 ^ (uint32_t)((int32_t)residual >> 31);
    }
    return 1;
}

/* In float64, of which processors have vectors that multiply: sums take 49 bits at
 * most, so that they are exact, and so is what they are divided by. */
FC_INLINE int fold_wide(int order, const fc_predictor *p, const int32_t *restrict x,
                        int64_t samples, uint32_t *restrict folded) {
    double c[FC_MAX_ORDER], scale = ldexp(1, -p->shift);
    int beyond = 0;
    for (int j = 0; j < order; j++) c[j] = (double)p->coefficient[j];
    for (int64_t i = order; i < samples; i++) {
        double sum = 0;
        for (int j = 0; j < order; j++) sum += c[j] * (double)x[i - 1 - j];
        double residual = (double)x[i] - floor(sum * scale);
        int fits = fabs(residual) <= INT32_MAX;
        int32_t whole = fits ? (int32_t)residual : 0;
        beyond |= !fits;
        folded[i] = (uint32_t)whole << 1 ^ (uint32_t)(whole >> 31);
    }
    return !beyond;
}

#define FOLD_BY_ORDER(width)                                        \
    switch (p->order) {                                             \
    case 0: return fold_##width(0, p, x, samples, folded);          \
    case 1: return fold_##width(1, p, x, samples, folded);          \
    case 2: return fold_##width(2, p, x, samples, folded);          \
    case 3: return fold_##width(3, p, x, samples, folded);          \
    case 4: return fold_##width(4, p, x, samples, folded);          \
    case 5: return fold_##width(5, p, x, samples, folded);          \
    case 6: return fold_##width(6, p, x, samples, folded);          \
    case 7: return fold_##width(7, p, x, samples, folded);          \
    case 8: return fold_##width(8, p, x, samples, folded);          \
    default: return fold_##width(p->order, p, x, samples, folded);  \
    }

FC_INLINE int fc_fold_residuals_body(const fc_predictor *p, const int32_t *x, int64_t samples,
                                     uint32_t *folded) {
    for (int i = 0; i < p->order; i++) folded[i] = 0;
    if (p->wide) FOLD_BY_ORDER(wide)
    FOLD_BY_ORDER(narrow)
}
FOR_EACH_CPU(int, fc_fold_residuals,
             (const fc_predictor *p, const int32_t *x, int64_t samples, uint32_t *folded),
             (p, x, samples, folded))

FC_INLINE void fc_sum_parts_body(const uint32_t *folded, int64_t size, int parts,
                                 uint64_t *sums) {
    for (int part = 0; part < parts; part++, folded += size) {
        uint64_t sum = 0;
        for (int64_t i = 0; i < size; i++) sum += folded[i];
        sums[part] = sum;
    }
}
FOR_EACH_CPU(void, fc_sum_parts,
             (const uint32_t *folded, int64_t size, int parts, uint64_t *sums),
             (folded, size, parts, sums))
