#include "flac/frame.h"

#include <string.h>

#include "base/checksum.h"

#define SYNC_FIXED 0xfff8 /* sync code, reserved bit, fixed block size */
#define RATE_44100 9

static const uint8_t bits_of_code[8] = {0, 8, 12, 0, 16, 20, 24, 32};

size_t fc_frame_bound(int64_t samples, int channels, int bits) {
    return FC_MAX_FRAME_HEADER + (size_t)channels * (size_t)(1 + (samples * bits + 7) / 8) + 2;
}

/* UTF-8's scheme, carried on to 31 bits. Returns the bytes taken, 0 where
 * they are not in that scheme. */
static size_t read_number(const uint8_t *at, size_t size, int64_t *number) {
    if (!size) return 0;
    if (at[0] < 0x80) return *number = at[0], 1;
    size_t length = 0;
    while (length < 8 && at[0] & 0x80 >> length) length++;
    if (length < 2 || length > 6 || size < length) return 0;
    int64_t value = at[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (at[i] & 0x3f);
    }
    *number = value;
    return length;
}

static size_t write_number(uint8_t *at, int64_t number) {
    if (number < 0x80) return at[0] = (uint8_t)number, 1;
    size_t length = 2;
    while (length < 6 && number >> (5 * length + 1)) length++;
    for (size_t i = length; i-- > 1; number >>= 6) at[i] = (uint8_t)(0x80 | (number & 0x3f));
    at[0] = (uint8_t)(0xff00 >> length | number);
    return length;
}

/* Block size by its code; further bytes of the header where it has them. */
static int64_t read_samples(int code, const uint8_t *extra) {
    if (code == 1) return 192;
    if (code >= 2 && code <= 5) return 144 << code;
    if (code == 6) return extra[0] + 1;
    if (code == 7) return (extra[0] << 8 | extra[1]) + 1;
    return 1 << code; /* 8 to 15: 256 to 32768 */
}

int fc_read_frame_header(const uint8_t *bytes, size_t size, fc_frame_header *h) {
    if (size < 6 || (bytes[0] << 8 | bytes[1]) != SYNC_FIXED) return 0;
    int samples_code = bytes[2] >> 4, rate_code = bytes[2] & 15;
    if (!samples_code || rate_code == 15 || bytes[3] & 1) return 0;
    h->channels = (bytes[3] >> 4) + 1;
    h->bits = bits_of_code[bytes[3] >> 1 & 7];
    h->number_at = 4;
    h->number_size = read_number(bytes + 4, size - 4, &h->number);
    if (!h->number_size) return 0;
    size_t at = 4 + h->number_size;
    size_t after = at + (samples_code == 6) + 2 * (samples_code == 7) + (rate_code == 12)
        + 2 * (rate_code == 13 || rate_code == 14);
    if (size <= after || fc_crc8(bytes, after) != bytes[after]) return 0;
    h->samples = read_samples(samples_code, bytes + at);
    h->size = after + 1;
    return 1;
}

size_t fc_renumbered_size(const uint8_t *frame, size_t size, int64_t number) {
    fc_frame_header h;
    uint8_t coded[FC_MAX_FRAME_HEADER];
    if (size < 2 || !fc_read_frame_header(frame, size - 2, &h)) return 0;
    return size - h.number_size + write_number(coded, number);
}

size_t fc_renumber_frame(const uint8_t *frame, size_t size, int64_t number, uint8_t *out) {
    fc_frame_header h;
    if (size < 2 || !fc_read_frame_header(frame, size - 2, &h)) return 0;
    size_t rest = h.number_at + h.number_size, body = size - 2 - h.size;
    memcpy(out, frame, h.number_at);
    size_t at = h.number_at + write_number(out + h.number_at, number);
    memcpy(out + at, frame + rest, h.size - 1 - rest);
    at += h.size - 1 - rest;
    out[at] = fc_crc8(out, at);
    at++;
    memcpy(out + at, frame + h.size, body);
    /* The CRC is linear: what the headers differ by, carried over the body. */
    uint16_t old_crc = (uint16_t)(frame[size - 2] << 8 | frame[size - 1]);
    uint16_t difference = fc_crc16(frame, h.size) ^ fc_crc16(out, at);
    uint16_t crc = old_crc ^ fc_crc16_shift(difference, body);
    out[at + body] = (uint8_t)(crc >> 8);
    out[at + body + 1] = (uint8_t)crc;
    return at + body + 2;
}

static int code_of_bits(int bits) {
    for (int code = 1; code < 8; code++)
        if (bits_of_code[code] == bits) return code;
    return 0;
}

/* The code of a block size; 6 and 7 where 8 or 16 bits below have it. */
static int code_of_samples(int64_t samples) {
    for (int code = 1; code < 16; code++)
        if (code != 6 && code != 7 && read_samples(code, NULL) == samples) return code;
    return samples <= 256 ? 6 : 7;
}

size_t fc_write_frame_header(uint8_t *out, int channels, int bits, int64_t samples,
                             int64_t number) {
    int code = code_of_samples(samples);
    size_t at = 4 + write_number(out + 4, number);
    out[0] = SYNC_FIXED >> 8;
    out[1] = SYNC_FIXED & 0xff;
    out[2] = (uint8_t)(code << 4 | RATE_44100);
    out[3] = (uint8_t)((channels - 1) << 4 | code_of_bits(bits) << 1);
    if (code == 7) out[at++] = (uint8_t)((samples - 1) >> 8);
    if (code == 6 || code == 7) out[at++] = (uint8_t)(samples - 1);
    out[at] = fc_crc8(out, at);
    return at + 1;
}

size_t fc_end_frame(uint8_t *frame, const fc_bit_writer *w) {
    uint8_t *end = fc_end_bits(w);
    uint16_t crc = fc_crc16(frame, (size_t)(end - frame));
    end[0] = (uint8_t)(crc >> 8);
    end[1] = (uint8_t)crc;
    return (size_t)(end + 2 - frame);
}

size_t fc_write_verbatim_frame(const int32_t *const *channel, int channels, int bits,
                               int64_t samples, int64_t number, uint8_t *out) {
    fc_bit_writer w = {out + fc_write_frame_header(out, channels, bits, samples, number), 0, 0};
    for (int c = 0; c < channels; c++) {
        fc_put_bits(&w, 8, 1 << 1); /* subframe type verbatim, no wasted bits */
        for (int64_t i = 0; i < samples; i++)
            fc_put_signed(&w, (unsigned)bits, channel[c][i]);
    }
    return fc_end_frame(out, &w);
}
