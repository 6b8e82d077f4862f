/* Samples moved from and to the caller's memory. */
#ifndef FC_VIEW_H
#define FC_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "flaccodec.h"

/* Returns samples `first` to `first` + `count` - 1 of a stream, contiguous and in the machine's
 * byte order: where they are, if they are so there; else copied to `scratch`, which has room
 * for `count` samples. */
const void *fc_load_block(const fc_view *view, int dtype, int64_t stream, int64_t first,
                          int64_t count, void *scratch);

/* Returns where samples for `at` may be written, contiguous and in the machine's byte order: `at`
 * itself. Returns NULL if the view wants them otherwise: then fc_store_block() copies them. */
void *fc_store_target(const fc_view *view, int dtype, uint8_t *at);

/* Copies `count` samples of `block` to `at` and on, as the view wants them. */
void fc_store_block(const fc_view *view, int dtype, uint8_t *at, int64_t count,
                    const void *block);

#define FC_FETCHED_AHEAD 4096 /* bytes */
#define FC_CACHE_LINE 64

/* Has the cache fetch what comes FC_FETCHED_AHEAD bytes after `at`, `bytes` bytes of it. Loops
 * that read samples from memory need not wait for it then: processors themselves fetch ahead to
 * the end of a page only. What is there may be anything, of the array or not. */
static inline void fc_fetch_ahead(const void *at, size_t bytes) {
    const char *ahead = (const char *)((uintptr_t)at + FC_FETCHED_AHEAD);
    for (size_t i = 0; i < bytes; i += FC_CACHE_LINE) __builtin_prefetch(ahead + i);
}

#endif
