/* A libFuzzer target: any bytes as samples, which our encoder and either decoder
 * must give back; and, of some inputs, a chunk that libFLAC encodes too.
 *
 * The first byte has the level, the channels, and who encodes the chunk, the second
 * the width of the samples, the bytes that each has below, and how far it is shifted up. */
#include <stdlib.h>
#include <string.h>

#include "../c/taken.h"
#include "decode/decode_frame.h"
#include "encode/encode_frame.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "flaccodec.h"

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

/* The first channel as a chunk of one frame, by libFLAC alone or beside our encoder. */
static void encode_chunk(const taken *truth, int level, int alone) {
    int64_t n = truth->samples, size;
    uint8_t *chunk;
    int32_t *out = malloc((size_t)n * 4);
    fc_error error;
    fc_view from = {truth->channel[0], NULL, n * 4, 4, 0}, to = {out, NULL, n * 4, 4, 0};
    fc_encode_options options = {.dtype = FC_INT32, .level = level, .n_streams = 1,
                                 .stream_size = n, .frame_size = FC_MAX_FRAME_SIZE,
                                 .only_libflac = alone, .n_threads = 1};
    if (fc_encode(&from, &options, &chunk, &size, &error)) abort();
    fc_piece whole = {chunk, 0, size};
    if (fc_decode(chunk, size, &whole, 1, NULL, NULL, 0, &to, 1, NULL, &error)
        || memcmp(out, truth->channel[0], (size_t)n * 4))
        abort();
    fc_free(chunk);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    int level = data[0] % (FC_MAX_FAST_LEVEL + 1), channels = 1 + (data[0] >> 3 & 1);
    int bits = widths[data[1] % 6], bytes = 1 + (data[1] >> 3 & 3), shift = data[1] >> 5;
    int64_t samples = (int64_t)(size - 2) / (bytes * channels);
    if (samples < FC_MIN_FRAME_SIZE) return 0;
    if (samples > MOST_SAMPLES) samples = MOST_SAMPLES;
    int who = data[0] >> 4;
    taken truth;
    make_buffers(&truth, channels, samples, 0);
    data += 2;
    for (int c = 0; c < channels; c++)
        for (int64_t i = 0; i < samples; i++, data += bytes)
            truth.channel[c][i] = read_sample(data, bytes, shift, bits);
    encode(&truth, level, bits);
    if (who >= 12) encode_chunk(&truth, FC_MAX_LEVEL - level % 3, who & 1);
    free_buffers(&truth);
    return 0;
}
