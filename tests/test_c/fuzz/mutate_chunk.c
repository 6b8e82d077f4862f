/* libFuzzer's mutations for chunks, put where they do not break all that
 * follows: a part of the chunk is changed, and what tells of its size is made
 * right. */
#include <stdlib.h>
#include <string.h>

#include "chunk/format.h"
#include "repair.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* A chunk in room bytes of memory. */
typedef struct {
    uint8_t *bytes;
    size_t size, room;
    fc_header header;
} chunk;

/* Lets libFuzzer change size bytes at at, which may then be others in number,
 * and moves what follows. Returns how many. */
static size_t mutate_part(chunk *c, size_t at, size_t size) {
    size_t room = c->room - c->size + size, rest = c->size - at - size;
    uint8_t *part = malloc(room ? room : 1);
    memcpy(part, c->bytes + at, size);
    size_t mutated = LLVMFuzzerMutate(part, size, room);
    memmove(c->bytes + at + mutated, c->bytes + at + size, rest);
    memcpy(c->bytes + at, part, mutated);
    c->size = at + mutated + rest;
    free(part);
    return mutated;
}

static int64_t position_of(const chunk *c, int64_t frame) {
    int64_t at = c->header.head_size + FC_STREAM_HEADER_SIZE * (frame / c->header.n_frames + 1);
    for (int64_t g = 0; g < frame; g++) at += fc_frame_bytes(c->bytes, &c->header, g);
    return at;
}

/* A frame; mostly without its header, where nearly every change is an error. */
static void mutate_frame(chunk *c, unsigned seed) {
    int64_t frame = (seed >> 8) % (c->header.n_streams * c->header.n_frames);
    size_t at = (size_t)position_of(c, frame), size = fc_frame_bytes(c->bytes, &c->header, frame);
    if (at + size > c->size) return;
    size_t skip = seed & 0x30 ? frame_header_size(c->bytes + at, size) : 0;
    size_t mutated = skip + mutate_part(c, at + skip, size - skip);
    if (mutated < 1 << FC_FRAME_SIZE_BITS)
        fc_put32(c->bytes + fc_sizes_at(&c->header) + 4 * frame, (uint32_t)mutated);
}

static void mutate_in_place(uint8_t *bytes, size_t size) {
    LLVMFuzzerMutate(bytes, size, size);
}

static void mutate_exceptions(chunk *c) {
    size_t at = (size_t)(c->header.head_size + c->header.streams_size);
    if (at > c->size) return;
    mutate_part(c, at, c->size - at);
    c->size -= (c->size - at) % FC_EXCEPTION_SIZE;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    chunk c = {data, size, max_size, {0}};
    fc_error error;
    if (fc_read_header(data, (int64_t)size, &c.header, &error) || c.header.head_size > (int64_t)size)
        return LLVMFuzzerMutate(data, size, max_size);
    switch (seed & 15) {
    case 0: return LLVMFuzzerMutate(data, size, max_size);
    case 1: mutate_in_place(data + 4, 56); break;
    case 2: mutate_in_place(data + 64, (size_t)c.header.head_size - 64); break;
    case 3:
    case 4:
        if (c.header.mode == FC_MODE_QUANTIZED) {
            mutate_exceptions(&c);
            break;
        } /* fall through */
    default: mutate_frame(&c, seed);
    }
    repair_chunk(data, c.size);
    return c.size;
}
