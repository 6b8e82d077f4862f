#include "chunk/encode_frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "chunk/format.h"
#include "convert/convert.h"
#include "encode/encode_frame.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "samples/view.h"
#include "threads/jobs.h"

#define JOBS_A_THREAD 2 /* at least, so that none waits for long at the end */
#define MAX_JOB_FRAMES 8192

/* What one job works with. */
typedef struct fc_encoding_worker {
    fc_encoding *shared;
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

/* -- one frame ------------------------------------------------------------------ */

/* A frame of a job: where it is, and its samples as they are encoded. */
typedef struct {
    int64_t tag, stream, number, first, samples;
    fc_plan plan;
    const int32_t *channel[2];
} frame;

static frame locate_frame(const worker *w, int64_t tag) {
    const fc_header *h = &w->shared->header;
    int64_t stream = (w->first + tag) / h->n_frames, number = (w->first + tag) % h->n_frames;
    return (frame){.tag = tag, .stream = stream, .number = number,
                   .first = number * h->frame_size, .samples = fc_frame_samples(h, number),
                   .plan = fc_plan_of(w->shared, stream), .channel = {w->low, w->high}};
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
    frame f = locate_frame(w, tag);
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
    frame f = locate_frame(w, tag);
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
        frame f = locate_frame(w, tag);
        code = load_frame(w, &f, &again, error);
        if (!code) encode_verbatim(w, &f);
    }
    free(again.items);
    return code;
}

/* -- jobs ----------------------------------------------------------------------- */

static int64_t job_frames(const fc_encoding *e, int64_t job) {
    int64_t all = e->header.n_streams * e->header.n_frames;
    int64_t left = all - job * e->frames_a_job;
    return left < e->frames_a_job ? left : e->frames_a_job;
}

static int encode_job(void *context, int slot, int64_t job, fc_error *error) {
    fc_encoding *e = context;
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

static int append_job(void *context, int slot, int64_t job, fc_error *error) {
    fc_encoding *e = context;
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
        if (fc_append_exception(e, w->exceptions.items[i], error)) return error->code;
    return FC_OK;
}

/* -- memory --------------------------------------------------------------------- */

static int64_t largest_block(const fc_header *h) {
    return h->n_frames > 1 ? h->frame_size : h->stream_size;
}

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

void fc_free_workers(fc_encoding *e) {
    for (int64_t i = 0; e->workers && i < e->n_workers; i++) free_worker(e->workers + i);
    free(e->workers);
}

static int make_worker(fc_encoding *e, worker *w) {
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

/* Blocks of this size glibc maps, and what is mapped grows without being copied. A small
 * chunk is copied sooner than mapped. */
#define FEWEST_MAPPED ((size_t)33 << 20)
#define SMALL ((size_t)4 << 20)

/* The most bytes that header, index and streams can take. Most of it is
 * never touched, and so never becomes memory. Exceptions come behind them. */
static size_t chunk_bound(const fc_encoding *e) {
    const fc_header *h = &e->header;
    size_t bound = (size_t)h->head_size;
    int others = 0;
    for (int64_t stream = 0; stream < h->n_streams; stream++) {
        if (fc_is_stopped_at(e->stopping, stream)) break; /* before the chunk is written to */
        fc_plan plan = fc_plan_of(e, stream);
        others |= plan.others;
        int64_t last = fc_frame_samples(h, h->n_frames - 1);
        bound += FC_STREAM_HEADER_SIZE + fc_frame_bound(last, plan.channels, plan.bits)
            + (size_t)(h->n_frames - 1) * fc_frame_bound(h->frame_size, plan.channels, plan.bits);
    }
    return others && bound > SMALL && bound < FEWEST_MAPPED ? FEWEST_MAPPED : bound;
}

static int make_workers(fc_encoding *e) {
    int64_t frames = FC_JOB_SAMPLES / largest_block(&e->header);
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

/* -------------------------------------------------------------------------------- */

int fc_encode_frames(fc_encoding *e, fc_error *error) {
    if (make_workers(e)) return fc_fail(error, FC_ERR_MEMORY);
    e->written = e->header.head_size;
    int64_t frames = e->header.n_streams * e->header.n_frames;
    int64_t jobs = (frames + e->frames_a_job - 1) / e->frames_a_job;
    return fc_run_jobs(e->n_threads, jobs, encode_job, append_job, e, e->stopping, error);
}
