#include "plan/plan.h"

#include <float.h>
#include <math.h>

#include "base/error.h"
#include "samples/dtype.h"
#include "samples/order.h"
#include "samples/quanta.h"

static double largest_magnitude(const fc_stats *s) {
    return fmax(fabs(s->min), fabs(s->max));
}

/* FLAC's sample sizes that a frame header can tell. */
static int width_of(int64_t lo, int64_t hi) {
    static const int widths[] = {8, 12, 16, 20, 24, 32};
    for (int i = 0; i < 6; i++)
        if (lo >= -(INT64_C(1) << (widths[i] - 1)) && hi < INT64_C(1) << (widths[i] - 1))
            return widths[i];
    return 64;
}

/* Integers lo to hi, without the offset or about the middle of the range,
 * whichever is narrower. */
static void plan_width(int64_t lo, int64_t hi, fc_plan *plan) {
    uint64_t range = (uint64_t)hi - (uint64_t)lo, half = range / 2 + (range & 1);
    int plain = width_of(lo, hi);
    int centred = range > UINT32_MAX ? 64 : width_of(-(int64_t)half, (int64_t)(range / 2));
    plan->offset = centred < plain ? (uint64_t)lo + half : 0;
    plan->bits = centred < plain ? centred : plain;
    plan->channels = plan->bits == 64 ? 2 : 1;
    if (plan->channels == 2) plan->bits = 32;
}

/* uint64 is scanned as v - 2**63; a stream that needs no offset there is
 * one of small values, as in any other type. */
static void plan_uint64(const fc_stats *s, fc_plan *plan) {
    uint64_t hi = (uint64_t)s->hi ^ FC_SIGN64;
    if (hi <= INT64_MAX) {
        plan_width((int64_t)((uint64_t)s->lo ^ FC_SIGN64), (int64_t)hi, plan);
        return;
    }
    plan_width(s->lo, s->hi, plan);
    if (plan->channels == 1) plan->offset ^= FC_SIGN64;
}

/* A stream whose values are all one: any quanta that divide it will do. */
static double quanta_of_constant(const fc_stats *s) {
    double value = s->n ? largest_magnitude(s) : 0;
    return value > 0 ? value : 1;
}

/* (max - min) / 2**30; where that is finer than a float64 can tell apart at
 * the stream's level, the coarsest power of two that loses nothing there. */
static double quanta_of_range(const fc_stats *s) {
    double quanta = ldexp(s->max, -30) - ldexp(s->min, -30);
    return fmax(quanta, fmax(ldexp(1, ilogb(largest_magnitude(s)) - 52), DBL_TRUE_MIN));
}

static double choose_quanta(int rule, double parameter, const fc_stats *s) {
    if (rule == FC_QUANTA_GIVEN) return parameter;
    if (!s->n || s->min == s->max) return quanta_of_constant(s);
    if (rule == FC_QUANTA_RANGE) return quanta_of_range(s);
    return fc_rms_over(&s->moments, pow(10, parameter));
}

/* Whether a sample could fail to come back within half a quantum, or to be
 * quantized to itself when it is written again: where quanta are not well
 * above the rounding of the dtype, or the restored value overflows. */
static int needs_care(int dtype, double quanta, const fc_stats *s) {
    const fc_float *f = fc_float_of(dtype);
    double k = largest_magnitude(s) / quanta + 1;
    return k >= f->careful_from || quanta < f->careful_below || k * quanta > f->largest;
}

double fc_careless_quanta(int dtype, double magnitude) {
    const fc_float *f = fc_float_of(dtype);
    return fmax(magnitude * (0x1.00001p0 / f->careful_from), f->careful_below);
}

/* Among the other samples, and a multiple of the quanta, a mark is one of them: that
 * costs less than an exception, and is as exact. */
static int stands_apart(int dtype, double mark, double quanta, const fc_stats *s) {
    if (mark == 0) return 0;
    return !s->n || mark < s->min || mark > s->max || fabs(mark) / quanta >= 0x1p63
        || fc_restored(dtype, fc_quantize_exactly(mark, quanta), quanta) != mark;
}

static void add_value(fc_stats *s, double value) {
    s->min = s->n ? fmin(s->min, value) : value;
    s->max = s->n ? fmax(s->max, value) : value;
    s->n++;
}

void fc_keep_apart(fc_plan *plan, uint32_t apart) {
    plan->apart = apart;
    plan->mark = apart ? plan->marks->values[__builtin_ctz(apart)] : NAN;
}

/* Decides for each mark that was seen whether it stands apart; those that do not
 * are added to the statistics. */
static void plan_marks(int dtype, fc_stats *s, fc_plan *plan) {
    const fc_stats others = *s;
    uint32_t apart = 0;
    for (int i = 0; i < plan->marks->n; i++) {
        double mark = plan->marks->values[i];
        if (!(s->marked.seen >> i & 1)) continue;
        if (stands_apart(dtype, mark, plan->quanta, &others))
            apart |= UINT32_C(1) << i;
        else
            add_value(s, mark);
    }
    fc_keep_apart(plan, apart);
    plan->others = s->n_other > s->marked.n || apart;
}

/* Room for the roundings between this and the check that finds them too fine. */
double fc_smallest_quanta(double magnitude) {
    return nextafter(ldexp(magnitude, -63), INFINITY) * (1 + 0x1p-50);
}

static int plan_quantized(int dtype, int rule, double parameter, const fc_stats *s, fc_plan *plan,
                          fc_error *error) {
    double quanta = fmin(choose_quanta(rule, parameter, s), DBL_MAX); /* coarser is no float64 */
    plan->quanta = quanta;
    if (isnan(quanta) || quanta < 0 || (rule == FC_QUANTA_GIVEN && !(parameter > 0))
        || (rule == FC_QUANTA_GIVEN && !isfinite(parameter))) {
        fc_fail(error, FC_ERR_QUANTA);
        error->value = rule == FC_QUANTA_GIVEN ? parameter : quanta;
        return error->code;
    }
    if (quanta == 0 || (s->n && largest_magnitude(s) / quanta >= 0x1p63)) {
        fc_fail(error, FC_ERR_QUANTA_TOO_FINE);
        error->value = fc_smallest_quanta(largest_magnitude(s));
        return error->code;
    }
    fc_stats all = *s;
    plan_marks(dtype, &all, plan);
    if (!all.n) return plan_width(0, 0, plan), FC_OK;
    plan_width(fc_quantize_exactly(all.min, quanta), fc_quantize_exactly(all.max, quanta), plan);
    plan->careful = needs_care(dtype, quanta, &all);
    return FC_OK;
}

/* Neither offset nor fewer channels than the dtype may need. */
static void plan_plain(int dtype, const fc_stats *s, fc_plan *plan) {
    plan->channels = fc_item_size(dtype) == 8 ? 2 : 1;
    plan->bits = plan->channels == 2 ? 32 : width_of(s->lo, s->hi);
}

int fc_plan_stream(int dtype, int rule, double parameter, double limit, const fc_marks *marks,
                   const fc_stats *s, int plain, fc_plan *plan, fc_error *error) {
    *plan = (fc_plan){.limit = limit, .marks = marks, .mark = NAN};
    if (plain) return plan_plain(dtype, s, plan), FC_OK;
    if (rule != FC_QUANTA_NONE)
        return plan_quantized(dtype, rule, parameter, s, plan, error);
    if (dtype == FC_UINT64)
        plan_uint64(s, plan);
    else
        plan_width(s->lo, s->hi, plan);
    return FC_OK;
}
