/* Floats quantized to integers. */
#ifndef FC_QUANTIZE_H
#define FC_QUANTIZE_H

#include "flaccodec.h"
#include "plan/plan.h"
#include "samples/exceptions.h"

/* Quantizes `count` floats of `block` to `low` and, if the plan has two channels, `high`. They are
 * samples `first` and on of `stream`. Those that their integer could not give back as promised are
 * added to `exceptions`. `scratch` has room for `count` samples. Returns FC_OK or
 * FC_ERR_MEMORY. */
int fc_quantize_block(int dtype, const fc_plan *plan, const void *block, int64_t count,
                      int32_t *low, int32_t *high, void *scratch, int64_t stream, int64_t first,
                      fc_exceptions *exceptions, fc_error *error);

#endif
