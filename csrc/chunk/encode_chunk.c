/* Arrays -> chunks, in three steps: scan the streams and plan how to store each; encode their
 * frames; write what is known only then. */
#include <pthread.h>

#include "base/error.h"
#include "base/memory.h"
#include "chunk/encode_frames.h"
#include "chunk/encoding.h"
#include "chunk/format.h"
#include "chunk/scan.h"
#include "chunk/write.h"
#include "encode/encode_frame.h"
#include "flac/libflac.h"
#include "samples/dtype.h"
#include "threads/jobs.h"

#define SAMPLES_A_THREAD 65536

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
    int wants_parameters =
        o->quanta_rule == FC_QUANTA_GIVEN || o->quanta_rule == FC_QUANTA_PRECISION;
    if (wants_parameters && o->n_parameters != 1 && o->n_parameters != o->n_streams)
        return fc_fail_values(error, FC_ERR_ARGUMENT, o->n_parameters, o->n_streams);
    return FC_OK;
}

/* -- the chunk --------------------------------------------------------------------- */

static void begin_header(fc_encoding *e) {
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
static int settle_header(fc_encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    for (int64_t s = 0; s < h->n_streams && !(h->flags & FC_FLAG_OFFSETS); s++)
        if (e->offsets[s]) h->flags |= FC_FLAG_OFFSETS;
    return fc_derive(h, error);
}

static int encode(fc_encoding *e, fc_error *error) {
    fc_header derived = e->header;
    if (fc_derive(&derived, error)) return error->code;
    if (fc_make_plans(e)) return fc_fail(error, FC_ERR_MEMORY);
    if (fc_scan_streams(e, error) || settle_header(e, error) || fc_encode_frames(e, error))
        return error->code;
    return fc_finish_chunk(e, error);
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

/* Describes the misfit as if the chunk stays quantized. Samples that only fail their check one by
 * one are mentioned if they are many and the quanta were given: quanta that follow from the
 * samples may be finer than the dtype resolves, and nobody asked for them. */
static fc_misfit describe_misfit(fc_encoding *e) {
    const fc_misfits *m = &e->misfits;
    int is_beyond = m->ratio >= 0x1p63;
    int is_given = e->options->quanta_rule == FC_QUANTA_GIVEN;
    if (!is_beyond && !(is_given && fc_has_many_unfit(e)))
        return (fc_misfit){.stream = -1, .sample = -1};
    return (fc_misfit){.is_any = 1, .stream = m->stream,
                       .sample = fc_find_largest_of(e, 0, m->stream, m->magnitude),
                       .smallest = is_beyond
                           ? fc_smallest_quanta(m->magnitude)
                           : fc_careless_quanta(e->options->dtype, m->magnitude)};
}

/* Encodes with the options as they are. */
static int encode_once(const fc_view *samples, const fc_encode_options *options,
                       fc_stopping *stopping, made *made, fc_error *error) {
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask_environment);
    int only_libflac = libflac_forced || options->only_libflac;
    fc_encoding e = {.samples = samples, .options = options,
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
    made->has_many = fc_has_many_unfit(&e);
    if (options->misfit) *options->misfit = describe_misfit(&e);
    fc_free_workers(&e);
    fc_free_encoding(&e);
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
