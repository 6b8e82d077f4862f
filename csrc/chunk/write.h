/* The last step of encoding: what is known only when all frames are encoded. */
#ifndef FC_WRITE_H
#define FC_WRITE_H

#include "chunk/encoding.h"

/* Writes the index, the headers of streams, the exceptions and the header of a chunk, and resizes
 * it to its bytes. Returns FC_OK, or a code with `*error` filled in. */
int fc_finish_chunk(fc_encoding *e, fc_error *error);

#endif
