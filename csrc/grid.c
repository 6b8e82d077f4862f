/* Each sample x = k * q, rounded by half a spacing h, leaves the steps from (|x| - h) / k to
 * (|x| + h) / k, if only one k is possible. So does the distance of two samples, whose k is less in
 * doubt where the mean is large. What all samples leave is the answer, and on data that lie on
 * no grid a few leave nothing. */
#include "grid.h"

#include <float.h>
#include <math.h>

#include "flaccodec.h"
#include "quantize.h"
#include "vectors.h"

#define FEW 64     /* samples that most data are refused by */
#define MANY 1024  /* samples that a guess is tried on before all are */
#define PIECE 256  /* samples loaded at once to find these */
#define STRIP 256  /* samples checked at once */
#define GUESSES 64 /* multiples that one distance may be of, to be tried one after another */
#define CUTS 100
#define STEPS 1024 /* the least that is spent on one stream */
#define STEPS_A_SAMPLE 4
#define MOST_DOUBT 0.8
#define ROUNDING 0x1p-51 /* relative, of a sum and a quotient of doubles and then some */
#define ROUNDER 0x1.8p52 /* see quantize_double() in samples.c */
#define LARGEST 0x1p51   /* multiples for which ROUNDER works */

typedef struct {
    double lo, hi; /* steps; none if lo > hi */
} range;

typedef struct {
    int dtype;
    double step; /* nearest to this */
    const fc_source *source;
    double head[MANY]; /* samples that count, neither zero nor the same as the one before */
    int n_head;
    int64_t n_read; /* samples of the stream that were looked at for the head */
    double anchor;  /* the smallest of the first few */
    int64_t left;   /* samples that may still be tried */
} search;

static double half(const search *s, double x) { return fc_half_step(s->dtype, x); }

static double sample_at(int dtype, const void *block, int64_t i) {
    return dtype == FC_FLOAT32 ? (double)((const float *)block)[i] : ((const double *)block)[i];
}

/* -- some samples -------------------------------------------------------------- */

static void add_to_head(search *s, double x) {
    if (isfinite(x) && x != 0 && (!s->n_head || s->head[s->n_head - 1] != x))
        s->head[s->n_head++] = x;
}

static void fill_head(search *s, int n) {
    while (s->n_head < n && s->n_read < s->source->size) {
        int64_t left = s->source->size - s->n_read, count = left < PIECE ? left : PIECE, i = 0;
        const void *block = s->source->load(s->source->context, s->n_read, &count);
        while (i < count && s->n_head < n) add_to_head(s, sample_at(s->dtype, block, i++));
        s->n_read += i;
    }
}

static double smallest(const search *s) {
    double x = s->head[0];
    for (int i = 1; i < s->n_head; i++)
        if (fabs(s->head[i]) < fabs(x)) x = s->head[i];
    return x;
}

/* -- ranges of steps ------------------------------------------------------------ */

/* The multiples of some step of a range that are within `slack` of a distance. */
static range multiples(range r, double distance, double slack) {
    return (range){ceil((distance - slack) * (1 - ROUNDING) / r.hi),
                   floor((distance + slack) * (1 + ROUNDING) / r.lo)};
}

static void keep_multiple(range *r, double distance, double slack, double k) {
    r->lo = fmax(r->lo, (distance - slack) * (1 - ROUNDING) / k);
    r->hi = fmin(r->hi, (distance + slack) * (1 + ROUNDING) / k);
}

enum { NO_MULTIPLE, ONE_MULTIPLE, SEVERAL_MULTIPLES };

/* Narrows a range if the distance can be one multiple only. */
static int narrow(range *r, double distance, double slack) {
    range k = multiples(*r, distance, slack);
    if (k.lo > k.hi) return NO_MULTIPLE;
    if (k.lo != k.hi || k.lo < 1 || k.hi >= LARGEST) return SEVERAL_MULTIPLES;
    keep_multiple(r, distance, slack, k.lo);
    return r->lo <= r->hi ? ONE_MULTIPLE : NO_MULTIPLE;
}

/* Narrows a range by the head. Returns whether anything is left. */
static int agree(search *s, range *r) {
    double width;
    int unclear;
    do {
        width = r->hi - r->lo;
        unclear = 0;
        for (int i = 0; i < s->n_head; i++) {
            double x = s->head[i];
            int found = narrow(r, fabs(x), half(s, x));
            s->left--;
            if (found == SEVERAL_MULTIPLES) {
                unclear = 1;
                found = narrow(r, fabs(x - s->anchor), half(s, x) + half(s, s->anchor));
            }
            if (found == NO_MULTIPLE) return 0;
        }
    } while (unclear && r->hi - r->lo < width / 2);
    return 1;
}

/* -- all samples ------------------------------------------------------------------ */

static int misses(int dtype, double x, double q) {
    if (!isfinite(x)) return 0;
    return fabs(x) / q >= 0x1p63 || fc_restored(dtype, fc_quantize_exactly(x, q), q) != x;
}

/* Whether some sample may miss the grid; quicker than misses(), which knows. */
#define MAY_MISS(type, largest)                                                              \
    FC_WIDE_LOOP static int may_miss_##type(const type *x, int64_t count, double q) {        \
        int doubtful = 0;                                                                    \
        for (int64_t i = 0; i < count; i++) {                                                \
            double quotient = (double)x[i] / q, magnitude = fabs((double)x[i]);              \
            double k = (quotient + ROUNDER) - ROUNDER;                                       \
            int clear = (fabs(quotient) < LARGEST) & (fabs(quotient - k) < 0.49);            \
            doubtful |= (magnitude <= (double)largest) & !(clear & ((type)(k * q) == x[i])); \
        }                                                                                    \
        return doubtful;                                                                     \
    }
MAY_MISS(float, FLT_MAX)
MAY_MISS(double, DBL_MAX)

/* The first sample of a strip that misses the grid; -1 for none. */
static int64_t miss_in_strip(int dtype, const void *strip, int64_t count, double q) {
    int may = dtype == FC_FLOAT32 ? may_miss_float(strip, count, q) : may_miss_double(strip, count, q);
    for (int64_t i = 0; may && i < count; i++)
        if (misses(dtype, sample_at(dtype, strip, i), q)) return i;
    return -1;
}

static int find_miss_in_block(search *s, const uint8_t *block, int64_t count, double q, double *x) {
    for (int64_t i = 0; i < count; i += STRIP) {
        const void *strip = block + i * fc_item_size(s->dtype);
        int64_t n = count - i < STRIP ? count - i : STRIP;
        int64_t at = miss_in_strip(s->dtype, strip, n, q);
        s->left -= n;
        if (at >= 0) return *x = sample_at(s->dtype, strip, at), 1;
    }
    return 0;
}

/* A sample that misses the grid. It becomes one of the head, for other guesses. */
static int find_miss(search *s, double q, double *x) {
    for (int i = 0; i < s->n_head; i++)
        if (misses(s->dtype, s->head[i], q)) return *x = s->head[i], 1;
    for (int64_t first = 0, count; first < s->source->size; first += count) {
        count = s->source->size - first;
        const void *block = s->source->load(s->source->context, first, &count);
        if (!find_miss_in_block(s, block, count, q, x)) continue;
        if (s->n_head < MANY) add_to_head(s, *x);
        return 1;
    }
    return 0;
}

/* Leaves the steps of a range that a sample which q misses allows. What comes back grows with the
 * step, so they are all on one side of q. */
static void cut(const search *s, range *r, double x, double q) {
    double distance = fabs(x);
    int64_t k = distance / q < 0x1p63 ? fc_quantize_exactly(distance, q) : 0;
    if (k < 1) {
        r->lo = INFINITY; /* x has no multiple at all */
        return;
    }
    keep_multiple(r, distance, half(s, x), (double)k);
    if (fc_restored(s->dtype, k, q) < distance)
        r->lo = fmax(r->lo, nextafter(q, INFINITY));
    else
        r->hi = fmin(r->hi, nextafter(q, 0));
}

/* Finds the step of a range, which is so narrow that multiples are certain, that all samples
 * lie on; 0 for none. */
static double settle(search *s, range r) {
    double q = fmin(fmax(s->step, r.lo), r.hi), x;
    for (int i = 0; i < CUTS && r.lo <= r.hi; i++) {
        if (!find_miss(s, q, &x)) return q;
        cut(s, &r, x, q);
        q = r.lo + (r.hi - r.lo) / 2;
    }
    return 0;
}

/* -- guesses ------------------------------------------------------------------------ */

/* What one multiple of the anchor or of a distance leads to. */
typedef double (*guess)(search *s, range r);

/* Tries all multiples that a distance may be of, those near the wanted step first. */
static double try_multiples(search *s, range r, double distance, double slack, double most,
                            guess next) {
    range k = multiples(r, distance, slack);
    k.lo = fmax(k.lo, 1);
    if (!(k.hi < LARGEST) || k.hi - k.lo >= most) return 0;
    double middle = rint(distance / fmin(fmax(s->step, r.lo), r.hi));
    double reach = fmax(k.hi - middle, middle - k.lo);
    for (double i = 0; i <= 2 * reach && s->left > 0; i++) {
        double multiple = middle + (fmod(i, 2) == 0 ? -i / 2 : (i + 1) / 2);
        range some = r;
        s->left--;
        if (multiple < k.lo || multiple > k.hi) continue;
        keep_multiple(&some, distance, slack, multiple);
        double q = some.lo <= some.hi && agree(s, &some) ? next(s, some) : 0;
        if (q > 0) return q;
    }
    return 0;
}

/* Few samples allow this range of steps. */
static double try_many(search *s, range r) {
    fill_head(s, MANY);
    if (!agree(s, &r)) return 0;
    return try_multiples(s, r, fabs(s->anchor), half(s, s->anchor), INFINITY, settle);
}

/* The shortest distance of two samples, or of one from zero, that is not lost in roundings: the
 * fewest multiples are possible. */
static double shortest(const search *s, double *slack) {
    double shortest = fabs(s->anchor);
    *slack = half(s, s->anchor);
    for (int i = 0; i < s->n_head; i++) {
        double distance = fabs(s->head[i] - s->anchor);
        double sum = half(s, s->head[i]) + half(s, s->anchor);
        if (distance <= 4 * sum || distance >= shortest) continue;
        shortest = distance;
        *slack = sum;
    }
    return shortest;
}

static range steps_about(double step, double doubt) {
    double hi = step / (1 - fmin(doubt, MOST_DOUBT)) * (1 + ROUNDING);
    return (range){step / (1 + doubt) * (1 - ROUNDING), fmin(hi, DBL_MAX)};
}

double fc_find_grid(int dtype, double step, double doubt, const fc_source *source) {
    search s = {.dtype = dtype, .step = step, .source = source,
                .left = STEPS + STEPS_A_SAMPLE * source->size};
    range r = steps_about(step, doubt);
    fill_head(&s, FEW);
    if (!s.n_head || !(r.lo > 0)) return 0;
    s.anchor = smallest(&s);
    double slack, distance = shortest(&s, &slack);
    range k = multiples(r, distance, slack);
    if (k.hi - k.lo < GUESSES) return try_multiples(&s, r, distance, slack, GUESSES, try_many);
    return agree(&s, &r) ? try_many(&s, r) : 0;
}
