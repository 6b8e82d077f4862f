/* Writes bits, the most significant first. */
#ifndef FC_BIT_WRITER_H
#define FC_BIT_WRITER_H

#include "base/bits.h"

#define FC_WRITER_SLACK 8 /* bytes after the last one that a writer may write to */

/* A copy saves it. */
typedef struct fc_bit_writer {
    uint8_t *at;     /* all bytes before are written */
    uint64_t held;   /* the bits that fill no byte yet, from the top down, then zeros */
    unsigned n_held; /* how many, 0 to 7 */
} fc_bit_writer;

/* Writes 8 bytes, a big-endian number. */
FC_INLINE void fc_store_be64(uint8_t *at, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(at, &word, 8);
}

/* Writes `count` bits, 1 to 56. `value` must be below 2**`count`. Writes up to FC_WRITER_SLACK
 * bytes more, with no meaning. */
FC_INLINE void fc_put_bits(fc_bit_writer *w, unsigned count, uint64_t value) {
    w->held |= value << (64 - count - w->n_held);
    fc_store_be64(w->at, w->held);
    w->n_held += count;
    w->at += w->n_held >> 3;
    w->held <<= w->n_held & 56;
    w->n_held &= 7;
}

/* Writes the low `count` bits of `value`, 1 to 32. */
FC_INLINE void fc_put_signed(fc_bit_writer *w, unsigned count, int32_t value) {
    fc_put_bits(w, count, (uint32_t)value & (UINT32_MAX >> (32 - count)));
}

/* Fills the last byte with zeros. Returns the address of the next one. */
FC_INLINE uint8_t *fc_end_bits(const fc_bit_writer *w) { return w->at + (w->n_held > 0); }

#endif
