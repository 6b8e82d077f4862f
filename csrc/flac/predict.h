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
    uint32_t reach; /* 0 at first; then what all samples have in fc_reach(), or'ed */
} fc_restoring;

/* Below 2**bits where the sample has these bits. */
static inline uint32_t fc_reach(int32_t x, int bits) {
    return (uint32_t)x + ((uint32_t)1 << (bits - 1));
}

/* Whether all samples that were restored have the bits that the predictor tells of.
 * Others are of no encoder; with 32 bits there are no others. */
static inline int fc_fits(const fc_restoring *block) {
    return block->predictor->bits == 32 || !(block->reach >> block->predictor->bits);
}

/* Restores n blocks, together where that takes less time.
 *
 * Arithmetic is modulo 2**32, or in the sums 2**64, and knows of the low bits of
 * a sample only, where it has no more: from the first sample that does not fit on, all are
 * defined, but others with each processor. */
void fc_restore_samples(fc_restoring *blocks, int n);

/* Restores one, whose first from samples are so already; from >= order. */
void fc_restore_block(fc_restoring *block, int64_t from);

#endif
