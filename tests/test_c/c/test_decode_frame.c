/* Our frame decoder against libFLAC's, sample by sample; and against damage.
 *
 * cc -O1 -g -fsanitize=address,undefined -DFC_PORTABLE -Icsrc tests/test_c/c/test_decode_frame.c \
 *    $(find csrc -name '*.c' ! -path '*hdf5*') -lFLAC -lm
 * Without -DFC_PORTABLE the code for this processor is tested instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "decode/decode_frame.h"
#include "encode/encode_frame.h"
#include "encode_frames.h"
#include "flac/frame.h"
#include "flac/libflac.h"
#include "guarded.h"
#include "signals.h"
#include "taken.h"

/* -- equality ------------------------------------------------------------------- */

static int failures, frames_seen, frames_compared;
static fc_decoder *reference;

static void fail(const char *what, const coding *how, int kind, int frame) {
    fprintf(stderr, "%s: signal %d, frame %d, %d channels, %d bits, level %d%s, blocks of %d\n",
            what, kind, frame, how->channels, how->bits, how->level,
            how->exhaustive ? " exhaustive" : "", how->block_size);
    failures++;
}

static int decode_fast(const coded_frame *f, taken *t) {
    return fc_decode_frame_fast(f->bytes, f->size, t->channels, t->samples, t->channel);
}

static int decode_reference(const coded_frame *f, taken *t) {
    return fc_decode_frame(reference, f->bytes, f->size, t->channels, t->samples, take, t);
}

/* -- batches ---------------------------------------------------------------------- */

#define POOLED 64

/* Frames of all kinds, to be decoded together in any mixture. */
static struct {
    coded_frame frame;
    taken truth;
} pool[POOLED];

static void put_in_pool(const coded_frame *f, const taken *truth) {
    int i = (int)random_below(POOLED);
    guarded_free(pool[i].frame.bytes, pool[i].frame.size);
    free_buffers(&pool[i].truth);
    pool[i].frame = *f;
    pool[i].frame.bytes = guarded_copy(f->bytes, f->size);
    make_buffers(&pool[i].truth, truth->channels, f->samples, 0);
    take(&pool[i].truth, (const int32_t *const *)truth->channel);
}

static void set_crcs(coded_frame *f);

static void damage(coded_frame *f) {
    uint8_t *bytes = f->bytes = guarded_copy(f->bytes, f->size);
    for (int i = 0; i < 3; i++) bytes[random_below((int64_t)f->size)] ^= (uint8_t)random64();
    set_crcs(f);
}

/* Frames that are well must come out so, whatever is beside them, as far as they are wanted. */
static void check_batch(void) {
    static const coding none;
    int in_part = (int)random_below(2);
    fc_frame_task tasks[FC_MAX_BATCH];
    taken ours[FC_MAX_BATCH];
    int which[FC_MAX_BATCH], damaged[FC_MAX_BATCH], n = 1 + (int)random_below(FC_MAX_BATCH);
    int like = random_below(2) ? (int)random_below(POOLED) : -1;
    for (int i = 0; i < n; i++) {
        which[i] = like >= 0 && random_below(4) ? like : (int)random_below(POOLED);
        coded_frame f = pool[which[i]].frame;
        if (!f.bytes) return;
    }
    for (int i = 0; i < n; i++) {
        coded_frame f = pool[which[i]].frame;
        damaged[i] = !random_below(6);
        if (damaged[i]) damage(&f);
        make_buffers(ours + i, pool[which[i]].truth.channels, f.samples, 0x55);
        tasks[i] = (fc_frame_task){f.bytes, f.size, ours[i].channels, 0, f.samples,
                                   {ours[i].channel[0], ours[i].channel[1]}};
        if (in_part) tasks[i].wanted = random_below(f.samples + 1);
    }
    fc_decode_frames_fast(tasks, n);
    for (int i = 0; i < n; i++) {
        if (damaged[i]) guarded_free((uint8_t *)tasks[i].frame, tasks[i].size);
        else if (tasks[i].code || !begins_same(ours + i, &pool[which[i]].truth, tasks[i].wanted))
            fail("wrong in a batch", &none, tasks[i].code, i);
        free_buffers(ours + i);
    }
}

static void check_frames(const coding *how, int kind, const coded_frames *frames,
                         int32_t *const *signal) {
    int64_t at = 0;
    for (int i = 0; i < frames->n; i++) {
        const coded_frame *f = frames->items + i;
        taken ours, theirs;
        taken truth = {how->channels, f->samples, {signal[0] + at, signal[1] + at}, {NULL, NULL}, 0};
        make_buffers(&ours, how->channels, f->samples, 0x55);
        make_buffers(&theirs, how->channels, f->samples, 0xaa);
        if (decode_fast(f, &ours)) fail("refused", how, kind, i);
        else if (!same(&ours, &truth)) fail("differs from the signal", how, kind, i);
        if (decode_reference(f, &theirs)) fail("libFLAC refuses", how, kind, i);
        else if (!same(&theirs, &truth)) fail("libFLAC differs", how, kind, i);
        if (!random_below(4)) put_in_pool(f, &truth);
        free_buffers(&ours);
        free_buffers(&theirs);
        at += f->samples;
        frames_seen++;
    }
}

/* -- damage ----------------------------------------------------------------------- */

static void set_crcs(coded_frame *f) {
    if (f->size < 8) return;
    for (size_t at = 5; at < 16 && at < f->size - 2; at++) {
        fc_frame_header h;
        uint8_t before = f->bytes[at];
        f->bytes[at] = fc_crc8(f->bytes, at);
        if (fc_read_frame_header(f->bytes, f->size, &h) && h.size == at + 1) break;
        f->bytes[at] = before;
    }
    uint16_t crc = fc_crc16(f->bytes, f->size - 2);
    f->bytes[f->size - 2] = (uint8_t)(crc >> 8);
    f->bytes[f->size - 1] = (uint8_t)crc;
}

/* Whether the samples of the first channel are ones that an encoder could
 * have been given; with others sums may overflow, in one decoder and not in
 * another. With wasted bits they cannot be told. */
static int is_sound(const coded_frame *f, const taken *t) {
    fc_frame_header h;
    if (!fc_read_frame_header(f->bytes, f->size, &h) || !h.bits || f->bytes[h.size] & 1) return 0;
    for (int64_t i = 0; i < t->samples; i++) {
        int32_t above = t->channel[0][i] >> (h.bits - 1);
        if (above != 0 && above != -1) return 0;
    }
    return 1;
}

/* With its CRCs made right, damage reaches the subframes. A frame that both
 * decoders take must give both the same samples, if these are sound. */
static void check_damaged(const coding *how, int kind, int number, const coded_frame *whole) {
    size_t size = whole->size;
    int how_bad = (int)random_below(4);
    if (how_bad == 3) size = (size_t)random_below((int64_t)size + 1);
    coded_frame f = {malloc(size ? size : 1), size, whole->samples};
    memcpy(f.bytes, whole->bytes, size);
    for (int i = how_bad == 2 ? 8 : 1; size && how_bad < 3 && i > 0; i--)
        f.bytes[random_below((int64_t)(random_below(2) || size < 40 ? size : 40))] ^=
            (uint8_t)(1 << random_below(8));
    int forged = random_below(8) != 0;
    if (forged) set_crcs(&f);
    taken ours, theirs;
    make_buffers(&ours, how->channels, f.samples, 0x55);
    make_buffers(&theirs, how->channels, f.samples, 0xaa);
    int code = decode_fast(&f, &ours);
    if (code != FC_OK && code != FC_ERR_FRAME && code != FC_NOT_OURS)
        fail("unknown code", how, kind, number);
    if (!forged && code == FC_OK && memcmp(f.bytes, whole->bytes, size))
        fail("damage not seen", how, kind, number);
    if (code == FC_OK && !decode_reference(&f, &theirs) && is_sound(&f, &theirs)) {
        frames_compared++;
        ours.channels = theirs.channels = 1; /* the one that is_sound looked at */
        if (!same(&ours, &theirs)) fail("damaged, differs", how, kind, number);
    }
    free(f.bytes);
    free_buffers(&ours);
    free_buffers(&theirs);
}

/* One of some frames of noise ends too soon, behind right CRCs: what follows it must not be
 * taken for its samples, however few are wanted. */
static void check_cut(fc_frame_encoder *encoder, int cut) {
    enum { N = 8, SAMPLES = 4096 };
    static int32_t truth[N][SAMPLES], ours[N][SAMPLES];
    static uint8_t bytes[N * SAMPLES * 4];
    fc_frame_task tasks[N];
    size_t size = 0;
    int64_t wanted = 1 + random_below(SAMPLES);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < SAMPLES; j++) truth[i][j] = (int32_t)random_below(1000);
        const int32_t *channel[2] = {truth[i], NULL};
        coded_frame f = {bytes + size, 0, SAMPLES};
        f.size = fc_encode_frame_fast(encoder, channel, 1, 16, SAMPLES, i, f.bytes);
        if (i == cut) f.size -= (size_t)random_below((int64_t)f.size - 20);
        if (i == cut) set_crcs(&f);
        tasks[i] = (fc_frame_task){.frame = f.bytes, .size = f.size, .channels = 1,
                                   .samples = SAMPLES, .channel = {ours[i]}, .wanted = wanted};
        size += f.size;
    }
    for (int i = 0; i < N; i++) tasks[i].loadable = (size_t)(bytes + size - tasks[i].frame);
    fc_decode_frames_fast(tasks, N);
    coding how = {1, 16, 5, 0, SAMPLES, 0};
    for (int i = 0; i < N; i++)
        if (tasks[i].code ? i != cut : memcmp(truth[i], ours[i], (size_t)wanted * 4))
            fail("beside a cut frame", &how, (int)wanted, i);
}

static void check_cuts(int rounds) {
    fc_frame_encoder *encoder = fc_new_frame_encoder(5, 4096);
    for (int i = 0; i < rounds; i++) check_cut(encoder, i % 8);
    fc_delete_frame_encoder(encoder);
}

/* Random subframes behind a true header. */
static void check_hostile(void) {
    static const uint8_t codes[6] = {1, 2, 4, 5, 6, 7}, widths[6] = {8, 12, 16, 20, 24, 32};
    static const uint8_t types[] = {0, 1, 8, 9, 10, 11, 12, 32, 39, 63};
    int width = (int)random_below(6), channels = 1 + (int)random_below(2);
    coding how = {channels, widths[width], 0, 0, 1 + (int)random_below(300)};
    size_t size = 16 + (size_t)random_below(600);
    coded_frame f = {malloc(size), size, how.block_size};
    for (size_t i = 0; i < size; i++) f.bytes[i] = (uint8_t)random64();
    if (random_below(2)) memset(f.bytes + size / 2, random_below(2) ? 0 : 0xff, size / 4);
    uint8_t start[9] = {0xff, 0xf8, 0x79, (uint8_t)((channels - 1) << 4 | codes[width] << 1), 0,
                        (uint8_t)((how.block_size - 1) >> 8), (uint8_t)(how.block_size - 1), 0,
                        (uint8_t)(types[random_below(10)] << 1 | !random_below(4))};
    memcpy(f.bytes, start, sizeof start);
    set_crcs(&f);
    taken ours;
    make_buffers(&ours, channels, f.samples, 0);
    decode_fast(&f, &ours);
    free(f.bytes);
    free_buffers(&ours);
}

/* -- frames that no encoder would write ------------------------------------------ */

typedef struct {
    uint8_t *bytes;
    uint64_t at; /* bits */
} bit_writer;

static void put(bit_writer *w, int count, uint64_t value) {
    for (int i = count; i-- > 0; w->at++)
        if (value >> i & 1) w->bytes[w->at >> 3] |= (uint8_t)(0x80 >> (w->at & 7));
}

static int64_t residual_at(const int32_t *x, int64_t i, int order, const int32_t *c, int shift) {
    int64_t sum = 0;
    for (int j = 0; j < order; j++) sum += (int64_t)c[j] * x[i - 1 - j];
    return x[i] - (sum >> shift);
}

static int bits_of(int64_t v) {
    int bits = 1;
    while (v >> (bits - 1) != 0 && v >> (bits - 1) != -1) bits++;
    return bits;
}

/* One partition, in a Rice code or an escape; 0 where a residual takes more
 * than the 32 bits that it may. */
static int put_partition(bit_writer *w, int method, const int64_t *residual, int64_t n) {
    int bits = 1;
    for (int64_t i = 0; i < n; i++)
        if (bits_of(residual[i]) > bits) bits = bits_of(residual[i]);
    int most = method ? 30 : 14, low = bits - 5;
    int silent = bits == 1 && n && !residual[0];
    for (int64_t i = 0; i < n; i++) silent &= !residual[i];
    if (bits > 32) return 0;
    if (bits < 32 && !random_below(3)) {
        put(w, 4 + method, most + 1);
        put(w, 5, silent ? 0 : (uint64_t)bits);
        for (int64_t i = 0; i < n && !silent; i++) put(w, bits, (uint64_t)residual[i]);
        return 1;
    }
    int k = (low < 0 ? 0 : low) + (int)random_below(6);
    if (k > most) k = most;
    if (bits - k > 12) return 0;
    put(w, 4 + method, (uint64_t)k);
    for (int64_t i = 0; i < n; i++) {
        uint64_t folded = (uint64_t)residual[i] << 1 ^ (uint64_t)(residual[i] >> 63);
        w->at += folded >> k;
        put(w, k + 1, (UINT64_C(1) << k) | (folded & ((UINT64_C(1) << k) - 1)));
    }
    return 1;
}

static int put_predicted(bit_writer *w, int bits, const int32_t *x, int64_t n) {
    static const int8_t fixed[5][4] = {{0}, {1}, {2, -1}, {3, -3, 1}, {4, -6, 4, -1}};
    int lpc = random_below(4) != 0, order = lpc ? 1 + (int)random_below(32) : (int)random_below(5);
    int precision = 1 + (int)random_below(15), shift = lpc ? (int)random_below(16) : 0;
    int32_t c[32];
    if (order >= n) return 0;
    for (int j = 0; j < order; j++)
        c[j] = lpc ? (int32_t)random64() >> (32 - precision) : fixed[order][j];
    put(w, 8, (uint64_t)((lpc ? 31 : 8) + order) << 1);
    for (int j = 0; j < order; j++) put(w, bits, (uint64_t)x[j]);
    if (lpc) put(w, 4, (uint64_t)precision - 1), put(w, 5, (uint64_t)shift);
    for (int j = 0; lpc && j < order; j++) put(w, precision, (uint64_t)c[j]);
    int method = (int)random_below(2), partition_order = (int)random_below(8);
    while (n & ((1 << partition_order) - 1) || n >> partition_order <= order) partition_order--;
    put(w, 2, (uint64_t)method);
    put(w, 4, (uint64_t)partition_order);
    int64_t residual[1024], i = order;
    for (int64_t end = n >> partition_order; end <= n; end += n >> partition_order) {
        int64_t first = i;
        for (; i < end; i++) residual[i - first] = residual_at(x, i, order, c, shift);
        if (!put_partition(w, method, residual, end - first)) return 0;
    }
    return 1;
}

/* Random predictors, parameters and escapes, which still are valid. */
static int check_unusual(void) {
    static const uint8_t codes[6] = {1, 2, 4, 5, 6, 7}, widths[6] = {8, 12, 16, 20, 24, 32};
    int width = (int)random_below(6), bits = widths[width], channels = 1 + !random_below(3);
    int64_t n = 1 + (random_below(4) ? 8 * random_below(64) : random_below(1000));
    coding how = {channels, bits, 0, 0, (int)n};
    int32_t *x[2] = {malloc((size_t)n * 4), malloc((size_t)n * 4)};
    uint8_t *bytes = calloc(1, 1 << 20);
    uint8_t start[7] = {0xff, 0xf8, 0x79, (uint8_t)((channels - 1) << 4 | codes[width] << 1), 0,
                        (uint8_t)((n - 1) >> 8), (uint8_t)(n - 1)};
    memcpy(bytes, start, sizeof start);
    bit_writer w = {bytes, 8 * 8};
    int ok = 1;
    for (int c = 0; c < channels && ok; c++) {
        make_signal((int)random_below(N_SIGNALS), bits, n, x[c]);
        ok = put_predicted(&w, bits, x[c], n);
    }
    coded_frame f = {NULL, (w.at + 7) / 8 + 2, n};
    f.bytes = malloc(f.size);
    memcpy(f.bytes, bytes, f.size);
    set_crcs(&f);
    coded_frames frames = {&f, 1, f.size};
    if (ok) check_frames(&how, -1, &frames, x);
    if (ok) check_batch();
    free(f.bytes);
    free(bytes);
    free(x[0]);
    free(x[1]);
    return ok;
}

/* -- */

static void check_coding(const coding *how, int kind, int64_t samples, int damages) {
    int32_t *signal[2];
    for (int c = 0; c < 2; c++) {
        signal[c] = malloc((size_t)samples * 4);
        make_signal(c ? (int)random_below(N_SIGNALS) : kind, how->bits, samples, signal[c]);
    }
    coded_frames frames = encode_frames(how, (const int32_t *const *)signal, samples);
    if (!frames.n) fail("libFLAC does not encode", how, kind, 0);
    check_frames(how, kind, &frames, signal);
    for (int i = 0; frames.n && i < damages; i++) {
        int number = (int)random_below(frames.n);
        check_damaged(how, kind, number, frames.items + number);
        check_batch();
    }
    free_frames(&frames);
    free(signal[0]);
    free(signal[1]);
}

static void check_levels(int kind, int bits) {
    for (int level = 0; level <= FC_MAX_LEVEL; level++) {
        int block = random_block_size();
        coding how = {1 + !random_below(3), bits, level, 0, block, 0};
        int64_t samples = block + 1 + random_below(block < 4000 ? 2 * block : 100);
        check_coding(&how, kind, samples, 20);
    }
}

static void check_exhaustive(int kind, int bits) {
    for (int level = 0; level <= FC_MAX_LEVEL; level++) {
        int block = 16 + (int)random_below(1000);
        coding how = {1 + !random_below(3), bits, level, 1, block, 0};
        check_coding(&how, kind, block + 1 + random_below(block), 1);
    }
    coding all_orders = {1 + !random_below(3), bits, FC_MAX_LEVEL, 1, 640, 32};
    check_coding(&all_orders, kind, 641 + random_below(1280), 20);
}

/* Each with frames of every level and width; not of every signal, since they are long. */
static void check_block_sizes(void) {
    static const int sizes[] = {16, 17, 192, 576, 1152, 4096, 4608, 65535};
    static const int exhaustive[] = {4096, 16384, 65535};
    int kind = (int)random_below(N_SIGNALS);
    for (int level = 0; level <= FC_MAX_LEVEL; level++)
        for (int w = 0; w < 6; w++) {
            for (int i = 0; i < 8; i++) {
                coding how = {1 + !random_below(3), sample_widths[w], level, 0, sizes[i], 0};
                check_coding(&how, kind++ % N_SIGNALS, sizes[i] + 1 + random_below(sizes[i]), 0);
            }
            for (int i = 0; i < 3; i++) {
                coding how = {1, sample_widths[w], level, 1, exhaustive[i], 0};
                check_coding(&how, kind++ % N_SIGNALS, exhaustive[i] + 16, 0);
            }
        }
}

int main(int argc, char **argv) {
    int rounds = begin_rounds(argc, argv);
    reference = fc_new_decoder();
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < N_SIGNALS; kind++)
            for (int w = 0; w < 6; w++) {
                check_levels(kind, sample_widths[w]);
                check_exhaustive(kind, sample_widths[w]);
            }
    for (int i = 0; i < rounds * 20000; i++) check_hostile();
    check_cuts(rounds * 300);
    int unusual = 0;
    for (int i = 0; i < rounds * 5000; i++) unusual += check_unusual();
    /* Last, since batches of frames as long as these would take long. */
    for (int round = 0; round < rounds; round++) check_block_sizes();
    for (int i = 0; i < 20; i++) check_batch();
    for (int i = 0; i < POOLED; i++) {
        guarded_free(pool[i].frame.bytes, pool[i].frame.size);
        free_buffers(&pool[i].truth);
    }
    fc_delete_decoder(reference);
    printf("%d frames, %d of them unusual, and %d damaged ones compared, %d failures\n",
           frames_seen, unusual, frames_compared, failures);
    return failures != 0;
}
