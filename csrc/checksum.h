/* FLAC's CRC-8 and CRC-16; CRC-32C is declared in flaccodec.h. */
#ifndef FC_CHECKSUM_H
#define FC_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint8_t fc_crc8(const uint8_t *bytes, size_t size);
uint16_t fc_crc16(const uint8_t *bytes, size_t size);

/* The CRC-16 of a message whose CRC-16 was crc, after size zero bytes more. */
uint16_t fc_crc16_shift(uint16_t crc, size_t size);

#endif
