/* Marks: values that stand for missing samples. Only floats have them. */
#ifndef FC_MARKS_H
#define FC_MARKS_H

#include "flaccodec.h"

/* Finite values, no two the same. */
typedef struct fc_marks {
    double values[FC_MAX_MARKS];
    int n;
    int zero; /* which of them is 0; -1 for none */
} fc_marks;

/* The marks among some samples. */
typedef struct fc_marked {
    int64_t n;     /* samples that are marks */
    uint32_t seen; /* which marks: bit i for values[i] */
} fc_marked;

/* Returns the marks among `n` values, 0 to FC_MAX_MARKS, rounded to the dtype; none if it is no
 * float. Values that are not finite need no mark: such samples are stored as they are anyway. */
fc_marks fc_make_marks(int dtype, const double *values, int64_t n);

/* Returns whether an exception with these bits is a sample that quanta could not hold: it is
 * finite, and no mark. */
int fc_is_unfit(int dtype, const fc_marks *marks, uint64_t bits);

/* Returns `count` samples in which marks other than 0 are NaN, so that statistics leave them out: a
 * copy in `out`, or `block` itself if it has no such mark to look for, or if `rule` is
 * FC_QUANTA_NONE. Sets `marked` to the marks that became NaN. */
const void *fc_mask(int dtype, int rule, const fc_marks *marks, const void *block, int64_t count,
                    void *out, fc_marked *marked);

/* Returns how many samples of a block come before the zeros at its end. */
int64_t fc_count_to_zeros(int dtype, const void *block, int64_t count);

#endif
