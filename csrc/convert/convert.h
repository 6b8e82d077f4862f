/* Samples of any dtype <-> the integers of FLAC's channels, one block at a time. */
#ifndef FC_CONVERT_H
#define FC_CONVERT_H

#include "flaccodec.h"
#include "plan/plan.h"
#include "samples/exceptions.h"

/* Converts `count` samples of `block` to `low` and, if the plan has two channels, `high`. `mode` is
 * an fc_mode; the other parameters are those of fc_quantize_block(). */
int fc_to_channels(int dtype, int mode, const fc_plan *plan, const void *block,
                   int64_t count, int32_t *low, int32_t *high, void *scratch,
                   int64_t stream, int64_t first, fc_exceptions *exceptions,
                   fc_error *error);

/* Converts `count` integers back to samples in `out`. `high` is NULL for one channel. `offset` and
 * `quanta` are those of the stream. */
void fc_from_channels(int dtype, int mode, uint64_t offset, double quanta,
                      const int32_t *low, const int32_t *high, int64_t count, void *out);

/* Adds `offset` to `count` integers in place: all that fc_from_channels() does for 32 bits. */
void fc_add_offset(int32_t *x, int64_t count, uint64_t offset);

/* Sets `count` floats of `out` to the value of an exception. */
void fc_fill_bits(int dtype, uint64_t bits, int64_t count, void *out);

/* Returns whether a chunk of this dtype and fc_mode may need two channels. */
int fc_may_be_wide(int dtype, int mode);

#endif
