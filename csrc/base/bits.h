/* Reads bits, the most significant first.
 *
 * A reader is a position and buffers nothing, so that a copy saves it. The position may pass the
 * end; bits there are zeros. So callers must check fc_bits_overrun() before they use what they
 * read. */
#ifndef FC_BITS_H
#define FC_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FC_INLINE static inline __attribute__((always_inline))

typedef struct fc_bits {
    const uint8_t *bytes;
    uint64_t size; /* bytes */
    uint64_t at;   /* the position: the next bit, from 0; below 2**62, as `size` is below 2**48 */
} fc_bits;

/* Returns 8 bytes as a big-endian number. `at` must have 8 readable bytes. */
FC_INLINE uint64_t fc_load_be64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The same from byte `byte` on, of which there may be fewer than 8; zeros follow. */
static inline uint64_t fc_load_tail(const fc_bits *b, uint64_t byte) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
        word = word << 8 | (byte + (uint64_t)i < b->size ? b->bytes[byte + (uint64_t)i] : 0);
    return word;
}

/* Returns whether 8 bytes may be loaded at the position. */
FC_INLINE int fc_bits_ample(const fc_bits *b) {
    return b->size >= 8 && b->at >> 3 <= b->size - 8;
}

/* Returns the next bits, from the top of the word down: at least 57, then maybe zeros. Moves
 * nothing. */
FC_INLINE uint64_t fc_peek_bits(const fc_bits *b) {
    uint64_t byte = b->at >> 3;
    uint64_t word = fc_bits_ample(b) ? fc_load_be64(b->bytes + byte) : fc_load_tail(b, byte);
    return word << (b->at & 7);
}

/* Returns whether the position is after the last bit. */
FC_INLINE int fc_bits_overrun(const fc_bits *b) { return b->at > 8 * b->size; }

/* Reads `count` bits, 1 to 32, and returns them. */
FC_INLINE uint32_t fc_read_bits(fc_bits *b, int count) {
    uint64_t word = fc_peek_bits(b);
    b->at += (uint64_t)count;
    return (uint32_t)(word >> (64 - count));
}

/* Reads `count` bits, 0 to 32, in two's complement, and returns their number. */
FC_INLINE int32_t fc_read_signed(fc_bits *b, int count) {
    if (!count) return 0;
    uint32_t value = fc_read_bits(b, count) << (32 - count);
    return (int32_t)value >> (32 - count);
}

/* Reads zeros and the one bit that ends them. Returns how many zeros; that means nothing if the
 * reader has overrun then. */
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
