/* A chunk that is being encoded. Only the files that do so include this: encode_chunk, scan,
 * encode_frames and write, which work one after the other. */
#ifndef FC_ENCODING_H
#define FC_ENCODING_H

#include <pthread.h>

#include "flaccodec.h"
#include "plan/plan.h"
#include "plan/stats.h"
#include "samples/exceptions.h"
#include "samples/marks.h"
#include "threads/stop.h"

#define FC_SCAN_BLOCK 16384  /* samples; sums are taken over these blocks in order */
#define FC_JOB_SAMPLES 131072 /* how many samples one job is worth */

/* Exceptions on their way to the end of the chunk, in parts. Each part is freed when it is written
 * there: one list of all would be in memory twice, while it grows and beside the chunk. */
#define FC_EXCEPTIONS_A_PART 65536

typedef struct fc_exceptions_part {
    struct fc_exceptions_part *next;
    fc_exceptions list; /* of the items below */
    fc_exception items[FC_EXCEPTIONS_A_PART];
} fc_exceptions_part;

/* The stream whose quanta would have to grow most to hold its samples. */
typedef struct fc_misfits {
    pthread_mutex_t mutex;
    double ratio;     /* largest magnitude / quanta; 0 for none */
    double magnitude; /* the largest */
    int64_t stream;
} fc_misfits;

typedef struct fc_encoding {
    const fc_view *samples;
    const fc_encode_options *options;
    const fc_allocator *allocator; /* of the chunk */
    fc_marks marks;
    fc_header header;
    int n_threads;
    fc_stopping *stopping;
    fc_misfits misfits;
    /* The plans, one for each stream. */
    uint64_t *offsets;
    uint32_t *kinds;
    double *quanta; /* NULL if all streams have the header's */
    /* While streams are scanned. */
    fc_stats *scans; /* of the blocks of the stream that is being scanned */
    int64_t scan_stream, scan_end, streams_a_job;
    uint8_t **scan_scratch; /* two blocks for each thread */
    /* While frames are encoded. */
    int by_own, by_libflac; /* which encoders are used; of both, the smaller frame is taken */
    int64_t frames_a_job;
    struct fc_encoding_worker *workers;
    int64_t n_workers;
    uint8_t *chunk;
    int64_t written;
    fc_exceptions_part *first_part, *last_part;
    int64_t n_exceptions;
    int64_t n_unfit; /* exceptions that are finite and no marks */
} fc_encoding;

/* Allocates the plans and what scanning needs. Returns FC_OK or FC_ERR_MEMORY. */
int fc_make_plans(fc_encoding *e);

/* Frees all that encoding allocated but the workers; the chunk too, unless it is NULL. */
void fc_free_encoding(fc_encoding *e);

/* Keeps the plan of a stream, and returns it. */
void fc_keep_plan(fc_encoding *e, int64_t stream, const fc_plan *plan);
fc_plan fc_plan_of(const fc_encoding *e, int64_t stream);

/* Adds an exception; they must come in order. Returns FC_OK, FC_ERR_MEMORY, or
 * FC_ERR_QUANTA_TOO_FINE if exceptions take so many bytes that a chunk without loss is smaller
 * for sure. */
int fc_append_exception(fc_encoding *e, fc_exception run, fc_error *error);

/* Frees the first part of the exceptions. */
void fc_drop_part(fc_encoding *e);

/* Returns whether exceptions for samples that quanta do not hold take so many bytes that the
 * chunk without loss may be smaller. */
int fc_has_many_unfit(const fc_encoding *e);

#endif
