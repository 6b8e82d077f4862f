/* Numbers as integers that have the same order. */
#ifndef FC_ORDER_H
#define FC_ORDER_H

#include <stdint.h>

#define FC_SIGN64 (UINT64_C(1) << 63) /* xor'ed to uint64, it gives int64 of the same order */

/* Return the bits of a float32 or float64 as an integer: a larger number has a larger integer.
 * They undo themselves. */
static inline int32_t fc_order32(int32_t bits) {
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}
static inline int64_t fc_order64(int64_t bits) {
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

#endif
