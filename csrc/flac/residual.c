#include "flac/residual.h"

#include "base/cpu.h"

#if FC_X86
#include <immintrin.h>
#endif

/* One Rice code, whatever its length and wherever it ends: zeros, a one, then
 * as many bits as the parameter says. A residual has 32 bits, which limits
 * the zeros (libFLAC's limit too). */
static int read_long_code(fc_bits *b, unsigned parameter, int32_t *folded) {
    uint64_t high = fc_read_unary(b);
    if (fc_bits_overrun(b) || high > UINT32_MAX >> parameter) return 0;
    uint32_t low = parameter ? fc_read_bits(b, (int)parameter) : 0;
    *folded = (int32_t)((uint32_t)high << parameter | low);
    return 1;
}

/* The same; most are in the bits that come next, 57 of them or more. */
FC_INLINE int read_code(fc_bits *b, unsigned parameter, int32_t *folded) {
    uint64_t word = fc_peek_bits(b);
    unsigned zeros = word ? (unsigned)__builtin_clzll(word) : 64;
    if (zeros + parameter > 56 || zeros > UINT32_MAX >> parameter)
        return read_long_code(b, parameter, folded);
    uint64_t low = word << zeros << 1 >> 1 >> (63 - parameter);
    *folded = (int32_t)((uint32_t)zeros << parameter | (uint32_t)low);
    b->at += zeros + 1 + parameter;
    return !fc_bits_overrun(b);
}

int fc_read_codes(fc_bits *b, unsigned parameter, int64_t count, int32_t *folded) {
    for (int64_t i = 0; i < count; i++)
        if (!read_code(b, parameter, folded + i)) return 0;
    return !fc_bits_overrun(b);
}

/* How many codes are read from one window of 57 bits or more. All of them
 * must fit, which is looked at afterwards; where they do not, they are read
 * again, one by one. Encoders choose the parameter such that a code takes
 * parameter + 2.1 bits or so; with each, this many were the fastest. */
static int codes_of_window(unsigned parameter) {
    static const uint8_t codes[31] = {8, 8, 8, 8, 8, 7, 6, 5, 5, 4, 4, 3, 3, 3, 3, 3,
                                      2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1};
    return codes[parameter];
}

/* What is left to read of a residual. */
typedef struct {
    fc_bits bits;
    int32_t *to;
    int64_t left;      /* of the block */
    int64_t ready;     /* of these, in the partition that the position is in */
    int64_t partition; /* samples; the first has fewer residuals */
    unsigned parameter_bits, parameter;
    int good;
} reader;

/* The escape: residuals in so many bits each, which are folded here. */
static int read_escaped(fc_bits *b, int64_t count, int32_t *folded) {
    int bits = (int)fc_read_bits(b, 5);
    if (fc_bits_overrun(b) || b->at + (uint64_t)bits * (uint64_t)count > 8 * b->size) return 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t value = fc_read_signed(b, bits);
        folded[i] = (int32_t)((uint32_t)value << 1) ^ value >> 31;
    }
    return 1;
}

static void advance(reader *r, int64_t count) {
    r->to += count;
    r->left -= count;
    r->ready -= count;
}

/* After a window of some reader had not all of its codes: what this reader
 * read took length bits, if used is what fits in a window. */
__attribute__((noinline)) static int read_again(reader *r, int codes, uint64_t length,
                                                uint64_t used) {
    if (used <= 63) r->bits.at += length;
    else if (!fc_read_codes(&r->bits, r->parameter, codes, r->to)) return 0;
    advance(r, codes);
    return 1;
}

/* How many windows, up to most, can be read with 8 bytes to load for each:
 * none is left behind by more than 64 bits. */
FC_INLINE int64_t ample_windows(const reader *r, int64_t most) {
    if (!fc_bits_ample(&r->bits)) return 0;
    int64_t windows = (int64_t)(r->bits.size - 8 - (r->bits.at >> 3)) / 8 + 1;
    return windows < most ? windows : most;
}

FC_INLINE int64_t all_ample_windows(const reader *r, int n, int64_t most) {
    for (int k = 0; k < n; k++) most = ample_windows(r + k, most);
    return most;
}

/* Reads a partition's parameter and, where it is escaped, all of it. */
static int open_partition(reader *r, int64_t count) {
    r->ready = count;
    r->parameter = fc_read_bits(&r->bits, (int)r->parameter_bits);
    if (r->parameter != (1u << r->parameter_bits) - 1) return 1;
    if (!read_escaped(&r->bits, count, r->to)) return 0;
    advance(r, count);
    return 1;
}

/* Goes on to the next Rice code: nothing is ready only where nothing is
 * left. Partitions divide the block, so that ready never exceeds left. */
static int find_code(reader *r) {
    while (!r->ready && r->left)
        if (!open_partition(r, r->partition)) return 0;
    return 1;
}

static int open_reader(reader *r, const fc_residual *from) {
    *r = (reader){.bits = *from->bits, .to = from->x + from->order,
                  .left = from->samples - from->order};
    uint32_t method = fc_read_bits(&r->bits, 2), order = fc_read_bits(&r->bits, 4);
    r->partition = from->samples >> order;
    r->parameter_bits = 4 + method;
    return method < 2 && r->partition << order == from->samples && r->partition > from->order
        && open_partition(r, r->partition - from->order) && find_code(r);
}

/* Below so many samples, four side by side take more time than two and two. */
#define FEWEST_FOR_FOUR 512

/* The loops for any processor, and for those with AVX2 and its company.
 * FC_AFTER_ONE: the count bits below the highest, which is set. */
#define FC_LOOPS(name) name##_any
#define FC_LOOPS_TARGET
#define FC_LEADING_ZEROS(word) ((word) ? (unsigned)__builtin_clzll(word) : 64)
#define FC_AFTER_ONE(word, count) ((word) << 1 >> 1 >> (63 - (count)))
#include "flac/residual_loops.h"
#undef FC_LOOPS
#undef FC_LOOPS_TARGET
#undef FC_LEADING_ZEROS
#undef FC_AFTER_ONE

#if FC_X86
#define FC_LOOPS(name) name##_avx2
#define FC_LOOPS_TARGET FC_TARGET_AVX2
#define FC_LEADING_ZEROS(word) _lzcnt_u64(word)
#define FC_AFTER_ONE(word, count) _bextr_u64(word, 63 - (count), count)
#include "flac/residual_loops.h"
#endif

void fc_read_residuals(fc_residual *residuals, int n) {
#if FC_X86
    if (fc_this_cpu() >= FC_CPU_AVX2) {
        read_residuals_avx2(residuals, n);
        return;
    }
#endif
    read_residuals_any(residuals, n);
}
