#include "base/checksum.h"

#include <string.h>

#include "base/bits.h"
#include "base/cpu.h"
#include "flaccodec.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif
#if FC_X86
#include <immintrin.h>
#endif

static uint8_t crc8_table[256];
static uint16_t crc16_table[16][256]; /* [k]: with k zero bytes more */
static uint16_t crc16_power[64];  /* x**(8 * 2**i) modulo the polynomial */
static uint16_t crc16_fold[6];    /* x**n, n 128, 192, 512, 576, 2048, 2112, the same */
static uint64_t crc16_last_fold[32]; /* x**n, n 1920, 1984, 1792, 1856 ... 0, 64, the same */
static uint32_t crc32c_table[8][256];
static uint32_t crc32c_power[64]; /* as crc16_power, the highest power in bit 0 */
static uint64_t crc32c_fold[6];   /* x**n, n 191, 127, 575, 511, 2111, 2047, in the high half */
static int has_crc_instruction, has_carryless_multiply, has_wide_multiply;

/* (a * b) modulo x**16 + x**15 + x**2 + 1 over GF(2). */
static uint16_t crc16_multiply(uint16_t a, uint16_t b) {
    uint16_t product = 0;
    for (int bit = 15; bit >= 0; bit--) {
        product = (uint16_t)(product << 1 ^ (product & 0x8000 ? 0x8005 : 0));
        if (b >> bit & 1) product ^= a;
    }
    return product;
}

/* (a * b) modulo CRC-32C's polynomial, the highest power in bit 0. */
static uint32_t crc32c_multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) { /* without branches, which would be mispredicted */
        product ^= a & -(b >> bit & 1);
        a = a >> 1 ^ (0x82f63b78u & -(a & 1));
    }
    return product;
}

/* What a CRC becomes over size bytes of zeros. */
static uint32_t crc32c_shift(uint32_t crc, int64_t size) {
    for (int i = 0; size; i++, size >>= 1)
        if (size & 1) crc = crc32c_multiply(crc, crc32c_power[i]);
    return crc;
}

uint32_t fc_crc32c_join(uint32_t first, uint32_t second, int64_t second_size) {
    return crc32c_shift(first, second_size) ^ second;
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
        crc16_table[0][i] = c16;
        crc32c_table[0][i] = c32;
    }
    for (int i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc32c_table[k][i] = crc32c_table[k - 1][i] >> 8
                ^ crc32c_table[0][crc32c_table[k - 1][i] & 0xff];
    for (int i = 0; i < 256; i++)
        for (int k = 1; k < 16; k++)
            crc16_table[k][i] = (uint16_t)(crc16_table[k - 1][i] << 8
                                           ^ crc16_table[0][crc16_table[k - 1][i] >> 8]);
    crc16_power[0] = 0x0100;
    for (int i = 1; i < 64; i++)
        crc16_power[i] = crc16_multiply(crc16_power[i - 1], crc16_power[i - 1]);
    crc32c_power[0] = 0x00800000;
    for (int i = 1; i < 64; i++)
        crc32c_power[i] = crc32c_multiply(crc32c_power[i - 1], crc32c_power[i - 1]);
    static const uint16_t folds[6] = {16, 24, 64, 72, 256, 264};
    for (int i = 0; i < 6; i++) crc16_fold[i] = fc_crc16_shift(1, folds[i]);
    for (size_t i = 0; i < 16; i++)
        for (size_t half = 0; half < 2; half++)
            crc16_last_fold[2 * i + half] = fc_crc16_shift(1, 16 * (15 - i) + 8 * half);
    static const uint16_t reflected_folds[6] = {23, 15, 71, 63, 263, 255};
    for (int i = 0; i < 6; i++)
        crc32c_fold[i] = (uint64_t)crc32c_shift(0x01000000, reflected_folds[i]) << 32;
#if defined(__x86_64__)
    has_crc_instruction = __builtin_cpu_supports("sse4.2");
    has_carryless_multiply = has_crc_instruction && __builtin_cpu_supports("pclmul");
    has_wide_multiply = has_carryless_multiply && __builtin_cpu_supports("vpclmulqdq");
#endif
}

uint8_t fc_crc8(const uint8_t *bytes, size_t size) {
    uint8_t crc = 0;
    for (size_t i = 0; i < size; i++) crc = crc8_table[crc ^ bytes[i]];
    return crc;
}

static uint16_t crc16_tables(uint16_t crc, const uint8_t *bytes, size_t size) {
    for (; size >= 16; bytes += 16, size -= 16) {
        uint64_t high = fc_load_be64(bytes) ^ (uint64_t)crc << 48, low = fc_load_be64(bytes + 8);
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= crc16_table[8 + k][high >> (8 * k) & 0xff]
                ^ crc16_table[k][low >> (8 * k) & 0xff];
    }
    for (; size > 0; bytes++, size--)
        crc = (uint16_t)(crc << 8 ^ crc16_table[0][crc >> 8 ^ *bytes]);
    return crc;
}

#if FC_X86
#define FC_TARGET_MULTIPLY __attribute__((target("pclmul,sse4.2")))
#define FC_TARGET_WIDE_MULTIPLY \
    __attribute__((target("pclmul,sse4.2,vpclmulqdq,avx512f,avx512bw")))

/* 16 bytes to a polynomial, the first bit of the message its highest power, or back. */
FC_TARGET_MULTIPLY static inline __m128i reverse(__m128i bytes) {
    const __m128i reversed = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm_shuffle_epi8(bytes, reversed);
}

FC_TARGET_MULTIPLY static inline __m128i load_polynomial(const uint8_t *at) {
    return reverse(_mm_loadu_si128((const __m128i *)at));
}

/* What is congruent to state * x**n, by the remainders of x**(n + 64) and
 * x**n in the high and the low half of powers. */
FC_TARGET_MULTIPLY static inline __m128i fold(__m128i state, __m128i powers) {
    return _mm_xor_si128(_mm_clmulepi64_si128(state, powers, 0x11),
                         _mm_clmulepi64_si128(state, powers, 0x00));
}

/* Four polynomials in one. */
FC_TARGET_WIDE_MULTIPLY static inline __m512i reverse_four(__m512i bytes) {
    const __m512i reversed = _mm512_set_epi64(0x0001020304050607, 0x08090a0b0c0d0e0f,
                                              0x0001020304050607, 0x08090a0b0c0d0e0f,
                                              0x0001020304050607, 0x08090a0b0c0d0e0f,
                                              0x0001020304050607, 0x08090a0b0c0d0e0f);
    return _mm512_shuffle_epi8(bytes, reversed);
}

FC_TARGET_WIDE_MULTIPLY static inline __m512i fold_four(__m512i state, __m512i powers,
                                                        __m512i more) {
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(state, powers, 0x11),
                                     _mm512_clmulepi64_epi128(state, powers, 0x00), more, 0x96);
}

/* 64 bytes of which those before the first come from nowhere, and are zeros. */
FC_TARGET_WIDE_MULTIPLY static inline __m512i load_from(const uint8_t *at, const uint8_t *first) {
    ptrdiff_t before = first - at;
    __mmask64 mask = before <= 0 ? ~UINT64_C(0) : before < 64 ? ~UINT64_C(0) << before : 0;
    return reverse_four(_mm512_maskz_loadu_epi8(mask, at));
}

/* 16 bytes that leave the same remainder as all. What their length has beyond a multiple of 256
 * comes first, behind zeros, which change nothing. */
FC_TARGET_WIDE_MULTIPLY static __m128i fold_wide(const uint8_t *bytes, size_t size) {
    const __m512i by_256 = _mm512_set4_epi64(crc16_fold[5], crc16_fold[4], crc16_fold[5],
                                             crc16_fold[4]);
    const uint8_t *end = bytes + size, *at = bytes - (256 - size % 256) % 256;
    __m512i wide[4], all = _mm512_setzero_si512();
    for (int i = 0; i < 4; i++) wide[i] = load_from(at + 64 * i, bytes);
    for (at += 256; at < end; at += 256)
        for (int i = 0; i < 4; i++)
            wide[i] = fold_four(wide[i], by_256, reverse_four(_mm512_loadu_si512(at + 64 * i)));
    for (int i = 0; i < 4; i++)
        all = fold_four(wide[i], _mm512_loadu_si512(crc16_last_fold + 8 * i), all);
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

FC_TARGET_MULTIPLY static size_t fold_narrow_blocks(const uint8_t *bytes, size_t size,
                                                    __m128i before, __m128i state[4]) {
    const __m128i by_64 = _mm_set_epi64x(crc16_fold[3], crc16_fold[2]);
    size_t at = 64;
    for (int i = 0; i < 4; i++) state[i] = load_polynomial(bytes + 16 * i);
    state[0] = _mm_xor_si128(state[0], before);
    for (; size - at >= 64; at += 64)
        for (int i = 0; i < 4; i++)
            state[i] = _mm_xor_si128(fold(state[i], by_64), load_polynomial(bytes + at + 16 * i));
    return at;
}

#define FEWEST_FOR_WIDE 512

FC_TARGET_MULTIPLY static uint16_t crc16_of_folded(__m128i folded) {
    uint8_t bytes[16];
    _mm_storeu_si128((__m128i *)bytes, reverse(folded));
    return crc16_tables(0, bytes, 16);
}

FC_TARGET_WIDE_MULTIPLY static uint16_t crc16_wide(const uint8_t *bytes, size_t size) {
    return crc16_of_folded(fold_wide(bytes, size));
}

/* Needs 16 bytes. The message becomes 16 bytes that leave the same remainder:
 * what its length has beyond a multiple of 16 comes first, behind zeros,
 * which change nothing. */
FC_TARGET_MULTIPLY static uint16_t crc16_multiplied(const uint8_t *bytes, size_t size) {
    static const uint8_t order[32] = {15,  14,  13,  12,  11,  10,  9,   8,   7,   6,   5,
                                      4,   3,   2,   1,   0,   128, 128, 128, 128, 128, 128,
                                      128, 128, 128, 128, 128, 128, 128, 128, 128, 128};
    const __m128i by_16 = _mm_set_epi64x(crc16_fold[1], crc16_fold[0]);
    size_t first = size & 15;
    __m128i all = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes),
                                   _mm_loadu_si128((const __m128i *)(order + 16 - first)));
    bytes += first, size -= first;
    if (size >= 128) {
        __m128i state[4], before = fold(all, by_16);
        size_t taken = fold_narrow_blocks(bytes, size, before, state);
        bytes += taken, size -= taken;
        all = state[0];
        for (int i = 1; i < 4; i++) all = _mm_xor_si128(fold(all, by_16), state[i]);
    }
    for (; size; bytes += 16, size -= 16)
        all = _mm_xor_si128(fold(all, by_16), load_polynomial(bytes));
    return crc16_of_folded(all);
}
#endif

uint16_t fc_crc16(const uint8_t *bytes, size_t size) {
#if FC_X86
    if (size >= FEWEST_FOR_WIDE && has_wide_multiply && fc_this_cpu() >= FC_CPU_AVX512)
        return crc16_wide(bytes, size);
    if (has_carryless_multiply && size >= 16) return crc16_multiplied(bytes, size);
#endif
    return crc16_tables(0, bytes, size);
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
#define CRC_STRIP 4096 /* bytes of each of three strips */

/* Three strips at once, since the instruction waits for its own result. */
__attribute__((target("sse4.2")))
static uint32_t crc32c_strips(uint32_t crc, const uint8_t *bytes) {
    uint64_t a = crc, b = 0, c = 0;
    for (int i = 0; i < CRC_STRIP; i += 8) {
        a = _mm_crc32_u64(a, load64(bytes + i));
        b = _mm_crc32_u64(b, load64(bytes + CRC_STRIP + i));
        c = _mm_crc32_u64(c, load64(bytes + 2 * CRC_STRIP + i));
    }
    return crc32c_shift(crc32c_shift((uint32_t)a, CRC_STRIP) ^ (uint32_t)b, CRC_STRIP)
        ^ (uint32_t)c;
}

__attribute__((target("sse4.2")))
static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *bytes, int64_t size) {
    for (; size >= 3 * CRC_STRIP; bytes += 3 * CRC_STRIP, size -= 3 * CRC_STRIP)
        crc = crc32c_strips(crc, bytes);
    uint64_t wide = crc;
    for (; size >= 8; bytes += 8, size -= 8)
        wide = _mm_crc32_u64(wide, load64(bytes));
    crc = (uint32_t)wide;
    for (; size > 0; bytes++, size--) crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}
#endif

#if FC_X86
/* As fold_four, where a lane's lowest bit is the highest power. A product of two
 * such has its highest power in bit 1 of what would be 128 bits, which is why
 * the powers are lower by one. */
FC_TARGET_WIDE_MULTIPLY static inline __m512i fold_reflected(__m512i state, __m512i powers,
                                                             const uint8_t *more) {
    return fold_four(state, powers, _mm512_loadu_si512(more));
}

/* size is FEWEST_FOR_WIDE or more. What folding leaves is 16 bytes with the same CRC. */
FC_TARGET_WIDE_MULTIPLY static uint32_t crc32c_multiplied(uint32_t crc, const uint8_t *bytes,
                                                          int64_t size) {
    __m512i powers[3], wide[4];
    for (int i = 0; i < 3; i++)
        powers[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((__m128i *)(crc32c_fold + 2 * i)));
    for (int i = 0; i < 4; i++) wide[i] = _mm512_loadu_si512(bytes + 64 * i);
    wide[0] = _mm512_xor_si512(wide[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    for (bytes += 256, size -= 256; size >= 256; bytes += 256, size -= 256)
        for (int i = 0; i < 4; i++)
            wide[i] = fold_reflected(wide[i], powers[2], bytes + 64 * i);
    uint8_t state[256];
    for (int i = 0; i < 4; i++) _mm512_storeu_si512(state + 64 * i, wide[i]);
    for (int i = 1; i < 4; i++) wide[0] = fold_reflected(wide[0], powers[1], state + 64 * i);
    for (; size >= 64; bytes += 64, size -= 64)
        wide[0] = fold_reflected(wide[0], powers[1], bytes);
    __m128i folded = _mm512_castsi512_si128(wide[0]), by_16 = _mm512_castsi512_si128(powers[0]);
    _mm512_storeu_si512(state, wide[0]);
    for (int i = 1; i < 4; i++)
        folded = _mm_xor_si128(fold(folded, by_16), _mm_loadu_si128((__m128i *)(state + 16 * i)));
    _mm_storeu_si128((__m128i *)state, folded);
    return crc32c_instruction(crc32c_instruction(0, state, 16), bytes, size);
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
#if FC_X86
    if (size >= FEWEST_FOR_WIDE && has_wide_multiply && fc_this_cpu() >= FC_CPU_AVX512)
        return ~crc32c_multiplied(crc, bytes, size);
#endif
#if defined(__x86_64__)
    if (has_crc_instruction) return ~crc32c_instruction(crc, bytes, size);
#endif
    return ~crc32c_tables(crc, bytes, size);
}
