/* Samples of any dtype <-> the integers of FLAC's channels, a block (the
 * samples of one frame) at a time. */
#ifndef FC_SAMPLES_H
#define FC_SAMPLES_H

#include "chunk/format.h"
#include "flaccodec.h"
#include "samples/moments.h"

/* The values that mark missing samples: finite, each once. */
typedef struct fc_marks {
    double values[FC_MAX_MARKS];
    int n;
    int zero; /* which of them is zero; -1 for none */
} fc_marks;

/* Marks among some samples. */
typedef struct fc_marked {
    int64_t n;     /* samples */
    uint32_t seen; /* which marks, a bit each */
} fc_marked;

/* What is known of some samples of one stream. Floats beyond the limit of a
 * scan, all that are not finite, and marks are counted and left out of the rest. */
typedef struct fc_stats {
    int64_t n;        /* samples that count */
    int64_t n_other;  /* those that do not */
    fc_marked marked; /* the marks among these */
    int64_t lo, hi;  /* as ordered integers; see fc_scan_block */
    double min, max;
    fc_moments moments; /* of those that count; only for quanta by precision */
} fc_stats;

/* How the samples of one stream are stored. */
typedef struct fc_plan {
    uint64_t offset; /* subtracted modulo 2**64 */
    double quanta;
    int bits;     /* a sample of a channel */
    int channels; /* 1, or 2: low and high 32-bit words */
    int careful;  /* quantization that must be checked sample by sample */
    int others;   /* there may be samples that are stored as they are: */
    double limit; /* those of larger magnitude, and those that are not finite; */
    uint32_t apart; /* those of these marks, a bit each */
    const fc_marks *marks;
    double mark;    /* the first of these, for speed; NaN for none */
} fc_plan;

/* A growing list; empty when zeroed. items is the owner's to free. */
typedef struct fc_exceptions {
    fc_exception *items;
    int64_t n, room;
} fc_exceptions;

/* Joins a run to the last where they touch; returns whether they do. */
int fc_join_exception(fc_exceptions *list, fc_exception e);

/* Appends a run, joining it to the last where they touch. */
int fc_add_exception(fc_exceptions *list, fc_exception e, fc_error *error);

/* Samples first to first + count - 1 of a stream, contiguous and native: in
 * place where they are so, else copied to scratch. */
const void *fc_load_block(const fc_view *view, int dtype, int64_t stream, int64_t first,
                          int64_t count, void *scratch);

/* Where count samples could be written in place; NULL where fc_store_block
 * must copy them there. */
void *fc_store_target(const fc_view *view, int dtype, uint8_t *at);
void fc_store_block(const fc_view *view, int dtype, uint8_t *at, int64_t count,
                    const void *block);

/* The marks among `values`, as the dtype has them. Those that are not finite
 * need no mark: such samples are stored as they are anyway. */
fc_marks fc_make_marks(int dtype, const double *values, int64_t n);

/* Returns a copy of a block in `out` in which marks are NaN, so that they do not
 * count; the block itself if nothing is to be masked (no quanta, no mark but zero).
 * Tells in `marked` what was. */
const void *fc_mask(int dtype, int rule, const fc_marks *marks, const void *block, int64_t count,
                    void *out, fc_marked *marked);

/* Samples of a block but for the zeros that it ends in. */
int64_t fc_count_to_zeros(int dtype, const void *block, int64_t count);

/* Notes n samples more that are zero, which is a mark. */
void fc_add_zeros(fc_stats *stats, const fc_marks *marks, int64_t n);

/* The limit of a scan that leaves out what is not finite, and nothing else. */
double fc_no_limit(int dtype);

/* The largest magnitude that is below 2**63 quanta. */
double fc_limit_of(int dtype, double quanta);

/* Statistics of a block. For integers and lossless floats, lo and hi are
 * in the order of the values as 64-bit integers (uint64: minus 2**63). */
void fc_scan_block(int dtype, int rule, double limit, const void *block, int64_t count,
                   fc_stats *stats);
void fc_merge_stats(fc_stats *into, const fc_stats *more);

/* Chooses offset, quanta and width for the samples within `limit`, which `stats`
 * are of. Errors name no stream. With FC_ERR_QUANTA_TOO_FINE the plan has the
 * quanta, 0 if they are no float64, and the error the smallest that would do. */
int fc_plan_stream(int dtype, int rule, double parameter, double limit, const fc_marks *marks,
                   const fc_stats *stats, int plain, fc_plan *plan, fc_error *error);

/* Whether an exception with these bits is one that quanta could not hold: finite, and no mark. */
int fc_is_unfit(int dtype, const fc_marks *marks, uint64_t bits);

/* The smallest quanta that hold a sample of this magnitude, with room for rounding. */
double fc_smallest_quanta(double magnitude);

/* Has the plan keep these marks apart. */
void fc_keep_apart(fc_plan *plan, uint32_t apart);

/* The smallest quanta with which samples up to this magnitude need no check one by one. */
double fc_careless_quanta(int dtype, double magnitude);

/* The sample of a block whose magnitude is the largest among the finite. */
int64_t fc_find_largest(int dtype, const void *block, int64_t count);

/* Converts a block. scratch takes count samples. Samples that their integer
 * could not give back go to exceptions as well. */
int fc_to_channels(int dtype, int mode, const fc_plan *plan, const void *block,
                   int64_t count, int32_t *low, int32_t *high, void *scratch,
                   int64_t stream, int64_t first, fc_exceptions *exceptions,
                   fc_error *error);

/* The way back; high is NULL for one channel. */
void fc_from_channels(int dtype, int mode, uint64_t offset, double quanta,
                      const int32_t *low, const int32_t *high, int64_t count, void *out);

/* The same in place, where nothing else is to be done for 32 bits. */
void fc_add_offset(int32_t *x, int64_t count, uint64_t offset);

/* Writes bits, the value of an exception, over count samples. */
void fc_fill_bits(int dtype, uint64_t bits, int64_t count, void *out);

/* Whether samples of this kind may take more than 32 bits. */
int fc_may_be_wide(int dtype, int mode);

#endif
