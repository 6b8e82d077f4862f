/* Statistics of samples, from which it is planned how to store them. */
#ifndef FC_STATS_H
#define FC_STATS_H

#include "flaccodec.h"
#include "plan/moments.h"
#include "samples/marks.h"

/* What is known of some samples of one stream. Some floats do not count: those that are not
 * finite, or beyond the limit of the scan, and marks. */
typedef struct fc_stats {
    int64_t n;          /* samples that count; all other fields but the next two are of them */
    int64_t n_other;    /* samples that do not count */
    fc_marked marked;   /* the marks among those */
    int64_t lo, hi;     /* integers and lossless floats: the least and the greatest */
    double min, max;    /* quantized floats: the same */
    fc_moments moments; /* only if quanta follow from precision */
} fc_stats;

/* Sets `stats` to those of `count` samples, at least 1, but for `marked`. Floats count if their
 * magnitude is at most `limit`; only if `rule`, an fc_quanta_rule, is not FC_QUANTA_NONE.
 *
 * `lo` and `hi` are the values as int64; for uint64, minus 2**63; for lossless floats,
 * fc_order32() or fc_order64() of their bits. */
void fc_scan_block(int dtype, int rule, double limit, const void *block, int64_t count,
                   fc_stats *stats);

/* Adds the statistics of more samples of the stream to `into`. */
void fc_merge_stats(fc_stats *into, const fc_stats *more);

/* Adds `n` samples that are 0; if n > 0, 0 must be a mark. */
void fc_add_zeros(fc_stats *stats, const fc_marks *marks, int64_t n);

/* Returns which sample of a block of floats has the largest finite magnitude, -1 if none is
 * finite. */
int64_t fc_find_largest(int dtype, const void *block, int64_t count);

#endif
