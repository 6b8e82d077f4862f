/* Memory of the C library and of the system. */
#ifndef FC_MEMORY_H
#define FC_MEMORY_H

#include <stddef.h>

#include "flaccodec.h"

/* malloc() and its company. */
extern const fc_allocator fc_malloc_allocator;

/* Has the C library keep freed memory, as much as some blocks of `size` bytes, for the next blocks.
 * Else it would give each back to the system, which clears and maps it again, page by page. */
void fc_keep_freed(size_t size);

/* Returns `size` zeroed bytes from the system, NULL if there are none. They go back to the system
 * when they are unmapped; those of malloc() may be kept. */
void *fc_map(size_t size);

/* Gives back `size` bytes that fc_map() returned. */
void fc_unmap(void *memory, size_t size);

#endif
