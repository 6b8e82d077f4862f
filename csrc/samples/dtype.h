/* What the dtypes are: the only place that knows which are floats, and of which C type.
 *
 * A switch over fc_dtype has a case for each of them and no default, so that a dtype that is new
 * fails to compile wherever something must be done for it (-Werror=switch). */
#ifndef FC_DTYPE_H
#define FC_DTYPE_H

#include "flaccodec.h"

/* Returns whether `dtype` is one of floats. */
int fc_is_float(int dtype);

/* Returns the bytes of a sample, 0 if no dtype has this number. */
int fc_item_size(int dtype);

/* The cases of a switch over fc_dtype that are integers. */
#define FC_CASES_OF_INTEGERS                                                        \
    case FC_INT8: case FC_INT16: case FC_INT32: case FC_INT64: case FC_UINT8: \
    case FC_UINT16: case FC_UINT32: case FC_UINT64

/* Returns from a function with function_float or function_double of these arguments, whichever is
 * for `dtype`. Ends the process if that is no float: callers must have checked it. */
#define FC_RETURN_BY_FLOAT(dtype, function, arguments)   \
    switch ((fc_dtype)(dtype)) {                         \
    case FC_FLOAT32: return function##_float arguments;  \
    case FC_FLOAT64: return function##_double arguments; \
    FC_CASES_OF_INTEGERS: break;                         \
    }                                                    \
    __builtin_trap()

/* The same for what is done for each sample, after something for the block that checked. */
#ifdef NDEBUG
#define FC_RETURN_BY_CHECKED_FLOAT(dtype, function, arguments) \
    switch ((fc_dtype)(dtype)) {                               \
    case FC_FLOAT32: return function##_float arguments;        \
    case FC_FLOAT64: return function##_double arguments;       \
    FC_CASES_OF_INTEGERS: break;                               \
    }                                                          \
    __builtin_unreachable()
#else
#define FC_RETURN_BY_CHECKED_FLOAT FC_RETURN_BY_FLOAT
#endif

/* What is particular to a dtype of floats. */
typedef struct fc_float {
    int mantissa_bits; /* that are stored */
    double largest;    /* the largest finite number */
    /* Quantized samples must be checked one by one from this many quanta on, or with finer quanta:
     * before that, rounding to the dtype is far below half of the quanta. */
    double careful_from, careful_below;
    double half_last_step; /* half the distance of the largest number to the one before it */
} fc_float;

/* Returns it. `dtype` must be one of floats. */
const fc_float *fc_float_of(int dtype);

/* Return a number rounded to the dtype. */
static inline double fc_rounded_float(double value) { return (double)(float)value; }
static inline double fc_rounded_double(double value) { return value; }
static inline double fc_rounded(int dtype, double value) {
    FC_RETURN_BY_CHECKED_FLOAT(dtype, fc_rounded, (value));
}

/* Returns the name of a dtype, "unknown" if there is none with this number. */
const char *fc_dtype_name(int64_t dtype);

/* Returns the float that has these bits, in the low ones of `bits`. */
double fc_value_of_bits(int dtype, uint64_t bits);

/* Return sample i of a block of floats. */
static inline double fc_sample_float(const void *block, int64_t i) {
    return (double)((const float *)block)[i];
}
static inline double fc_sample_double(const void *block, int64_t i) {
    return ((const double *)block)[i];
}
static inline double fc_sample(int dtype, const void *block, int64_t i) {
    FC_RETURN_BY_CHECKED_FLOAT(dtype, fc_sample, (block, i));
}

#endif
