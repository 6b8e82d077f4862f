/* A float and the integer that it is stored as: the arithmetic that all ways to encode and decode
 * agree with. `dtype` is one of floats, quanta are positive and finite. */
#ifndef FC_QUANTA_H
#define FC_QUANTA_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "flaccodec.h"
#include "samples/dtype.h"

/* Returns the limit of a scan that leaves out nothing that is finite, of any dtype. */
double fc_no_limit(int dtype);

/* Returns the largest magnitude of a dtype that is below 2**63 quanta. */
double fc_limit_of(int dtype, double quanta);

/* Added to a float64 of a magnitude below 2**51 and subtracted again, it rounds to the nearest
 * integer, ties to even: the sum has no bits for a fraction. */
#define FC_ROUNDER 0x1.8p52

/* Returns the integer nearest to x / quanta, whose magnitude must be below 2**63. */
static inline int64_t fc_quantize_exactly(double x, double quanta) {
    double nearest = rint(x / quanta);
    double rest = fma(-nearest, quanta, x);
    int64_t k = (int64_t)nearest;
    if (fabs(rest) > 0.5 * quanta) {
        double more = rint(rest / quanta);
        k += (int64_t)(more != 0 ? more : copysign(1, rest));
    }
    return k;
}

/* Returns what is decoded from k. */
static inline double fc_restored(int dtype, int64_t k, double quanta) {
    return fc_rounded(dtype, (double)k * quanta);
}

/* Returns half the distance from |y| to the next larger number; at the largest number, to the one
 * before it. (The bits of the next number are those of the number, plus one.) */
static inline double fc_half_step_float(double y) {
    union { float value; uint32_t bits; } next = {(float)fabs(y)};
    float from = next.value;
    if (from >= FLT_MAX) return fc_float_of(FC_FLOAT32)->half_last_step;
    next.bits++;
    return ((double)next.value - (double)from) / 2;
}
static inline double fc_half_step_double(double y) {
    union { double value; uint64_t bits; } next = {fabs(y)};
    double from = next.value;
    if (from >= DBL_MAX) return fc_float_of(FC_FLOAT64)->half_last_step;
    next.bits++;
    return (next.value - from) / 2;
}
static inline double fc_half_step(int dtype, double y) {
    FC_RETURN_BY_CHECKED_FLOAT(dtype, fc_half_step, (y));
}

#endif
