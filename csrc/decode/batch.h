/* Subframes with a predictor, several together: from coded residuals to samples, by what this
 * processor does fastest. */
#ifndef FC_BATCH_H
#define FC_BATCH_H

#include "flac/predictor.h"
#include "flac/residual.h"

#define FC_MAX_BATCH 32 /* frames that are decoded together */

/* Restores `n` blocks, several together if that is faster. As fc_restore_block() does, from
 * the order of each on. */
void fc_restore_blocks(fc_restoring *blocks, int n);

/* Reads `n` residuals, 0 to FC_MAX_BATCH, and restores their blocks. `residuals[i].x` is
 * `blocks[i].x`. A block may end before its residual; what comes after it may be left unread.
 *
 * Sets `good` of each residual: 0 if it is not valid, or if samples do not fit in their bits.
 * May sort residuals and blocks, both in the same way. */
void fc_decode_batch(fc_residual *residuals, fc_restoring *blocks, int n);

#endif
