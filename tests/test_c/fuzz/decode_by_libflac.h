#ifndef FUZZ_DECODE_BY_LIBFLAC_H
#define FUZZ_DECODE_BY_LIBFLAC_H

#include "flaccodec.h"

/* fc_decode of a whole chunk, every frame by libFLAC. */
int decode_chunk_by_libflac(const uint8_t *chunk, int64_t size, const fc_view *out, fc_error *error);

#endif
