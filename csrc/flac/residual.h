/* The coded residuals of subframes (RFC 9639, section 9.2.7). */
#ifndef FC_RESIDUAL_H
#define FC_RESIDUAL_H

#include "base/bits.h"

/* The residual of a block of samples, which comes after the order warm-up
 * samples that its predictor has, with order < samples. */
typedef struct fc_residual {
    fc_bits *bits; /* at the residual's first bit; after it when it has been read */
    int order;
    int64_t samples;
    int32_t *x; /* x[order] to x[samples - 1] are written, folded: see fc_unfold */
    int good;   /* whether it was as it should be */
    int number; /* the caller's own */
    uint64_t loadable; /* bytes from those of bits on */
} fc_residual;

/* Residuals are coded as 0, -1, 1, -2, 2 ... */
FC_INLINE int32_t fc_unfold(int32_t folded) {
    return (int32_t)((uint32_t)folded >> 1) ^ -(folded & 1);
}

/* Reads count Rice codes one by one, wherever they end; 0 where they are not right. */
int fc_read_codes(fc_bits *bits, unsigned parameter, int64_t count, int32_t *folded);

/* Reads n residuals, several side by side: what comes next in a bit stream hangs
 * on what was before, so that a single one leaves the processor waiting. */
void fc_read_residuals(fc_residual *residuals, int n);

#endif
