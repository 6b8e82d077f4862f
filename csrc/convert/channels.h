/* What all ways between samples and channels share. */
#ifndef FC_CHANNELS_H
#define FC_CHANNELS_H

#include <stdint.h>

/* How many samples are converted at once. If one of a strip must be quantized slowly, all are. */
#define FC_STRIP 128

/* Writes number i, its low 32 bits and, with two channels, its high 32 bits. */
static inline void fc_split_words(uint64_t value, int64_t i, int32_t *low, int32_t *high,
                                  int channels) {
    low[i] = (int32_t)(uint32_t)value;
    if (channels == 2) high[i] = (int32_t)(uint32_t)(value >> 32);
}

#endif
