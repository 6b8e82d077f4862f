#include "base/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

static void *allocate(const void *context, size_t size) {
    (void)context;
    return malloc(size);
}

static void *resize(const void *context, void *memory, size_t size) {
    (void)context;
    return realloc(memory, size);
}

static void release(const void *context, void *memory) {
    (void)context;
    free(memory);
}

const fc_allocator fc_malloc_allocator = {allocate, resize, release, NULL};

/* glibc takes no block above 32 MiB for its own, and a block has a header. */
#define MOST_KEPT (((size_t)32 << 20) - 65536)
#define LEAST_KEPT ((size_t)128 << 10) /* what is smaller is of the heap anyway */
#define BLOCKS 4 /* the bytes of a chunk, its samples, and those of another one */

/* glibc maps large blocks from the system and unmaps them when they are freed,
 * until one of that size has been freed: from then on such blocks are of its
 * heap, which keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). Chunks
 * come one after the other and are of one size, so their turn comes right
 * away; but the heap must have room for all that is held at once. */
void fc_keep_freed(size_t size) {
#ifdef __GLIBC__
    static size_t kept = LEAST_KEPT;
    size_t block = size < MOST_KEPT / BLOCKS ? BLOCKS * size : MOST_KEPT;
    if (block <= __atomic_load_n(&kept, __ATOMIC_RELAXED)) return;
    __atomic_store_n(&kept, block, __ATOMIC_RELAXED);
    void *volatile memory = malloc(block); /* or the compiler does without both */
    free(memory);
#else
    (void)size;
#endif
}

void *fc_map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void fc_unmap(void *memory, size_t size) { munmap(memory, size); }

void fc_free(void *memory) { free(memory); }
