/* The mean of floats and the sum of their squared distances from it, with no
 * digits lost to a large mean or to many samples. */
#ifndef FC_MOMENTS_H
#define FC_MOMENTS_H

#include <stdint.h>

/* Of n samples / 2**exponent. A `rest` is what the number before it has no
 * digits for: together they are the sum of the two. Samples that are not
 * finite are left out. All zero for no samples, but for the exponent. */
typedef struct fc_moments {
    int64_t n;
    double mean, mean_rest;
    double m2, m2_rest; /* sum of squared distances from the mean */
    int exponent;
} fc_moments;

/* Measures the finite ones among `count` floats. `low` and `high` are their
 * least and greatest, `n` is how many they are; n > 0. */
fc_moments fc_measure_float(const float *x, int64_t count, double low, double high, int64_t n);
fc_moments fc_measure_double(const double *x, int64_t count, double low, double high, int64_t n);

/* Joins the moments of other samples to `into`. Both must have n > 0. */
void fc_merge_moments(fc_moments *into, fc_moments more);

/* Returns the root of the mean square about the mean, divided by `divisor`.
 * Nothing between overflows, or loses digits, unless the result does. */
double fc_rms_over(const fc_moments *m, double divisor);

#endif
