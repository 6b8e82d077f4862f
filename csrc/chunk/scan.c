#include "chunk/scan.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "plan/grid.h"
#include "samples/quanta.h"
#include "samples/view.h"
#include "threads/jobs.h"

static double parameter_of(const fc_encode_options *o, int64_t stream) {
    if (o->quanta_rule != FC_QUANTA_GIVEN && o->quanta_rule != FC_QUANTA_PRECISION) return 0;
    return o->parameters[o->n_parameters == 1 ? 0 : stream];
}

static const void *load(fc_encoding *e, int thread, int64_t stream, int64_t first, int64_t end,
                        int64_t *count) {
    *count = end - first < FC_SCAN_BLOCK ? end - first : FC_SCAN_BLOCK;
    return fc_load_block(e->samples, e->options->dtype, stream, first, *count,
                         e->scan_scratch[thread]);
}

/* The samples of a block that count, with NaN for marks. */
static const void *load_counted(fc_encoding *e, int thread, int64_t stream, int64_t first,
                                int64_t end, int64_t *count, fc_marked *marked) {
    const fc_encode_options *o = e->options;
    const void *block = load(e, thread, stream, first, end, count);
    return fc_mask(o->dtype, o->quanta_rule, &e->marks, block, *count,
                   e->scan_scratch[thread] + FC_SCAN_BLOCK * 8, marked);
}

static void scan_block(fc_encoding *e, int thread, int64_t stream, int64_t first, int64_t end,
                       int rule, double limit, fc_stats *stats) {
    int64_t count;
    fc_marked marked;
    const void *block = load_counted(e, thread, stream, first, end, &count, &marked);
    fc_scan_block(e->options->dtype, rule, limit, block, count, stats);
    stats->marked = marked;
}

/* Where the samples end that quanta are chosen by. A chunk at the edge of an array is filled up
 * behind it; zeros elsewhere are samples, and so is a stream of nothing else. */
static int64_t find_end(fc_encoding *e, int thread, int64_t stream) {
    int64_t size = e->options->stream_size, count;
    if (e->options->quanta_rule != FC_QUANTA_PRECISION || e->marks.zero < 0) return size;
    int64_t first = (size - 1) / FC_SCAN_BLOCK * FC_SCAN_BLOCK;
    for (; first >= 0; first -= FC_SCAN_BLOCK) {
        if (fc_is_stopped(e->stopping)) break;
        const void *block = load(e, thread, stream, first, size, &count);
        int64_t kept = fc_count_to_zeros(e->options->dtype, block, count);
        if (kept) return first + kept;
    }
    return size;
}

/* The statistics of a stream, by blocks of samples up to `end`. */
static fc_stats scan_samples(fc_encoding *e, int thread, int64_t stream, int64_t end, int rule,
                             double limit) {
    fc_stats all, more;
    scan_block(e, thread, stream, 0, end, rule, limit, &all);
    for (int64_t first = FC_SCAN_BLOCK; first < end; first += FC_SCAN_BLOCK) {
        if (fc_is_stopped(e->stopping)) break;
        scan_block(e, thread, stream, first, end, rule, limit, &more);
        fc_merge_stats(&all, &more);
    }
    fc_add_zeros(&all, &e->marks, e->options->stream_size - end);
    return all;
}

int64_t fc_find_largest_of(fc_encoding *e, int thread, int64_t stream, double magnitude) {
    int64_t end = e->options->stream_size;
    int rule = e->options->quanta_rule == FC_QUANTA_NONE ? FC_QUANTA_NONE : FC_QUANTA_GIVEN;
    for (int64_t first = 0; first < end; first += FC_SCAN_BLOCK) {
        fc_stats s;
        if (fc_is_stopped(e->stopping)) break;
        scan_block(e, thread, stream, first, end, rule, fc_no_limit(e->options->dtype), &s);
        if (!s.n || (s.max < magnitude && -s.min < magnitude)) continue;
        int64_t count;
        fc_marked marked;
        const void *block = load_counted(e, thread, stream, first, end, &count, &marked);
        return first + fc_find_largest(e->options->dtype, block, count);
    }
    return -1;
}

static double magnitude_of(const fc_stats *s) { return s->max > -s->min ? s->max : -s->min; }

/* Notes a stream some of whose samples may not be held by its quanta. */
static void note_misfit(fc_encoding *e, int64_t stream, const fc_stats *stats, double quanta) {
    double magnitude = magnitude_of(stats), ratio = magnitude / quanta;
    fc_misfits *m = &e->misfits;
    pthread_mutex_lock(&m->mutex);
    if (ratio > m->ratio || (ratio == m->ratio && stream < m->stream)) {
        m->ratio = ratio;
        m->magnitude = magnitude;
        m->stream = stream;
    }
    pthread_mutex_unlock(&m->mutex);
}

static int fail_too_fine(fc_encoding *e, int thread, int64_t stream, const fc_stats *stats,
                         fc_error *error) {
    error->stream = stream;
    error->sample = fc_find_largest_of(e, thread, stream, magnitude_of(stats));
    return error->code;
}

/* Plans a stream for those of its samples that its quanta can hold. */
static int plan_within_limit(fc_encoding *e, int thread, int64_t stream, int64_t end,
                             const fc_stats *stats, fc_plan *plan, fc_error *error) {
    const fc_encode_options *o = e->options;
    double quanta = plan->quanta;
    note_misfit(e, stream, stats, quanta);
    if (quanta == 0) return fail_too_fine(e, thread, stream, stats, error); /* they hold none */
    double limit = fc_limit_of(o->dtype, quanta);
    fc_stats held = scan_samples(e, thread, stream, end, FC_QUANTA_GIVEN, limit);
    return fc_plan_stream(o->dtype, FC_QUANTA_GIVEN, quanta, limit, &e->marks, &held, 0, plan,
                          error);
}

/* Where samples of one stream are loaded from. */
typedef struct {
    fc_encoding *shared;
    int thread;
    int64_t stream;
} loading;

static const void *load_some(void *context, int64_t first, int64_t *count) {
    const loading *p = context;
    fc_marked marked;
    return load_counted(p->shared, p->thread, p->stream, first, first + *count, count, &marked);
}

/* Samples that were written with quanta q and read have another RMS, by the rounding of each at
 * most: so precision asks for other quanta then, but near q. With q nothing changes. */
static int plan_on_grid(fc_encoding *e, int thread, int64_t stream, int64_t end,
                        const fc_stats *stats, fc_plan *plan, fc_error *error) {
    const fc_encode_options *o = e->options;
    if (o->quanta_rule != FC_QUANTA_PRECISION || !stats->n || stats->min == stats->max)
        return FC_OK;
    double rounding = 0.5 + fc_half_step(o->dtype, magnitude_of(stats)) / plan->quanta;
    double doubt = rounding * pow(10, -parameter_of(o, stream));
    loading loading = {e, thread, stream};
    fc_source source = {load_some, &loading, end};
    double quanta = fc_find_grid(o->dtype, plan->quanta, doubt, &source);
    if (quanta == 0 || quanta == plan->quanta) return FC_OK;
    return fc_plan_stream(o->dtype, FC_QUANTA_GIVEN, quanta, fc_no_limit(o->dtype), &e->marks,
                          stats, 0, plan, error);
}

static int plan_stream(fc_encoding *e, int thread, int64_t stream, int64_t end,
                       const fc_stats *stats, fc_error *error) {
    fc_plan plan;
    const fc_encode_options *o = e->options;
    int code = fc_plan_stream(o->dtype, o->quanta_rule, parameter_of(o, stream),
                              fc_no_limit(o->dtype), &e->marks, stats, o->plain, &plan, error);
    if (!code) code = plan_on_grid(e, thread, stream, end, stats, &plan, error);
    if (code == FC_ERR_QUANTA_TOO_FINE) {
        if (o->strict) return fail_too_fine(e, thread, stream, stats, error);
        code = plan_within_limit(e, thread, stream, end, stats, &plan, error);
    } else if (!code && plan.careful) {
        note_misfit(e, stream, stats, plan.quanta);
    }
    if (code) return error->stream = stream, code;
    fc_keep_plan(e, stream, &plan);
    return FC_OK;
}

static int scan_stream(fc_encoding *e, int thread, int64_t stream, fc_error *error) {
    int64_t end = find_end(e, thread, stream);
    fc_stats all = scan_samples(e, thread, stream, end, e->options->quanta_rule,
                                fc_no_limit(e->options->dtype));
    return plan_stream(e, thread, stream, end, &all, error);
}

static int scan_some(void *context, int thread, int64_t job, fc_error *error) {
    fc_encoding *e = context;
    int64_t end = (job + 1) * e->streams_a_job;
    if (end > e->options->n_streams) end = e->options->n_streams;
    for (int64_t stream = job * e->streams_a_job; stream < end; stream++)
        if (scan_stream(e, thread, stream, error)) return error->code;
    return FC_OK;
}

static int scan_one_block(void *context, int thread, int64_t job, fc_error *error) {
    fc_encoding *e = context;
    (void)error;
    scan_block(e, thread, e->scan_stream, job * FC_SCAN_BLOCK, e->scan_end, e->options->quanta_rule,
               fc_no_limit(e->options->dtype), e->scans + job);
    return FC_OK;
}

/* For fewer streams than threads: all threads on one stream after another. */
static int scan_by_blocks(fc_encoding *e, fc_error *error) {
    int64_t size = e->options->stream_size;
    e->scans = malloc((size_t)((size + FC_SCAN_BLOCK - 1) / FC_SCAN_BLOCK) * sizeof *e->scans);
    if (!e->scans) return fc_fail(error, FC_ERR_MEMORY);
    for (int64_t stream = 0; stream < e->options->n_streams; stream++) {
        e->scan_stream = stream;
        e->scan_end = find_end(e, 0, stream);
        int64_t n_blocks = (e->scan_end + FC_SCAN_BLOCK - 1) / FC_SCAN_BLOCK;
        if (fc_run_jobs(e->n_threads, n_blocks, scan_one_block, NULL, e, e->stopping, error))
            return error->code;
        for (int64_t i = 1; i < n_blocks; i++) fc_merge_stats(e->scans, e->scans + i);
        fc_add_zeros(e->scans, &e->marks, size - e->scan_end);
        if (plan_stream(e, 0, stream, e->scan_end, e->scans, error)) return error->code;
    }
    return FC_OK;
}

int fc_scan_streams(fc_encoding *e, fc_error *error) {
    int64_t n = e->options->n_streams;
    if (n < e->n_threads) return scan_by_blocks(e, error);
    e->streams_a_job = 1 + FC_JOB_SAMPLES / e->options->stream_size;
    return fc_run_jobs(e->n_threads, (n + e->streams_a_job - 1) / e->streams_a_job, scan_some,
                       NULL, e, e->stopping, error);
}
