/* Finds the step of a grid that samples lie on already. */
#ifndef FC_GRID_H
#define FC_GRID_H

#include <stdint.h>

/* The samples of one stream, NaN for those that do not count. */
typedef struct fc_source {
    /* Returns samples from `first` on, contiguous and native, valid until the next call. `*count`
     * is how many: at least 1, at most `*count` as it was given. */
    const void *(*load)(void *context, int64_t first, int64_t *count);
    void *context;
    int64_t size;
} fc_source;

/* Looks for a step q with which every finite sample x is `fc_restored(dtype, k, q)`, k being
 * `fc_quantize_exactly(x, q)` and less than 2**63 in magnitude. Only q from step / (1 + doubt) to
 * step / (1 - doubt) count, and those nearer to `step` are tried first. `dtype` is that of a float,
 * step > 0, doubt >= 0.
 * Returns q, or 0 if none was found: there is none, or samples are so far from zero that it could
 * take too long: 10**4 steps or more for float32, 10**10 for float64. Most often it is found even
 * then, but hardly where a step is less than two spacings of the dtype. Samples on no grid are
 * mostly known after a few. */
double fc_find_grid(int dtype, double step, double doubt, const fc_source *source);

#endif
