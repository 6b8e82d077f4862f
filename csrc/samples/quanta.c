#include "samples/quanta.h"

double fc_no_limit(int dtype) { return fc_is_float(dtype) ? fc_float_of(dtype)->largest : DBL_MAX; }

static double round_down_float(double x) {
    float nearest = (float)x;
    return (double)nearest <= x ? nearest : nextafterf(nearest, 0);
}

static double round_down_double(double x) { return x; }

double fc_limit_of(int dtype, double quanta) {
    double limit = fmin(quanta * 0x1p63, fc_float_of(dtype)->largest);
    while (limit / quanta >= 0x1p63) limit = nextafter(limit, 0);
    FC_RETURN_BY_FLOAT(dtype, round_down, (limit));
}
