#include "residual.h"

#include "cpu.h"

/* A Rice code: zeros, a one, then as many bits as the Rice parameter says.
 * Folded, even numbers are residuals from 0 up, odd ones from -1 down. */
FC_INLINE int32_t unfold(uint32_t folded) {
    return (int32_t)(folded >> 1 ^ (0 - (folded & 1)));
}

/* One code, whatever its length and wherever it ends. A residual has 32
 * bits, which limits the zeros (libFLAC's limit too). */
static int read_code(fc_bits *b, int parameter, int32_t *residual) {
    uint64_t high = fc_read_unary(b);
    if (fc_bits_overrun(b) || high > UINT32_MAX >> parameter) return 0;
    uint32_t low = parameter ? fc_read_bits(b, parameter) : 0;
    *residual = unfold((uint32_t)high << parameter | low);
    return 1;
}

static int read_codes(fc_bits *b, int parameter, int64_t count, int32_t *residual) {
    for (int64_t i = 0; i < count; i++)
        if (!read_code(b, parameter, residual + i)) return 0;
    return !fc_bits_overrun(b);
}

/* How many codes are read from one window of 57 bits or more. All of them
 * must fit, which is looked at afterwards; where they do not, they are read
 * again, one by one. Encoders choose the parameter such that a code takes
 * parameter + 2.3 bits or so. */
static int codes_of_window(int parameter) {
    static const uint8_t codes[31] = {8, 8, 8, 8, 7, 6, 6, 5, 5, 4, 4, 4, 3, 3, 3, 3,
                                      2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1};
    return codes[parameter];
}

/* Reads codes codes from the window at the position, and tells whether they
 * were all in it; if not, nothing is to be believed. The position must be
 * ample. No shift exceeds 63: counts are masked, and where that changes one
 * used exceeds 64, or was the whole window by the last code. */
FC_INLINE int read_window(fc_bits *b, int parameter, int codes, int32_t *residual) {
    uint64_t window = fc_load_be64(b->bytes + (b->at >> 3)) << (b->at & 7);
    uint64_t one = UINT64_C(1) << parameter, used = 0, seen = 0;
    for (int i = 0; i < codes; i++) {
        uint64_t zeros = window ? (uint64_t)__builtin_clzll(window) : 64;
        uint64_t length = zeros + (uint64_t)parameter + 1;
        uint64_t low = window << (zeros & 63) >> (63 - parameter); /* the one, then the bits */
        uint64_t folded = (zeros << parameter) + low - one;
        window <<= length & 63;
        used += length;
        seen |= folded;
        residual[i] = unfold((uint32_t)folded);
    }
    /* With parameters below 24, 64 zeros make no residual of over 32 bits. */
    if (codes == 1 && seen >> 32) return 0;
    if (used > 64 - (b->at & 7)) return 0;
    b->at += used;
    return 1;
}

FC_INLINE int read_windows(fc_bits *b, int parameter, int codes, int64_t count,
                           int32_t *residual) {
    int64_t i = 0;
    for (; i + codes <= count && fc_bits_ample(b); i += codes)
        if (!read_window(b, parameter, codes, residual + i)
            && !read_codes(b, parameter, codes, residual + i))
            return 0;
    return read_codes(b, parameter, count - i, residual + i);
}

FC_INLINE int read_partition(fc_bits *b, int parameter, int64_t count, int32_t *residual) {
    switch (codes_of_window(parameter)) {
    case 8: return read_windows(b, parameter, 8, count, residual);
    case 7: return read_windows(b, parameter, 7, count, residual);
    case 6: return read_windows(b, parameter, 6, count, residual);
    case 5: return read_windows(b, parameter, 5, count, residual);
    case 4: return read_windows(b, parameter, 4, count, residual);
    case 3: return read_windows(b, parameter, 3, count, residual);
    case 2: return read_windows(b, parameter, 2, count, residual);
    default: return read_windows(b, parameter, 1, count, residual);
    }
}

/* The escape: residuals as they are, in so many bits each. */
static int read_escaped(fc_bits *b, int64_t count, int32_t *residual) {
    int bits = (int)fc_read_bits(b, 5);
    if (fc_bits_overrun(b) || b->at + (uint64_t)bits * (uint64_t)count > 8 * b->size) return 0;
    for (int64_t i = 0; i < count; i++) residual[i] = fc_read_signed(b, bits);
    return 1;
}

FC_INLINE int read_partitions(fc_bits *b, int order, int64_t samples, int32_t *residual) {
    int method = (int)fc_read_bits(b, 2), partition_order = (int)fc_read_bits(b, 4);
    int64_t partition = samples >> partition_order;
    if (method > 1 || partition << partition_order != samples || partition < order) return 0;
    int parameter_bits = 4 + method, escape = (1 << parameter_bits) - 1;
    int64_t i = order;
    for (int64_t end = partition; end <= samples; i = end, end += partition) {
        int parameter = (int)fc_read_bits(b, parameter_bits);
        int ok = parameter == escape
            ? read_escaped(b, end - i, residual + i)
            : read_partition(b, parameter, end - i, residual + i);
        if (!ok) return 0;
    }
    return 1;
}

#if FC_X86
FC_TARGET_AVX2 static int read_partitions_avx2(fc_bits *b, int order, int64_t samples,
                                               int32_t *residual) {
    return read_partitions(b, order, samples, residual);
}
#endif

int fc_read_residual(fc_bits *b, int order, int64_t samples, int32_t *residual) {
#if FC_X86
    if (fc_this_cpu() == FC_CPU_AVX2) return read_partitions_avx2(b, order, samples, residual);
#endif
    return read_partitions(b, order, samples, residual);
}
