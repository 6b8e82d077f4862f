/* Chunks -> arrays: frames are decoded each on its own, from wherever the
 * pieces hold them, straight to where the spans want them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/error.h"
#include "base/memory.h"
#include "chunk/format.h"
#include "convert/convert.h"
#include "decode/decode_frame.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "samples/dtype.h"
#include "samples/exceptions.h"
#include "samples/view.h"
#include "threads/jobs.h"

#define JOB_SAMPLES 65536
#define JOBS_A_THREAD 2
#define JOBS_A_THREAD_OF_SPANS 8
#define BATCH_SAMPLES 65536 /* what one thread has at hand, in the second-level cache */
#define FEWEST_IN_BATCH 16  /* if it had more than that */
#define CACHE_LINE 64
#define IN_SECOND_LEVEL 2 /* of caches, for __builtin_prefetch */
#define MARK_EVERY 256 /* frames between the positions that are remembered */

/* A job: frames from number frame of span span on, until its samples are up. */
typedef struct {
    int64_t span, frame;
} start;

/* Bytes of a job. */
typedef struct {
    uint32_t crc;
    int64_t size;
} checked;

/* What a frame's samples go through on their way out. */
typedef struct {
    int64_t stream, frame;
    int64_t first;        /* the first sample that is wanted, in the stream */
    int64_t skip, count;  /* in the frame: samples before it; samples wanted */
    uint8_t *out;
} delivery;

/* Frames are decoded a few at a time, and delivered while their samples are
 * in the cache. */
typedef struct {
    int n; /* frames that wait */
    fc_frame_task tasks[FC_MAX_BATCH];
    delivery deliveries[FC_MAX_BATCH];
    int32_t *samples;    /* of all tasks, as FLAC has them */
    void *block;         /* those of one, where they cannot go straight out */
    fc_decoder *libflac; /* NULL until a frame needs it */
} worker;

typedef struct {
    const uint8_t *head;
    fc_header header;
    const fc_piece *pieces;
    int64_t n_pieces;
    const fc_span *spans;
    int64_t n_spans;
    const fc_view *out;
    const uint8_t *exceptions; /* NULL where there are none */
    int64_t n_exceptions;
    int64_t *marks; /* position of every MARK_EVERY-th frame, without stream headers */
    start *starts;
    int64_t n_starts;
    checked *parts; /* each job's bytes, where all streams are decoded whole */
    worker *workers;
    int n_threads;
    int batch; /* frames */
    fc_stopping *stopping;
} decoding;

/* -- finding bytes ------------------------------------------------------------ */

/* NULL where they are in no piece; more: how many come after offset. */
static const uint8_t *find_bytes_and_more(const decoding *d, int64_t offset, int64_t size,
                                          int64_t *more) {
    int64_t lo = 0, hi = d->n_pieces;
    while (hi - lo > 1) {
        int64_t mid = (lo + hi) / 2;
        if (d->pieces[mid].offset <= offset) lo = mid;
        else hi = mid;
    }
    if (!d->n_pieces) return NULL;
    const fc_piece *piece = d->pieces + lo;
    if (offset < piece->offset || offset - piece->offset > piece->size
        || size > piece->size - (offset - piece->offset))
        return NULL;
    *more = piece->size - (offset - piece->offset);
    return piece->bytes + (offset - piece->offset);
}

static const uint8_t *find_bytes(const decoding *d, int64_t offset, int64_t size) {
    int64_t more;
    return find_bytes_and_more(d, offset, size, &more);
}

static int mark_positions(decoding *d) {
    int64_t frames = d->header.n_streams * d->header.n_frames, position = 0;
    d->marks = malloc((size_t)(frames / MARK_EVERY + 1) * sizeof *d->marks);
    if (!d->marks) return FC_ERR_MEMORY;
    for (int64_t g = 0; g < frames; g++) {
        if (fc_is_stopped_at(d->stopping, g)) break;
        if (g % MARK_EVERY == 0) d->marks[g / MARK_EVERY] = position;
        position += fc_frame_bytes(d->head, &d->header, g);
    }
    return FC_OK;
}

static int64_t position_of(const decoding *d, int64_t stream, int64_t frame) {
    int64_t g = stream * d->header.n_frames + frame;
    int64_t position = d->marks[g / MARK_EVERY];
    for (int64_t i = g - g % MARK_EVERY; i < g; i++)
        position += fc_frame_bytes(d->head, &d->header, i);
    return d->header.head_size + FC_STREAM_HEADER_SIZE * (stream + 1) + position;
}

/* -- spans --------------------------------------------------------------------- */

static fc_span span_of(const decoding *d, int64_t i) {
    if (d->spans) return d->spans[i];
    int64_t offset = d->out->stream_offsets ? d->out->stream_offsets[i] : i * d->out->stream_stride;
    return (fc_span){i, 0, d->header.stream_size, offset};
}

static int check_spans(const decoding *d, fc_error *error) {
    for (int64_t i = 0; d->spans && i < d->n_spans; i++) {
        const fc_span *s = d->spans + i;
        if (fc_is_stopped_at(d->stopping, i)) return fc_fail(error, FC_ERR_STOPPED);
        if (s->stream < 0 || s->stream >= d->header.n_streams || s->start < 0 || s->count < 1
            || s->count > d->header.stream_size - s->start)
            return fc_fail_at(error, FC_ERR_ARGUMENT, s->stream, -1, s->start);
    }
    return FC_OK;
}

static int64_t last_frame(const decoding *d, const fc_span *span) {
    return (span->start + span->count - 1) / d->header.frame_size;
}

/* The frames of all spans, in order, cut into jobs; counts them where
 * starts is NULL. */
static int64_t cut_jobs(const decoding *d, start *starts) {
    int64_t n = 0, batches = JOB_SAMPLES / fc_frame_samples(&d->header, 0) / d->batch;
    int64_t frames_a_job = (batches ? batches : 1) * d->batch, left = 0;
    for (int64_t i = 0; i < d->n_spans; i++) {
        fc_span span = span_of(d, i);
        int64_t frame = span.start / d->header.frame_size, end = last_frame(d, &span) + 1;
        while (frame < end) {
            if (!left) {
                if (starts) starts[n] = (start){i, frame};
                n++;
                left = frames_a_job;
            }
            int64_t step = end - frame < left ? end - frame : left;
            frame += step;
            left -= step;
        }
    }
    return n;
}

/* -- exceptions ------------------------------------------------------------------ */

static void apply_exceptions(const decoding *d, const delivery *to, void *block) {
    int size = fc_item_size(d->header.dtype);
    int64_t end = to->first + to->count;
    int64_t i = fc_find_exception(d->exceptions, d->n_exceptions, to->stream, to->first);
    for (; i < d->n_exceptions; i++) {
        fc_exception e = fc_read_exception(d->exceptions + FC_EXCEPTION_SIZE * i);
        if (e.stream != to->stream || (int64_t)e.start >= end) return;
        int64_t from = (int64_t)e.start > to->first ? (int64_t)e.start : to->first;
        int64_t until = (int64_t)(e.start + e.length) < end ? (int64_t)(e.start + e.length) : end;
        fc_fill_bits(d->header.dtype, e.bits, until - from,
                     (uint8_t *)block + (from - to->first) * size);
    }
}

/* -- decoding ----------------------------------------------------------------------- */

/* Where a frame's samples are needed, whole and as wide as FLAC has them; NULL
 * where they go through more on their way out than an offset. */
static int32_t *final_target(const decoding *d, const delivery *to, int64_t samples) {
    const fc_header *h = &d->header;
    if ((h->dtype != FC_INT32 && h->dtype != FC_UINT32) || to->count != samples) return NULL;
    return fc_store_target(d->out, h->dtype, to->out);
}

static void deliver(const decoding *d, worker *w, const delivery *to,
                    const int32_t *const *channel) {
    const fc_header *h = &d->header;
    uint64_t offset = fc_stream_offset(d->head, h, to->stream);
    void *block = fc_store_target(d->out, h->dtype, to->out);
    if (block && block == channel[0]) {
        if (offset) fc_add_offset(block, to->count, offset);
        return;
    }
    if (!block) block = w->block;
    fc_from_channels(h->dtype, h->mode, offset,
                     fc_stream_quanta(d->head, h, to->stream), channel[0] + to->skip,
                     channel[1] ? channel[1] + to->skip : NULL, to->count, block);
    if (d->n_exceptions) apply_exceptions(d, to, block);
    if (block == w->block) fc_store_block(d->out, h->dtype, to->out, to->count, block);
}

static int max_channels(const fc_header *h) { return fc_may_be_wide(h->dtype, h->mode) ? 2 : 1; }

static int check_frame_header(const fc_header *h, const uint8_t *bytes, int64_t size,
                              int64_t number, int64_t samples, fc_frame_header *frame) {
    if (!fc_read_frame_header(bytes, (size_t)size, frame)) return 0;
    return frame->number == number && frame->samples == samples && frame->bits
        && frame->channels <= max_channels(h) && (frame->channels == 1 || frame->bits == 32);
}

static int libflac_forced;

static void ask_environment(void) {
    libflac_forced = fc_wants_libflac("FLACCODEC_DECODER");
}

/* libFLAC's samples, put where ours would be. */
static void take_samples(void *context, const int32_t *const *channel) {
    const fc_frame_task *t = context;
    for (int c = 0; c < t->channels; c++)
        memcpy(t->channel[c], channel[c], (size_t)t->samples * sizeof *channel[c]);
}

static int decode_by_libflac(worker *w, fc_frame_task *t) {
    if (!w->libflac) w->libflac = fc_new_decoder();
    if (!w->libflac) return FC_ERR_MEMORY;
    return fc_decode_frame(w->libflac, t->frame, t->size, t->channels, t->samples, take_samples,
                           t);
}

static int fail_frame(const decoding *d, fc_error *error, int code, int64_t stream,
                      int64_t frame) {
    return fc_fail_at(error, code, stream, frame, frame * d->header.frame_size);
}

/* Whether the frame is the one that the index tells of. */
static int is_of_index(const decoding *d, const delivery *to, const fc_frame_task *t) {
    int64_t g = to->stream * d->header.n_frames + to->frame;
    return fc_frame_entry(t->frame, t->size) == fc_get_entry(d->head, &d->header, g);
}

/* Decodes the frames that wait. The first that fails is the one reported. */
static int decode_waiting(const decoding *d, worker *w, fc_error *error) {
    int n = w->n;
    w->n = 0;
    if (!libflac_forced) fc_decode_frames_fast(w->tasks, n);
    for (int i = 0; i < n; i++) {
        fc_frame_task *t = w->tasks + i;
        const delivery *to = w->deliveries + i;
        if (libflac_forced || t->code == FC_NOT_OURS) t->code = decode_by_libflac(w, t);
        if (!t->code && !is_of_index(d, to, t)) t->code = FC_ERR_FRAME;
        if (t->code) return fail_frame(d, error, t->code, to->stream, to->frame);
        const int32_t *channel[2] = {t->channel[0], t->channels == 2 ? t->channel[1] : NULL};
        deliver(d, w, to, channel);
    }
    return FC_OK;
}

/* Samples from one channel of one task to the next. Not a power of two, for
 * these would compete for the same few lines of the first-level cache. */
static int64_t row_size(const decoding *d) {
    return (fc_frame_samples(&d->header, 0) | 15) + 33;
}

/* The bytes of the frame that is likely to come so many frames after this one: a
 * processor does not see by itself that a batch of them is read side by side. */
static void prefetch(int frames, const uint8_t *bytes, int64_t size, int64_t loadable) {
    int64_t at = frames * size, end = at + size < loadable ? at + size : loadable;
    for (; at < end; at += CACHE_LINE) __builtin_prefetch(bytes + at, 0, IN_SECOND_LEVEL);
}

/* Makes a frame of a span wait; where its bytes begin is known. */
static int add_frame(const decoding *d, worker *w, const fc_span *span, int64_t number,
                     int64_t position, fc_error *error) {
    const fc_header *h = &d->header;
    int64_t samples = fc_frame_samples(h, number), begin = number * h->frame_size;
    int64_t size = fc_frame_bytes(d->head, h, span->stream * h->n_frames + number);
    int64_t loadable;
    const uint8_t *bytes = find_bytes_and_more(d, position, size, &loadable);
    if (!bytes) return fail_frame(d, error, FC_ERR_MISSING_PIECE, span->stream, number);
    /* Of spans, which may lie anywhere, this one's own: it waits for those after it. */
    prefetch(d->spans ? 0 : d->batch, bytes, size, loadable);
    fc_frame_header frame;
    if (!check_frame_header(h, bytes, size, number, samples, &frame))
        return fail_frame(d, error, FC_ERR_FRAME_HEADER, span->stream, number);
    int64_t first = span->start > begin ? span->start : begin;
    int64_t end = span->start + span->count;
    if (end > begin + samples) end = begin + samples;
    uint8_t *out = (uint8_t *)d->out->data + span->out_offset
        + (first - span->start) * d->out->sample_stride;
    int32_t *row = w->samples + w->n * max_channels(h) * row_size(d);
    w->deliveries[w->n] = (delivery){span->stream, number, first, first - begin, end - first, out};
    if (frame.channels == 1) {
        int32_t *target = final_target(d, w->deliveries + w->n, samples);
        if (target) row = target;
    }
    w->tasks[w->n] = (fc_frame_task){bytes, (size_t)size, frame.channels, 0, samples,
                                     {row, frame.channels == 2 ? row + row_size(d) : NULL},
                                     frame, end - begin, (size_t)loadable};
    w->n++;
    return FC_OK;
}

/* A frame that fails before it is decoded comes after those that wait. */
static int decode_frame(const decoding *d, worker *w, const fc_span *span, int64_t number,
                        int64_t position, fc_error *error) {
    fc_error later;
    int code = add_frame(d, w, span, number, position, &later);
    if ((code || w->n == d->batch) && decode_waiting(d, w, error)) return error->code;
    if (code) *error = later;
    return code;
}

/* A frame and where its bytes begin. */
typedef struct {
    int64_t stream, frame, position;
} position;

/* The next frame, maybe that of the next stream. */
static position step(const decoding *d, position p) {
    p.position += fc_frame_bytes(d->head, &d->header, p.stream * d->header.n_frames + p.frame);
    if (++p.frame < d->header.n_frames) return p;
    return (position){p.stream + 1, 0, p.position + FC_STREAM_HEADER_SIZE};
}

static position find_position(const decoding *d, int64_t stream, int64_t frame) {
    return (position){stream, frame, position_of(d, stream, frame)};
}

/* Where the bytes of a job begin, those of stream headers among them. */
static int64_t begin_of_job(const decoding *d, int64_t job) {
    if (job == d->n_starts) return d->header.head_size + d->header.streams_size;
    start s = d->starts[job];
    return position_of(d, s.span, s.frame) - (s.frame ? 0 : FC_STREAM_HEADER_SIZE);
}

/* While the bytes are in the cache. */
static int take_checksum(const decoding *d, int64_t job, fc_error *error) {
    if (d->spans) return FC_OK;
    int64_t begin = begin_of_job(d, job), size = begin_of_job(d, job + 1) - begin;
    const uint8_t *bytes = find_bytes(d, begin, size);
    if (!bytes) return fc_fail(error, FC_ERR_MISSING_PIECE);
    d->parts[job] = (checked){fc_crc32c(0, bytes, size), size};
    return FC_OK;
}

static int decode_job(void *context, int thread, int64_t job, fc_error *error) {
    const decoding *d = context;
    worker *w = d->workers + thread;
    w->n = 0; /* a job that failed may have left some */
    start from = d->starts[job];
    start until = job + 1 < d->n_starts ? d->starts[job + 1] : (start){d->n_spans, 0};
    position at = {-1, 0, 0};
    for (int64_t i = from.span; i < d->n_spans && i <= until.span; i++) {
        if (fc_is_stopped_at(d->stopping, i)) return fc_fail(error, FC_ERR_STOPPED);
        fc_span span = span_of(d, i);
        int64_t frame = i == from.span ? from.frame : span.start / d->header.frame_size;
        int64_t end = i == until.span ? until.frame : last_frame(d, &span) + 1;
        if (frame >= end) continue;
        if (at.stream != span.stream || at.frame != frame)
            at = find_position(d, span.stream, frame);
        for (; frame < end; frame++, at = step(d, at))
            if (decode_frame(d, w, &span, frame, at.position, error)) return error->code;
    }
    if (decode_waiting(d, w, error)) return error->code;
    return take_checksum(d, job, error);
}

/* -- checks before ---------------------------------------------------------------------- */

/* The one piece that is all of a chunk has the declared length. */
static int check_length(const decoding *d, fc_error *error) {
    if (d->n_pieces != 1 || d->pieces[0].offset != 0) return FC_OK;
    return fc_check_length(&d->header, d->pieces[0].size, error);
}

static int check_pieces(const decoding *d, fc_error *error) {
    int64_t end = 0;
    for (int64_t i = 0; i < d->n_pieces; i++) {
        if (d->pieces[i].offset < end || d->pieces[i].size < 0)
            return fc_fail(error, FC_ERR_ARGUMENT);
        end = d->pieces[i].offset + d->pieces[i].size;
    }
    return FC_OK;
}

static int find_exceptions(decoding *d, fc_error *error) {
    const fc_header *h = &d->header;
    if (!h->exceptions_size) return FC_OK;
    d->exceptions = find_bytes(d, h->head_size + h->streams_size, h->exceptions_size);
    if (!d->exceptions) return fc_fail(error, FC_ERR_MISSING_PIECE);
    d->n_exceptions = h->exceptions_size / FC_EXCEPTION_SIZE;
    return fc_check_exceptions(d->exceptions, h, d->stopping, error);
}

static int check_all(decoding *d, int64_t head_size, const fc_expect *expect, fc_error *error) {
    int code = fc_read_header(d->head, head_size, &d->header, error);
    if (!code && expect) code = fc_check_expected(&d->header, expect, error);
    if (!code) code = check_pieces(d, error);
    if (!code) code = check_length(d, error);
    if (!code) code = fc_check_head(d->head, head_size, error);
    if (!code) code = find_exceptions(d, error);
    if (!code && !d->spans) d->n_spans = d->header.n_streams;
    return code ? code : check_spans(d, error);
}

/* -- memory ------------------------------------------------------------------------------ */

static int make_worker(const decoding *d, worker *w) {
    size_t rows = (size_t)(d->batch * max_channels(&d->header));
    w->samples = malloc(rows * (size_t)row_size(d) * sizeof *w->samples);
    w->block = malloc((size_t)fc_frame_samples(&d->header, 0) * 8);
    return w->samples && w->block ? FC_OK : FC_ERR_MEMORY;
}

static int choose_batch(const fc_header *h) {
    int64_t frames = BATCH_SAMPLES / fc_frame_samples(h, 0);
    if (frames < FEWEST_IN_BATCH) return FEWEST_IN_BATCH;
    return frames < FC_MAX_BATCH ? (int)frames : FC_MAX_BATCH;
}

static int make_workers(decoding *d) {
    d->batch = choose_batch(&d->header);
    d->n_starts = cut_jobs(d, NULL);
    /* A thread costs as much to wake as some jobs take, and more on a busy machine; but chunks
     * that are decoded whole often come one after the other, and then it is awake. */
    int64_t useful = d->n_starts / (d->spans ? JOBS_A_THREAD_OF_SPANS : JOBS_A_THREAD) + 1;
    if (d->n_threads > useful) d->n_threads = (int)useful;
    d->starts = malloc((size_t)d->n_starts * sizeof *d->starts + 1);
    d->parts = malloc((size_t)d->n_starts * sizeof *d->parts + 1);
    d->workers = calloc((size_t)d->n_threads + 1, sizeof *d->workers);
    if (!d->starts || !d->parts || !d->workers || mark_positions(d)) return FC_ERR_MEMORY;
    cut_jobs(d, d->starts);
    for (int i = 0; i < d->n_threads; i++)
        if (make_worker(d, d->workers + i)) return FC_ERR_MEMORY;
    return FC_OK;
}

static void free_decoding(decoding *d) {
    for (int i = 0; d->workers && i < d->n_threads; i++) {
        fc_delete_decoder(d->workers[i].libflac);
        free(d->workers[i].samples);
        free(d->workers[i].block);
    }
    free(d->workers);
    free(d->starts);
    free(d->parts);
    free(d->marks);
}

/* -- */

/* A damaged frame is best reported by its place, so frames come first. */
static int check_streams(const decoding *d, fc_error *error) {
    uint32_t crc = 0, want = d->header.streams_crc;
    if (d->spans) return FC_OK;
    for (int64_t i = 0; i < d->n_starts; i++)
        crc = fc_crc32c_join(crc, d->parts[i].crc, d->parts[i].size);
    return crc == want ? FC_OK : fc_fail_values(error, FC_ERR_STREAMS_CHECKSUM, crc, want);
}

int fc_decode(const uint8_t *head, int64_t head_size, const fc_piece *pieces, int64_t n_pieces,
              const fc_expect *expect, const fc_span *spans, int64_t n_spans, const fc_view *out,
              int32_t n_threads, const fc_stop *stop, fc_error *error) {
    fc_stopping stopping = fc_begin_stopping(stop);
    decoding d = {.head = head, .pieces = pieces, .n_pieces = n_pieces, .spans = spans,
                  .n_spans = n_spans, .out = out, .n_threads = fc_usable_threads(n_threads),
                  .stopping = &stopping};
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask_environment);
    int code = check_all(&d, head_size, expect, error);
    if (code) return fc_end_stopping(&stopping, code, error);
    if (!spans) fc_keep_freed(fc_samples_size(&d.header));
    if (make_workers(&d)) code = fc_fail(error, FC_ERR_MEMORY);
    if (!code) code = fc_run_jobs(d.n_threads, d.n_starts, decode_job, NULL, &d, &stopping, error);
    if (!code) code = check_streams(&d, error);
    free_decoding(&d);
    return fc_end_stopping(&stopping, code, error);
}
