/* What the dtypes are. */
#ifndef FC_DTYPE_H
#define FC_DTYPE_H

#include "flaccodec.h"

/* Returns whether `dtype` is one of floats. */
int fc_is_float(int dtype);

/* Returns the bytes of a sample, 0 if no dtype has this number. */
int fc_item_size(int dtype);

#endif
