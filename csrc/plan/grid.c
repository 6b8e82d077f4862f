/* Each sample x = k * q, rounded by half a spacing h, leaves the steps from (|x| - h) / k to
 * (|x| + h) / k, if only one k is possible. So does the distance of two samples, whose k is less in
 * doubt where the mean is large. What all samples leave is the answer, and on data that lie on
 * no grid a few leave nothing. */
#include "plan/grid.h"

#include <float.h>
#include <math.h>

#include "base/vectors.h"
#include "samples/dtype.h"
#include "samples/quanta.h"

#define FEW 16     /* samples that most data are refused by */
#define MANY 1024  /* samples that a guess is tried on before all are */
#define ROOM (MANY + CUTS)
#define PIECE 256  /* samples loaded at once to find these */
#define STRIP 256  /* samples checked at once */
#define GUESSES 64 /* multiples that one distance may be of, to be tried one after another */
#define CUTS 100
#define HALVINGS 60
#define STEPS 1024 /* that are spent on guesses for one stream: these, and more for */
#define STEPS_A_SAMPLE 64 /* each sample up to */
#define MOST_STEPS 32768 /* in all, and one for each sample */
#define HARD_STEPS 64 /* and some if the dtype hardly resolves steps: most guesses take long */
#define MOST_DOUBT 0.8
#define ROUNDING 0x1p-51 /* relative, of a sum and a quotient of doubles and then some */
#define LARGEST 0x1p51   /* multiples for which FC_ROUNDER works */

typedef struct {
    double lo, hi; /* steps; none if lo > hi */
} range;

typedef struct {
    int dtype;
    double step; /* nearest to this */
    const fc_source *source;
    double head[ROOM]; /* samples that count, neither zero nor the same as the one before */
    int n_head;
    int64_t n_read; /* samples of the stream that were looked at for the head */
    double anchor;  /* the smallest of the first few */
    int64_t left;   /* samples that may still be tried */
} search;

static double half(const search *s, double x) { return fc_half_step(s->dtype, x); }

/* -- some samples -------------------------------------------------------------- */

static void add_to_head(search *s, double x) {
    if (isfinite(x) && x != 0 && (!s->n_head || s->head[s->n_head - 1] != x))
        s->head[s->n_head++] = x;
}

static void fill_head(search *s, int n) {
    while (s->n_head < n && s->n_read < s->source->size) {
        int64_t left = s->source->size - s->n_read, count = left < PIECE ? left : PIECE, i = 0;
        const void *block = s->source->load(s->source->context, s->n_read, &count);
        while (i < count && s->n_head < n) add_to_head(s, fc_sample(s->dtype, block, i++));
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

static double nearest_in(range r, double step) { return fmin(fmax(step, r.lo), r.hi); }
static double middle_of(range r) { return r.lo + (r.hi - r.lo) / 2; }

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
            double k = (quotient + FC_ROUNDER) - FC_ROUNDER;                                       \
            int clear = (fabs(quotient) < LARGEST) & (fabs(quotient - k) < 0.49);            \
            doubtful |= (magnitude <= (double)largest) & !(clear & ((type)(k * q) == x[i])); \
        }                                                                                    \
        return doubtful;                                                                     \
    }
MAY_MISS(float, FLT_MAX)
MAY_MISS(double, DBL_MAX)

static int may_miss(int dtype, const void *strip, int64_t count, double q) {
    FC_RETURN_BY_FLOAT(dtype, may_miss, (strip, count, q));
}

/* The first sample of a strip that misses the grid; -1 for none. */
static int64_t miss_in_strip(int dtype, const void *strip, int64_t count, double q) {
    int may = may_miss(dtype, strip, count, q);
    for (int64_t i = 0; may && i < count; i++)
        if (misses(dtype, fc_sample(dtype, strip, i), q)) return i;
    return -1;
}

static int find_miss_in_block(search *s, const uint8_t *block, int64_t count, double q, double *x) {
    for (int64_t i = 0; i < count; i += STRIP) {
        const void *strip = block + i * fc_item_size(s->dtype);
        int64_t n = count - i < STRIP ? count - i : STRIP;
        int64_t at = miss_in_strip(s->dtype, strip, n, q);
        s->left -= n;
        if (at >= 0) return *x = fc_sample(s->dtype, strip, at), 1;
    }
    return 0;
}

static int find_miss_in_head(search *s, double q, double *x) {
    for (int i = 0; i < s->n_head; i++) {
        s->left--;
        if (misses(s->dtype, s->head[i], q)) return *x = s->head[i], 1;
    }
    return 0;
}

/* A sample that misses the grid. It becomes one of the head, for other guesses. */
static int find_miss(search *s, double q, double *x) {
    if (find_miss_in_head(s, q, x)) return 1;
    for (int64_t first = 0, count; first < s->source->size; first += count) {
        count = s->source->size - first;
        const void *block = s->source->load(s->source->context, first, &count);
        if (!find_miss_in_block(s, block, count, q, x)) continue;
        if (s->n_head < ROOM) add_to_head(s, *x);
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
    double q = nearest_in(r, s->step), x;
    for (int i = 0; i < CUTS && r.lo <= r.hi; i++) {
        if (!find_miss(s, q, &x)) return q;
        cut(s, &r, x, q);
        q = middle_of(r);
    }
    return 0;
}

/* -- guesses ------------------------------------------------------------------------ */

/* What one multiple of the anchor or of a distance leads to. */
typedef double (*guess)(search *s, range r);

/* Tries multiples that a distance may be of, at most `most`, outwards from the one for `middle`. */
static double try_multiples(search *s, range r, double distance, double slack, double middle,
                            double most, guess next) {
    range k = multiples(r, distance, slack);
    k.lo = fmax(k.lo, 1);
    double first = rint(distance / middle);
    double reach = fmin(2 * fmax(k.hi - first, first - k.lo) + 1, most);
    for (double i = 0; i < reach && k.hi < LARGEST && s->left > 0; i++) {
        double multiple = first + (fmod(i, 2) == 0 ? -i / 2 : (i + 1) / 2);
        range some = r;
        s->left--;
        if (multiple < k.lo || multiple > k.hi) continue;
        keep_multiple(&some, distance, slack, multiple);
        double q = some.lo <= some.hi ? next(s, some) : 0;
        if (q > 0) return q;
    }
    return 0;
}

/* The anchor's multiple is known. */
static double try_one(search *s, range r) {
    if (s->dtype == FC_FLOAT32 && !agree(s, &r)) return 0; /* for others settle() is quicker */
    return settle(s, r);
}

/* With a mean of very many steps, whatever is in the middle of what the distances from the anchor
 * allow will do: a step, and how much the anchor was rounded by, `shift`. */
typedef struct {
    double step, shift, room; /* room for the shift; below 0 if the samples allow none */
} centre;

/* The distances that are certain to be `multiple` steps. */
typedef struct {
    double distance[ROOM], slack[ROOM], multiple[ROOM];
    int n;
} distances;

static void measure(const search *s, range r, distances *d) {
    double sign = copysign(1, s->anchor);
    d->n = 0;
    for (int i = 0; i < s->n_head; i++) {
        double distance = (s->head[i] - s->anchor) * sign;
        double slack = half(s, s->head[i]);
        range k = multiples(r, fabs(distance), slack + half(s, s->anchor));
        if (k.lo != k.hi || k.hi >= LARGEST) continue;
        d->distance[d->n] = distance;
        d->slack[d->n] = slack;
        d->multiple[d->n++] = copysign(k.lo, distance);
    }
}

static centre shift_for(const search *s, const distances *d, double step) {
    double most = half(s, s->anchor), least = -most;
    for (int i = 0; i < d->n; i++) {
        double shift = d->distance[i] - d->multiple[i] * step;
        least = fmax(least, shift - d->slack[i]);
        most = fmin(most, shift + d->slack[i]);
    }
    return (centre){step, least + (most - least) / 2, most - least};
}

/* The room grows towards one step and shrinks behind it. */
static centre find_centre(const search *s, const distances *d, range r) {
    for (int i = 0; i < HALVINGS; i++) {
        double third = (r.hi - r.lo) / 3;
        centre a = shift_for(s, d, r.lo + third), b = shift_for(s, d, r.hi - third);
        if (a.room < b.room)
            r.lo = a.step;
        else
            r.hi = b.step;
    }
    return shift_for(s, d, middle_of(r));
}

/* The step of a range for one multiple of the anchor that the head lies on; 0 for none. */
static double step_for(search *s, const distances *d, range r, double multiple, int *has_room) {
    double anchor = fabs(s->anchor), x;
    centre c = shift_for(s, d, anchor / multiple);
    s->left -= d->n / 8;
    double q = (anchor + c.shift) / multiple;
    *has_room = c.room >= 0 && r.lo <= q && q <= r.hi;
    double steps[] = {q, nextafter(q, 0), nextafter(q, INFINITY)};
    for (int i = 0; i < 3 && *has_room; i++)
        if (!find_miss_in_head(s, steps[i], &x)) return steps[i];
    return 0;
}

/* The same for the multiples about the centre. */
static double step_near(search *s, const distances *d, range r, centre c) {
    double first = rint((fabs(s->anchor) + c.shift) / c.step);
    int up = 1, down = 1;
    for (double i = 0; s->left > 0 && (up || down); i++) {
        double q = up ? step_for(s, d, r, first + i, &up) : 0;
        if (q == 0 && down && i > 0 && i < first) q = step_for(s, d, r, first - i, &down);
        if (q > 0) return q;
        if (i == 0) up = down = 1; /* the centre itself may be between two */
    }
    return 0;
}

static double try_centre(search *s, range r) {
    distances d;
    for (int i = 0; i < CUTS && s->left > 0; i++) {
        double x;
        measure(s, r, &d);
        centre c = find_centre(s, &d, r);
        double q = step_near(s, &d, r, c);
        if (q == 0 || !find_miss(s, q, &x)) return q;
    }
    return 0;
}

/* A few samples allow this range of steps. Where the mean is so large that the anchor may be many
 * multiples, those nearest to the wanted step are tried first. */
static double try_many(search *s, range r) {
    if (!agree(s, &r)) return 0;
    fill_head(s, MANY);
    if (!agree(s, &r)) return 0;
    double distance = fabs(s->anchor), slack = half(s, s->anchor);
    double q = try_multiples(s, r, distance, slack, nearest_in(r, s->step), GUESSES, try_one);
    return q > 0 ? q : try_centre(s, r);
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

static int64_t allowance(int64_t n) {
    int64_t most = (MOST_STEPS - STEPS) / STEPS_A_SAMPLE;
    return STEPS + STEPS_A_SAMPLE * (n < most ? n : most) + n;
}

double fc_find_grid(int dtype, double step, double doubt, const fc_source *source) {
    search s; /* not all of it zeroed, which would take longer than most searches */
    s.dtype = dtype;
    s.step = step;
    s.source = source;
    s.left = allowance(source->size);
    s.n_head = 0;
    s.n_read = 0;
    range r = steps_about(step, doubt);
    fill_head(&s, FEW);
    if (!s.n_head || !(r.lo > 0)) return 0;
    s.anchor = smallest(&s);
    if (half(&s, s.anchor) > step / 4) s.left = HARD_STEPS + source->size / 4;
    double slack, distance = shortest(&s, &slack);
    range k = multiples(r, distance, slack);
    if (k.hi - k.lo < GUESSES)
        return try_multiples(&s, r, distance, slack, step, 2 * GUESSES, try_many);
    return try_many(&s, r);
}
