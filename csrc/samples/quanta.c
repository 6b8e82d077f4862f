#include "samples/quanta.h"

double fc_no_limit(int dtype) { return dtype == FC_FLOAT32 ? (double)FLT_MAX : DBL_MAX; }

double fc_limit_of(int dtype, double quanta) {
    double limit = fmin(quanta * 0x1p63, fc_no_limit(dtype));
    while (limit / quanta >= 0x1p63) limit = nextafter(limit, 0);
    if (dtype != FC_FLOAT32) return limit;
    float narrow = (float)limit;
    return (double)narrow <= limit ? narrow : nextafterf(narrow, 0);
}
