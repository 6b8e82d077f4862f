/* Bytes that end where memory ends: no sanitizer sees what vector instructions
 * gather, but no processor lets them have what is behind. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t guarded_room(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static uint8_t *guarded_copy(const uint8_t *bytes, size_t size) {
    size_t room = guarded_room(size), page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + room, page, PROT_NONE)) abort();
    return memcpy(memory + room - size, bytes, size);
}

static void guarded_free(uint8_t *bytes, size_t size) {
    size_t room = guarded_room(size), page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes) munmap(bytes + size - room, room + page);
}

#endif
