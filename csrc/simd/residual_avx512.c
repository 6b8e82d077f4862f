#include "simd/residual_avx512.h"

#include "base/cpu.h"

#if FC_X86
#include <immintrin.h>

#define LANES 8      /* of a group; the groups, 1 or 2, wait for nothing from one another */
#define MAX_GROUPS 2
#define WINDOW 16      /* bytes that codes are read from at a time */
#define MOST_BITS 127  /* of a window, that may have been read of it and before it */

/* Where more codes than this are in a window, parameters are below 25, and of
 * the zeros there are less than 64: no code has more than 32 bits. */
#define CODES_THAT_MAY_BE_LARGE 3
#define LOOP FC_TARGET_AVX512 FC_INLINE

/* -- one code after the other ----------------------------------------------------- */

static fc_bits bits_of(const fc_tile_reader *r, int k) {
    return (fc_bits){r->bytes[k], r->size[k], fc_tile_position(r, k)};
}

static void put_back(fc_tile_reader *r, int k, const fc_bits *b) {
    r->at[k] = 8 * (uint64_t)(uintptr_t)b->bytes + b->at;
}

/* Reads count codes of a lane, up to LANES, wherever they end. */
static int read_slowly(fc_tile_reader *r, int k, int64_t count, int32_t *tile) {
    int32_t folded[LANES];
    fc_bits b = bits_of(r, k);
    if (!fc_read_codes(&b, (unsigned)r->parameter[k], count, folded)) return 0;
    for (int64_t i = 0; i < count; i++) tile[i * FC_TILE_LANES + k] = folded[i];
    put_back(r, k, &b);
    return 1;
}

/* -- eight at once ---------------------------------------------------------------- */

/* The next 121 bits or more of each stream: from the top of a lane down, first
 * those of window, then those of next. */
typedef struct {
    __m512i window, next;
} words;

LOOP __m128i load_16(uint64_t address) {
    return _mm_loadu_si128((const __m128i *)(uintptr_t)address);
}

LOOP __m512i load_four(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(a)), load_16(b), 1);
    __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(c)), load_16(d), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Loads are cheaper than gathering, and sanitizers see them. */
LOOP words load_words(__m512i at) {
    const __m512i swap = _mm512_set_epi64(0x08090a0b0c0d0e0f, 0x0001020304050607,
                                          0x08090a0b0c0d0e0f, 0x0001020304050607,
                                          0x08090a0b0c0d0e0f, 0x0001020304050607,
                                          0x08090a0b0c0d0e0f, 0x0001020304050607);
    uint64_t byte[LANES];
    _mm512_storeu_si512(byte, _mm512_srli_epi64(at, 3));
    __m512i even = load_four(byte[0], byte[2], byte[4], byte[6]);
    __m512i odd = load_four(byte[1], byte[3], byte[5], byte[7]);
    even = _mm512_shuffle_epi8(even, swap);
    odd = _mm512_shuffle_epi8(odd, swap);
    __m512i skip = _mm512_and_si512(at, _mm512_set1_epi64(7));
    __m512i first = _mm512_unpacklo_epi64(even, odd), second = _mm512_unpackhi_epi64(even, odd);
    return (words){_mm512_shldv_epi64(first, second, skip), _mm512_sllv_epi64(second, skip)};
}

/* A group's streams, while a window is read of each. */
typedef struct {
    words bits;
    __m512i parameter, after, rest; /* after: bits from the leading one on; rest: those after it */
    __m512i used, over;
} reading;

LOOP reading begin_window(__m512i at, __m512i parameter) {
    const __m512i one = _mm512_set1_epi64(1);
    return (reading){load_words(at), parameter, _mm512_add_epi64(parameter, one),
                     _mm512_sub_epi64(_mm512_sllv_epi64(one, parameter), one),
                     _mm512_and_si512(at, _mm512_set1_epi64(7)), _mm512_setzero_si512()};
}

/* The next code of each stream. A rotation brings what follows the leading one to the low
 * end. A shift by 64 or more gives zeros, but for shldv and rolv, which take it modulo
 * 64: these are what over is for. */
LOOP __m512i next_code(reading *r) {
    __m512i zeros = _mm512_lzcnt_epi64(r->bits.window), length = _mm512_add_epi64(zeros, r->after);
    __m512i turned = _mm512_rolv_epi64(r->bits.window, length);
    __m512i code = _mm512_ternarylogic_epi64(_mm512_sllv_epi64(zeros, r->parameter), turned,
                                             r->rest, 0xf0 | (0xcc & 0xaa));
    r->bits.window = _mm512_shldv_epi64(r->bits.window, r->bits.next, length);
    r->bits.next = _mm512_sllv_epi64(r->bits.next, length);
    r->used = _mm512_add_epi64(r->used, length);
    r->over = _mm512_or_si512(r->over, length);
    return code;
}

/* A row of a tile, or half of one. */
LOOP void store_codes(const __m512i code[MAX_GROUPS], int groups, int32_t *row) {
    const __m512i low_halves = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16,
                                                14, 12, 10, 8, 6, 4, 2, 0);
    if (groups == 2)
        _mm512_storeu_si512(row, _mm512_permutex2var_epi32(code[0], low_halves, code[1]));
    else
        _mm256_storeu_si256((__m256i *)row, _mm512_cvtepi64_epi32(code[0]));
}

/* Reads codes codes of each stream from 16 bytes. used gets the bits of these
 * that have been read then; more than MOST_BITS where the codes were not all in
 * them, or one took 64 or more, and then nothing that it wrote for that lane is
 * to be believed. */
LOOP void read_windows(const __m512i at[MAX_GROUPS], const __m512i parameter[MAX_GROUPS],
                       int groups, int codes, int32_t *tile, __m512i used[MAX_GROUPS]) {
    reading r[MAX_GROUPS];
    __m512i code[MAX_GROUPS];
    for (int g = 0; g < groups; g++) r[g] = begin_window(at[g], parameter[g]);
    for (int i = 0; i < codes; i++) {
        for (int g = 0; g < groups; g++) {
            code[g] = next_code(r + g);
            if (codes <= CODES_THAT_MAY_BE_LARGE)
                r[g].over = _mm512_or_si512(r[g].over, _mm512_srli_epi64(code[g], 32 - 6));
        }
        store_codes(code, groups, tile + i * FC_TILE_LANES);
    }
    /* Bit 6 is 64; those above it are of codes that have more than 32 bits. */
    for (int g = 0; g < groups; g++) {
        __m512i over = _mm512_andnot_si512(_mm512_set1_epi64(63), r[g].over);
        used[g] = _mm512_or_si512(r[g].used, _mm512_slli_epi64(over, 1));
    }
}

/* How many windows may be read, each from no more than MOST_BITS after the last. */
LOOP int64_t ample_in_lanes(const fc_tile_reader *r, int groups, int64_t most) {
    __m512i room = _mm512_sub_epi64(_mm512_loadu_si512(r->last), _mm512_loadu_si512(r->at));
    if (groups == 2)
        room = _mm512_min_epi64(room, _mm512_sub_epi64(_mm512_loadu_si512(r->last + LANES),
                                                       _mm512_loadu_si512(r->at + LANES)));
    int64_t bits = _mm512_reduce_min_epi64(room);
    if (bits < 0) return 0;
    return bits / (8 * WINDOW) + 1 < most ? bits / (8 * WINDOW) + 1 : most;
}

/* After a window that had not all codes of every stream. used, the bits read
 * of it, tells whose. */
LOOP int read_lanes_again(fc_tile_reader *r, int first, int codes, __m512i used, int32_t *tile) {
    uint64_t bits[LANES];
    _mm512_storeu_si512(bits, used);
    for (int k = 0; k < LANES; k++) {
        uint64_t *at = r->at + first + k;
        if (bits[k] <= MOST_BITS) *at = (*at & ~UINT64_C(7)) + bits[k];
        else if (!read_slowly(r, first + k, codes, tile)) return 0;
    }
    return 1;
}

/* Reads up to windows windows of codes codes. Returns how many codes of each
 * lane are read; 0 where they are not good. */
LOOP int64_t read_ample(fc_tile_reader *r, int groups, int codes, int64_t windows, int32_t *tile) {
    const __m512i seven = _mm512_set1_epi64(7), most = _mm512_set1_epi64(MOST_BITS);
    __m512i at[MAX_GROUPS], parameter[MAX_GROUPS], used[MAX_GROUPS];
    for (int g = 0; g < groups; g++) {
        at[g] = _mm512_loadu_si512(r->at + g * LANES);
        parameter[g] = _mm512_loadu_si512(r->parameter + g * LANES);
    }
    int64_t done = 0;
    int is_short = 0;
    for (; done < windows; done++, tile += codes * FC_TILE_LANES) {
        read_windows(at, parameter, groups, codes, tile, used);
        for (int g = 0; g < groups; g++) is_short |= _mm512_cmpgt_epu64_mask(used[g], most);
        if (is_short) break;
        for (int g = 0; g < groups; g++)
            at[g] = _mm512_add_epi64(_mm512_andnot_si512(seven, at[g]), used[g]);
    }
    for (int g = 0; g < groups; g++) _mm512_storeu_si512(r->at + g * LANES, at[g]);
    if (!is_short) return done * codes;
    for (int g = 0; g < groups; g++)
        if (!read_lanes_again(r, g * LANES, codes, used[g], tile)) return 0;
    return (done + 1) * codes;
}

/* Fewer codes than there are in a window, or with too few bytes after them. */
LOOP int read_few(fc_tile_reader *r, int groups, int64_t count, int32_t *tile) {
    if (ample_in_lanes(r, groups, 1)) return read_ample(r, groups, (int)count, 1, tile) != 0;
    for (int k = 0; k < groups * LANES; k++)
        if (!read_slowly(r, k, count, tile)) return 0;
    return 1;
}

LOOP int read_count(fc_tile_reader *r, int groups, int codes, int64_t count, int32_t *tile) {
    int64_t windows, n;
    for (; (windows = ample_in_lanes(r, groups, count / codes)) > 0;
         count -= n, tile += n * FC_TILE_LANES)
        if (!(n = read_ample(r, groups, codes, windows, tile))) return 0;
    for (; count > 0; count -= n, tile += n * FC_TILE_LANES) {
        n = count < LANES ? count : LANES;
        if (!read_few(r, groups, n, tile)) return 0;
    }
    return 1;
}

/* As many as are likely to be in a window of every stream. */
static int codes_of_windows(uint64_t parameter) {
    static const uint8_t codes[31] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7, 7, 6, 6,
                                      5, 5, 5, 5, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3};
    return codes[parameter];
}

#define READ_BY_CODES(groups)                                \
    switch (codes) {                                         \
    case 8: return read_count(r, groups, 8, count, tile);    \
    case 7: return read_count(r, groups, 7, count, tile);    \
    case 6: return read_count(r, groups, 6, count, tile);    \
    case 5: return read_count(r, groups, 5, count, tile);    \
    case 4: return read_count(r, groups, 4, count, tile);    \
    case 3: return read_count(r, groups, 3, count, tile);    \
    case 2: return read_count(r, groups, 2, count, tile);    \
    default: return read_count(r, groups, 1, count, tile);   \
    }

FC_TARGET_AVX512 static int read_one_group(fc_tile_reader *r, int codes, int64_t count,
                                           int32_t *tile) {
    READ_BY_CODES(1)
}

FC_TARGET_AVX512 static int read_two_groups(fc_tile_reader *r, int codes, int64_t count,
                                            int32_t *tile) {
    READ_BY_CODES(2)
}

/* -- partitions ------------------------------------------------------------------- */

/* Escaped partitions, which encoders hardly ever write, are not for here. */
static int open_partition(fc_tile_reader *r, int k, int64_t end) {
    fc_bits b = bits_of(r, k);
    r->parameter[k] = fc_read_bits(&b, (int)r->parameter_bits[k]);
    r->end[k] = end;
    put_back(r, k, &b);
    return !fc_bits_overrun(&b) && r->parameter[k] != (1u << r->parameter_bits[k]) - 1;
}

static void find_until(fc_tile_reader *r) {
    r->until = r->end[0];
    for (int k = 1; k < r->lanes; k++)
        if (r->end[k] < r->until) r->until = r->end[k];
}

static int open_next_partitions(fc_tile_reader *r) {
    for (int k = 0; k < r->lanes; k++)
        if (r->end[k] == r->next && !open_partition(r, k, r->end[k] + r->partition[k])) return 0;
    find_until(r);
    return 1;
}

static int open_lane(fc_tile_reader *r, int k, const fc_residual *from, int64_t until) {
    fc_bits b = *from->bits;
    r->bytes[k] = b.bytes;
    r->size[k] = b.size;
    r->last[k] = from->loadable < WINDOW
        ? 0 : 8 * ((uint64_t)(uintptr_t)b.bytes + from->loadable - WINDOW) + 7;
    uint32_t method = fc_read_bits(&b, 2), order = fc_read_bits(&b, 4);
    r->partition[k] = r->samples >> order;
    r->parameter_bits[k] = 4 + method;
    put_back(r, k, &b);
    if (method > 1 || r->partition[k] << order != r->samples || r->partition[k] < until
        || r->partition[k] <= from->order || !open_partition(r, k, r->partition[k]))
        return 0;
    b = bits_of(r, k);
    if (!fc_read_codes(&b, (unsigned)r->parameter[k], until - from->order, from->x + from->order))
        return 0;
    put_back(r, k, &b);
    return 1;
}

/* -- */

int fc_open_tiles(fc_tile_reader *r, const fc_residual *residuals, int n, int64_t from) {
    r->lanes = n > LANES ? 2 * LANES : LANES;
    r->next = from;
    r->samples = residuals->samples;
    for (int k = 0; k < r->lanes; k++)
        if (!open_lane(r, k, residuals + (k < n ? k : 0), from)) return 0;
    find_until(r);
    return 1;
}

int fc_read_tile(fc_tile_reader *r, int64_t steps, int32_t *tile) {
    while (steps > 0) {
        if (r->next == r->until && !open_next_partitions(r)) return 0;
        int64_t count = r->until - r->next < steps ? r->until - r->next : steps;
        uint64_t highest = 0;
        for (int k = 0; k < r->lanes; k++)
            if (r->parameter[k] > highest) highest = r->parameter[k];
        int codes = codes_of_windows(highest);
        if (!(r->lanes > LANES ? read_two_groups : read_one_group)(r, codes, count, tile)) return 0;
        r->next += count;
        steps -= count;
        tile += count * FC_TILE_LANES;
    }
    return 1;
}

uint64_t fc_tile_position(const fc_tile_reader *r, int k) {
    return r->at[k] - 8 * (uint64_t)(uintptr_t)r->bytes[k];
}
#endif
