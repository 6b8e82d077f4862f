/* A libFuzzer target: any bytes as samples, which our encoder and either decoder
 * must give back.
 *
 * The first byte has the level and the channels, the second the width of the
 * samples, the bytes that each has below, and how far it is shifted up. */
#include <stdlib.h>
#include <string.h>

#include "../c/taken.h"
#include "encode_frame.h"
#include "flaccodec.h"
#include "frame.h"
#include "libflac.h"
#include "subframe.h"

#define MOST_SAMPLES FC_MAX_FRAME_SIZE

static const uint8_t widths[] = {8, 12, 16, 20, 24, 32};

static int32_t read_sample(const uint8_t *at, int bytes, int shift, int bits) {
    uint32_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    value <<= 8 * (4 - bytes);
    value = (uint32_t)((int32_t)value >> 8 * (4 - bytes)) << shift;
    return (int32_t)(value << (32 - bits)) >> (32 - bits);
}

static void check(const uint8_t *frame, size_t size, const taken *truth) {
    static fc_decoder *reference;
    taken ours, theirs;
    if (!reference) reference = fc_new_decoder();
    make_buffers(&ours, truth->channels, truth->samples, 0x55);
    make_buffers(&theirs, truth->channels, truth->samples, 0xaa);
    if (fc_decode_frame_fast(frame, size, truth->channels, truth->samples, ours.channel)
        || fc_decode_frame(reference, frame, size, truth->channels, truth->samples, take, &theirs)
        || !same(&ours, truth) || !same(&theirs, truth))
        abort();
    free_buffers(&ours);
    free_buffers(&theirs);
}

static void encode(const taken *truth, int level, int bits) {
    size_t bound = fc_frame_bound(truth->samples, truth->channels, bits);
    uint8_t *out = malloc(bound + FC_FRAME_SLACK);
    fc_frame_encoder *encoder = fc_new_frame_encoder(level, truth->samples);
    size_t size = fc_encode_frame_fast(encoder, (const int32_t *const *)truth->channel,
                                       truth->channels, bits, truth->samples, 0, out);
    if (size > bound) abort();
    uint8_t *frame = malloc(size);
    memcpy(frame, out, size);
    check(frame, size, truth);
    fc_delete_frame_encoder(encoder);
    free(frame);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    int level = data[0] % (FC_MAX_FAST_LEVEL + 1), channels = 1 + (data[0] >> 3 & 1);
    int bits = widths[data[1] % 6], bytes = 1 + (data[1] >> 3 & 3), shift = data[1] >> 5;
    int64_t samples = (int64_t)(size - 2) / (bytes * channels);
    if (samples < FC_MIN_FRAME_SIZE) return 0;
    if (samples > MOST_SAMPLES) samples = MOST_SAMPLES;
    taken truth;
    make_buffers(&truth, channels, samples, 0);
    data += 2;
    for (int c = 0; c < channels; c++)
        for (int64_t i = 0; i < samples; i++, data += bytes)
            truth.channel[c][i] = read_sample(data, bytes, shift, bits);
    encode(&truth, level, bits);
    free_buffers(&truth);
    return 0;
}
