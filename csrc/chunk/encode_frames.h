/* The second step of encoding: frames, by jobs of neighbouring ones. The bytes of jobs are
 * appended to the chunk in order. */
#ifndef FC_ENCODE_FRAMES_H
#define FC_ENCODE_FRAMES_H

#include "chunk/encoding.h"

/* Encodes all frames as planned. The header must be complete but for sizes and checksums. Allocates
 * the chunk; writes its frames and the entries of frames in its index, and lists exceptions.
 * Returns FC_OK, or a code with `*error` filled in. */
int fc_encode_frames(fc_encoding *e, fc_error *error);

/* Frees what encoding frames allocated but the chunk and the exceptions. */
void fc_free_workers(fc_encoding *e);

#endif
