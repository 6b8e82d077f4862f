#ifndef FC_RESTORE_NEON_H
#define FC_RESTORE_NEON_H

#include "flac/predict.h"

/* Restores the first samples of n blocks, 1 to 8, on a processor that has
 * NEON. Returns how many of each are samples now; 0 where none was touched,
 * as where it would take no less time. */
int64_t fc_restore_neon(fc_restoring *blocks, int n);

#endif
