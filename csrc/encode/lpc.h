/* Linear predictors chosen for blocks of samples. */
#ifndef FC_LPC_H
#define FC_LPC_H

#include "flac/predictor.h"

/* How a predictor is made.
 *
 * FC_STEADY: as if the signal had some white noise, and, for samples of 17 bits or less, such
 * that sums take 32 bits. It bears changes within a block, and is decoded fast.
 *
 * FC_SHARP: for next to no noise, with coefficients as exact as a subframe can hold. Tones with
 * little noise take a fifth fewer bits with it. */
typedef enum fc_sharpness { FC_STEADY, FC_SHARP } fc_sharpness;

/* Finds the linear predictor that promises the fewest bits, of order 1 to `most_order` (8 at most),
 * for a block of `samples` samples with this autocorrelation. `bits`: that the samples need;
 * `width`: that they have in the subframe. Leaves `bits` and `wide` of `predictor` 0. Returns 0
 * if no predictor is of use. */
int fc_find_predictor(const double *autocorrelation, int most_order, int64_t samples, int bits,
                      int width, fc_sharpness sharpness, fc_predictor *predictor);

/* Returns the energy of what a linear predictor, of order 8 at most, leaves of a signal with this
 * autocorrelation. */
double fc_energy_left(const double *autocorrelation, const fc_predictor *predictor);

/* Sets `window` to the window for a block of `samples` samples: Tukey's with half of it tapered,
 * as libFLAC has it at levels 3 to 5. */
void fc_make_window(float *window, int64_t samples);

#endif
