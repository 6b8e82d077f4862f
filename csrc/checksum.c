#include "checksum.h"

#include <string.h>

#include "flaccodec.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

static uint8_t crc8_table[256];
static uint16_t crc16_table[256];
static uint16_t crc16_power[64];  /* x**(8 * 2**i) modulo the polynomial */
static uint32_t crc32c_table[8][256];
static int has_crc_instruction;

/* (a * b) modulo x**16 + x**15 + x**2 + 1 over GF(2). */
static uint16_t crc16_multiply(uint16_t a, uint16_t b) {
    uint16_t product = 0;
    for (int bit = 15; bit >= 0; bit--) {
        product = (uint16_t)(product << 1 ^ (product & 0x8000 ? 0x8005 : 0));
        if (b >> bit & 1) product ^= a;
    }
    return product;
}

__attribute__((constructor)) static void make_tables(void) {
    for (int i = 0; i < 256; i++) {
        uint8_t c8 = (uint8_t)i;
        uint16_t c16 = (uint16_t)(i << 8);
        uint32_t c32 = (uint32_t)i;
        for (int bit = 0; bit < 8; bit++) {
            c8 = (uint8_t)(c8 << 1 ^ (c8 & 0x80 ? 0x07 : 0));
            c16 = (uint16_t)(c16 << 1 ^ (c16 & 0x8000 ? 0x8005 : 0));
            c32 = c32 >> 1 ^ (c32 & 1 ? 0x82f63b78u : 0);
        }
        crc8_table[i] = c8;
        crc16_table[i] = c16;
        crc32c_table[0][i] = c32;
    }
    for (int i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc32c_table[k][i] = crc32c_table[k - 1][i] >> 8
                ^ crc32c_table[0][crc32c_table[k - 1][i] & 0xff];
    crc16_power[0] = 0x0100;
    for (int i = 1; i < 64; i++)
        crc16_power[i] = crc16_multiply(crc16_power[i - 1], crc16_power[i - 1]);
#if defined(__x86_64__)
    has_crc_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

uint8_t fc_crc8(const uint8_t *bytes, size_t size) {
    uint8_t crc = 0;
    for (size_t i = 0; i < size; i++) crc = crc8_table[crc ^ bytes[i]];
    return crc;
}

uint16_t fc_crc16(const uint8_t *bytes, size_t size) {
    uint16_t crc = 0;
    for (size_t i = 0; i < size; i++)
        crc = (uint16_t)(crc << 8 ^ crc16_table[crc >> 8 ^ bytes[i]]);
    return crc;
}

uint16_t fc_crc16_shift(uint16_t crc, size_t size) {
    for (int i = 0; size; i++, size >>= 1)
        if (size & 1) crc = crc16_multiply(crc, crc16_power[i]);
    return crc;
}

static uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *bytes, int64_t size) {
    uint64_t wide = crc;
    for (; size >= 8; bytes += 8, size -= 8)
        wide = _mm_crc32_u64(wide, load64(bytes));
    crc = (uint32_t)wide;
    for (; size > 0; bytes++, size--) crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}
#endif

static uint32_t crc32c_tables(uint32_t crc, const uint8_t *bytes, int64_t size) {
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word = load64(bytes) ^ crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= crc32c_table[7 - k][word >> (8 * k) & 0xff];
    }
    for (; size > 0; bytes++, size--)
        crc = crc >> 8 ^ crc32c_table[0][(crc ^ *bytes) & 0xff];
    return crc;
}

uint32_t fc_crc32c(uint32_t crc, const uint8_t *bytes, int64_t size) {
    crc = ~crc;
#if defined(__x86_64__)
    if (has_crc_instruction) return ~crc32c_instruction(crc, bytes, size);
#endif
    return ~crc32c_tables(crc, bytes, size);
}
