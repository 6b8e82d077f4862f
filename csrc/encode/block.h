/* What an encoder asks of a block of samples, in loops for each kind of processor. All kinds
 * give the same numbers: sums are taken in the same order. */
#ifndef FC_BLOCK_H
#define FC_BLOCK_H

#include "flac/predictor.h"

#define FC_LAGS 9       /* of an autocorrelation: for orders up to 8 */
#define FC_LAG_MARGIN 8 /* zeros before and after the samples that are correlated */

typedef struct fc_survey {
    int bits;     /* that a sample needs, 1 to 32 */
    int wasted;   /* low bits that are 0 in all samples; 0 if all samples are 0 */
    int constant; /* whether all samples are the same */
} fc_survey;

/* Surveys `samples` samples, at least 1. */
void fc_survey_block(const int32_t *x, int64_t samples, fc_survey *survey);

/* Sets `sums[k]` to the sum of the magnitudes of the kth differences, from sample 4 on. `samples`
 * is at least 4; `bits`: of a sample, 1 to 32. */
void fc_sum_differences(const int32_t *x, int64_t samples, int bits, double sums[5]);

/* Sets `windowed` to `window` times `x`, and `autocorrelation` to that of `windowed`, which must
 * have FC_LAG_MARGIN zeros before it and as much room after it. */
void fc_autocorrelate(const int32_t *x, const float *window, int64_t samples, double *windowed,
                      double autocorrelation[FC_LAGS]);

/* Sets `folded` to the residuals of `samples` samples, folded (fc_unfold() undoes it); the first
 * ones, as many as the order, are 0. Returns 0 if one does not fit in 32 bits, or is the number
 * that a residual must not be (RFC 9639, section 9.2.7.3). */
int fc_fold_residuals(const fc_predictor *predictor, const int32_t *x, int64_t samples,
                      uint32_t *folded);

/* Sets `sums[i]` to the sum of part i of `folded`. There are `parts` parts of `size` numbers. */
void fc_sum_parts(const uint32_t *folded, int64_t size, int parts, uint64_t *sums);

#endif
