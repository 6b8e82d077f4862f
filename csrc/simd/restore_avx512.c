/* Up to sixteen blocks in lanes, with AVX-512. */
#include "simd/restore_avx512.h"

#include "base/bits.h"
#include "base/cpu.h"

#if FC_X86
#include <immintrin.h>

#include "simd/residual_avx512.h"

#define LANES FC_TILE_LANES
#define TILED
#define TARGET FC_TARGET_AVX512
#define VECTOR __m512i
#define OP(name) _mm512_##name
#define ZERO _mm512_setzero_si512()
#define XOR(a, b) _mm512_xor_si512(a, b)
#define AND(a, b) _mm512_and_si512(a, b)
#define OR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xfe)
#define LOAD(from) _mm512_loadu_si512(from)
#define STORE(to, v) _mm512_storeu_si512(to, v)
#define SET1_64(value) _mm512_set1_epi64(value)
/* Products of 16 bits, summed two by two and to what is there. */
#define ADD_PRODUCTS(sum, a, b) _mm512_dpwssd_epi32(sum, a, b)
/* 16 bits, or 32, in turn from the first and the second. */
#define PAIR(first, second) _mm512_mask_blend_epi16(0xaaaaaaaa, first, second)
#define ODD_OF_SECOND(first, second) _mm512_mask_blend_epi32(0xaaaa, first, second)

/* Row i of sixteen becomes column i. */
FC_TARGET_AVX512 FC_INLINE void transpose(__m512i v[LANES]) {
    __m512i a[LANES], b[LANES];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    /* b[4 * g + c] has, in its quarter q, column 4 * q + c of rows 4 * g to 4 * g + 3. */
    for (int c = 0; c < 4; c++) {
        __m512i even = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88);
        __m512i even_more = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
        __m512i odd = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
        __m512i odd_more = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
        v[c] = _mm512_shuffle_i32x4(even, even_more, 0x88);
        v[4 + c] = _mm512_shuffle_i32x4(odd, odd_more, 0x88);
        v[8 + c] = _mm512_shuffle_i32x4(even, even_more, 0xdd);
        v[12 + c] = _mm512_shuffle_i32x4(odd, odd_more, 0xdd);
    }
}

FC_TARGET_AVX512 FC_INLINE __m512i unfold(__m512i folded) {
    __mmask16 odd = _mm512_test_epi32_mask(folded, _mm512_set1_epi32(1));
    __m512i half = _mm512_srli_epi32(folded, 1);
    return _mm512_mask_xor_epi32(half, odd, half, _mm512_set1_epi32(-1));
}

#include "simd/restore_x86.h"

/* Samples of a tile: its residuals, and the samples of all lanes that are
 * written meanwhile, stay in the first-level cache. */
#define TILE_STEPS 256
#define MOST_STEPS (TILE_STEPS + LANES - 1) /* of the last */

/* How many samples from here on until a vector of them begins where a line of the cache does. */
static int64_t steps_to_line(const int32_t *x) {
    return (int64_t)(-(uintptr_t)x / sizeof *x % LANES);
}

/* All that is left, or what ends where a line of the cache does. */
static int64_t steps_of_tile(const int32_t *x, int64_t left) {
    int64_t more = steps_to_line(x);
    return left <= MOST_STEPS ? left : TILE_STEPS - (more ? LANES : 0) + more;
}

/* Restores steps samples, LANES or more, from at on. A vector that lies across lines of the
 * cache takes longer to store; so the first and the last may overlap with others, and
 * some samples are restored twice. */
static void restore_tile(lanes *l, restoring_loop *loop, int64_t at, int64_t steps,
                         const int32_t *tile) {
    int64_t until = at + steps, line = at + steps_to_line(l->x[0] + at);
    int64_t end = line + (until - line) / LANES * LANES;
    int64_t begins[3] = {at, line, until - LANES}, ends[3] = {at + LANES, end, until};
    for (int i = line == at; i < 2 + (end < until); i++) {
        l->from = begins[i];
        l->until = ends[i];
        l->tile = tile + (l->from - at) * LANES;
        loop(l);
    }
}

/* Samples of the longest block, if enough for a vector of them after the warm-up. */
static int64_t most_samples(const fc_restoring *blocks, int n, int64_t from) {
    int64_t most = from + LANES;
    for (int k = 0; k < n; k++)
        if (blocks[k].samples > most) most = blocks[k].samples;
    return most;
}

FC_TARGET_AVX512 int fc_decode_tiles(const fc_residual *residuals, fc_restoring *blocks, int n) {
    fc_tile_reader r;
    lanes l;
    int32_t tile[MOST_STEPS * LANES] __attribute__((aligned(64)));
    int64_t samples = residuals->samples, from = order_of_lanes(blocks, n);
    int64_t until = most_samples(blocks, n, from);
    if (until > samples || !fc_open_tiles(&r, residuals, n, from)) return 0;
    restore_beginnings(blocks, n, from);
    fill_lanes(&l, blocks, n);
    restoring_loop *loop = choose_loop(blocks, n);
    for (int64_t at = from, steps; at < until; at += steps) {
        steps = steps_of_tile(blocks->x + at, until - at);
        if (!fc_read_tile(&r, steps, tile)) return 0;
        restore_tile(&l, loop, at, steps, tile);
    }
    /* A tile may have been read from what lies behind a frame that ends too soon. */
    for (int k = 0; k < n; k++)
        if (fc_tile_position(&r, k) > 8 * residuals[k].bits->size) return 0;
    note_reach(&l, blocks);
    for (int k = 0; k < n; k++) {
        fc_bits *b = residuals[k].bits;
        b->at = until == samples ? fc_tile_position(&r, k) : 8 * b->size;
    }
    return 1;
}
#else
int fc_decode_tiles(const fc_residual *residuals, fc_restoring *blocks, int n) {
    (void)residuals, (void)blocks, (void)n;
    return 0;
}
#endif
