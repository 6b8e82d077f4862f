/* Checksums against their definitions, a bit at a time.
 *
 * cc -O1 -g -fsanitize=address,undefined -Icsrc tests/test_c/c/test_checksum.c csrc/base/checksum.c csrc/base/cpu.c
 * With -DFC_PORTABLE the portable CRC-16 is tested instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "flaccodec.h"

static uint16_t crc16_by_bits(const uint8_t *bytes, size_t size) {
    uint16_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? 0x8005 : 0));
    }
    return crc;
}

static uint32_t crc32c_by_bits(uint32_t crc, const uint8_t *bytes, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static int check(size_t size) {
    uint8_t *bytes = calloc(size ? size : 1, 1);
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(rand() >> 7);
    int good = fc_crc16(bytes, size) == crc16_by_bits(bytes, size)
        && fc_crc32c(77, bytes, (int64_t)size) == crc32c_by_bits(77, bytes, size);
    if (!good) fprintf(stderr, "wrong for %zu bytes\n", size);
    free(bytes);
    return good;
}

int main(void) {
    int failures = 0;
    for (size_t size = 0; size < 1400; size++) failures += !check(size);
    for (size_t strips = 1; strips <= 3; strips++)
        for (size_t more = 0; more < 20; more++) failures += !check(strips * 12288 - 9 + more);
    printf("%d failures\n", failures);
    return failures != 0;
}
