#include "samples/view.h"

#include <string.h>

#include "samples/dtype.h"

static int is_direct(const fc_view *view, int size, const uint8_t *at) {
    return !view->byte_swapped && view->sample_stride == size && (uintptr_t)at % size == 0;
}

#define MOVE(bits, swap)                                                            \
    static void move##bits(uint8_t *to, int64_t to_stride, const uint8_t *from,     \
                           int64_t from_stride, int64_t count, int swapped) {       \
        for (int64_t i = 0; i < count; i++, to += to_stride, from += from_stride) { \
            uint##bits##_t item;                                                    \
            memcpy(&item, from, bits / 8);                                          \
            if (swapped) item = swap(item);                                         \
            memcpy(to, &item, bits / 8);                                            \
        }                                                                           \
    }
#define KEEP(item) (item)
MOVE(8, KEEP)
MOVE(16, __builtin_bswap16)
MOVE(32, __builtin_bswap32)
MOVE(64, __builtin_bswap64)

static void move(int size, uint8_t *to, int64_t to_stride, const uint8_t *from,
                 int64_t from_stride, int64_t count, int swapped) {
    switch (size) {
    case 1: move8(to, to_stride, from, from_stride, count, swapped); break;
    case 2: move16(to, to_stride, from, from_stride, count, swapped); break;
    case 4: move32(to, to_stride, from, from_stride, count, swapped); break;
    default: move64(to, to_stride, from, from_stride, count, swapped);
    }
}

const void *fc_load_block(const fc_view *view, int dtype, int64_t stream, int64_t first,
                          int64_t count, void *scratch) {
    int size = fc_item_size(dtype);
    const uint8_t *at = view->data;
    at += view->stream_offsets ? view->stream_offsets[stream] : stream * view->stream_stride;
    at += first * view->sample_stride;
    if (is_direct(view, size, at)) return at;
    move(size, scratch, size, at, view->sample_stride, count, view->byte_swapped);
    return scratch;
}

void *fc_store_target(const fc_view *view, int dtype, uint8_t *at) {
    return is_direct(view, fc_item_size(dtype), at) ? at : NULL;
}

void fc_store_block(const fc_view *view, int dtype, uint8_t *at, int64_t count,
                    const void *block) {
    int size = fc_item_size(dtype);
    move(size, at, view->sample_stride, block, size, count, view->byte_swapped);
}
