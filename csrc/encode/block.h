/* What an encoder asks of a block of samples, in loops for each kind of
 * processor. All give the same numbers: sums are taken in the same order. */
#ifndef FC_BLOCK_H
#define FC_BLOCK_H

#include "flac/predict.h"

#define FC_LAGS 9       /* of an autocorrelation: up to order 8 */
#define FC_LAG_MARGIN 8 /* zeros before and behind the samples that are correlated */

typedef struct fc_survey {
    int bits;     /* that a sample needs, 1 to 32 */
    int wasted;   /* low bits that are zero in all; 0 where all are zero */
    int constant; /* whether all are the same */
} fc_survey;

void fc_survey_block(const int32_t *x, int64_t samples, fc_survey *survey);

/* Sums of the magnitudes of the differences of order 0 to 4, from sample 4
 * on. bits: of a sample. */
void fc_sum_differences(const int32_t *x, int64_t samples, int bits, double sums[5]);

/* windowed = window * x; then its autocorrelation. windowed has
 * FC_LAG_MARGIN zeros on either side. */
void fc_autocorrelate(const int32_t *x, const float *window, int64_t samples, double *windowed,
                      double autocorrelation[FC_LAGS]);

/* The residuals of samples order to the last, folded (see fc_unfold); before
 * these zeros. 0 where one does not fit 32 bits, or is the number that a
 * residual must not be (RFC 9639, section 9.2.7.3). */
int fc_fold_residuals(const fc_predictor *predictor, const int32_t *x, int64_t samples,
                      uint32_t *folded);

/* The sum of each of so many parts of size. */
void fc_sum_parts(const uint32_t *folded, int64_t size, int parts, uint64_t *sums);

#endif
