/* The coded residual of a subframe (RFC 9639, section 9.2.7). */
#ifndef FC_RESIDUAL_H
#define FC_RESIDUAL_H

#include "bits.h"

/* Reads the residual of a block of samples after a predictor's order warm-up
 * samples, with order < samples: residual[order] to residual[samples - 1]
 * are written. 0 where it is not as it should be. */
int fc_read_residual(fc_bits *bits, int order, int64_t samples, int32_t *residual);

#endif
