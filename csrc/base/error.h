/* Errors noted in an fc_error. */
#ifndef FC_ERROR_H
#define FC_ERROR_H

#include "flaccodec.h"

/* Each sets `*error` and returns `code`, so that a caller can return it. `got`, `want`, `stream`,
 * `frame` and `sample` are the fields of these names, the others are -1. */
int fc_fail(fc_error *error, int code);
int fc_fail_values(fc_error *error, int code, int64_t got, int64_t want);
int fc_fail_at(fc_error *error, int code, int64_t stream, int64_t frame,
               int64_t sample);

#endif
