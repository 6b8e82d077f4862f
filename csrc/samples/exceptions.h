/* Samples that are stored as they are, beside the streams. */
#ifndef FC_EXCEPTIONS_H
#define FC_EXCEPTIONS_H

#include "flaccodec.h"

#define FC_EXCEPTION_MAX_RUN UINT32_MAX

/* A run of samples with one value: `length` samples of `stream`, at least 1, from `start` on.
 * `bits` has the bits of the value, in its low ones. */
typedef struct fc_exception {
    uint32_t stream;
    uint32_t length;
    uint64_t start;
    uint64_t bits;
} fc_exception;

/* A list of exceptions that grows. It is empty if all fields are 0. `items` is for its owner to
 * free. */
typedef struct fc_exceptions {
    fc_exception *items;
    int64_t n, room;
} fc_exceptions;

/* Joins `e` to the last exception of the list, if it has the same value and begins where that
 * ends. Returns whether it did. */
int fc_join_exception(fc_exceptions *list, fc_exception e);

/* Adds `e` to the list, joined to the last exception if possible. Returns FC_OK or
 * FC_ERR_MEMORY. */
int fc_add_exception(fc_exceptions *list, fc_exception e, fc_error *error);

#endif
