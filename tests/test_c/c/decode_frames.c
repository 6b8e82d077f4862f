/* Our frame decoder as a filter. In: for each frame its channels, samples and
 * bytes as three uint32, then the bytes. Out: for each frame its code as an
 * int32, then its samples, channel after channel. All are decoded one by one,
 * and again eight together, which must not make a difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/decode_frame.h"

static int read_task(fc_frame_task *t) {
    uint32_t fields[3];
    if (fread(fields, 4, 3, stdin) != 3) return 0;
    uint8_t *bytes = malloc(fields[2]);
    if (fread(bytes, 1, fields[2], stdin) != fields[2]) exit(1);
    *t = (fc_frame_task){bytes, fields[2], (int)fields[0], 0, fields[1], {NULL, NULL}};
    for (int c = 0; c < t->channels; c++) t->channel[c] = malloc((size_t)t->samples * 4);
    return 1;
}

static void decode_alone(const fc_frame_task *t) {
    int32_t *channel[2];
    for (int c = 0; c < 2; c++) channel[c] = malloc((size_t)t->samples * 4);
    int code = fc_decode_frame_fast(t->frame, t->size, t->channels, t->samples, channel);
    if (code != t->code) abort();
    for (int c = 0; !code && c < t->channels; c++)
        if (memcmp(channel[c], t->channel[c], (size_t)t->samples * 4)) abort();
    for (int c = 0; c < 2; c++) free(channel[c]);
}

static void give_out(const fc_frame_task *t) {
    int32_t code = t->code;
    fwrite(&code, 4, 1, stdout);
    for (int c = 0; c < t->channels; c++) {
        fwrite(t->channel[c], 4, (size_t)t->samples, stdout);
        free(t->channel[c]);
    }
    free((uint8_t *)t->frame);
}

int main(void) {
    fc_frame_task tasks[FC_MAX_BATCH];
    for (int n = FC_MAX_BATCH; n == FC_MAX_BATCH;) {
        for (n = 0; n < FC_MAX_BATCH && read_task(tasks + n);) n++;
        fc_decode_frames_fast(tasks, n);
        for (int i = 0; i < n; i++) decode_alone(tasks + i);
        for (int i = 0; i < n; i++) give_out(tasks + i);
    }
    return 0;
}
