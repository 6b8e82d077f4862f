/* Why a dataset or a chunk is refused, in words, on HDF5's error stack. */
#ifndef FC_REASON_H
#define FC_REASON_H

#include "flaccodec.h"
#include "hdf5/h5.h"

typedef struct {
    char text[400];
} fc_reason;

/* Writes a reason and returns 0, so that callers can return it. */
__attribute__((format(printf, 2, 3))) int fc_refuse(fc_reason *reason, const char *format, ...);

/* The reason for an error of the core. */
int fc_refuse_chunk(fc_reason *reason, const fc_error *error, const fc_expect *expect);

void fc_push(const fc_h5 *h5, const char *function, const fc_reason *reason);


#endif
