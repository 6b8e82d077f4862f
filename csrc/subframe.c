#include "subframe.h"

#include "bits.h"
#include "checksum.h"
#include "frame.h"
#include "predict.h"
#include "residual.h"

enum { CONSTANT = 0, VERBATIM = 1, FIXED = 8, LPC = 32 };

typedef struct {
    int type; /* the six bits of the header: a kind, and an order with some */
    int wasted;
    int bits; /* a sample, without the wasted bits; 1 to 32 */
} subframe_header;

static int read_header(fc_bits *b, int bits, subframe_header *h) {
    uint32_t byte = fc_read_bits(b, 8);
    if (byte & 0x80) return 0;
    h->type = (int)(byte >> 1);
    uint64_t wasted = byte & 1 ? fc_read_unary(b) + 1 : 0;
    if (fc_bits_overrun(b) || wasted >= (uint64_t)bits) return 0;
    h->wasted = (int)wasted;
    h->bits = bits - h->wasted;
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
    for (int j = 0; j < p->order; j++) p->coefficient[j] = fc_read_signed(b, precision);
    return precision < 16 && p->shift >= 0;
}

static int read_predicted(fc_bits *b, const subframe_header *h, int64_t samples, int32_t *x) {
    fc_predictor p = {.order = h->type >= LPC ? h->type - LPC + 1 : h->type - FIXED};
    if (p.order >= samples || !read_verbatim(b, h->bits, p.order, x)) return 0;
    if (h->type < LPC)
        fc_set_fixed(&p, p.order);
    else if (!read_coefficients(b, &p))
        return 0;
    fc_set_width(&p, h->bits);
    if (!fc_read_residual(b, p.order, samples, x)) return 0;
    fc_restore_samples(&p, x, p.order, samples);
    return 1;
}

static int read_samples(fc_bits *b, const subframe_header *h, int64_t samples, int32_t *x) {
    if (h->type == CONSTANT) return read_constant(b, h->bits, samples, x);
    if (h->type == VERBATIM) return read_verbatim(b, h->bits, samples, x);
    if (h->type >= LPC || (h->type >= FIXED && h->type <= FIXED + 4))
        return read_predicted(b, h, samples, x);
    return 0;
}

static void restore_wasted_bits(int wasted, int64_t samples, int32_t *x) {
    for (int64_t i = 0; i < samples; i++) x[i] = (int32_t)((uint32_t)x[i] << wasted);
}

static int read_subframe(fc_bits *b, int bits, int64_t samples, int32_t *x) {
    subframe_header h;
    if (!read_header(b, bits, &h) || !read_samples(b, &h, samples, x)) return 0;
    if (h.wasted) restore_wasted_bits(h.wasted, samples, x);
    return 1;
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

int fc_decode_frame_fast(const uint8_t *frame, size_t size, int channels, int64_t samples,
                         int32_t *const channel[2]) {
    fc_frame_header h;
    if (is_foreign(frame, size)) return FC_NOT_OURS;
    if (!fc_read_frame_header(frame, size, &h)) return FC_ERR_FRAME;
    if (h.channels != channels || h.samples != samples || size < h.size + 2) return FC_ERR_FRAME;
    if (!h.bits) return FC_NOT_OURS;
    if (!crc_is_right(frame, size)) return FC_ERR_FRAME;
    fc_bits b = {frame, size - 2, 8 * h.size};
    for (int c = 0; c < channels; c++)
        if (!read_subframe(&b, h.bits, samples, channel[c])) return FC_ERR_FRAME;
    return ends_well(&b) ? FC_OK : FC_ERR_FRAME;
}
