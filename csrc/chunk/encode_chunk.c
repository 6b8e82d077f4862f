/* Arrays -> chunks. Three steps: scan the streams for their ranges and plan
 * how to store each; encode frames, by jobs of neighbouring ones, each job's
 * bytes appended in order; write what only then is known. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "chunk/format.h"
#include "convert/convert.h"
#include "encode/encode_frame.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "plan/grid.h"
#include "plan/plan.h"
#include "plan/stats.h"
#include "samples/dtype.h"
#include "samples/exceptions.h"
#include "samples/marks.h"
#include "samples/quanta.h"
#include "samples/view.h"
#include "threads/jobs.h"

#define SCAN_BLOCK 16384   /* samples; sums are taken over these blocks in order */
#define JOB_SAMPLES 131072 /* what one job is worth */
#define SAMPLES_A_THREAD 65536
#define JOBS_A_THREAD 2 /* at least, so that none waits for long at the end */
#define MAX_JOB_FRAMES 8192

/* A stream's plan in a number: width, channels, care, what is stored as it is. */
#define KIND_WIDTH 7
#define KIND_TWO 8
#define KIND_CAREFUL 16
#define KIND_OTHERS 32
#define KIND_LIMITED 64
#define KIND_APART 8 /* the first of the bits for marks that stand apart */
static const uint8_t widths[] = {8, 12, 16, 20, 24, 32};

/* What one job works with. */
typedef struct {
    struct encoding *shared;
    fc_frame_encoder *own; /* one of these is there, or both; */
    fc_encoders *libflac;  /* the other is NULL */
    int32_t *low, *high;
    void *loaded, *held; /* samples copied out of a strided input; without NaN */
    uint8_t *bytes;      /* the job's frames in the order in which they came */
    size_t n_bytes;
    struct {
        size_t at, size; /* size 0: none is taken yet */
    } *frames; /* the job's frames in their own order */
    int64_t first; /* the job's first frame, among all of the chunk */
    fc_exceptions exceptions;
} worker;

#define EXCEPTIONS_A_PART 65536

/* Exceptions on their way to the end of the chunk; each part goes when it is written
 * there. One list of all would be in memory twice: while it grows, and beside the chunk. */
typedef struct part {
    struct part *next;
    fc_exceptions list; /* of these */
    fc_exception items[EXCEPTIONS_A_PART];
} part;

/* The stream whose samples need the coarsest quanta, in comparison with those that it has. */
typedef struct {
    pthread_mutex_t mutex;
    double ratio; /* largest magnitude / quanta; 0 for none */
    double magnitude;
    int64_t stream;
} misfits;

typedef struct encoding {
    const fc_view *samples;
    const fc_encode_options *options;
    const fc_allocator *allocator; /* of the chunk */
    fc_marks marks;
    fc_header header;
    uint64_t *offsets;
    uint32_t *kinds;
    double *quanta;       /* NULL where all streams have the header's */
    fc_stats *scans;      /* of the blocks of the stream that is being scanned */
    int64_t scan_stream, scan_end;
    uint8_t **scan_scratch; /* two blocks for each thread */
    int64_t streams_a_job, frames_a_job;
    int n_threads;
    int by_own, by_libflac; /* what encodes frames; where both do, the smaller frame is taken */
    worker *workers;
    int64_t n_workers;
    uint8_t *chunk;
    int64_t written;
    part *first_part, *last_part;
    int64_t n_exceptions;
    int64_t n_unfit; /* runs among these of finite samples that are no marks */
    misfits misfits;
    fc_stopping *stopping;
} encoding;

/* -- checking options ------------------------------------------------------ */

static int check_options(const fc_encode_options *o, fc_error *error) {
    if (!fc_item_size(o->dtype)) return fc_fail_values(error, FC_ERR_DTYPE, o->dtype, -1);
    if (o->n_streams < 0 || o->stream_size < 0 || o->level < 0 || o->level > FC_MAX_LEVEL
        || o->frame_size < FC_MIN_FRAME_SIZE || o->frame_size > FC_MAX_FRAME_SIZE
        || o->flags & ~FC_FLAG_BIG_ENDIAN)
        return fc_fail(error, FC_ERR_ARGUMENT);
    if (!o->n_streams || !o->stream_size) return fc_fail(error, FC_ERR_EMPTY);
    if (o->quanta_rule < FC_QUANTA_NONE || o->quanta_rule > FC_QUANTA_RANGE
        || (o->quanta_rule != FC_QUANTA_NONE && !fc_is_float(o->dtype))
        || o->n_marks < 0 || o->n_marks > FC_MAX_MARKS
        || (o->plain && (fc_is_float(o->dtype) || o->dtype == FC_UINT32)))
        return fc_fail(error, FC_ERR_ARGUMENT);
    int wants_parameters = o->quanta_rule == FC_QUANTA_GIVEN || o->quanta_rule == FC_QUANTA_PRECISION;
    if (wants_parameters && o->n_parameters != 1 && o->n_parameters != o->n_streams)
        return fc_fail_values(error, FC_ERR_ARGUMENT, o->n_parameters, o->n_streams);
    return FC_OK;
}

static double parameter_of(const fc_encode_options *o, int64_t stream) {
    if (o->quanta_rule != FC_QUANTA_GIVEN && o->quanta_rule != FC_QUANTA_PRECISION) return 0;
    return o->parameters[o->n_parameters == 1 ? 0 : stream];
}

/* -- scanning and planning --------------------------------------------------- */

static const void *load(encoding *e, int thread, int64_t stream, int64_t first, int64_t end,
                        int64_t *count) {
    *count = end - first < SCAN_BLOCK ? end - first : SCAN_BLOCK;
    return fc_load_block(e->samples, e->options->dtype, stream, first, *count,
                         e->scan_scratch[thread]);
}

/* The samples of a block that count, with NaN for marks. */
static const void *load_counted(encoding *e, int thread, int64_t stream, int64_t first,
                                int64_t end, int64_t *count, fc_marked *marked) {
    const fc_encode_options *o = e->options;
    const void *block = load(e, thread, stream, first, end, count);
    return fc_mask(o->dtype, o->quanta_rule, &e->marks, block, *count,
                   e->scan_scratch[thread] + SCAN_BLOCK * 8, marked);
}

static void scan_block(encoding *e, int thread, int64_t stream, int64_t first, int64_t end,
                       int rule, double limit, fc_stats *stats) {
    int64_t count;
    fc_marked marked;
    const void *block = load_counted(e, thread, stream, first, end, &count, &marked);
    fc_scan_block(e->options->dtype, rule, limit, block, count, stats);
    stats->marked = marked;
}

/* Where the samples end that quanta are chosen by. A chunk at the edge of an array is filled up
 * behind it; zeros elsewhere are samples, and so is a stream of nothing else. */
static int64_t find_end(encoding *e, int thread, int64_t stream) {
    int64_t size = e->options->stream_size, count;
    if (e->options->quanta_rule != FC_QUANTA_PRECISION || e->marks.zero < 0) return size;
    for (int64_t first = (size - 1) / SCAN_BLOCK * SCAN_BLOCK; first >= 0; first -= SCAN_BLOCK) {
        if (fc_is_stopped(e->stopping)) break;
        const void *block = load(e, thread, stream, first, size, &count);
        int64_t kept = fc_count_to_zeros(e->options->dtype, block, count);
        if (kept) return first + kept;
    }
    return size;
}

/* The statistics of a stream, by blocks of samples up to `end`. */
static fc_stats scan_samples(encoding *e, int thread, int64_t stream, int64_t end, int rule,
                             double limit) {
    fc_stats all, more;
    scan_block(e, thread, stream, 0, end, rule, limit, &all);
    for (int64_t first = SCAN_BLOCK; first < end; first += SCAN_BLOCK) {
        if (fc_is_stopped(e->stopping)) break;
        scan_block(e, thread, stream, first, end, rule, limit, &more);
        fc_merge_stats(&all, &more);
    }
    fc_add_zeros(&all, &e->marks, e->options->stream_size - end);
    return all;
}

static int64_t find_largest(encoding *e, int thread, int64_t stream, double magnitude) {
    int64_t end = e->options->stream_size;
    int rule = e->options->quanta_rule == FC_QUANTA_NONE ? FC_QUANTA_NONE : FC_QUANTA_GIVEN;
    for (int64_t first = 0; first < end; first += SCAN_BLOCK) {
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

static uint32_t kind_of(int dtype, const fc_plan *plan) {
    uint32_t width = 0;
    while (widths[width] != plan->bits) width++;
    return width | (plan->channels == 2 ? KIND_TWO : 0) | (plan->careful ? KIND_CAREFUL : 0)
        | (plan->others ? KIND_OTHERS : 0)
        | (plan->limit < fc_no_limit(dtype) ? KIND_LIMITED : 0) | plan->apart << KIND_APART;
}

static void keep_plan(encoding *e, int64_t stream, const fc_plan *plan) {
    e->offsets[stream] = plan->offset;
    e->kinds[stream] = kind_of(e->options->dtype, plan);
    if (e->quanta)
        e->quanta[stream] = plan->quanta;
    else if (e->options->quanta_rule != FC_QUANTA_NONE && !stream)
        e->header.quanta = plan->quanta;
}

static double magnitude_of(const fc_stats *s) { return s->max > -s->min ? s->max : -s->min; }

/* Notes a stream some of whose samples may not be held by its quanta. */
static void note_misfit(encoding *e, int64_t stream, const fc_stats *stats, double quanta) {
    double magnitude = magnitude_of(stats), ratio = magnitude / quanta;
    misfits *m = &e->misfits;
    pthread_mutex_lock(&m->mutex);
    if (ratio > m->ratio || (ratio == m->ratio && stream < m->stream)) {
        m->ratio = ratio;
        m->magnitude = magnitude;
        m->stream = stream;
    }
    pthread_mutex_unlock(&m->mutex);
}

static int fail_too_fine(encoding *e, int thread, int64_t stream, const fc_stats *stats,
                         fc_error *error) {
    error->stream = stream;
    error->sample = find_largest(e, thread, stream, magnitude_of(stats));
    return error->code;
}

/* Plans a stream for those of its samples that its quanta can hold. */
static int plan_within_limit(encoding *e, int thread, int64_t stream, int64_t end,
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
    encoding *shared;
    int thread;
    int64_t stream;
} place;

static const void *load_some(void *context, int64_t first, int64_t *count) {
    const place *p = context;
    fc_marked marked;
    return load_counted(p->shared, p->thread, p->stream, first, first + *count, count, &marked);
}

/* Samples that were written with quanta q and read have another RMS, by the rounding of each at
 * most: so precision asks for other quanta then, but near q. With q nothing changes. */
static int plan_on_grid(encoding *e, int thread, int64_t stream, int64_t end,
                        const fc_stats *stats, fc_plan *plan, fc_error *error) {
    const fc_encode_options *o = e->options;
    if (o->quanta_rule != FC_QUANTA_PRECISION || !stats->n || stats->min == stats->max)
        return FC_OK;
    double rounding = 0.5 + fc_half_step(o->dtype, magnitude_of(stats)) / plan->quanta;
    double doubt = rounding * pow(10, -parameter_of(o, stream));
    place place = {e, thread, stream};
    fc_source source = {load_some, &place, end};
    double quanta = fc_find_grid(o->dtype, plan->quanta, doubt, &source);
    if (quanta == 0 || quanta == plan->quanta) return FC_OK;
    return fc_plan_stream(o->dtype, FC_QUANTA_GIVEN, quanta, fc_no_limit(o->dtype), &e->marks,
                          stats, 0, plan, error);
}

static int plan_stream(encoding *e, int thread, int64_t stream, int64_t end,
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
    keep_plan(e, stream, &plan);
    return FC_OK;
}

static int scan_stream(encoding *e, int thread, int64_t stream, fc_error *error) {
    int64_t end = find_end(e, thread, stream);
    fc_stats all = scan_samples(e, thread, stream, end, e->options->quanta_rule,
                                fc_no_limit(e->options->dtype));
    return plan_stream(e, thread, stream, end, &all, error);
}

static int scan_streams(void *context, int thread, int64_t job, fc_error *error) {
    encoding *e = context;
    int64_t end = (job + 1) * e->streams_a_job;
    if (end > e->options->n_streams) end = e->options->n_streams;
    for (int64_t stream = job * e->streams_a_job; stream < end; stream++)
        if (scan_stream(e, thread, stream, error)) return error->code;
    return FC_OK;
}

static int scan_one_block(void *context, int thread, int64_t job, fc_error *error) {
    encoding *e = context;
    (void)error;
    scan_block(e, thread, e->scan_stream, job * SCAN_BLOCK, e->scan_end, e->options->quanta_rule,
               fc_no_limit(e->options->dtype), e->scans + job);
    return FC_OK;
}

/* For fewer streams than threads: all threads on one stream after another. */
static int scan_by_blocks(encoding *e, fc_error *error) {
    int64_t size = e->options->stream_size;
    e->scans = malloc((size_t)((size + SCAN_BLOCK - 1) / SCAN_BLOCK) * sizeof *e->scans);
    if (!e->scans) return fc_fail(error, FC_ERR_MEMORY);
    for (int64_t stream = 0; stream < e->options->n_streams; stream++) {
        e->scan_stream = stream;
        e->scan_end = find_end(e, 0, stream);
        int64_t n_blocks = (e->scan_end + SCAN_BLOCK - 1) / SCAN_BLOCK;
        if (fc_run_jobs(e->n_threads, n_blocks, scan_one_block, NULL, e, e->stopping, error))
            return error->code;
        for (int64_t i = 1; i < n_blocks; i++) fc_merge_stats(e->scans, e->scans + i);
        fc_add_zeros(e->scans, &e->marks, size - e->scan_end);
        if (plan_stream(e, 0, stream, e->scan_end, e->scans, error)) return error->code;
    }
    return FC_OK;
}

static int scan(encoding *e, fc_error *error) {
    int64_t n = e->options->n_streams;
    if (n < e->n_threads) return scan_by_blocks(e, error);
    e->streams_a_job = 1 + JOB_SAMPLES / e->options->stream_size;
    return fc_run_jobs(e->n_threads, (n + e->streams_a_job - 1) / e->streams_a_job, scan_streams,
                       NULL, e, e->stopping, error);
}

/* -- encoding frames ----------------------------------------------------------- */

static int64_t largest_block(const fc_header *h) {
    return h->n_frames > 1 ? h->frame_size : h->stream_size;
}

static fc_plan plan_of(const encoding *e, int64_t stream) {
    uint32_t kind = e->kinds[stream];
    int dtype = e->options->dtype;
    double quanta = e->quanta ? e->quanta[stream] : e->header.quanta;
    fc_plan plan = {
        .offset = e->offsets[stream],
        .quanta = quanta,
        .bits = widths[kind & KIND_WIDTH],
        .channels = kind & KIND_TWO ? 2 : 1,
        .careful = kind & KIND_CAREFUL,
        .others = kind & KIND_OTHERS,
        .limit = kind & KIND_LIMITED ? fc_limit_of(dtype, quanta) : fc_no_limit(dtype),
        .marks = &e->marks};
    fc_keep_apart(&plan, kind >> KIND_APART);
    return plan;
}

/* A frame of a job: where it is, and its samples as they are encoded. */
typedef struct {
    int64_t tag, stream, number, first, samples;
    fc_plan plan;
    const int32_t *channel[2];
} frame;

static frame place_frame(const worker *w, int64_t tag) {
    const fc_header *h = &w->shared->header;
    int64_t stream = (w->first + tag) / h->n_frames, number = (w->first + tag) % h->n_frames;
    return (frame){.tag = tag, .stream = stream, .number = number,
                   .first = number * h->frame_size, .samples = fc_frame_samples(h, number),
                   .plan = plan_of(w->shared, stream), .channel = {w->low, w->high}};
}

static int load_frame(worker *w, const frame *f, fc_exceptions *exceptions, fc_error *error) {
    const fc_header *h = &w->shared->header;
    const void *block = fc_load_block(w->shared->samples, h->dtype, f->stream, f->first,
                                      f->samples, w->loaded);
    return fc_to_channels(h->dtype, h->mode, &f->plan, block, f->samples, w->low, w->high,
                          w->held, f->stream, f->first, exceptions, error);
}

static void add_frame(worker *w, int64_t tag, size_t size) {
    w->frames[tag].at = w->n_bytes;
    w->frames[tag].size = size;
    w->n_bytes += size;
}

/* A frame from libFLAC, tagged with its place in the job. It is left where ours is no
 * larger, or a verbatim one is not: libFLAC chooses by estimates. */
static int take_frame(void *context, int64_t tag, const uint8_t *bytes, size_t size) {
    worker *w = context;
    frame f = place_frame(w, tag);
    size_t taken = w->frames[tag].size;
    size_t most = taken ? taken - 1 : fc_frame_bound(f.samples, f.plan.channels, f.plan.bits);
    size_t renumbered = fc_renumbered_size(bytes, size, f.number);
    if (!renumbered) return FC_ERR_ENCODER;
    if (renumbered > most) return FC_OK;
    fc_renumber_frame(bytes, size, f.number, w->bytes + w->n_bytes);
    add_frame(w, tag, renumbered);
    return FC_OK;
}

static void encode_verbatim(worker *w, const frame *f) {
    add_frame(w, f->tag, fc_write_verbatim_frame(f->channel, f->plan.channels, f->plan.bits,
                                                 f->samples, f->number, w->bytes + w->n_bytes));
}

static void encode_by_own(worker *w, const frame *f) {
    add_frame(w, f->tag, fc_encode_frame_fast(w->own, f->channel, f->plan.channels, f->plan.bits,
                                              f->samples, f->number, w->bytes + w->n_bytes));
}

static int encode_frame(worker *w, int64_t tag, fc_error *error) {
    frame f = place_frame(w, tag);
    int code = load_frame(w, &f, &w->exceptions, error);
    if (code) return code;
    w->frames[tag].size = 0;
    if (f.samples < FC_MIN_FRAME_SIZE) return encode_verbatim(w, &f), FC_OK;
    if (w->own) encode_by_own(w, &f);
    if (w->libflac)
        code = fc_encode_block(w->libflac, f.channel, f.plan.channels, f.plan.bits, f.samples, tag);
    return code ? fc_fail_at(error, code, f.stream, f.number, -1) : FC_OK;
}

/* The frames of which none of libFLAC's was taken, once it has given all. Their
 * exceptions are listed already. */
static int encode_rest(worker *w, int64_t n, fc_error *error) {
    int code = FC_OK;
    fc_exceptions again = {NULL, 0, 0};
    for (int64_t tag = 0; tag < n && !code; tag++) {
        if (w->frames[tag].size) continue;
        frame f = place_frame(w, tag);
        code = load_frame(w, &f, &again, error);
        if (!code) encode_verbatim(w, &f);
    }
    free(again.items);
    return code;
}

static int64_t job_frames(const encoding *e, int64_t job) {
    int64_t all = e->header.n_streams * e->header.n_frames;
    int64_t left = all - job * e->frames_a_job;
    return left < e->frames_a_job ? left : e->frames_a_job;
}

static int encode_job(void *context, int slot, int64_t job, fc_error *error) {
    encoding *e = context;
    worker *w = e->workers + slot;
    w->first = job * e->frames_a_job;
    w->n_bytes = 0;
    w->exceptions.n = 0;
    int64_t n = job_frames(e, job);
    for (int64_t tag = 0; tag < n; tag++)
        if (encode_frame(w, tag, error)) return error->code;
    if (!w->libflac) return FC_OK;
    int code = fc_flush_encoders(w->libflac);
    if (code) return fc_fail_at(error, code, w->first / e->header.n_frames, -1, -1);
    return encode_rest(w, n, error);
}

static part *add_part(encoding *e) {
    part *p = fc_map(sizeof *p);
    if (!p) return NULL;
    p->list = (fc_exceptions){p->items, 0, EXCEPTIONS_A_PART};
    *(e->last_part ? &e->last_part->next : &e->first_part) = p;
    return e->last_part = p;
}

static void drop_part(encoding *e) {
    part *p = e->first_part;
    e->first_part = p->next;
    fc_unmap(p, sizeof *p);
}

/* Exceptions for samples that quanta do not hold may take these bytes, and one part in FEW of the
 * bytes of all samples, without a look at what the chunk takes without loss. If they take one
 * part in MANY, a chunk without loss is smaller for sure. */
#define FREE_BYTES 256
#define FEW 16
#define MANY 2

static int exceeds(const encoding *e, size_t part) {
    size_t bytes = (size_t)e->n_unfit * FC_EXCEPTION_SIZE;
    return bytes > FREE_BYTES + fc_samples_size(&e->header) / part;
}

static int append_exception(encoding *e, fc_exception run, fc_error *error) {
    part *p = e->last_part;
    if (p && fc_join_exception(&p->list, run)) return FC_OK;
    e->n_unfit += fc_is_unfit(e->options->dtype, &e->marks, run.bits);
    if (exceeds(e, MANY)) return fc_fail(error, FC_ERR_QUANTA_TOO_FINE);
    if (!p || p->list.n == EXCEPTIONS_A_PART) p = add_part(e);
    if (!p) return fc_fail(error, FC_ERR_MEMORY);
    e->n_exceptions++;
    return fc_add_exception(&p->list, run, error);
}

static int append_job(void *context, int slot, int64_t job, fc_error *error) {
    encoding *e = context;
    worker *w = e->workers + slot;
    int64_t n = job_frames(e, job);
    for (int64_t tag = 0; tag < n; tag++) {
        int64_t g = w->first + tag;
        if (g % e->header.n_frames == 0) e->written += FC_STREAM_HEADER_SIZE;
        const uint8_t *frame = w->bytes + w->frames[tag].at;
        size_t size = w->frames[tag].size;
        memcpy(e->chunk + e->written, frame, size);
        e->written += (int64_t)size;
        fc_put32(e->chunk + fc_sizes_at(&e->header) + 4 * g, fc_frame_entry(frame, size));
    }
    for (int64_t i = 0; i < w->exceptions.n; i++)
        if (append_exception(e, w->exceptions.items[i], error)) return error->code;
    return FC_OK;
}

/* -- memory ------------------------------------------------------------------------ */

static void free_worker(worker *w) {
    fc_delete_frame_encoder(w->own);
    fc_delete_encoders(w->libflac);
    free(w->low);
    free(w->high);
    free(w->loaded);
    free(w->held);
    free(w->bytes);
    free(w->frames);
    free(w->exceptions.items);
}

static int make_worker(encoding *e, worker *w) {
    const fc_header *h = &e->header;
    size_t block = (size_t)largest_block(h);
    int wide = fc_may_be_wide(h->dtype, h->mode);
    int level = e->options->level;
    w->shared = e;
    int most = level < FC_MAX_FAST_LEVEL ? level : FC_MAX_FAST_LEVEL;
    if (e->by_libflac) w->libflac = fc_new_encoders(level, take_frame, w);
    if (e->by_own) w->own = fc_new_frame_encoder(most, (int64_t)block);
    w->low = malloc(block * 4);
    w->high = malloc(block * 4);
    w->loaded = malloc(block * (size_t)fc_item_size(h->dtype));
    w->held = malloc(block * (size_t)fc_item_size(h->dtype));
    w->bytes = malloc((size_t)(e->frames_a_job * (e->by_own + e->by_libflac))
                          * fc_frame_bound((int64_t)block, 1 + wide, 32)
                      + FC_FRAME_SLACK);
    w->frames = malloc((size_t)e->frames_a_job * sizeof *w->frames);
    int encoders = (w->own || !e->by_own) && (w->libflac || !e->by_libflac);
    return encoders && w->low && w->high && w->loaded && w->held && w->bytes && w->frames
        ? FC_OK
        : FC_ERR_MEMORY;
}

static void free_encoding(encoding *e) {
    for (int64_t i = 0; e->workers && i < e->n_workers; i++) free_worker(e->workers + i);
    for (int i = 0; e->scan_scratch && i < e->n_threads; i++) free(e->scan_scratch[i]);
    free(e->workers);
    free(e->scan_scratch);
    free(e->scans);
    free(e->offsets);
    free(e->kinds);
    free(e->quanta);
    while (e->first_part) drop_part(e);
    if (e->chunk) e->allocator->release(e->allocator->context, e->chunk);
}

static int make_plans(encoding *e) {
    const fc_encode_options *o = e->options;
    size_t n = (size_t)o->n_streams;
    e->offsets = malloc(n * sizeof *e->offsets);
    e->kinds = malloc(n * sizeof *e->kinds);
    if (e->header.flags & FC_FLAG_QUANTA) e->quanta = malloc(n * sizeof *e->quanta);
    e->scan_scratch = calloc((size_t)e->n_threads, sizeof *e->scan_scratch);
    if (!e->offsets || !e->kinds || (e->header.flags & FC_FLAG_QUANTA && !e->quanta)
        || !e->scan_scratch)
        return FC_ERR_MEMORY;
    for (int i = 0; i < e->n_threads; i++)
        if (!(e->scan_scratch[i] = malloc(2 * SCAN_BLOCK * 8))) return FC_ERR_MEMORY;
    return FC_OK;
}

/* Blocks of this size glibc maps, and what is mapped grows without being copied. A small
 * chunk is copied sooner than mapped. */
#define FEWEST_MAPPED ((size_t)33 << 20)
#define SMALL ((size_t)4 << 20)

/* The most bytes that header, index and streams can take. Most of it is
 * never touched, and so never becomes memory. Exceptions come behind them. */
static size_t chunk_bound(const encoding *e) {
    const fc_header *h = &e->header;
    size_t bound = (size_t)h->head_size;
    int others = 0;
    for (int64_t stream = 0; stream < h->n_streams; stream++) {
        if (fc_is_stopped_at(e->stopping, stream)) break; /* before the chunk is written to */
        fc_plan plan = plan_of(e, stream);
        others |= plan.others;
        int64_t last = fc_frame_samples(h, h->n_frames - 1);
        bound += FC_STREAM_HEADER_SIZE + fc_frame_bound(last, plan.channels, plan.bits)
            + (size_t)(h->n_frames - 1) * fc_frame_bound(h->frame_size, plan.channels, plan.bits);
    }
    return others && bound > SMALL && bound < FEWEST_MAPPED ? FEWEST_MAPPED : bound;
}

static int make_workers(encoding *e) {
    int64_t frames = JOB_SAMPLES / largest_block(&e->header);
    int64_t all = e->header.n_streams * e->header.n_frames;
    int64_t part = all / (JOBS_A_THREAD * e->n_threads);
    if (e->n_threads > 1 && frames > part) frames = part;
    e->frames_a_job = frames < 1 ? 1 : frames > MAX_JOB_FRAMES ? MAX_JOB_FRAMES : frames;
    if (e->frames_a_job > all) e->frames_a_job = all;
    /* A slot is taken only when those before it are, so no more than jobs. */
    int64_t jobs = (all + e->frames_a_job - 1) / e->frames_a_job, slots = fc_slots(e->n_threads);
    e->n_workers = slots < jobs ? slots : jobs;
    e->workers = calloc((size_t)e->n_workers, sizeof *e->workers);
    if (!e->workers) return FC_ERR_MEMORY;
    for (int64_t i = 0; i < e->n_workers; i++)
        if (make_worker(e, e->workers + i)) return FC_ERR_MEMORY;
    fc_keep_freed(fc_samples_size(&e->header));
    e->chunk = e->allocator->allocate(e->allocator->context, chunk_bound(e));
    return e->chunk ? FC_OK : FC_ERR_MEMORY;
}

/* -- the chunk --------------------------------------------------------------------- */

static void begin_header(encoding *e) {
    const fc_encode_options *o = e->options;
    int quantized = o->quanta_rule != FC_QUANTA_NONE;
    int uniform = o->n_streams == 1 || (o->quanta_rule == FC_QUANTA_GIVEN && o->n_parameters == 1);
    e->header = (fc_header){
        .version = FC_FORMAT_VERSION,
        .dtype = o->dtype,
        .mode = quantized                ? FC_MODE_QUANTIZED
            : fc_is_float(o->dtype)      ? FC_MODE_LOSSLESS
                                         : FC_MODE_INTEGER,
        .flags = o->flags | (quantized && !uniform ? FC_FLAG_QUANTA : 0),
        .n_streams = o->n_streams,
        .stream_size = o->stream_size,
        .frame_size = o->frame_size};
}

/* The index's offsets and quanta, once it is known whether it has them. */
static int settle_header(encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    for (int64_t s = 0; s < h->n_streams && !(h->flags & FC_FLAG_OFFSETS); s++)
        if (e->offsets[s]) h->flags |= FC_FLAG_OFFSETS;
    return fc_derive(h, error);
}

static void write_index(encoding *e) {
    const fc_header *h = &e->header;
    for (int64_t s = 0; s < h->n_streams && !fc_is_stopped_at(e->stopping, s); s++) {
        uint8_t *offset = e->chunk + fc_offsets_at(h) + h->offset_width * s;
        if (h->offset_width == 8) fc_put64(offset, e->offsets[s]);
        if (h->offset_width == 4) fc_put32(offset, (uint32_t)e->offsets[s]);
        if (e->quanta) fc_put_double(e->chunk + fc_quanta_at(h) + 8 * s, e->quanta[s]);
    }
}

static void write_stream_headers(encoding *e) {
    const fc_header *h = &e->header;
    uint8_t *at = e->chunk + h->head_size;
    for (int64_t s = 0; s < h->n_streams && !fc_is_stopped_at(e->stopping, s); s++) {
        uint32_t smallest = UINT32_MAX, largest = 0;
        int64_t size = FC_STREAM_HEADER_SIZE;
        for (int64_t f = 0; f < h->n_frames; f++) {
            uint32_t bytes = fc_frame_bytes(e->chunk, h, s * h->n_frames + f);
            if (bytes < smallest) smallest = bytes;
            if (bytes > largest) largest = bytes;
            size += bytes;
        }
        fc_plan plan = plan_of(e, s);
        fc_write_stream_header(at, h, plan.bits, plan.channels, smallest, largest);
        at += size;
    }
}

static int write_exceptions(encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    h->exceptions_size = FC_EXCEPTION_SIZE * e->n_exceptions;
    h->chunk_size = e->written + h->exceptions_size;
    uint8_t *chunk = e->allocator->resize(e->allocator->context, e->chunk, (size_t)h->chunk_size);
    if (!chunk) return fc_fail(error, FC_ERR_MEMORY);
    e->chunk = chunk;
    uint8_t *at = chunk + e->written;
    for (; e->first_part && !fc_is_stopped(e->stopping); drop_part(e)) {
        const fc_exceptions *some = &e->first_part->list;
        for (int64_t i = 0; i < some->n; i++, at += FC_EXCEPTION_SIZE)
            fc_write_exception(at, some->items + i);
    }
    h->exceptions_crc = fc_crc32c(0, chunk + e->written, h->exceptions_size);
    return FC_OK;
}

static int finish_chunk(encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    write_index(e);
    write_stream_headers(e);
    h->streams_size = e->written - h->head_size;
    if (fc_streams_checksum(e->chunk + h->head_size, h->streams_size, e->n_threads,
                            e->stopping, &h->streams_crc, error)
        || write_exceptions(e, error))
        return error->code;
    fc_write_head(e->chunk, h);
    return FC_OK;
}

static int encode(encoding *e, fc_error *error) {
    fc_header derived = e->header;
    if (fc_derive(&derived, error)) return error->code;
    if (make_plans(e)) return fc_fail(error, FC_ERR_MEMORY);
    if (scan(e, error) || settle_header(e, error)) return error->code;
    if (make_workers(e)) return fc_fail(error, FC_ERR_MEMORY);
    e->written = e->header.head_size;
    int64_t frames = e->header.n_streams * e->header.n_frames;
    int64_t jobs = (frames + e->frames_a_job - 1) / e->frames_a_job;
    int code = fc_run_jobs(e->n_threads, jobs, encode_job, append_job, e, e->stopping, error);
    return code ? code : finish_chunk(e, error);
}

/* A thread costs as much to wake as some samples take. */
static int useful_threads(const fc_encode_options *o) {
    int n_threads = fc_usable_threads(o->n_threads);
    int64_t samples, useful;
    if (__builtin_mul_overflow(o->n_streams, o->stream_size, &samples)) return n_threads;
    useful = samples / SAMPLES_A_THREAD + 1;
    return useful < n_threads ? (int)useful : n_threads;
}

/* Once: another thread may be changing the environment later, and asking would crash. */
static int libflac_forced;

static void ask_environment(void) {
    libflac_forced = fc_wants_libflac("FLACCODEC_ENCODER");
}

/* A chunk that was made. */
typedef struct made {
    uint8_t *chunk;
    int64_t size;
    const fc_allocator *allocator;
    int has_many; /* exceptions for samples that quanta do not hold */
} made;

/* As it is if the chunk stays quantized. Samples that only fail their check one by one are
 * told of if they are many and the quanta were given: those that are chosen by the samples may
 * be finer than the dtype resolves, and nobody asked for them. */
static void describe_misfit(encoding *e, fc_misfit *misfit) {
    const misfits *m = &e->misfits;
    int is_beyond = m->ratio >= 0x1p63;
    int is_given = e->options->quanta_rule == FC_QUANTA_GIVEN;
    int has_many = is_given && exceeds(e, FEW);
    double careless = fc_careless_quanta(e->options->dtype, m->magnitude);
    *misfit = (fc_misfit){.is_any = is_beyond || has_many, .stream = -1, .sample = -1,
                          .smallest = is_beyond ? fc_smallest_quanta(m->magnitude) : careless};
    if (!misfit->is_any) return;
    misfit->stream = m->stream;
    misfit->sample = find_largest(e, 0, m->stream, m->magnitude);
}

/* Encodes with the options as they are. */
static int encode_once(const fc_view *samples, const fc_encode_options *options,
                       fc_stopping *stopping, made *made, fc_error *error) {
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask_environment);
    int only_libflac = libflac_forced || options->only_libflac;
    encoding e = {.samples = samples, .options = options,
                  .allocator = options->allocator ? options->allocator : &fc_malloc_allocator,
                  .marks = fc_make_marks(options->dtype, options->marks, options->n_marks),
                  .misfits = {.mutex = PTHREAD_MUTEX_INITIALIZER},
                  .n_threads = useful_threads(options),
                  .by_own = !only_libflac,
                  .by_libflac = only_libflac || options->level > FC_MAX_FAST_LEVEL,
                  .stopping = stopping};
    begin_header(&e);
    int code = encode(&e, error);
    if (!code) {
        made->chunk = e.chunk;
        made->size = e.header.chunk_size;
        made->allocator = e.allocator;
        e.chunk = NULL;
    }
    made->has_many = exceeds(&e, FEW);
    if (options->misfit) describe_misfit(&e, options->misfit);
    free_encoding(&e);
    return code;
}

static void drop(made *made) {
    if (made->chunk) made->allocator->release(made->allocator->context, made->chunk);
    made->chunk = NULL;
}

/* Takes the chunk without loss in place of one with many exceptions, if it is smaller. */
static int encode_without_loss(const fc_view *samples, const fc_encode_options *options,
                               fc_stopping *stopping, made *made, fc_error *error) {
    struct made other = {0};
    fc_encode_options lossless = *options;
    lossless.quanta_rule = FC_QUANTA_NONE;
    lossless.n_parameters = lossless.n_marks = 0;
    lossless.misfit = NULL;
    int code = encode_once(samples, &lossless, stopping, &other, error);
    if (code) return drop(made), code;
    if (made->chunk && made->size <= other.size) return drop(&other), FC_OK;
    drop(made);
    *made = other;
    if (options->misfit) options->misfit->is_lossless = 1;
    return FC_OK;
}

int fc_encode(const fc_view *samples, const fc_encode_options *options, uint8_t **chunk,
              int64_t *chunk_size, fc_error *error) {
    int code = check_options(options, error);
    if (code) return code;
    made made = {0};
    fc_stopping stopping = fc_begin_stopping(options->stop);
    code = encode_once(samples, options, &stopping, &made, error);
    int is_unfit = code == FC_ERR_QUANTA_TOO_FINE && (!options->strict || made.has_many);
    if (is_unfit || (!code && made.has_many))
        code = encode_without_loss(samples, options, &stopping, &made, error);
    code = fc_end_stopping(&stopping, code, error);
    if (code) return drop(&made), code;
    *chunk = made.chunk;
    *chunk_size = made.size;
    return FC_OK;
}

void fc_free(void *memory) { free(memory); }
