/* Undoing the prediction of a subframe (RFC 9639, sections 9.2.5, 9.2.6). */
#ifndef FC_PREDICT_H
#define FC_PREDICT_H

#include <stdint.h>

#define FC_MAX_ORDER 32

/* A sample is its residual plus the sum of coefficient[j] times the sample
 * j + 1 before it, shifted right. Fixed predictors are such ones too, with
 * no shift. */
typedef struct fc_predictor {
    int order; /* 0 to FC_MAX_ORDER */
    int shift; /* 0 to 15 */
    int fixed;
    int bits;  /* of a sample, 1 to 32 */
    int wide;  /* sums may take more than 32 bits */
    int32_t coefficient[FC_MAX_ORDER]; /* of 15 bits and a sign at most */
    int32_t magnitudes;                /* of these, summed up */
} fc_predictor;

/* The fixed predictor of order 0 to 4. */
void fc_set_fixed(fc_predictor *predictor, int order);

/* Sets bits, and wide from the other fields. */
void fc_set_width(fc_predictor *predictor, int bits);

/* x holds order warm-up samples, then residuals (folded, as fc_read_residuals
 * leaves them) up to samples in all or more, which become samples; order is below
 * samples. */
typedef struct fc_restoring {
    const fc_predictor *predictor;
    int32_t *x;
    int64_t samples;
} fc_restoring;

/* Restores n blocks, together where that takes less time.
 *
 * Arithmetic is modulo 2**32, or in the sums 2**64: what a hostile residual
 * makes overflow is defined, if meaningless. */
void fc_restore_samples(const fc_restoring *blocks, int n);

/* Restores one, whose first from samples are so already; from >= order. */
void fc_restore_block(const fc_restoring *block, int64_t from);

#endif
