/* Checksums made right again, so that damage reaches what lies behind them. */
#ifndef FUZZ_REPAIR_H
#define FUZZ_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a frame's header with its CRC-8, as its codes have it, of any
 * blocking strategy and channels; 0 where there is no room for that. */
size_t frame_header_size(const uint8_t *frame, size_t size);

/* Sets a frame's CRC-8 and CRC-16. */
void repair_frame(uint8_t *frame, size_t size);

/* Sets the sizes that a chunk's header has of its parts, the CRCs of its
 * frames, what the index has of these, and the checksums of the parts. Does
 * nothing to what has no header and index. */
void repair_chunk(uint8_t *chunk, size_t size);

#endif
