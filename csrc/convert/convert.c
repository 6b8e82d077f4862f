#include "convert/convert.h"

#include <string.h>

#include "base/vectors.h"
#include "convert/channels.h"
#include "convert/quantize.h"
#include "samples/dtype.h"
#include "samples/order.h"
#include "samples/view.h"

int fc_may_be_wide(int dtype, int mode) {
    return mode == FC_MODE_QUANTIZED || fc_item_size(dtype) == 8;
}

#define NARROW(type)                                                                        \
    FC_WIDE_LOOP static void narrow_##type(const type *x, int64_t count, uint64_t offset,   \
                                        int32_t *out) {                                     \
        for (int64_t i = 0; i < count; i++)                                                 \
            out[i] = (int32_t)((uint32_t)x[i] - (uint32_t)offset);                          \
    }                                                                                       \
    FC_WIDE_LOOP static void widen_##type(const int32_t *c, int64_t count, uint64_t offset, \
                                       type *out) {                                         \
        for (int64_t i = 0; i < count; i++)                                                 \
            out[i] = (type)((uint32_t)c[i] + (uint32_t)offset);                             \
    }
NARROW(int8_t)
NARROW(int16_t)
NARROW(int32_t)
NARROW(uint8_t)
NARROW(uint16_t)

FC_WIDE_LOOP void fc_add_offset(int32_t *x, int64_t count, uint64_t offset) {
    for (int64_t i = 0; i < count; i++) x[i] = (int32_t)((uint32_t)x[i] + (uint32_t)offset);
}

/* uint32_t is done as int32_t: the same arithmetic modulo 2**32. */

static void split_block(const uint64_t *x, int64_t count, const fc_plan *plan, int ordered,
                        int32_t *low, int32_t *high) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t value = ordered ? (uint64_t)fc_order64((int64_t)x[i]) : x[i];
        fc_split_words(value - plan->offset, i, low, high, plan->channels);
    }
}

FC_WIDE_LOOP static void order_block(const int32_t *x, int64_t count, uint64_t offset,
                                     int32_t *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = (int32_t)((uint32_t)fc_order32(x[i]) - (uint32_t)offset);
}

static void convert_strip(int dtype, const fc_plan *plan, const void *block, int64_t count,
                          int32_t *low, int32_t *high) {
    switch ((fc_dtype)dtype) {
    case FC_INT8: narrow_int8_t(block, count, plan->offset, low); break;
    case FC_INT16: narrow_int16_t(block, count, plan->offset, low); break;
    case FC_UINT8: narrow_uint8_t(block, count, plan->offset, low); break;
    case FC_UINT16: narrow_uint16_t(block, count, plan->offset, low); break;
    case FC_INT32:
    case FC_UINT32: narrow_int32_t(block, count, plan->offset, low); break;
    case FC_FLOAT32: order_block(block, count, plan->offset, low); break;
    case FC_INT64:
    case FC_UINT64: split_block(block, count, plan, 0, low, high); break;
    case FC_FLOAT64: split_block(block, count, plan, 1, low, high); break;
    }
}

int fc_to_channels(int dtype, int mode, const fc_plan *plan, const void *block, int64_t count,
                   int32_t *low, int32_t *high, void *scratch, int64_t stream, int64_t first,
                   fc_exceptions *exceptions, fc_error *error) {
    if (mode == FC_MODE_QUANTIZED)
        return fc_quantize_block(dtype, plan, block, count, low, high, scratch, stream, first,
                              exceptions, error);
    const uint8_t *given = block;
    int size = fc_item_size(dtype);
    for (int64_t i = 0; i < count; i += FC_STRIP) {
        int64_t n = count - i < FC_STRIP ? count - i : FC_STRIP;
        fc_fetch_ahead(given + i * size, (size_t)(n * size));
        convert_strip(dtype, plan, given + i * size, n, low + i, high + i);
    }
    return FC_OK;
}

static uint64_t join(const int32_t *low, const int32_t *high, int64_t i, uint64_t offset) {
    if (!high) return (uint64_t)(int64_t)low[i] + offset;
    return ((uint64_t)(uint32_t)high[i] << 32 | (uint32_t)low[i]) + offset;
}

static void join_block(const int32_t *low, const int32_t *high, int64_t count, uint64_t offset,
                       int ordered, uint64_t *out) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t value = join(low, high, i, offset);
        out[i] = ordered ? (uint64_t)fc_order64((int64_t)value) : value;
    }
}

FC_WIDE_LOOP static void unorder_block(const int32_t *c, int64_t count, uint64_t offset,
                                       int32_t *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = fc_order32((int32_t)((uint32_t)c[i] + (uint32_t)offset));
}

/* near: the sums are exact as doubles, so that this is restored(). */
#define RESTORE_FLOATS(type)                                                                    \
    FC_WIDE_LOOP static void restore_near_##type(const int32_t *c, int64_t count,               \
                                              double offset, double quanta, type *out) {        \
        for (int64_t i = 0; i < count; i++)                                                     \
            out[i] = (type)(((double)c[i] + offset) * quanta);                                  \
    }                                                                                           \
    static void restore_##type(const int32_t *low, const int32_t *high, int64_t count,          \
                               uint64_t offset, double quanta, type *out) {                     \
        int64_t signed_offset = (int64_t)offset;                                                \
        if (!high && signed_offset < INT64_C(1) << 52 && signed_offset > -(INT64_C(1) << 52)) { \
            restore_near_##type(low, count, (double)signed_offset, quanta, out);                \
            return;                                                                             \
        }                                                                                       \
        for (int64_t i = 0; i < count; i++)                                                     \
            out[i] = (type)((double)(int64_t)join(low, high, i, offset) * quanta);              \
    }
RESTORE_FLOATS(float)
RESTORE_FLOATS(double)

void fc_from_channels(int dtype, int mode, uint64_t offset, double quanta, const int32_t *low,
                      const int32_t *high, int64_t count, void *out) {
    switch ((fc_dtype)dtype) {
    case FC_INT8: widen_int8_t(low, count, offset, out); break;
    case FC_INT16: widen_int16_t(low, count, offset, out); break;
    case FC_UINT8: widen_uint8_t(low, count, offset, out); break;
    case FC_UINT16: widen_uint16_t(low, count, offset, out); break;
    case FC_INT32:
    case FC_UINT32: widen_int32_t(low, count, offset, out); break;
    case FC_INT64:
    case FC_UINT64: join_block(low, high, count, offset, 0, out); break;
    case FC_FLOAT32:
        if (mode == FC_MODE_QUANTIZED)
            restore_float(low, high, count, offset, quanta, out);
        else
            unorder_block(low, count, offset, out);
        break;
    case FC_FLOAT64:
        if (mode == FC_MODE_QUANTIZED)
            restore_double(low, high, count, offset, quanta, out);
        else
            join_block(low, high, count, offset, 1, out);
        break;
    }
}

static void fill_float(uint64_t bits, int64_t count, uint8_t *out) {
    uint32_t narrow = (uint32_t)bits;
    for (int64_t i = 0; i < count; i++) memcpy(out + 4 * i, &narrow, 4);
}

static void fill_double(uint64_t bits, int64_t count, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) memcpy(out + 8 * i, &bits, 8);
}

void fc_fill_bits(int dtype, uint64_t bits, int64_t count, void *out) {
    FC_RETURN_BY_FLOAT(dtype, fill, (bits, count, out));
}
