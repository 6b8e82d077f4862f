/* The first step of encoding: streams are scanned, and it is planned how to store each. */
#ifndef FC_SCAN_H
#define FC_SCAN_H

#include "chunk/encoding.h"

/* Plans all streams; fc_make_plans() must have been called. Sets the header's quanta, if all
 * streams have the same. Returns FC_OK, or a code with `*error` filled in. */
int fc_scan_streams(fc_encoding *e, fc_error *error);

/* Returns which sample of a stream is the first whose magnitude is `magnitude`, which is the
 * largest; -1 if the call was stopped. `thread` says whose scratch to use. */
int64_t fc_find_largest_of(fc_encoding *e, int thread, int64_t stream, double magnitude);

#endif
