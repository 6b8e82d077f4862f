/* How the samples of one stream are stored. */
#ifndef FC_PLAN_H
#define FC_PLAN_H

#include "flaccodec.h"
#include "plan/stats.h"
#include "samples/marks.h"

/* A sample is stored as (sample / quanta, or its integer) - offset, in 1 or 2 channels. */
typedef struct fc_plan {
    uint64_t offset; /* subtracted modulo 2**64 */
    double quanta;   /* of quantized floats */
    int bits;        /* of a sample of a channel: 8, 12, 16, 20, 24 or 32 */
    int channels;    /* 1, or 2: the low and the high 32 bits */
    int careful;     /* whether each quantized sample must be checked */
    /* Samples stored as they are, as exceptions: whether there may be any; they are those of a
     * magnitude above `limit`, those that are not finite, and some marks. */
    int others;
    double limit;
    uint32_t apart; /* which marks: bit i for marks->values[i] */
    double mark;    /* the first of them, so that it is found fast; NaN for none */
    const fc_marks *marks;
} fc_plan;

/* Plans a stream. `rule` is an fc_quanta_rule, `parameter` its parameter. `stats` are those of all
 * samples of the stream, scanned with `rule` and `limit`. `plain`: integers without an offset,
 * 64 bits in two channels.
 *
 * Returns FC_OK, FC_ERR_QUANTA or FC_ERR_QUANTA_TOO_FINE; errors name no stream. With
 * FC_ERR_QUANTA_TOO_FINE the plan's quanta are set, to 0 if they are no float64, and the error's
 * value is the smallest quanta that would do. */
int fc_plan_stream(int dtype, int rule, double parameter, double limit, const fc_marks *marks,
                   const fc_stats *stats, int plain, fc_plan *plan, fc_error *error);

/* Sets which marks the plan stores as exceptions; plan->marks must be set. */
void fc_keep_apart(fc_plan *plan, uint32_t apart);

/* Returns the smallest quanta that hold a sample of this magnitude, with room for rounding. */
double fc_smallest_quanta(double magnitude);

/* Returns the smallest quanta with which no sample up to this magnitude must be checked. */
double fc_careless_quanta(int dtype, double magnitude);

#endif
