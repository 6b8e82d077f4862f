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
} taken;

static void take(void *context, const int32_t *const *channel) {
    taken *t = context;
    for (int c = 0; c < t->channels; c++)
        memcpy(t->channel[c], channel[c], (size_t)t->samples * 4);
}

/* Buffers of exactly the size, filled with what must be written over. */
static void make_buffers(taken *t, int channels, int64_t samples, int filling) {
    *t = (taken){channels, samples, {NULL, NULL}};
    for (int c = 0; c < channels; c++) {
        t->channel[c] = malloc((size_t)samples * 4);
        memset(t->channel[c], filling, (size_t)samples * 4);
    }
}

static void free_buffers(taken *t) {
    free(t->channel[0]);
    free(t->channel[1]);
}

static int same(const taken *a, const taken *b) {
    for (int c = 0; c < a->channels; c++)
        if (memcmp(a->channel[c], b->channel[c], (size_t)a->samples * 4)) return 0;
    return 1;
}

#endif
