/* Why a dataset or a chunk is refused, in words, on HDF5's error stack. */
#ifndef FC_REASON_H
#define FC_REASON_H

#include "flaccodec.h"
#include "hdf5/h5.h"

typedef struct {
    char text[400]; /* a sentence without its full stop */
} fc_reason;

/* Writes a reason, as printf() does. Returns 0, so that a caller can return it. */
__attribute__((format(printf, 2, 3))) int fc_refuse(fc_reason *reason, const char *format, ...);

/* Writes the reason for an error of the library; `expect` is what the chunk was expected to be.
 * Returns 0. */
int fc_refuse_chunk(fc_reason *reason, const fc_error *error, const fc_expect *expect);

/* Puts a reason on HDF5's error stack, as that of the function `function`. */
void fc_push(const fc_h5 *h5, const char *function, const fc_reason *reason);


#endif
