/* Writing the bits of a frame, most significant first. */
#ifndef FC_BIT_WRITER_H
#define FC_BIT_WRITER_H

#include "base/bits.h"

#define FC_WRITER_SLACK 8 /* bytes behind the last one that a writer may store to */

/* Copies save and restore it. */
typedef struct fc_bit_writer {
    uint8_t *at;     /* all bytes before are written */
    uint64_t held;   /* bits that fill no byte yet, from the top down; below them zeros */
    unsigned n_held; /* 0 to 7 */
} fc_bit_writer;

FC_INLINE void fc_store_be64(uint8_t *at, uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(at, &word, 8);
}

/* count 1 to 56; value has no bit above these. */
FC_INLINE void fc_put_bits(fc_bit_writer *w, unsigned count, uint64_t value) {
    w->held |= value << (64 - count - w->n_held);
    fc_store_be64(w->at, w->held);
    w->n_held += count;
    w->at += w->n_held >> 3;
    w->held <<= w->n_held & 56;
    w->n_held &= 7;
}

/* value's low bits in two's complement. */
FC_INLINE void fc_put_signed(fc_bit_writer *w, unsigned count, int32_t value) {
    fc_put_bits(w, count, (uint32_t)value & (UINT32_MAX >> (32 - count)));
}

/* Fills the last byte up with zeros; returns where the next one goes. */
FC_INLINE uint8_t *fc_end_bits(const fc_bit_writer *w) { return w->at + (w->n_held > 0); }

#endif
