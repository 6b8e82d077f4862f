/* Blocks restored with AVX2, each in a lane of a vector. */
#ifndef FC_RESTORE_AVX2_H
#define FC_RESTORE_AVX2_H

#include "flac/predictor.h"

/* Restores the first samples of `n` blocks, 1 to 8. The processor must have AVX2. Returns how many
 * samples of each block are restored, with those before the residuals; 0 if none was touched.
 * fc_restore_block() does the rest. */
int64_t fc_restore_avx2(fc_restoring *blocks, int n);

#endif
