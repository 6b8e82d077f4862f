#include "encode/rice.h"

#include "base/cpu.h"
#include "encode/block.h"

#if FC_X86
#include <immintrin.h>
#endif

#define MOST_PARAMETER 30
#define MOST_PARAMETER_OF_4_BITS 14

/* -- planning -------------------------------------------------------------------- */

static int log2_of(uint64_t value) { return value ? 63 - __builtin_clzll(value) : 0; }

/* Codes have parameter + 1 bits and one for each 2**parameter of the value,
 * rounded down; half of that is lost to rounding where values are spread. */
static int64_t bits_with(int parameter, int64_t samples, uint64_t sum) {
    uint64_t lost = (uint64_t)samples * ((UINT64_C(1) << parameter) - 1) / 2;
    return samples * (parameter + 1) + (int64_t)(sum > lost ? (sum - lost) >> parameter : 0);
}

/* The best parameter is near the mean's logarithm. */
static int64_t choose_parameter(int64_t samples, uint64_t sum, uint8_t *parameter) {
    int high = log2_of(sum) - log2_of((uint64_t)samples);
    int low = high < 2 ? 0 : high - 2;
    if (high < 0) high = 0;
    if (high > MOST_PARAMETER) high = MOST_PARAMETER;
    int64_t fewest = INT64_MAX;
    for (int k = low; k <= high; k++) {
        int64_t bits = bits_with(k, samples, sum);
        if (bits >= fewest) continue;
        fewest = bits;
        *parameter = (uint8_t)k;
    }
    return fewest;
}

int64_t fc_estimate_rice(int64_t samples, uint64_t sum) {
    uint8_t parameter;
    return choose_parameter(samples, sum, &parameter);
}

static int bits_of_parameters(const fc_rice_plan *plan) {
    for (int i = 0; i < 1 << plan->order; i++)
        if (plan->parameter[i] > MOST_PARAMETER_OF_4_BITS) return 5;
    return 4;
}

static void plan_order(fc_rice_plan *plan, int order, const uint64_t *sums, int64_t samples,
                       int warm_up) {
    plan->order = order;
    plan->bits = 0;
    for (int i = 0; i < 1 << order; i++) {
        int64_t coded = (samples >> order) - (i ? 0 : warm_up);
        plan->bits += choose_parameter(coded, sums[i], plan->parameter + i);
    }
    plan->bits += 6 + (bits_of_parameters(plan) << order);
}

static int largest_order(int64_t samples, int warm_up, int most_order) {
    int order = 0;
    while (order < most_order && !(samples >> order & 1) && samples >> (order + 1) > warm_up)
        order++;
    return order;
}

void fc_plan_rice(const uint32_t *folded, int64_t samples, int warm_up, int most_order,
                  fc_rice_plan *best) {
    uint64_t sums[1 << FC_MOST_PARTITION_ORDER];
    int order = largest_order(samples, warm_up, most_order);
    fc_sum_parts(folded, samples >> order, 1 << order, sums);
    plan_order(best, order, sums, samples, warm_up);
    fc_rice_plan plan = *best;
    while (order-- > 0) {
        for (int i = 0; i < 1 << order; i++) sums[i] = sums[2 * i] + sums[2 * i + 1];
        plan_order(&plan, order, sums, samples, warm_up);
        if (plan.bits <= best->bits) *best = plan;
    }
    best->bits_unparted = plan.bits;
}

/* -- writing --------------------------------------------------------------------- */

#define MOST_BITS_AT_ONCE 56
#define GROUP 8 /* codes between looks at the limit */
#define GROUP_BYTES (GROUP / 2 * MOST_BITS_AT_ONCE / 8 + 1)

static int has_room(const fc_bit_writer *w, const uint8_t *limit, int64_t bits) {
    return w->n_held + bits <= 8 * (limit - w->at);
}

/* A code of any length. */
static int put_code(fc_bit_writer *w, const uint8_t *limit, uint32_t folded, int parameter) {
    uint32_t zeros = folded >> parameter;
    if (!has_room(w, limit, (int64_t)zeros + parameter + 1)) return 0;
    for (; zeros >= MOST_BITS_AT_ONCE; zeros -= MOST_BITS_AT_ONCE)
        fc_put_bits(w, MOST_BITS_AT_ONCE, 0);
    if (zeros) fc_put_bits(w, zeros, 0);
    fc_put_bits(w, (unsigned)parameter + 1,
                (UINT64_C(1) << parameter) | (folded & ((1u << parameter) - 1)));
    return 1;
}

static int put_codes_singly(fc_bit_writer *w, const uint8_t *limit, int parameter,
                            const uint32_t *folded, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!put_code(w, limit, folded[i], parameter)) return 0;
    return 1;
}

/* Two codes at once, where they are short enough. */
static int put_codes_any(fc_bit_writer *writer, const uint8_t *limit, int parameter,
                         const uint32_t *folded, int64_t count) {
    fc_bit_writer w = *writer;
    uint32_t one = 1u << parameter, mask = one - 1;
    int64_t i = 0;
    for (; i + 2 <= count && limit - w.at >= GROUP_BYTES; i += 2) {
        uint64_t lengths[2], codes[2];
        for (int k = 0; k < 2; k++) {
            lengths[k] = (uint64_t)(folded[i + k] >> parameter) + (unsigned)parameter + 1;
            codes[k] = one | (folded[i + k] & mask);
        }
        if (lengths[0] + lengths[1] > MOST_BITS_AT_ONCE) {
            if (!put_codes_singly(&w, limit, parameter, folded + i, 2)) return 0;
        } else {
            fc_put_bits(&w, (unsigned)(lengths[0] + lengths[1]), codes[0] << lengths[1] | codes[1]);
        }
    }
    *writer = w;
    return put_codes_singly(writer, limit, parameter, folded + i, count - i);
}

#if FC_X86
/* Codes of eight: pairs of them in 64 bits each, joined in vectors. */
FC_TARGET_AVX2 static int put_codes_avx2(fc_bit_writer *writer, const uint8_t *limit,
                                         int parameter, const uint32_t *folded, int64_t count) {
    fc_bit_writer w = *writer;
    const __m256i one = _mm256_set1_epi32(1 << parameter);
    const __m256i mask = _mm256_set1_epi32((1 << parameter) - 1);
    const __m256i fixed = _mm256_set1_epi32(parameter + 1);
    const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
    const __m256i most = _mm256_set1_epi64x(MOST_BITS_AT_ONCE);
    const __m128i shift = _mm_cvtsi32_si128(parameter);
    int64_t i = 0;
    for (; i + GROUP <= count && limit - w.at >= GROUP_BYTES; i += GROUP) {
        __m256i values = _mm256_loadu_si256((const __m256i *)(folded + i));
        __m256i codes = _mm256_or_si256(_mm256_and_si256(values, mask), one);
        __m256i zeros = _mm256_srl_epi32(values, shift);
        __m256i lengths = _mm256_add_epi32(zeros, fixed);
        __m256i second = _mm256_srli_epi64(lengths, 32);
        __m256i pairs = _mm256_or_si256(
            _mm256_sllv_epi64(_mm256_and_si256(codes, low), second), _mm256_srli_epi64(codes, 32));
        __m256i both = _mm256_add_epi64(_mm256_and_si256(lengths, low), second);
        if (_mm256_movemask_epi8(_mm256_cmpgt_epi64(both, most))) {
            if (!put_codes_singly(&w, limit, parameter, folded + i, GROUP)) return 0;
            continue;
        }
        uint64_t pair[4], length[4];
        _mm256_storeu_si256((__m256i *)pair, pairs);
        _mm256_storeu_si256((__m256i *)length, both);
        for (int k = 0; k < 4; k++) fc_put_bits(&w, (unsigned)length[k], pair[k]);
    }
    *writer = w;
    return put_codes_singly(writer, limit, parameter, folded + i, count - i);
}
#endif

static int put_codes(fc_bit_writer *w, const uint8_t *limit, int parameter,
                     const uint32_t *folded, int64_t count) {
#if FC_X86
    if (fc_this_cpu() >= FC_CPU_AVX2) return put_codes_avx2(w, limit, parameter, folded, count);
#endif
    return put_codes_any(w, limit, parameter, folded, count);
}

int fc_write_rice(fc_bit_writer *w, const uint8_t *limit, const fc_rice_plan *plan,
                  const uint32_t *folded, int64_t samples, int warm_up) {
    unsigned parameter_bits = (unsigned)bits_of_parameters(plan);
    int64_t size = samples >> plan->order;
    if (!has_room(w, limit, 6)) return 0;
    fc_put_bits(w, 2, parameter_bits - 4);
    fc_put_bits(w, 4, (unsigned)plan->order);
    for (int i = 0; i < 1 << plan->order; i++) {
        int64_t from = i ? i * size : warm_up;
        if (!has_room(w, limit, parameter_bits)) return 0;
        fc_put_bits(w, parameter_bits, plan->parameter[i]);
        if (!put_codes(w, limit, plan->parameter[i], folded + from, (i + 1) * size - from))
            return 0;
    }
    return 1;
}
