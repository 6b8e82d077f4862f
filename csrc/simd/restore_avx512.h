/* Blocks read and restored with AVX-512, each in a lane of a vector. */
#ifndef FC_RESTORE_AVX512_H
#define FC_RESTORE_AVX512_H

#include "flac/predictor.h"
#include "flac/residual.h"

/* Reads `n` residuals, 1 to 16, all of one length, and restores their blocks: tile by tile, so
 * that residuals stay in the cache. The processor must have AVX-512. `residuals[i].x` is
 * `blocks[i].x`. A block may end before its residual; what comes after it is not read then.
 *
 * Returns 1 if all residuals are valid. Returns 0 if one is not, or is unusual: then the positions
 * and the samples before the residuals are as they were, so that all can be read otherwise. */
int fc_decode_tiles(const fc_residual *residuals, fc_restoring *blocks, int n);

#endif
