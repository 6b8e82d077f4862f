#include "samples/samples.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/vectors.h"
#include "samples/quantize.h"

#define SIGN64 (UINT64_C(1) << 63)
#define LANES 16

/* -- moving samples ------------------------------------------------------ */

static int is_direct(const fc_view *view, int size, const uint8_t *at) {
    return !view->byte_swapped && view->sample_stride == size && (uintptr_t)at % size == 0;
}

#define MOVE(bits, swap)                                                            \
    static void move##bits(uint8_t *to, int64_t to_stride, const uint8_t *from,     \
                           int64_t from_stride, int64_t count, int swapped) {       \
        for (int64_t i = 0; i < count; i++, to += to_stride, from += from_stride) { \
            uint##bits##_t item;                                                    \
            memcpy(&item, from, bits / 8);                                          \
            if (swapped) item = swap(item);                                         \
            memcpy(to, &item, bits / 8);                                            \
        }                                                                           \
    }
#define KEEP(item) (item)
MOVE(8, KEEP)
MOVE(16, __builtin_bswap16)
MOVE(32, __builtin_bswap32)
MOVE(64, __builtin_bswap64)

static void move(int size, uint8_t *to, int64_t to_stride, const uint8_t *from,
                 int64_t from_stride, int64_t count, int swapped) {
    switch (size) {
    case 1: move8(to, to_stride, from, from_stride, count, swapped); break;
    case 2: move16(to, to_stride, from, from_stride, count, swapped); break;
    case 4: move32(to, to_stride, from, from_stride, count, swapped); break;
    default: move64(to, to_stride, from, from_stride, count, swapped);
    }
}

const void *fc_load_block(const fc_view *view, int dtype, int64_t stream, int64_t first,
                          int64_t count, void *scratch) {
    int size = fc_item_size(dtype);
    const uint8_t *at = view->data;
    at += view->stream_offsets ? view->stream_offsets[stream] : stream * view->stream_stride;
    at += first * view->sample_stride;
    if (is_direct(view, size, at)) return at;
    move(size, scratch, size, at, view->sample_stride, count, view->byte_swapped);
    return scratch;
}

void *fc_store_target(const fc_view *view, int dtype, uint8_t *at) {
    return is_direct(view, fc_item_size(dtype), at) ? at : NULL;
}

void fc_store_block(const fc_view *view, int dtype, uint8_t *at, int64_t count,
                    const void *block) {
    int size = fc_item_size(dtype);
    move(size, at, view->sample_stride, block, size, count, view->byte_swapped);
}

/* -- exceptions ---------------------------------------------------------- */

static int grow(fc_exceptions *list, fc_error *error) {
    int64_t room = list->room ? 2 * list->room : 64;
    fc_exception *items = realloc(list->items, (size_t)room * sizeof *items);
    if (!items) return fc_fail(error, FC_ERR_MEMORY);
    list->items = items;
    list->room = room;
    return FC_OK;
}

int fc_join_exception(fc_exceptions *list, fc_exception e) {
    fc_exception *last = list->n ? list->items + list->n - 1 : NULL;
    if (!last || last->stream != e.stream || last->start + last->length != e.start
        || last->bits != e.bits || e.length > FC_EXCEPTION_MAX_RUN - last->length)
        return 0;
    last->length += e.length;
    return 1;
}

int fc_add_exception(fc_exceptions *list, fc_exception e, fc_error *error) {
    if (fc_join_exception(list, e)) return FC_OK;
    if (list->n == list->room && grow(list, error)) return error->code;
    list->items[list->n++] = e;
    return FC_OK;
}

/* -- the order of floats as integers -------------------------------------- */

/* Both maps keep the order of the values and undo themselves. */
static inline int32_t order32(int32_t bits) { return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1); }
static inline int64_t order64(int64_t bits) { return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1); }

/* -- scanning -------------------------------------------------------------- */

/* Samples mostly come from memory, and these loops need not wait for it; but processors
 * fetch ahead to the end of a page only. Whatever is there may be fetched, be it the array's
 * or not. */
#define AHEAD 4096 /* bytes */
#define LINE 64

static inline void fetch_ahead(const void *at, size_t bytes) {
    const char *ahead = (const char *)((uintptr_t)at + AHEAD);
    for (size_t i = 0; i < bytes; i += LINE) __builtin_prefetch(ahead + i);
}

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
#define UNSIGNED64(v) ((int64_t)((v) ^ SIGN64))
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
            int##bits##_t v = order##bits(x[i]);                                    \
            lo = v < lo ? v : lo;                                                   \
            hi = v > hi ? v : hi;                                                   \
        }                                                                           \
        s->n = count;                                                               \
        s->lo = lo;                                                                 \
        s->hi = hi;                                                                 \
    }
SCAN_BITS(32)
SCAN_BITS(64)

/* Lanes of their own, since a compiler may not reorder a float reduction. */
#define SCAN_FLOATS(type, largest, absolute)                                            \
    FC_WIDE_LOOP static void scan_##type(const type *x, int64_t count, type limit, fc_stats *s) { \
        type lo[LANES], hi[LANES];                                                    \
        int32_t others[LANES] = {0};                                                  \
        int64_t n_other = 0, i = 0;                                                   \
        for (int j = 0; j < LANES; j++) lo[j] = largest, hi[j] = -largest;                \
        for (; i + LANES <= count; i += LANES) {                                      \
            fetch_ahead(x + i, LANES * sizeof *x);                                    \
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

static double largest_magnitude(const fc_stats *s) {
    return fmax(fabs(s->min), fabs(s->max));
}

static void scan_quantized(int dtype, int rule, double limit, const void *block, int64_t count,
                           fc_stats *s) {
    if (dtype == FC_FLOAT32)
        scan_float(block, count, (float)limit, s);
    else
        scan_double(block, count, limit, s);
    if (rule != FC_QUANTA_PRECISION || !s->n) return;
    s->moments = dtype == FC_FLOAT32 ? fc_measure_float(block, count, s->min, s->max, s->n)
                                     : fc_measure_double(block, count, s->min, s->max, s->n);
}

double fc_no_limit(int dtype) { return dtype == FC_FLOAT32 ? (double)FLT_MAX : DBL_MAX; }

double fc_limit_of(int dtype, double quanta) {
    double limit = fmin(quanta * 0x1p63, fc_no_limit(dtype));
    while (limit / quanta >= 0x1p63) limit = nextafter(limit, 0);
    if (dtype != FC_FLOAT32) return limit;
    float narrow = (float)limit;
    return (double)narrow <= limit ? narrow : nextafterf(narrow, 0);
}

/* -- marks ------------------------------------------------------------------- */

static int has_mark(const fc_marks *marks, double value) {
    for (int i = 0; i < marks->n; i++)
        if (marks->values[i] == value) return 1;
    return 0;
}

fc_marks fc_make_marks(int dtype, const double *values, int64_t n) {
    fc_marks marks = {.zero = -1};
    for (int64_t i = 0; i < n; i++) {
        double value = dtype == FC_FLOAT32 ? (double)(float)values[i] : values[i];
        if (!isfinite(value) || has_mark(&marks, value)) continue;
        if (value == 0) marks.zero = marks.n;
        marks.values[marks.n++] = value;
    }
    return marks;
}

int fc_is_unfit(int dtype, const fc_marks *marks, uint64_t bits) {
    double value;
    float narrow;
    uint32_t low = (uint32_t)bits;
    if (dtype == FC_FLOAT32)
        memcpy(&narrow, &low, sizeof narrow), value = narrow;
    else
        memcpy(&value, &bits, sizeof value);
    return isfinite(value) && !has_mark(marks, value);
}

/* x may be out. */
#define MASK(type)                                                                         \
    FC_WIDE_LOOP static int64_t mask_##type(const type *x, int64_t count, type mark, type *out) { \
        int64_t n = 0;                                                                     \
        for (int64_t i = 0; i < count; i++) {                                              \
            n += x[i] == mark;                                                             \
            out[i] = x[i] == mark ? (type)NAN : x[i];                                      \
        }                                                                                  \
        return n;                                                                          \
    }
MASK(float)
MASK(double)

/* Zero is a multiple of all quanta, so it is not masked. */
const void *fc_mask(int dtype, int rule, const fc_marks *marks, const void *block, int64_t count,
                    void *out, fc_marked *marked) {
    *marked = (fc_marked){0, 0};
    for (int i = 0; i < marks->n && rule != FC_QUANTA_NONE; i++) {
        if (i == marks->zero) continue;
        int64_t n = dtype == FC_FLOAT32 ? mask_float(block, count, (float)marks->values[i], out)
                                        : mask_double(block, count, marks->values[i], out);
        if (n) marked->seen |= UINT32_C(1) << i;
        marked->n += n;
        block = out;
    }
    return block;
}

#define COUNT_TO_ZEROS(type)                                          \
    static int64_t to_zeros_##type(const type *x, int64_t count) {    \
        while (count && x[count - 1] == 0) count--;                   \
        return count;                                                 \
    }
COUNT_TO_ZEROS(float)
COUNT_TO_ZEROS(double)

int64_t fc_count_to_zeros(int dtype, const void *block, int64_t count) {
    return dtype == FC_FLOAT32 ? to_zeros_float(block, count) : to_zeros_double(block, count);
}

void fc_scan_block(int dtype, int rule, double limit, const void *block, int64_t count,
                   fc_stats *s) {
    memset(s, 0, sizeof *s);
    switch (dtype) {
    case FC_INT8: scan_int8(block, count, s); return;
    case FC_INT16: scan_int16(block, count, s); return;
    case FC_INT32: scan_int32(block, count, s); return;
    case FC_INT64: scan_int64(block, count, s); return;
    case FC_UINT8: scan_uint8(block, count, s); return;
    case FC_UINT16: scan_uint16(block, count, s); return;
    case FC_UINT32: scan_uint32(block, count, s); return;
    case FC_UINT64: scan_uint64(block, count, s); return;
    }
    if (rule != FC_QUANTA_NONE)
        scan_quantized(dtype, rule, limit, block, count, s);
    else if (dtype == FC_FLOAT32)
        scan_bits32(block, count, s);
    else
        scan_bits64(block, count, s);
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
    return dtype == FC_FLOAT32 ? largest_float(block, count) : largest_double(block, count);
}

/* -- planning ---------------------------------------------------------------- */

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
    uint64_t hi = (uint64_t)s->hi ^ SIGN64;
    if (hi <= INT64_MAX) {
        plan_width((int64_t)((uint64_t)s->lo ^ SIGN64), (int64_t)hi, plan);
        return;
    }
    plan_width(s->lo, s->hi, plan);
    if (plan->channels == 1) plan->offset ^= SIGN64;
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
    double k = largest_magnitude(s) / quanta + 1;
    if (dtype == FC_FLOAT32)
        return k >= 0x1p22 || quanta < 0x1p-100 || k * quanta > (double)FLT_MAX;
    return k >= 0x1p50 || quanta < 0x1p-900 || k * quanta > DBL_MAX;
}

double fc_careless_quanta(int dtype, double magnitude) {
    return dtype == FC_FLOAT32 ? fmax(magnitude * 0x1.00001p-22, 0x1p-100)
                               : fmax(magnitude * 0x1.00001p-50, 0x1p-900);
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

int fc_may_be_wide(int dtype, int mode) {
    return mode == FC_MODE_QUANTIZED || fc_item_size(dtype) == 8;
}

/* -- quantizing ---------------------------------------------------------------- */

/* Rounds to the nearest integer, ties to even, for magnitudes below 2**51:
 * the sum has no bits left for a fraction. */
#define ROUNDER 0x1.8p52

/* One channel, no care needed. Returns whether some quotient lay half way
 * between integers, or too near to that to tell: then the nearest integer is
 * not certain. */
FC_WIDE_LOOP static int quantize_double(const double *x, int64_t count, double quanta,
                                     double offset, int32_t *out) {
    int ties = 0;
    for (int64_t i = 0; i < count; i++) {
        double quotient = x[i] / quanta;
        double k = (quotient + ROUNDER) - ROUNDER;
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
        double k = (quotient + ROUNDER) - ROUNDER;
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
        double k = (quotient + ROUNDER) - ROUNDER;
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

static double sample_at(int dtype, const void *block, int64_t i) {
    return dtype == FC_FLOAT32 ? (double)((const float *)block)[i] : ((const double *)block)[i];
}

static uint64_t bits_at(int dtype, const void *block, int64_t i) {
    uint64_t wide;
    uint32_t narrow;
    if (dtype == FC_FLOAT32)
        return memcpy(&narrow, (const float *)block + i, 4), narrow;
    return memcpy(&wide, (const double *)block + i, 8), wide;
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

static void split(uint64_t value, int64_t i, int32_t *low, int32_t *high, int channels) {
    low[i] = (int32_t)(uint32_t)value;
    if (channels == 2) high[i] = (int32_t)(uint32_t)(value >> 32);
}

/* One exception for sample i of a block. */
static int except(int dtype, const void *block, int64_t i, int64_t stream, int64_t first,
                  fc_exceptions *exceptions, fc_error *error) {
    fc_exception e = {(uint32_t)stream, 1, (uint64_t)(first + i), bits_at(dtype, block, i)};
    return fc_add_exception(exceptions, e, error);
}

/* held is block with finite values in place of the others. */
static int quantize_slowly(int dtype, const fc_plan *plan, const void *block, const void *held,
                           int64_t count, int32_t *low, int32_t *high, int64_t stream,
                           int64_t first, fc_exceptions *exceptions, fc_error *error) {
    const others o = others_of(plan);
    for (int64_t i = 0; i < count; i++) {
        double x = sample_at(dtype, held, i);
        int64_t k = clamp(fc_quantize_exactly(x, plan->quanta), plan);
        split((uint64_t)k - plan->offset, i, low, high, plan->channels);
        int kept = !is_other(sample_at(dtype, block, i), o)
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
        if (!is_other(sample_at(dtype, block, i), o)) continue;
        if (except(dtype, block, i, stream, first, exceptions, error)) return error->code;
    }
    return FC_OK;
}

/* Holds the last sample that counts through those that do not, the first one
 * before it, so that they cost nothing in the residual. */
#define HOLD(type)                                                                           \
    static void hold_##type(const type *x, int64_t count, others o, type *out, type idle) {  \
        type held = idle;                                                                    \
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

static const void *hold(int dtype, const fc_plan *plan, const void *block, int64_t count,
                        void *scratch) {
    double idle = idle_value(dtype, plan);
    if (dtype == FC_FLOAT32)
        hold_float(block, count, others_of(plan), scratch, (float)idle);
    else
        hold_double(block, count, others_of(plan), scratch, idle);
    return scratch;
}

/* Samples that are quantized together: where one needs the slow way, all of
 * them take it. */
#define STRIP 128

/* Whether some of the samples need the slow way. */
static int quantize_fast(int dtype, const fc_plan *plan, const void *held, int64_t count,
                         int32_t *out) {
    double offset = (double)(int64_t)plan->offset;
    int is_float = dtype == FC_FLOAT32;
    if (plan->channels == 2 || (plan->careful && !is_float)) return 1;
    if (plan->careful) return quantize_float_carefully(held, count, plan->quanta, offset, out);
    return is_float ? quantize_float(held, count, plan->quanta, offset, out)
                    : quantize_double(held, count, plan->quanta, offset, out);
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

static int quantize_block(int dtype, const fc_plan *plan, const void *block, int64_t count,
                          int32_t *low, int32_t *high, void *scratch, int64_t stream,
                          int64_t first, fc_exceptions *exceptions, fc_error *error) {
    const uint8_t *held = plan->others ? hold(dtype, plan, block, count, scratch) : block;
    const uint8_t *given = block;
    int size = fc_item_size(dtype);
    for (int64_t i = 0; i < count; i += STRIP) {
        int64_t n = count - i < STRIP ? count - i : STRIP;
        fetch_ahead(given + i * size, (size_t)(n * size));
        int code = quantize_strip(dtype, plan, given + i * size, held + i * size, n, low + i,
                                  high + i, stream, first + i, exceptions, error);
        if (code) return code;
    }
    return FC_OK;
}

/* -- converting ---------------------------------------------------------------- */

#define NARROW(type)                                                                        \
    FC_WIDE_LOOP static void narrow_##type(const type *x, int64_t count, uint64_t offset,   \
                                        int32_t *out) {                                     \
        for (int64_t i = 0; i < count; i++)                                                 \
            out[i] = (int32_t)((uint32_t)x[i] - (uint32_t)offset);                          \
    }                                                                                       \
    FC_WIDE_LOOP static void widen_##type(const int32_t *c, int64_t count, uint64_t offset, \
                                       type *out) {                                         \
        for (int64_t i = 0; i < count; i++)                                                 \
            out[i] = (type)((uint32_t)c[i] + (uint32_t)offset);                             \
    }
NARROW(int8_t)
NARROW(int16_t)
NARROW(int32_t)
NARROW(uint8_t)
NARROW(uint16_t)

FC_WIDE_LOOP void fc_add_offset(int32_t *x, int64_t count, uint64_t offset) {
    for (int64_t i = 0; i < count; i++) x[i] = (int32_t)((uint32_t)x[i] + (uint32_t)offset);
}

/* uint32_t is done as int32_t: the same arithmetic modulo 2**32. */

static void split_block(const uint64_t *x, int64_t count, const fc_plan *plan, int ordered,
                        int32_t *low, int32_t *high) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t value = ordered ? (uint64_t)order64((int64_t)x[i]) : x[i];
        split(value - plan->offset, i, low, high, plan->channels);
    }
}

FC_WIDE_LOOP static void order_block(const int32_t *x, int64_t count, uint64_t offset, int32_t *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = (int32_t)((uint32_t)order32(x[i]) - (uint32_t)offset);
}

static void convert_strip(int dtype, const fc_plan *plan, const void *block, int64_t count,
                          int32_t *low, int32_t *high) {
    switch (dtype) {
    case FC_INT8: narrow_int8_t(block, count, plan->offset, low); break;
    case FC_INT16: narrow_int16_t(block, count, plan->offset, low); break;
    case FC_UINT8: narrow_uint8_t(block, count, plan->offset, low); break;
    case FC_UINT16: narrow_uint16_t(block, count, plan->offset, low); break;
    case FC_INT32:
    case FC_UINT32: narrow_int32_t(block, count, plan->offset, low); break;
    case FC_FLOAT32: order_block(block, count, plan->offset, low); break;
    default: split_block(block, count, plan, dtype == FC_FLOAT64, low, high);
    }
}

int fc_to_channels(int dtype, int mode, const fc_plan *plan, const void *block, int64_t count,
                   int32_t *low, int32_t *high, void *scratch, int64_t stream, int64_t first,
                   fc_exceptions *exceptions, fc_error *error) {
    if (mode == FC_MODE_QUANTIZED)
        return quantize_block(dtype, plan, block, count, low, high, scratch, stream, first,
                              exceptions, error);
    const uint8_t *given = block;
    int size = fc_item_size(dtype);
    for (int64_t i = 0; i < count; i += STRIP) {
        int64_t n = count - i < STRIP ? count - i : STRIP;
        fetch_ahead(given + i * size, (size_t)(n * size));
        convert_strip(dtype, plan, given + i * size, n, low + i, high + i);
    }
    return FC_OK;
}

static uint64_t join(const int32_t *low, const int32_t *high, int64_t i, uint64_t offset) {
    if (!high) return (uint64_t)(int64_t)low[i] + offset;
    return ((uint64_t)(uint32_t)high[i] << 32 | (uint32_t)low[i]) + offset;
}

static void join_block(const int32_t *low, const int32_t *high, int64_t count, uint64_t offset,
                       int ordered, uint64_t *out) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t value = join(low, high, i, offset);
        out[i] = ordered ? (uint64_t)order64((int64_t)value) : value;
    }
}

FC_WIDE_LOOP static void unorder_block(const int32_t *c, int64_t count, uint64_t offset, int32_t *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = order32((int32_t)((uint32_t)c[i] + (uint32_t)offset));
}

/* near: the sums are exact as doubles, so that this is restored(). */
#define RESTORE(type)                                                                           \
    FC_WIDE_LOOP static void restore_near_##type(const int32_t *c, int64_t count,               \
                                              double offset, double quanta, type *out) {        \
        for (int64_t i = 0; i < count; i++)                                                     \
            out[i] = (type)(((double)c[i] + offset) * quanta);                                  \
    }                                                                                           \
    static void restore_##type(const int32_t *low, const int32_t *high, int64_t count,          \
                               uint64_t offset, double quanta, type *out) {                     \
        int64_t signed_offset = (int64_t)offset;                                                \
        if (!high && signed_offset < INT64_C(1) << 52 && signed_offset > -(INT64_C(1) << 52)) { \
            restore_near_##type(low, count, (double)signed_offset, quanta, out);                \
            return;                                                                             \
        }                                                                                       \
        for (int64_t i = 0; i < count; i++)                                                     \
            out[i] = (type)((double)(int64_t)join(low, high, i, offset) * quanta);              \
    }
RESTORE(float)
RESTORE(double)

void fc_from_channels(int dtype, int mode, uint64_t offset, double quanta, const int32_t *low,
                      const int32_t *high, int64_t count, void *out) {
    switch (dtype) {
    case FC_INT8: widen_int8_t(low, count, offset, out); break;
    case FC_INT16: widen_int16_t(low, count, offset, out); break;
    case FC_UINT8: widen_uint8_t(low, count, offset, out); break;
    case FC_UINT16: widen_uint16_t(low, count, offset, out); break;
    case FC_INT32:
    case FC_UINT32: widen_int32_t(low, count, offset, out); break;
    case FC_INT64:
    case FC_UINT64: join_block(low, high, count, offset, 0, out); break;
    case FC_FLOAT32:
        if (mode == FC_MODE_QUANTIZED)
            restore_float(low, high, count, offset, quanta, out);
        else
            unorder_block(low, count, offset, out);
        break;
    default:
        if (mode == FC_MODE_QUANTIZED)
            restore_double(low, high, count, offset, quanta, out);
        else
            join_block(low, high, count, offset, 1, out);
    }
}

void fc_fill_bits(int dtype, uint64_t bits, int64_t count, void *out) {
    uint32_t narrow = (uint32_t)bits;
    for (int64_t i = 0; i < count; i++)
        if (dtype == FC_FLOAT32)
            memcpy((uint8_t *)out + 4 * i, &narrow, 4);
        else
            memcpy((uint8_t *)out + 8 * i, &bits, 8);
}
