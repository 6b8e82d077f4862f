/* The decoder of chunks once more, under another name and with libFLAC forced,
 * since a process asks its environment only once. */
#define fc_decode decode_chunk_asking_environment
#include "chunk/decode_chunk.c"
#undef fc_decode

#include "decode_by_libflac.h"

int decode_chunk_by_libflac(const uint8_t *chunk, int64_t size, const fc_view *out, fc_error *error) {
    fc_piece whole = {chunk, 0, size};
    /* Asks, and refuses for want of bytes. */
    decode_chunk_asking_environment(chunk, 0, NULL, 0, NULL, NULL, 0, out, 1, NULL, error);
    libflac_forced = 1;
    return decode_chunk_asking_environment(chunk, size, &whole, 1, NULL, NULL, 0, out, 1, NULL, error);
}
