#ifndef FC_RESTORE_AVX512_H
#define FC_RESTORE_AVX512_H

#include "flac/predict.h"
#include "flac/residual.h"

/* Decodes n blocks whose residuals have one length, 1 to 16, on a processor that has AVX-512:
 * tile by tile, residuals are read and samples restored, as far as blocks go; residuals that
 * are longer are taken as read. The blocks begin with their warm-up samples. Returns 0 where residuals are not good or unusual;
 * then no position has moved, and warm-up samples are as they were. */
int fc_decode_tiles(const fc_residual *residuals, fc_restoring *blocks, int n);

#endif
