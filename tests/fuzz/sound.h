/* Whether two right decoders must agree on a frame. */
#ifndef FUZZ_SOUND_H
#define FUZZ_SOUND_H

#include <stddef.h>
#include <stdint.h>

/* Whether libFLAC decodes the frame to samples that an encoder could have
 * been given: with others, sums overflow in one decoder and not in another.
 * Where bits are wasted that cannot be told, and the answer is no. */
int is_sound(const uint8_t *frame, size_t size);

#endif
