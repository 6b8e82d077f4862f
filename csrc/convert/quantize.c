#include "convert/quantize.h"

#include <math.h>
#include <string.h>

#include "base/vectors.h"
#include "convert/channels.h"
#include "samples/dtype.h"
#include "samples/quanta.h"
#include "samples/view.h"

/* One channel, no care needed. Returns whether some quotient lay half way
 * between integers, or too near to that to tell: then the nearest integer is
 * not certain. */
FC_WIDE_LOOP static int quantize_double(const double *x, int64_t count, double quanta,
                                     double offset, int32_t *out) {
    int ties = 0;
    for (int64_t i = 0; i < count; i++) {
        double quotient = x[i] / quanta;
        double k = (quotient + FC_ROUNDER) - FC_ROUNDER;
        /* A quotient is rounded to what it is nearest to, and halves are numbers. */
        ties |= fabs(quotient - k) == 0.5;
        out[i] = (int32_t)(k - offset);
    }
    return ties;
}

/* The same for quotients below 2**23: a product with the inverse is then within
 * 2**-28 of the quotient, and faster. */
FC_WIDE_LOOP static int quantize_float(const float *x, int64_t count, double quanta, double offset,
                                    int32_t *out) {
    double inverse = 1 / quanta;
    int ties = 0;
    for (int64_t i = 0; i < count; i++) {
        double quotient = (double)x[i] * inverse;
        double k = (quotient + FC_ROUNDER) - FC_ROUNDER;
        ties |= fabs(quotient - k) >= 0.5 - 0x1p-20;
        out[i] = (int32_t)(k - offset);
    }
    return ties;
}

/* The same for quotients up to 2**31, and checked: all stand where promised and stay
 * there. A sample that comes back as it was does. So does one that is rounded to
 * k unequivocally and whose k comes back as what is rounded to k again: then its
 * error is what the quantum and the rounding of the dtype allow. */
FC_WIDE_LOOP static int quantize_float_carefully(const float *x, int64_t count, double quanta,
                                              double offset, int32_t *out) {
    double inverse = 1 / quanta;
    int doubtful = 0;
    for (int64_t i = 0; i < count; i++) {
        double quotient = (double)x[i] * inverse;
        double k = (quotient + FC_ROUNDER) - FC_ROUNDER;
        float y = (float)(k * quanta);
        int stays = (y == x[i]) | (fabs((double)y * inverse - k) < 0.5 - 0x1p-20);
        int clear = (fabs(quotient) < 0x1p31) & (fabs(quotient - k) < 0.5 - 0x1p-20);
        doubtful |= !(stays & clear);
        out[i] = clear ? (int32_t)(k - offset) : 0;
    }
    return doubtful;
}

/* Whether a sample is one of the marks behind the first. */
static int is_further_mark(double x, const fc_plan *plan) {
    for (uint32_t left = plan->apart & (plan->apart - 1); left; left &= left - 1)
        if (x == plan->marks->values[__builtin_ctz(left)]) return 1;
    return 0;
}

/* Which samples are stored as they are, and their integers mean nothing: in one place, so that
 * compilers need not think that what loops write changes it. */
typedef struct {
    double limit, mark;
    const fc_plan *further; /* with more marks; NULL for none */
} others;

static others others_of(const fc_plan *plan) {
    return (others){plan->limit, plan->mark, plan->apart & (plan->apart - 1) ? plan : NULL};
}

static inline int is_other(double x, others o) {
    return (!(fabs(x) <= o.limit) | (x == o.mark)) || (o.further && is_further_mark(x, o.further));
}

static uint64_t bits_float(const void *block, int64_t i) {
    uint32_t bits;
    return memcpy(&bits, (const float *)block + i, 4), bits;
}

static uint64_t bits_double(const void *block, int64_t i) {
    uint64_t bits;
    return memcpy(&bits, (const double *)block + i, 8), bits;
}

static uint64_t bits_of(int dtype, const void *block, int64_t i) {
    FC_RETURN_BY_FLOAT(dtype, bits, (block, i));
}

/* Whether k gives back x as promised, and itself when written again. */
static int keeps_promise(int dtype, double x, int64_t k, double quanta) {
    double y = fc_restored(dtype, k, quanta);
    if (!isfinite(y) || fabs(x - y) > quanta / 2 + fc_half_step(dtype, y)) return 0;
    if (fabs(y) / quanta >= 0x1p63) return 0;
    return fc_restored(dtype, fc_quantize_exactly(y, quanta), quanta) == y;
}

/* k, or what is nearest to it among the integers that the stream's bits hold. Beyond
 * those of int64 there are none. */
static int64_t clamp(int64_t k, const fc_plan *plan) {
    if (plan->channels == 2) return k;
    int64_t offset = (int64_t)plan->offset, half = INT64_C(1) << (plan->bits - 1);
    int64_t lo = offset < INT64_MIN + half ? INT64_MIN : offset - half;
    int64_t hi = offset > INT64_MAX - half ? INT64_MAX : offset + half - 1;
    return k < lo ? lo : k > hi ? hi : k;
}

/* One exception for sample i of a block. */
static int except(int dtype, const void *block, int64_t i, int64_t stream, int64_t first,
                  fc_exceptions *exceptions, fc_error *error) {
    fc_exception e = {(uint32_t)stream, 1, (uint64_t)(first + i), bits_of(dtype, block, i)};
    return fc_add_exception(exceptions, e, error);
}

/* held is block with finite values in place of the others. */
static int quantize_slowly(int dtype, const fc_plan *plan, const void *block, const void *held,
                           int64_t count, int32_t *low, int32_t *high, int64_t stream,
                           int64_t first, fc_exceptions *exceptions, fc_error *error) {
    const others o = others_of(plan);
    for (int64_t i = 0; i < count; i++) {
        double x = fc_sample(dtype, held, i);
        int64_t k = clamp(fc_quantize_exactly(x, plan->quanta), plan);
        fc_split_words((uint64_t)k - plan->offset, i, low, high, plan->channels);
        int kept = !is_other(fc_sample(dtype, block, i), o)
            && (!plan->careful || keeps_promise(dtype, x, k, plan->quanta));
        if (!kept && except(dtype, block, i, stream, first, exceptions, error))
            return error->code;
    }
    return FC_OK;
}

/* Lists the samples of a block that are stored as they are. */
static int list_others(int dtype, const fc_plan *plan, const void *block, int64_t count,
                       int64_t stream, int64_t first, fc_exceptions *exceptions,
                       fc_error *error) {
    const others o = others_of(plan);
    for (int64_t i = 0; i < count; i++) {
        if (!is_other(fc_sample(dtype, block, i), o)) continue;
        if (except(dtype, block, i, stream, first, exceptions, error)) return error->code;
    }
    return FC_OK;
}

/* Holds the last sample that counts through those that do not, the first one
 * before it, so that they cost nothing in the residual. */
#define HOLD(type)                                                                           \
    static void hold_##type(const type *x, int64_t count, others o, type *out, double idle) { \
        type held = (type)idle;                                                              \
        for (int64_t i = 0; i < count; i++)                                                  \
            if (!is_other(x[i], o)) {                                                        \
                held = x[i];                                                                 \
                break;                                                                       \
            }                                                                                \
        for (int64_t i = 0; i < count; i++) out[i] = held = is_other(x[i], o) ? held : x[i]; \
    }
HOLD(float)
HOLD(double)

/* What a block holds that has no sample that counts: the offset, or what is nearest to it among
 * the numbers that have an integer. */
static double idle_value(int dtype, const fc_plan *plan) {
    double idle = fc_restored(dtype, (int64_t)plan->offset, plan->quanta);
    return copysign(fmin(fabs(idle), fc_limit_of(dtype, plan->quanta)), idle);
}

static void hold(int dtype, const fc_plan *plan, const void *block, int64_t count, void *out) {
    FC_RETURN_BY_FLOAT(dtype, hold, (block, count, others_of(plan), out, idle_value(dtype, plan)));
}

static int quantize_fast_float(const fc_plan *plan, const float *held, int64_t count,
                               double offset, int32_t *out) {
    return (plan->careful ? quantize_float_carefully : quantize_float)(held, count, plan->quanta,
                                                                       offset, out);
}

static int quantize_fast_double(const fc_plan *plan, const double *held, int64_t count,
                                double offset, int32_t *out) {
    return plan->careful || quantize_double(held, count, plan->quanta, offset, out);
}

/* Quantizes a strip. Returns whether some of its samples need the slow way. */
static int quantize_fast(int dtype, const fc_plan *plan, const void *held, int64_t count,
                         int32_t *out) {
    double offset = (double)(int64_t)plan->offset;
    if (plan->channels == 2) return 1;
    FC_RETURN_BY_FLOAT(dtype, quantize_fast, (plan, held, count, offset, out));
}

static int quantize_strip(int dtype, const fc_plan *plan, const void *block, const void *held,
                          int64_t count, int32_t *low, int32_t *high, int64_t stream,
                          int64_t first, fc_exceptions *exceptions, fc_error *error) {
    int slow = quantize_fast(dtype, plan, held, count, low);
    if (slow)
        return quantize_slowly(dtype, plan, block, held, count, low, high, stream, first,
                               exceptions, error);
    if (!plan->others) return FC_OK;
    return list_others(dtype, plan, block, count, stream, first, exceptions, error);
}

int fc_quantize_block(int dtype, const fc_plan *plan, const void *block, int64_t count,
                      int32_t *low, int32_t *high, void *scratch, int64_t stream, int64_t first,
                      fc_exceptions *exceptions, fc_error *error) {
    const uint8_t *given = block, *held = block;
    if (plan->others) {
        hold(dtype, plan, block, count, scratch);
        held = scratch;
    }
    int size = fc_item_size(dtype);
    for (int64_t i = 0; i < count; i += FC_STRIP) {
        int64_t n = count - i < FC_STRIP ? count - i : FC_STRIP;
        fc_fetch_ahead(given + i * size, (size_t)(n * size));
        int code = quantize_strip(dtype, plan, given + i * size, held + i * size, n, low + i,
                                  high + i, stream, first + i, exceptions, error);
        if (code) return code;
    }
    return FC_OK;
}
