/* Predictors for blocks of samples. */
#ifndef FC_LPC_H
#define FC_LPC_H

#include "flac/predict.h"

/* Steady: made for some white noise besides the signal, and with bits of 17 or less for
 * sums of 32 bits. It bears changes within a block, and is decoded fast.
 * Sharp: for next to no noise, with coefficients as exact as a subframe can have them.
 * Tones above little noise take a fifth fewer bits with it. */
typedef enum fc_sharpness { FC_STEADY, FC_SHARP } fc_sharpness;

/* Finds the linear predictor that promises the fewest bits, of an order up to
 * most_order, and to 8, from the autocorrelation of a block of
 * samples. bits: that the samples need; width: that they have in the
 * subframe. 0 where none is of use. */
int fc_find_predictor(const double *autocorrelation, int most_order, int64_t samples, int bits,
                      int width, fc_sharpness sharpness, fc_predictor *predictor);

/* The energy of what a linear predictor leaves of a signal with this autocorrelation. */
double fc_energy_left(const double *autocorrelation, const fc_predictor *predictor);

/* The window for samples of a block: Tukey's, half of it tapered, which is
 * libFLAC's at levels 3 to 5 too. */
void fc_make_window(float *window, int64_t samples);

#endif
