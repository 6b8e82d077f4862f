/* Samples of any dtype <-> the integers of FLAC's channels, a block (the
 * samples of one frame) at a time. */
#ifndef FC_SAMPLES_H
#define FC_SAMPLES_H

#include "flaccodec.h"
#include "format.h"
#include "moments.h"

/* What is known of some samples of one stream. Floats that are not finite
 * or are the fill value are counted, and left out of the rest. */
typedef struct fc_stats {
    int64_t n;       /* samples that count */
    int64_t n_other; /* those that are not finite, or the fill value */
    int64_t n_fill;  /* those of the fill value among these */
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
    int others;   /* there may be samples that are not finite, or fill */
    double fill;  /* a value that is stored as it is; NaN for none */
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

/* A copy of a block in out in which samples of the fill value are NaN, so that they do not
 * count; the block itself where there is none (fill 0 or NaN, or no quanta). n is how many. */
const void *fc_mask_fill(int dtype, int rule, double fill, const void *block, int64_t count,
                         void *out, int64_t *n);

/* Samples of a block but for the zeros that it ends in. */
int64_t fc_count_to_zeros(int dtype, const void *block, int64_t count);

/* Notes n samples more of the fill value. */
void fc_add_fill(fc_stats *stats, int64_t n);

/* Statistics of a block. For integers and lossless floats, lo and hi are
 * in the order of the values as 64-bit integers (uint64: minus 2**63). */
void fc_scan_block(int dtype, int rule, const void *block, int64_t count, fc_stats *stats);
void fc_merge_stats(fc_stats *into, const fc_stats *more);

/* Chooses offset, quanta and width. Errors name no stream. */
int fc_plan_stream(int dtype, int rule, double parameter, double fill, const fc_stats *stats,
                   int plain, fc_plan *plan, fc_error *error);

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
