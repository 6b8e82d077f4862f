/* Up to eight blocks in lanes, with AVX2. */
#include "simd/restore_avx2.h"

#include "base/bits.h"
#include "base/cpu.h"

#if FC_X86
#include <immintrin.h>

#define LANES 8
#define TARGET FC_TARGET_AVX2
#define VECTOR __m256i
#define OP(name) _mm256_##name
#define ZERO _mm256_setzero_si256()
#define XOR(a, b) _mm256_xor_si256(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define OR3(a, b, c) _mm256_or_si256(a, _mm256_or_si256(b, c))
#define LOAD(from) _mm256_loadu_si256((const __m256i *)(from))
#define STORE(to, v) _mm256_storeu_si256((__m256i *)(to), v)
#define SET1_64(value) _mm256_set1_epi64x(value)
/* Products of 16 bits, summed two by two and to what is there. */
#define ADD_PRODUCTS(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
/* 16 bits, or 32, in turn from the first and the second. */
#define PAIR(first, second) _mm256_blend_epi16(first, second, 0xaa)
#define ODD_OF_SECOND(first, second) _mm256_blend_epi32(first, second, 0xaa)

#include "simd/transpose_avx2.h"
#define transpose fc_transpose_8

FC_TARGET_AVX2 FC_INLINE __m256i unfold(__m256i folded) {
    __m256i sign = _mm256_sub_epi32(ZERO, AND(folded, _mm256_set1_epi32(1)));
    return XOR(_mm256_srli_epi32(folded, 1), sign);
}

#include "simd/restore_x86.h"

FC_TARGET_AVX2 int64_t fc_restore_avx2(fc_restoring *blocks, int n) {
    lanes l;
    int64_t from = order_of_lanes(blocks, n);
    int64_t until = from + (fewest_samples(blocks, n) - from) / LANES * LANES;
    if (until <= from) return 0;
    restore_beginnings(blocks, n, from);
    fill_lanes(&l, blocks, n);
    l.from = from;
    l.until = until;
    choose_loop(blocks, n)(&l);
    note_reach(&l, blocks);
    return until;
}
#else
int64_t fc_restore_avx2(fc_restoring *blocks, int n) {
    (void)blocks, (void)n;
    return 0;
}
#endif
