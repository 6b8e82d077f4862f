#include "plan/moments.h"

#include <float.h>
#include <math.h>

#include "base/vectors.h"

#define LANES 16 /* sums of their own: a compiler may not reorder a float's */

/* -- sums with a rest ------------------------------------------------------ */

/* a + b, and in *rest what that has no digits for (Knuth's TwoSum, which needs
 * no order of magnitudes). */
static double two_sum(double a, double b, double *rest) {
    double sum = a + b, b_part = sum - a;
    *rest = (a - (sum - b_part)) + (b - b_part);
    return sum;
}

static void add(double *value, double *rest, double more) {
    double lost;
    *value = two_sum(*value, more, &lost);
    *value = two_sum(*value, *rest + lost, rest);
}

/* -- one block ------------------------------------------------------------- */

/* What samples are scaled by so that their squares neither overflow nor lose
 * digits. Few need it. Where both ways are open, a power of two changes no
 * digit. */
static int exponent_of(double magnitude) {
    return magnitude > 0x1p480 ? 600 : magnitude < 0x1p-400 ? -600 : 0;
}

/* Two sums over the block, of distances from a number between its least and
 * its greatest, `origin`, and then from the mean that follows. These are small
 * where the mean is large, so nothing cancels: "corrected two-pass algorithm"
 * (Chan, Golub and LeVeque, 1983). */
#define MEASURE(type, absolute, limit)                                                     \
    FC_WIDE_LOOP static void sum_##type(const type *x, int64_t count, double scale,        \
                                        double origin, double mean, double sums[2]) {      \
        double first[LANES] = {0}, second[LANES] = {0};                                    \
        int64_t i = 0;                                                                     \
        for (; i + LANES <= count; i += LANES)                                             \
            for (int j = 0; j < LANES; j++) {                                              \
                double d = (double)x[i + j] * scale - origin - mean;                       \
                d = absolute(x[i + j]) <= limit ? d : 0;                                   \
                first[j] += d;                                                             \
                second[j] += d * d;                                                        \
            }                                                                              \
        for (; i < count; i++) {                                                           \
            double d = (double)x[i] * scale - origin - mean;                               \
            d = absolute(x[i]) <= limit ? d : 0;                                           \
            first[0] += d;                                                                 \
            second[0] += d * d;                                                            \
        }                                                                                  \
        sums[0] = sums[1] = 0;                                                             \
        for (int j = 0; j < LANES; j++) sums[0] += first[j], sums[1] += second[j];         \
    }                                                                                      \
    fc_moments fc_measure_##type(const type *x, int64_t count, double low, double high,    \
                                 int64_t n) {                                              \
        fc_moments m = {.n = n, .exponent = exponent_of(fmax(fabs(low), fabs(high)))};     \
        double scale = ldexp(1, -m.exponent), sums[2];                                     \
        double origin = low * scale / 2 + high * scale / 2;                                \
        sum_##type(x, count, scale, origin, 0, sums);                                      \
        double mean = sums[0] / (double)n;                                                 \
        sum_##type(x, count, scale, origin, mean, sums);                                   \
        m.mean = two_sum(origin, mean + sums[0] / (double)n, &m.mean_rest);                \
        m.m2 = fmax(sums[1] - sums[0] * (sums[0] / (double)n), 0);                         \
        return m;                                                                          \
    }
MEASURE(float, fabsf, FLT_MAX)
MEASURE(double, fabs, DBL_MAX)

/* -- several --------------------------------------------------------------- */

/* To a larger exponent only: what underflows then is nothing beside what has it. */
static void scale(fc_moments *m, int exponent) {
    int down = m->exponent - exponent;
    m->mean = ldexp(m->mean, down);
    m->mean_rest = ldexp(m->mean_rest, down);
    m->m2 = ldexp(m->m2, 2 * down);
    m->m2_rest = ldexp(m->m2_rest, 2 * down);
    m->exponent = exponent;
}

/* By Chan, Golub and LeVeque's update (1979). The two means may agree in all of
 * their digits but the last, or in all: hence their rests. */
void fc_merge_moments(fc_moments *a, fc_moments b) {
    if (a->exponent < b.exponent)
        scale(a, b.exponent);
    else
        scale(&b, a->exponent);
    double n = (double)(a->n + b.n);
    double apart = (b.mean - a->mean) + (b.mean_rest - a->mean_rest);
    add(&a->m2, &a->m2_rest, apart * apart * ((double)a->n * ((double)b.n / n)));
    add(&a->m2, &a->m2_rest, b.m2);
    a->m2_rest += b.m2_rest;
    add(&a->mean, &a->mean_rest, apart * ((double)b.n / n));
    a->n += b.n;
}

double fc_rms_over(const fc_moments *m, double divisor) {
    double rms = sqrt((m->m2 + m->m2_rest) / (double)m->n);
    return m->exponent > 0 ? ldexp(rms, m->exponent) / divisor
                           : ldexp(rms / divisor, m->exponent);
}
