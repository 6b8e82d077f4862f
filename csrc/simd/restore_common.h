/* What restoring blocks in lanes needs besides vectors, on every processor. The files
 * restore_*.c include it. */
#ifndef FC_RESTORE_COMMON_H
#define FC_RESTORE_COMMON_H

#include "base/bits.h"
#include "flac/predictor.h"

#define UNROLLED _Pragma("GCC unroll 16") /* arrays that a loop goes over stay in memory */

static inline int highest_order(const fc_restoring *blocks, int n) {
    int order = 0;
    for (int k = 0; k < n; k++)
        if (blocks[k].predictor->order > order) order = blocks[k].predictor->order;
    return order;
}

static inline int is_same_fixed(const fc_restoring *blocks, int n) {
    for (int k = 0; k < n; k++)
        if (!blocks[k].predictor->fixed || blocks[k].predictor->order != blocks[0].predictor->order)
            return 0;
    return 1;
}

/* The order of the loop for these blocks: rounded up to an even one if orders may differ, so
 * that half as many loops do. FC_MAX_ORDER is even. */
static inline int order_of_lanes(const fc_restoring *blocks, int n) {
    int order = highest_order(blocks, n);
    return is_same_fixed(blocks, n) ? order : order + (order & 1);
}

static inline int64_t fewest_samples(const fc_restoring *blocks, int n) {
    int64_t samples = blocks[0].samples;
    for (int k = 1; k < n; k++)
        if (blocks[k].samples < samples) samples = blocks[k].samples;
    return samples;
}

/* Restores all blocks up to sample `from`, which is not below any order. */
static inline void restore_beginnings(fc_restoring *blocks, int n, int64_t from) {
    for (int k = 0; k < n; k++) {
        fc_restoring beginning = {blocks[k].predictor, blocks[k].x, from, 0};
        fc_restore_block(&beginning, blocks[k].predictor->order);
        blocks[k].reach |= beginning.reach;
    }
}

/* Calls a loop with a constant order: for each fixed predictor, and for the orders of other
 * predictors that encoders choose most. */
#define CALL_BY_FIXED_ORDER(call) \
    switch (l->order) {           \
    case 0: call(l, 0); return;   \
    case 1: call(l, 1); return;   \
    case 2: call(l, 2); return;   \
    case 3: call(l, 3); return;   \
    default: call(l, 4);          \
    }

#define CALL_BY_ORDER(call)       \
    switch (l->order) {           \
    case 2: call(l, 2); return;   \
    case 4: call(l, 4); return;   \
    case 6: call(l, 6); return;   \
    case 8: call(l, 8); return;   \
    case 10: call(l, 10); return; \
    case 12: call(l, 12); return; \
    default: call(l, l->order);   \
    }

#endif
