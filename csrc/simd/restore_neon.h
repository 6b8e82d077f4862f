/* Blocks restored with NEON, each in a lane of a vector. */
#ifndef FC_RESTORE_NEON_H
#define FC_RESTORE_NEON_H

#include "flac/predictor.h"

/* Restores the first samples of `n` blocks, 1 to 8. Returns how many samples of each block are
 * restored, with those before the residuals; 0 if none was touched, as for few blocks.
 * fc_restore_block() does the rest. */
int64_t fc_restore_neon(fc_restoring *blocks, int n);

#endif
