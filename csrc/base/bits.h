/* Reading the bits of a frame, most significant first.
 *
 * A reader is a position: nothing is buffered, so that saving and going back
 * are copies. The position may run past the end, where bits read as zero;
 * whoever reads looks at fc_bits_overrun() before it believes them. */
#ifndef FC_BITS_H
#define FC_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FC_INLINE static inline __attribute__((always_inline))

typedef struct fc_bits {
    const uint8_t *bytes;
    uint64_t size; /* bytes */
    uint64_t at;   /* the next bit; below 2**62, as sizes are below 2**48 */
} fc_bits;

/* Needs 8 bytes at at. */
FC_INLINE uint64_t fc_load_be64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint64_t fc_load_tail(const fc_bits *b, uint64_t byte) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
        word = word << 8 | (byte + (uint64_t)i < b->size ? b->bytes[byte + (uint64_t)i] : 0);
    return word;
}

/* Whether 8 bytes may be loaded where the position is. */
FC_INLINE int fc_bits_ample(const fc_bits *b) {
    return b->size >= 8 && b->at >> 3 <= b->size - 8;
}

/* The next bits from the top of a word down; 57 of them, then maybe zeros. */
FC_INLINE uint64_t fc_peek_bits(const fc_bits *b) {
    uint64_t byte = b->at >> 3;
    uint64_t word = fc_bits_ample(b) ? fc_load_be64(b->bytes + byte) : fc_load_tail(b, byte);
    return word << (b->at & 7);
}

FC_INLINE int fc_bits_overrun(const fc_bits *b) { return b->at > 8 * b->size; }

/* count bits, 1 to 32. */
FC_INLINE uint32_t fc_read_bits(fc_bits *b, int count) {
    uint64_t word = fc_peek_bits(b);
    b->at += (uint64_t)count;
    return (uint32_t)(word >> (64 - count));
}

/* count bits, 0 to 32, in two's complement. */
FC_INLINE int32_t fc_read_signed(fc_bits *b, int count) {
    if (!count) return 0;
    uint32_t value = fc_read_bits(b, count) << (32 - count);
    return (int32_t)value >> (32 - count);
}

/* The number of zeros before the next one, which is read too. What it
 * returns means nothing where the reader has overrun. */
static inline uint64_t fc_read_unary(fc_bits *b) {
    uint64_t zeros = 0, word;
    while (!(word = fc_peek_bits(b)) && !fc_bits_overrun(b)) {
        zeros += 57;
        b->at += 57;
    }
    int more = word ? __builtin_clzll(word) : 0;
    b->at += (uint64_t)more + 1;
    return zeros + (uint64_t)more;
}

#endif
