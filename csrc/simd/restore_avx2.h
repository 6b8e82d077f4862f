#ifndef FC_RESTORE_AVX2_H
#define FC_RESTORE_AVX2_H

#include "flac/predict.h"

/* Restores the first samples of n blocks, 1 to 8, on a processor that has
 * AVX2. Returns how many of each are samples now; 0 where none was touched. */
int64_t fc_restore_avx2(fc_restoring *blocks, int n);

#endif
