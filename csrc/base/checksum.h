/* FLAC's CRC-8 and CRC-16. CRC-32C is declared in flaccodec.h. */
#ifndef FC_CHECKSUM_H
#define FC_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Return the CRC of `size` bytes. */
uint8_t fc_crc8(const uint8_t *bytes, size_t size);
uint16_t fc_crc16(const uint8_t *bytes, size_t size);

/* Returns the CRC-16 of a message with `size` zero bytes after it; `crc` is that of the message. */
uint16_t fc_crc16_shift(uint16_t crc, size_t size);

/* Returns the CRC-32C of two messages end to end. `first` and `second` are those of each,
 * `second_size` is the second one's size in bytes. */
uint32_t fc_crc32c_join(uint32_t first, uint32_t second, int64_t second_size);

#endif
