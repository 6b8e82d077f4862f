#include "decode/decode_frame.h"

#include "base/bits.h"
#include "base/checksum.h"
#include "decode/batch.h"

enum { CONSTANT = 0, VERBATIM = 1, FIXED = 8, LPC = 32 };

/* A subframe on its way to samples. */
typedef struct {
    fc_frame_task *task;
    int type; /* the six bits of the header: a kind, and an order with some */
    int wasted;
    int bits; /* a sample, without the wasted bits; 1 to 32 */
    int32_t *x;
    fc_predictor predictor;
} subframe;

/* What has been read of a frame. */
typedef struct {
    fc_bits bits;
    int width; /* bits of a sample */
    uint64_t loadable; /* bytes */
} reading;

static int read_header(fc_bits *b, int width, subframe *s) {
    uint32_t byte = fc_read_bits(b, 8);
    if (byte & 0x80) return 0;
    s->type = (int)(byte >> 1);
    uint64_t wasted = byte & 1 ? fc_read_unary(b) + 1 : 0;
    if (fc_bits_overrun(b) || wasted >= (uint64_t)width) return 0;
    s->wasted = (int)wasted;
    s->bits = width - s->wasted;
    return 1;
}

static int read_constant(fc_bits *b, int bits, int64_t samples, int32_t *x) {
    int32_t value = fc_read_signed(b, bits);
    for (int64_t i = 0; i < samples; i++) x[i] = value;
    return 1;
}

/* samples is at most 65536, so that the product is small. */
static int read_verbatim(fc_bits *b, int bits, int64_t samples, int32_t *x) {
    if (b->at + (uint64_t)(samples * bits) > 8 * b->size) return 0;
    for (int64_t i = 0; i < samples; i++) x[i] = fc_read_signed(b, bits);
    return 1;
}

/* The precision that is one too many, and negative shifts, are forbidden. */
static int read_coefficients(fc_bits *b, fc_predictor *p) {
    int precision = (int)fc_read_bits(b, 4) + 1;
    p->shift = fc_read_signed(b, 5);
    p->magnitudes = 0;
    for (int j = 0; j < p->order; j++) {
        p->coefficient[j] = fc_read_signed(b, precision);
        p->magnitudes += p->coefficient[j] < 0 ? -p->coefficient[j] : p->coefficient[j];
    }
    return precision < 16 && p->shift >= 0;
}

/* Warm-up samples and coefficients. */
static int read_predictor(fc_bits *b, subframe *s) {
    fc_predictor *p = &s->predictor;
    p->fixed = s->type < LPC;
    p->order = p->fixed ? s->type - FIXED : s->type - LPC + 1;
    if (p->order >= s->task->samples || !read_verbatim(b, s->bits, p->order, s->x)) return 0;
    if (p->fixed)
        fc_set_fixed(p, p->order);
    else if (!read_coefficients(b, p))
        return 0;
    fc_set_width(p, s->bits);
    return 1;
}

static int is_predicted(const subframe *s) {
    return s->type >= LPC || (s->type >= FIXED && s->type <= FIXED + 4);
}

/* All that comes before the residual; all there is, where there is none. */
static int open_subframe(reading *r, subframe *s) {
    if (!read_header(&r->bits, r->width, s)) return 0;
    if (is_predicted(s)) return read_predictor(&r->bits, s);
    if (s->type == CONSTANT) return read_constant(&r->bits, s->bits, s->task->samples, s->x);
    if (s->type == VERBATIM) return read_verbatim(&r->bits, s->bits, s->task->samples, s->x);
    return 0;
}

/* Samples up to the last that is needed of some frame: lanes go as far together. A second
 * channel begins where all samples of the first end. */
static int64_t most_wanted(const fc_frame_task *tasks, int n) {
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        const fc_frame_task *t = tasks + i;
        int64_t wanted = t->wanted && t->channels == 1 ? t->wanted : t->samples;
        if (wanted > most) most = wanted;
    }
    return most;
}

/* A block has at least one sample after its warm-up. */
static fc_restoring block_of(const subframe *s, int64_t wanted) {
    int64_t samples = s->task->samples, order = s->predictor.order;
    if (wanted <= order) wanted = order + 1;
    return (fc_restoring){&s->predictor, s->x, wanted < samples ? wanted : samples, 0};
}

static void restore_wasted_bits(int wasted, int64_t samples, int32_t *x) {
    for (int64_t i = 0; i < samples; i++) x[i] = (int32_t)((uint32_t)x[i] << wasted);
}

/* A subframe each of the frames that have one for this channel. */
static void read_channel(fc_frame_task *tasks, reading *readings, int n, int channel) {
    subframe subframes[FC_MAX_BATCH];
    fc_residual residuals[FC_MAX_BATCH];
    fc_restoring blocks[FC_MAX_BATCH];
    int n_predicted = 0;
    int64_t wanted = most_wanted(tasks, n);
    for (int i = 0; i < n; i++) {
        fc_frame_task *t = tasks + i;
        subframe *s = subframes + i;
        if (t->code || channel >= t->channels) continue;
        s->task = t;
        s->x = t->channel[channel];
        if (!open_subframe(readings + i, s)) {
            t->code = FC_ERR_FRAME;
        } else if (is_predicted(s)) {
            residuals[n_predicted] = (fc_residual){
                &readings[i].bits, s->predictor.order, t->samples, s->x, 0, i,
                readings[i].loadable};
            blocks[n_predicted++] = block_of(s, wanted);
        }
    }
    fc_decode_batch(residuals, blocks, n_predicted);
    for (int i = 0; i < n_predicted; i++)
        if (!residuals[i].good) tasks[residuals[i].number].code = FC_ERR_FRAME;
    for (int i = 0; i < n; i++)
        if (!tasks[i].code && channel < tasks[i].channels && subframes[i].wasted)
            restore_wasted_bits(subframes[i].wasted, tasks[i].samples, subframes[i].x);
}

/* The rest of the last byte is zeros, and after it come the CRC's two. */
static int ends_well(fc_bits *b) {
    int padding = (int)(-b->at & 7);
    return !(padding && fc_read_bits(b, padding)) && b->at == 8 * b->size;
}

static int crc_is_right(const uint8_t *frame, size_t size) {
    return fc_crc16(frame, size - 2) == (frame[size - 2] << 8 | frame[size - 1]);
}

/* Frames with a block size of their own each, or with dependent channels. */
static int is_foreign(const uint8_t *frame, size_t size) {
    return size >= 4 && frame[0] == 0xff && (frame[1] == 0xf9 || frame[3] >> 4 >= 8);
}

static int open_frame(fc_frame_task *t, reading *r) {
    fc_frame_header *h = &t->header;
    if (is_foreign(t->frame, t->size)) return FC_NOT_OURS;
    if ((!h->size && !fc_read_frame_header(t->frame, t->size, h)) || h->channels != t->channels
        || h->samples != t->samples || t->size < h->size + 2)
        return FC_ERR_FRAME;
    if (!h->bits) return FC_NOT_OURS;
    r->width = h->bits;
    r->bits = (fc_bits){t->frame, t->size - 2, 8 * h->size};
    r->loadable = t->loadable > t->size ? t->loadable : t->size;
    return crc_is_right(t->frame, t->size) ? FC_OK : FC_ERR_FRAME;
}

void fc_decode_frames_fast(fc_frame_task *tasks, int n) {
    reading readings[FC_MAX_BATCH];
    int channels = 0;
    for (int i = 0; i < n; i++) {
        tasks[i].code = open_frame(tasks + i, readings + i);
        if (tasks[i].channels > channels) channels = tasks[i].channels;
    }
    for (int c = 0; c < channels; c++) read_channel(tasks, readings, n, c);
    for (int i = 0; i < n; i++)
        if (!tasks[i].code && !ends_well(&readings[i].bits)) tasks[i].code = FC_ERR_FRAME;
}

int fc_decode_frame_fast(const uint8_t *frame, size_t size, int channels, int64_t samples,
                         int32_t *const channel[2]) {
    fc_frame_task task = {.frame = frame, .size = size, .channels = channels,
                          .samples = samples, .channel = {channel[0], channel[1]}};
    fc_decode_frames_fast(&task, 1);
    return task.code;
}
