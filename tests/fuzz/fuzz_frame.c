/* A libFuzzer target: any bytes as a frame, with and without its CRCs made right.
 *
 * clang -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Icsrc \
 *     tests/fuzz/fuzz_frame.c \
 *     csrc/{subframe,residual,predict,restore_avx2,cpu,frame,checksum,libflac}.c -lFLAC -lm
 * once with -DFC_PORTABLE and once without. */
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "frame.h"
#include "libflac.h"
#include "subframe.h"

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

static void make_buffers(taken *t, int channels, int64_t samples) {
    *t = (taken){channels, samples, {NULL, NULL}};
    for (int c = 0; c < channels; c++) t->channel[c] = calloc((size_t)samples, 4);
}

static void free_buffers(taken *t) {
    free(t->channel[0]);
    free(t->channel[1]);
}

/* Whether the samples of the first channel are ones that an encoder could
 * have been given; with others sums may overflow, in one decoder and not in
 * another. With wasted bits they cannot be told. */
static int is_sound(const uint8_t *frame, const fc_frame_header *h, const taken *t) {
    if (frame[h->size] & 1) return 0;
    for (int64_t i = 0; i < t->samples; i++) {
        int32_t above = t->channel[0][i] >> (h->bits - 1);
        if (above != 0 && above != -1) return 0;
    }
    return 1;
}

static int same(const taken *a, const taken *b) {
    return !memcmp(a->channel[0], b->channel[0], (size_t)a->samples * 4);
}

/* Three of the same together, which takes the code for several frames. */
static void try_batch(const uint8_t *frame, size_t size, const fc_frame_header *h, int code,
                      const taken *single) {
    fc_frame_task tasks[3];
    taken ours[3];
    for (int i = 0; i < 3; i++) {
        make_buffers(ours + i, h->channels, h->samples);
        tasks[i] = (fc_frame_task){frame, size, h->channels, 0, h->samples,
                                   {ours[i].channel[0], ours[i].channel[1]}};
    }
    fc_decode_frames_fast(tasks, 3);
    for (int i = 0; i < 3; i++) {
        if (tasks[i].code != code) abort();
        if (!code && is_sound(frame, h, single) && !same(ours + i, single)) abort();
        free_buffers(ours + i);
    }
}

/* Where libFLAC takes the frame too, and its samples are sound, ours must be
 * the same. */
static void compare(const uint8_t *frame, size_t size, const fc_frame_header *h,
                    const taken *ours) {
    static fc_decoder *reference;
    if (!reference) reference = fc_new_decoder();
    taken theirs;
    make_buffers(&theirs, h->channels, h->samples);
    if (!fc_decode_frame(reference, frame, size, h->channels, h->samples, take, &theirs)
        && is_sound(frame, h, &theirs) && !same(ours, &theirs))
        abort();
    free_buffers(&theirs);
}

static void try_frame(const uint8_t *frame, size_t size) {
    fc_frame_header h;
    taken ours;
    if (!fc_read_frame_header(frame, size, &h) || h.channels > 2) {
        make_buffers(&ours, 1, 1);
        if (fc_decode_frame_fast(frame, size, 1, 1, ours.channel) == FC_OK) abort();
    } else {
        make_buffers(&ours, h.channels, h.samples);
        int code = fc_decode_frame_fast(frame, size, h.channels, h.samples, ours.channel);
        try_batch(frame, size, &h, code, &ours);
        if (code == FC_OK) compare(frame, size, &h, &ours);
    }
    free_buffers(&ours);
}

/* Makes the first byte that could be the header's CRC-8 the right one. */
static void set_crcs(uint8_t *frame, size_t size) {
    for (size_t at = 5; at < 16 && at + 2 < size; at++) {
        fc_frame_header h;
        uint8_t before = frame[at];
        frame[at] = fc_crc8(frame, at);
        if (fc_read_frame_header(frame, size, &h) && h.size == at + 1) break;
        frame[at] = before;
    }
    if (size < 2) return;
    uint16_t crc = fc_crc16(frame, size - 2);
    frame[size - 2] = (uint8_t)(crc >> 8);
    frame[size - 1] = (uint8_t)crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *frame = malloc(size ? size : 1);
    memcpy(frame, data, size);
    try_frame(frame, size);
    set_crcs(frame, size);
    try_frame(frame, size);
    free(frame);
    return 0;
}
