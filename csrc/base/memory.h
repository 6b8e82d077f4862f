/* What the C library does with memory that was freed. */
#ifndef FC_MEMORY_H
#define FC_MEMORY_H

#include <stddef.h>

#include "flaccodec.h"

/* The C library's. */
extern const fc_allocator fc_malloc_allocator;

/* Has the C library keep as much as some blocks of size bytes for the next
 * ones, where it would give each back to the system and have it cleared and
 * mapped again, page by page. */
void fc_keep_freed(size_t size);

/* Zeroed memory that goes back to the system when it is unmapped, where malloc's may be
 * kept for later; NULL where there is none. */
void *fc_map(size_t size);
void fc_unmap(void *memory, size_t size);

#endif
