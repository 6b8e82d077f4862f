#include "samples/marks.h"

#include <math.h>

#include "base/vectors.h"
#include "samples/dtype.h"

static int has_mark(const fc_marks *marks, double value) {
    for (int i = 0; i < marks->n; i++)
        if (marks->values[i] == value) return 1;
    return 0;
}

fc_marks fc_make_marks(int dtype, const double *values, int64_t n) {
    fc_marks marks = {.zero = -1};
    for (int64_t i = 0; i < n && fc_is_float(dtype); i++) {
        double value = fc_rounded(dtype, values[i]);
        if (!isfinite(value) || has_mark(&marks, value)) continue;
        if (value == 0) marks.zero = marks.n;
        marks.values[marks.n++] = value;
    }
    return marks;
}

int fc_is_unfit(int dtype, const fc_marks *marks, uint64_t bits) {
    double value = fc_value_of_bits(dtype, bits);
    return isfinite(value) && !has_mark(marks, value);
}

/* x may be out. */
#define MASK(type)                                                                         \
    FC_WIDE_LOOP static int64_t mask_##type(const type *x, int64_t count, type mark, type *out) { \
        int64_t n = 0;                                                                     \
        for (int64_t i = 0; i < count; i++) {                                              \
            n += x[i] == mark;                                                             \
            out[i] = x[i] == mark ? (type)NAN : x[i];                                      \
        }                                                                                  \
        return n;                                                                          \
    }
MASK(float)
MASK(double)

static int64_t mask(int dtype, const void *x, int64_t count, double mark, void *out) {
    FC_RETURN_BY_FLOAT(dtype, mask, (x, count, mark, out));
}

/* Zero is a multiple of all quanta, so it is not masked. */
const void *fc_mask(int dtype, int rule, const fc_marks *marks, const void *block, int64_t count,
                    void *out, fc_marked *marked) {
    *marked = (fc_marked){0, 0};
    for (int i = 0; i < marks->n && rule != FC_QUANTA_NONE; i++) {
        if (i == marks->zero) continue;
        int64_t n = mask(dtype, block, count, marks->values[i], out);
        if (n) marked->seen |= UINT32_C(1) << i;
        marked->n += n;
        block = out;
    }
    return block;
}

#define COUNT_TO_ZEROS(type)                                          \
    static int64_t to_zeros_##type(const type *x, int64_t count) {    \
        while (count && x[count - 1] == 0) count--;                   \
        return count;                                                 \
    }
COUNT_TO_ZEROS(float)
COUNT_TO_ZEROS(double)

int64_t fc_count_to_zeros(int dtype, const void *block, int64_t count) {
    FC_RETURN_BY_FLOAT(dtype, to_zeros, (block, count));
}
