/* A libFuzzer target: any bytes as a frame, with and without its CRCs made right. */
#include <stdlib.h>
#include <string.h>

#include "../c/guarded.h"
#include "../c/taken.h"
#include "decode/decode_frame.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "repair.h"

/* n of the same together, which takes the code for several frames: another for
 * a few than for many. What is not wanted may be wrong. */
static void try_batch(int n, int64_t wanted, const uint8_t *frame, size_t size, const fc_frame_header *h,
                      int code, const taken *single) {
    fc_frame_task tasks[FC_MAX_BATCH];
    taken ours[FC_MAX_BATCH];
    for (int i = 0; i < n; i++) {
        make_buffers(ours + i, h->channels, h->samples, 0);
        tasks[i] = (fc_frame_task){frame, size, h->channels, 0, h->samples,
                                   {ours[i].channel[0], ours[i].channel[1]}};
        tasks[i].wanted = wanted;
    }
    fc_decode_frames_fast(tasks, n);
    for (int i = 0; i < n; i++) {
        if (tasks[i].code != code && (!wanted || !code)) abort();
        if (!code && !begins_same(ours + i, single, wanted)) abort();
        free_buffers(ours + i);
    }
}

/* Where libFLAC takes the frame too, ours must be the same samples. */
static void compare(const uint8_t *frame, size_t size, const fc_frame_header *h,
                    const taken *ours) {
    static fc_decoder *reference;
    if (!reference) reference = fc_new_decoder();
    taken theirs;
    make_buffers(&theirs, h->channels, h->samples, 0);
    if (!fc_decode_frame(reference, frame, size, h->channels, h->samples, take, &theirs)
        && !same(ours, &theirs))
        abort();
    free_buffers(&theirs);
}

static void try_frame(const uint8_t *frame, size_t size) {
    fc_frame_header h;
    taken ours;
    if (!fc_read_frame_header(frame, size, &h) || h.channels > 2) {
        make_buffers(&ours, 1, 1, 0);
        if (fc_decode_frame_fast(frame, size, 1, 1, ours.channel) == FC_OK) abort();
    } else {
        make_buffers(&ours, h.channels, h.samples, 0);
        int code = fc_decode_frame_fast(frame, size, h.channels, h.samples, ours.channel);
        uint8_t *guarded = guarded_copy(frame, size);
        for (int n = 3; n <= 9; n += 6) {
            try_batch(n, 0, guarded, size, &h, code, &ours);
            try_batch(n, (int64_t)size % h.samples, guarded, size, &h, code, &ours);
        }
        guarded_free(guarded, size);
        if (code == FC_OK) compare(frame, size, &h, &ours);
    }
    free_buffers(&ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *frame = malloc(size ? size : 1);
    memcpy(frame, data, size);
    try_frame(frame, size);
    repair_frame(frame, size);
    try_frame(frame, size);
    free(frame);
    return 0;
}
