/* Samples that a decoder gave, of one frame. */
#ifndef TAKEN_H
#define TAKEN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int channels;
    int64_t samples;
    int32_t *channel[2];
    int32_t *memory[2]; /* that they are in, NULL where it is somebody else's */
    int filling;
} taken;

static void take(void *context, const int32_t *const *channel) {
    taken *t = context;
    for (int c = 0; c < t->channels; c++)
        memcpy(t->channel[c], channel[c], (size_t)t->samples * 4);
}

#define PLACES 16 /* samples of a line of the cache, any of which may be the first */

/* Buffers that end where their memory does, filled with what must be written over. What is
 * before them must be left alone. */
static void make_buffers(taken *t, int channels, int64_t samples, int filling) {
    static unsigned place;
    *t = (taken){channels, samples, {NULL, NULL}, {NULL, NULL}, filling};
    for (int c = 0; c < channels; c++, place++) {
        t->memory[c] = malloc((size_t)(place % PLACES + samples) * 4);
        t->channel[c] = t->memory[c] + place % PLACES;
        memset(t->memory[c], filling, (size_t)(place % PLACES + samples) * 4);
    }
}

static int left_alone(const taken *t) {
    for (int c = 0; c < t->channels && t->memory[c]; c++)
        for (const uint8_t *at = (uint8_t *)t->memory[c]; at < (uint8_t *)t->channel[c]; at++)
            if (*at != t->filling) return 0;
    return 1;
}

static void free_buffers(taken *t) {
    free(t->memory[0]);
    free(t->memory[1]);
}

/* In the first so many samples; in all where that is 0. */
static int begins_same(const taken *a, const taken *b, int64_t samples) {
    if (!left_alone(a)) return 0;
    for (int c = 0; c < a->channels; c++)
        if (memcmp(a->channel[c], b->channel[c], (size_t)(samples ? samples : a->samples) * 4))
            return 0;
    return 1;
}

static int same(const taken *a, const taken *b) { return begins_same(a, b, 0); }

#endif
