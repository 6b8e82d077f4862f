#include "encode/encode_frame.h"

#include <stdlib.h>
#include <string.h>

#include "encode/block.h"
#include "encode/lpc.h"
#include "encode/rice.h"
#include "flac/frame.h"

#define N_WINDOWS 2 /* for full frames, and for the last ones of streams */
#define MOST_FIXED_ORDER 4

/* Shares of energy. A sharp predictor is not looked for where the steady one leaves more of the
 * signal's, and not tried where it leaves more of what that one leaves. */
#define MOST_FOR_SHARP 1e-3
#define SHARP_SHARE 0.95

/* The types of subframes. */
#define CONSTANT 0
#define VERBATIM 1
#define FIXED 8
#define LPC 31 /* and the order */

typedef struct {
    float *values;
    int64_t samples;
} window;

enum { STEADY, SHARP, FIXED_ONE, N_MODELS };

/* A predictor and what it leaves. */
typedef struct {
    fc_predictor predictor;
    fc_rice_plan plan;
    uint32_t *folded;
} model;

struct fc_frame_encoder {
    int most_order, most_partition_order;
    window windows[N_WINDOWS];
    int next_window;
    double *windowed; /* with its margin */
    int32_t *shifted; /* samples without wasted bits */
    model models[N_MODELS];
};

/* -- memory ---------------------------------------------------------------------- */

void fc_delete_frame_encoder(fc_frame_encoder *e) {
    if (!e) return;
    for (int i = 0; i < N_WINDOWS; i++) free(e->windows[i].values);
    for (int i = 0; i < N_MODELS; i++) free(e->models[i].folded);
    free(e->windowed);
    free(e->shifted);
    free(e);
}

static int make_blocks(fc_frame_encoder *e, size_t samples) {
    int ok = 1;
    for (int i = 0; i < N_WINDOWS; i++)
        ok &= (e->windows[i].values = malloc(samples * sizeof(float))) != NULL;
    for (int i = 0; i < N_MODELS; i++)
        ok &= (e->models[i].folded = malloc(samples * sizeof(uint32_t))) != NULL;
    e->windowed = calloc(samples + 2 * FC_LAG_MARGIN, sizeof(double));
    e->shifted = malloc(samples * sizeof(int32_t));
    return ok && e->windowed && e->shifted;
}

fc_frame_encoder *fc_new_frame_encoder(int level, int64_t most_samples) {
    /* As libFLAC has its levels. */
    static const int orders[] = {0, 0, 0, 6, 8, 8}, partition_orders[] = {3, 3, 3, 4, 4, 5};
    fc_frame_encoder *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->most_order = orders[level];
    e->most_partition_order = partition_orders[level];
    if (make_blocks(e, (size_t)most_samples)) return e;
    fc_delete_frame_encoder(e);
    return NULL;
}

static const float *window_for(fc_frame_encoder *e, int64_t samples) {
    for (int i = 0; i < N_WINDOWS; i++)
        if (e->windows[i].samples == samples) return e->windows[i].values;
    window *w = e->windows + e->next_window;
    e->next_window = (e->next_window + 1) % N_WINDOWS;
    fc_make_window(w->values, samples);
    w->samples = samples;
    return w->values;
}

/* -- choosing a predictor ---------------------------------------------------------- */

/* Whether the model is of use. */
static int apply(const fc_frame_encoder *e, model *m, const int32_t *x, int64_t samples) {
    if (!fc_fold_residuals(&m->predictor, x, samples, m->folded)) return 0;
    fc_plan_rice(m->folded, samples, m->predictor.order, e->most_partition_order, &m->plan);
    return 1;
}

static int precision_of(const fc_predictor *p) {
    int precision = 2;
    for (int j = 0; j < p->order; j++)
        while (p->coefficient[j] >> (precision - 1) != p->coefficient[j] >> 31) precision++;
    return precision;
}

/* Bits of a subframe, without those that all have. width: of its samples. */
static int64_t bits_of(const model *m, int width) {
    const fc_predictor *p = &m->predictor;
    int64_t before = p->order * width + (p->fixed ? 0 : 9 + p->order * precision_of(p));
    return before + m->plan.bits;
}

static int try_lpc(const fc_frame_encoder *e, model *m, const int32_t *x, int64_t samples,
                   int bits) {
    /* Neither a sum nor a residual exceeds 32 bits unless it is wide. */
    m->predictor.wide = (int64_t)m->predictor.magnitudes << (bits - 1) > INT32_MAX / 2;
    return apply(e, m, x, samples);
}

/* NULL where there is none. */
static const model *best_lpc(fc_frame_encoder *e, const int32_t *x, int64_t samples, int bits,
                             int width) {
    model *steady = e->models + STEADY, *sharp = e->models + SHARP;
    double r[FC_LAGS];
    if (!e->most_order) return NULL;
    fc_autocorrelate(x, window_for(e, samples), samples, e->windowed + FC_LAG_MARGIN, r);
    if (!fc_find_predictor(r, e->most_order, samples, bits, width, FC_STEADY, &steady->predictor)
        || !try_lpc(e, steady, x, samples, bits))
        return NULL;
    double left = fc_energy_left(r, &steady->predictor);
    if (left > MOST_FOR_SHARP * r[0]
        || !fc_find_predictor(r, e->most_order, samples, bits, width, FC_SHARP, &sharp->predictor)
        || fc_energy_left(r, &sharp->predictor) > SHARP_SHARE * left
        || !try_lpc(e, sharp, x, samples, bits))
        return steady;
    return bits_of(sharp, width) < bits_of(steady, width) ? sharp : steady;
}

static void set_fixed(fc_predictor *p, int order, int bits) {
    fc_set_fixed(p, order);
    p->wide = bits + order > 31;
}

/* The fixed predictor that leaves least, and about the least bits that its residual
 * takes: a negative one is folded to an odd number, so that some may be one less. */
static int64_t choose_fixed(const int32_t *x, int64_t samples, int bits, fc_predictor *p) {
    double sums[MOST_FIXED_ORDER + 1];
    int best = 0;
    fc_sum_differences(x, samples, bits, sums);
    for (int order = 1; order <= MOST_FIXED_ORDER; order++)
        if (sums[order] < sums[best]) best = order;
    set_fixed(p, best, bits);
    double odd = sums[best] < (double)samples ? sums[best] : (double)samples;
    return fc_estimate_rice(samples, (uint64_t)(2 * sums[best] - odd));
}

/* Where a residual takes too many bits, one of a lower order may not. */
static int try_fixed(const fc_frame_encoder *e, model *m, const int32_t *x, int64_t samples,
                     int bits) {
    while (!apply(e, m, x, samples)) {
        if (!m->predictor.order) return 0;
        set_fixed(&m->predictor, m->predictor.order - 1, bits);
    }
    return 1;
}

/* The model that takes fewest bits; NULL where there is none. A fixed one is
 * tried only where its residual promises to be about as small. */
static const model *best_model(fc_frame_encoder *e, const int32_t *x, int64_t samples, int bits,
                               int width) {
    model *fixed = e->models + FIXED_ONE;
    const model *lpc = best_lpc(e, x, samples, bits, width);
    int64_t estimate = choose_fixed(x, samples, bits, &fixed->predictor);
    if (lpc && estimate > lpc->plan.bits_unparted + lpc->plan.bits_unparted / 64 + 512)
        return lpc;
    int has_fixed = try_fixed(e, fixed, x, samples, bits);
    if (lpc && (!has_fixed || bits_of(lpc, width) < bits_of(fixed, width))) return lpc;
    return has_fixed ? fixed : NULL;
}

/* A model that promises to take fewer bits than the samples as they are; NULL
 * where none does. bits: that the samples need; width: that they have in the
 * subframe. */
static const model *choose_model(fc_frame_encoder *e, const int32_t *x, int64_t samples, int bits,
                                 int width) {
    const model *m = best_model(e, x, samples, bits, width);
    return m && bits_of(m, width) < samples * width ? m : NULL;
}

/* -- subframes (RFC 9639, section 9.2) ----------------------------------------------- */

static void put_type(fc_bit_writer *w, int type, int wasted) {
    fc_put_bits(w, 8, (uint64_t)type << 1 | (wasted > 0));
    if (wasted) fc_put_bits(w, (unsigned)wasted, 1);
}

static void put_samples(fc_bit_writer *w, const int32_t *x, int64_t samples, int bits) {
    for (int64_t i = 0; i < samples; i++) fc_put_signed(w, (unsigned)bits, x[i]);
}

static void put_predictor(fc_bit_writer *w, const fc_predictor *p, int precision) {
    fc_put_bits(w, 4, (unsigned)precision - 1);
    fc_put_bits(w, 5, (unsigned)p->shift);
    put_samples(w, p->coefficient, p->order, precision);
}

/* 0, with only a part written, where that would take more than a verbatim one. */
static int put_predicted(fc_bit_writer *w, const uint8_t *limit, const model *m, const int32_t *x,
                         int64_t samples, int bits, int wasted) {
    const fc_predictor *p = &m->predictor;
    int precision = p->fixed ? 0 : precision_of(p);
    int64_t before = 8 + wasted + 9 + p->order * (bits + precision);
    if (w->n_held + before > 8 * (limit - w->at)) return 0;
    put_type(w, (p->fixed ? FIXED : LPC) + p->order, wasted);
    put_samples(w, x, p->order, bits);
    if (!p->fixed) put_predictor(w, p, precision);
    return fc_write_rice(w, limit, &m->plan, m->folded, samples, p->order);
}

static const int32_t *without_wasted(fc_frame_encoder *e, const int32_t *x, int64_t samples,
                                     int wasted) {
    if (!wasted) return x;
    for (int64_t i = 0; i < samples; i++) e->shifted[i] = x[i] >> wasted;
    return e->shifted;
}

static void put_constant(fc_bit_writer *w, int32_t value, int bits) {
    put_type(w, CONSTANT, 0);
    put_samples(w, &value, 1, bits);
}

static void put_verbatim(fc_bit_writer *w, const int32_t *x, int64_t samples, int bits,
                         int wasted) {
    put_type(w, VERBATIM, wasted);
    put_samples(w, x, samples, bits);
}

static void put_subframe(fc_frame_encoder *e, fc_bit_writer *w, const int32_t *x, int64_t samples,
                         int bits) {
    fc_survey survey;
    fc_survey_block(x, samples, &survey);
    if (survey.constant) {
        put_constant(w, x[0], bits);
        return;
    }
    int wasted = survey.wasted;
    const int32_t *shifted = without_wasted(e, x, samples, wasted);
    fc_bit_writer start = *w;
    const uint8_t *limit = w->at + samples * (bits - wasted) / 8; /* a verbatim one takes more */
    const model *m = choose_model(e, shifted, samples, survey.bits - wasted, bits - wasted);
    if (m && put_predicted(w, limit, m, shifted, samples, bits - wasted, wasted)) return;
    *w = start;
    put_verbatim(w, shifted, samples, bits - wasted, wasted);
}

/* -- frames -------------------------------------------------------------------------- */

size_t fc_encode_frame_fast(fc_frame_encoder *e, const int32_t *const *channel, int channels,
                            int bits, int64_t samples, int64_t number, uint8_t *out) {
    fc_bit_writer w = {out + fc_write_frame_header(out, channels, bits, samples, number), 0, 0};
    for (int c = 0; c < channels; c++) put_subframe(e, &w, channel[c], samples, bits);
    return fc_end_frame(out, &w);
}
