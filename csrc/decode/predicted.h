/* Subframes that are predicted: from coded residuals to samples. */
#ifndef FC_PREDICTED_H
#define FC_PREDICTED_H

#include "flac/predict.h"
#include "flac/residual.h"

/* Reads n residuals, up to FC_MAX_BATCH, and restores the samples of their
 * blocks, residuals[i].x being blocks[i].x; a block may end before its residual, which may
 * then be taken as read. Sets good of each, 0 also where samples do not have the bits that
 * they should have. Their order may
 * be another afterwards, the same for both. */
void fc_decode_predicted(fc_residual *residuals, fc_restoring *blocks, int n);

#endif
