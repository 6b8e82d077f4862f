/* Predictors for blocks of samples. */
#ifndef FC_LPC_H
#define FC_LPC_H

#include "predict.h"

/* Finds the linear predictor that promises the fewest bits, of an order up to
 * most_order, and to 8, from the autocorrelation of a block of
 * samples. bits: that the samples need; width: that they have in the
 * subframe. 0 where none is of use. */
int fc_find_predictor(const double *autocorrelation, int most_order, int64_t samples, int bits,
                      int width, fc_predictor *predictor);

/* The window for samples of a block: Tukey's, half of it tapered, which is
 * libFLAC's at levels 3 to 5 too. */
void fc_make_window(float *window, int64_t samples);

#endif
