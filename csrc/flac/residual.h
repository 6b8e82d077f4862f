/* The coded residuals of subframes (RFC 9639, section 9.2.7). */
#ifndef FC_RESIDUAL_H
#define FC_RESIDUAL_H

#include "base/bits.h"

/* The residual of one block, to be read. The block has `order` samples before it, fewer than
 * `samples`. */
typedef struct fc_residual {
    fc_bits *bits; /* in: at the residual's first bit; out, if `good`: after its last */
    int order;
    int64_t samples; /* of the whole block */
    int32_t *x; /* out: x[order] to x[samples - 1], folded (see fc_unfold()) */
    int good;   /* out: whether the residual is valid; else `x` holds unspecified values */
    int number; /* the caller's own */
    uint64_t loadable; /* bytes that may be loaded, counted from `bits->bytes` */
} fc_residual;

/* Returns the residual that `folded` stands for: 0, -1, 1, -2, 2 ... for 0, 1, 2, 3, 4 ... */
FC_INLINE int32_t fc_unfold(int32_t folded) {
    return (int32_t)((uint32_t)folded >> 1) ^ -(folded & 1);
}

/* Reads `count` Rice codes to `folded`, one after another, wherever they end. `parameter`
 * is 0 to 30. Returns whether they are valid. */
int fc_read_codes(fc_bits *bits, unsigned parameter, int64_t count, int32_t *folded);

/* Reads `n` residuals and sets `good` of each. Reads several side by side: within one, each code
 * must wait for the one before it. */
void fc_read_residuals(fc_residual *residuals, int n);

#endif
