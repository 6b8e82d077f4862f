/* Predictors of samples (RFC 9639, sections 9.2.5 and 9.2.6), and the samples of one block
 * restored from what its predictor left. */
#ifndef FC_PREDICTOR_H
#define FC_PREDICTOR_H

#include <stdint.h>

#define FC_MAX_ORDER 32

/* A sample is its residual plus a prediction: the sum of `coefficient[j]` times the sample
 * j + 1 before it, shifted right by `shift`. Fixed predictors have no shift. */
typedef struct fc_predictor {
    int order; /* 0 to FC_MAX_ORDER */
    int shift; /* 0 to 15 */
    int fixed; /* whether it is one of FLAC's fixed predictors */
    int bits;  /* of a sample, 1 to 32 */
    int wide;  /* whether sums may take more than 32 bits */
    int32_t coefficient[FC_MAX_ORDER]; /* the first `order` count; each of 15 bits at most */
    int32_t magnitudes;                /* the sum of the coefficients' magnitudes */
} fc_predictor;

/* Makes `predictor` the fixed predictor of this order, 0 to 4. Leaves `bits` and `wide`. */
void fc_set_fixed(fc_predictor *predictor, int order);

/* Sets `bits` of `predictor`, 1 to 32, and `wide`, which follows from it and the other fields. */
void fc_set_width(fc_predictor *predictor, int bits);

/* A block whose samples are being restored. */
typedef struct fc_restoring {
    const fc_predictor *predictor;
    /* In: as many samples as the predictor's order, then residuals, folded (fc_unfold()).
     * Out: samples. */
    int32_t *x;
    int64_t samples; /* how many to restore, with those before the residuals; above the order */
    uint32_t reach;  /* in: 0; out: fc_reach() of all restored samples, or'ed */
} fc_restoring;

/* Returns less than 2**`bits` if `x` fits in `bits` bits, 1 to 32; else 2**`bits` or more. */
static inline uint32_t fc_reach(int32_t x, int bits) {
    return (uint32_t)x + ((uint32_t)1 << (bits - 1));
}

/* Returns whether all restored samples fit in the bits that the predictor says. An encoder
 * writes no others; with 32 bits there are no others. */
static inline int fc_fits(const fc_restoring *block) {
    return block->predictor->bits == 32 || !(block->reach >> block->predictor->bits);
}

/* Restores the samples of one block from sample `from` on. `from` is at least the order; all
 * samples before it must be restored already.
 *
 * Arithmetic is modulo 2**32 (sums of a wide predictor: 2**64). So damaged input is no undefined
 * behaviour: samples from the first one that does not fit on are any numbers, and may
 * differ between processors. */
void fc_restore_block(fc_restoring *block, int64_t from);

#endif
