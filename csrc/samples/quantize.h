/* A float and the integer it is stored as, one at a time: the arithmetic that all ways to
 * encode and decode agree with. */
#ifndef FC_QUANTIZE_H
#define FC_QUANTIZE_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "flaccodec.h"

/* The integer nearest to x / quanta, whose magnitude is below 2**63. */
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

/* What k comes back as. */
static inline double fc_restored(int dtype, int64_t k, double quanta) {
    double value = (double)k * quanta;
    return dtype == FC_FLOAT32 ? (double)(float)value : value;
}

/* Half the distance to the next larger number; at the largest, to the last. The bits of the next
 * number are those of the number, plus one. */
static inline double fc_half_step(int dtype, double y) {
    union { double value; uint64_t bits; } wide = {fabs(y)};
    union { float value; uint32_t bits; } narrow = {(float)fabs(y)};
    if (dtype == FC_FLOAT32) {
        float from = narrow.value;
        if (from >= FLT_MAX) return 0x1p103;
        narrow.bits++;
        return ((double)narrow.value - (double)from) / 2;
    }
    double from = wide.value;
    if (from >= DBL_MAX) return 0x1p970;
    wide.bits++;
    return (wide.value - from) / 2;
}

#endif
