/* Chunks under AddressSanitizer and UndefinedBehaviorSanitizer: every dtype
 * and rule there and back, then the same chunks damaged in all manner of ways,
 * with the checksum of the head made right again, so that what lies behind it
 * is reached. Nothing may be read or written out of bounds; what comes back
 * is an error or some samples. tests/test_c/test_programs.py builds and runs this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flac/frame.h"
#include "flaccodec.h"
#include "signals.h"

static uint64_t state = 88172645463325252ull;

static uint64_t draw(void) { /* xorshift, Marsaglia 2003 */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void fail(const char *what, const fc_error *error) {
    printf("FAILED: %s: %s\n", what, error ? fc_code_name(error->code) : "");
    exit(1);
}

static const int item_sizes[] = {0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};

/* Full-range noise, small noise, or a constant; floats with odd values. */
static void fill(uint8_t *at, int dtype, int64_t n, int kind) {
    int size = item_sizes[dtype];
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = kind == 0 ? draw() : kind == 1 ? draw() % 100 : 42;
        if (dtype == FC_FLOAT32) {
            float value = (float)(int64_t)(bits % 2000) - 1000;
            memcpy(&bits, &value, 4);
            if (kind == 0 && draw() % 8 == 0) bits = draw();
        }
        if (dtype == FC_FLOAT64) {
            double value = (double)(int64_t)(bits % 2000) - 1000;
            memcpy(&bits, &value, 8);
            if (kind == 0 && draw() % 8 == 0) bits = 0x7ff8000000000000 | draw() >> 40;
        }
        memcpy(at + i * size, &bits, (size_t)size);
    }
    if (draw() % 4 == 0) { /* ends in zeros, as chunks at the edge of an array */
        int64_t left = (int64_t)(draw() % (uint64_t)n);
        memset(at + left * size, 0, (size_t)((n - left) * size));
    }
}

static void decode_everything(const uint8_t *chunk, int64_t size, const fc_expect *expect,
                              uint8_t *out, int threads) {
    fc_error error;
    fc_view view = {out, NULL, expect->stream_size * item_sizes[expect->dtype],
                    item_sizes[expect->dtype], 0};
    fc_piece whole = {chunk, 0, size};
    fc_decode(chunk, size, &whole, 1, expect, NULL, 0, &view, threads, NULL, &error);
    int64_t start = (int64_t)(draw() % (uint64_t)expect->stream_size);
    fc_span spans[2] = {
        {0, start, expect->stream_size - start, 0},
        {expect->n_streams - 1, 0, 1 + (int64_t)(draw() % (uint64_t)expect->stream_size), 0}};
    fc_decode(chunk, size, &whole, 1, expect, spans, 2, &view, threads, NULL, &error);
}

static void repair(uint8_t *chunk, int64_t size) {
    fc_header h;
    fc_error error;
    if (fc_read_header(chunk, size, &h, &error) || h.head_size > size) return;
    uint32_t crc = fc_crc32c(fc_crc32c(0, chunk, 60), chunk + 64, h.head_size - 64);
    for (int i = 0; i < 4; i++) chunk[60 + i] = (uint8_t)(crc >> 8 * i);
}

static void damage(const uint8_t *chunk, int64_t size, const fc_expect *expect, uint8_t *out) {
    for (int round = 0; round < 60; round++) {
        /* An allocation of just the size, so that a byte too far is seen. */
        int64_t kept = draw() % 4 ? size : (int64_t)(draw() % (uint64_t)size);
        uint8_t *damaged = malloc((size_t)kept + !kept);
        memcpy(damaged, chunk, (size_t)kept);
        for (int flips = (int)(draw() % 4); kept && flips >= 0; flips--) {
            uint64_t range = draw() % 2 ? (uint64_t)kept : (kept < 160 ? (uint64_t)kept : 160);
            damaged[draw() % range] = (uint8_t)draw();
        }
        if (draw() % 4) repair(damaged, kept);
        decode_everything(damaged, kept, expect, out, 1 + (int)(draw() % 2));
        free(damaged);
    }
}

static void check(int dtype, int64_t n_streams, int64_t stream_size, int rule, int kind) {
    int64_t n = n_streams * stream_size;
    int size = item_sizes[dtype];
    uint8_t *samples = malloc((size_t)(n * size)), *out = malloc((size_t)(n * size)), *chunk;
    /* The last quanta hold no sample; the one before breaks the promise for many. */
    static const double quanta[] = {0.5, 1e-6, 1e-15, 1e-40};
    double parameter = rule == FC_QUANTA_PRECISION ? (draw() % 4 ? 3 : 60) : quanta[draw() % 4];
    double marks[] = {42, 0, -9999.25}; /* the first is the constant of fill(), and in all of them */
    fill(samples, dtype, n, kind);
    fc_view view = {samples, NULL, stream_size * size, size, 0};
    fc_encode_options options = {
        .dtype = dtype, .level = (int)(draw() % 9), .n_streams = n_streams,
        .stream_size = stream_size, .frame_size = draw() % 2 ? 16 : 4096, .quanta_rule = rule,
        .parameters = &parameter, .n_parameters = rule == FC_QUANTA_RANGE ? 0 : 1,
        .marks = marks + draw() % 2, .n_marks = draw() % 3,
        .plain = dtype <= FC_UINT16 && draw() % 4 == 0, .n_threads = 1 + (int)(draw() % 3)};
    int64_t chunk_size;
    fc_error error;
    int code = fc_encode(&view, &options, &chunk, &chunk_size, &error);
    if (code && rule != FC_QUANTA_RANGE) fail("encode", &error);
    if (!code) {
        fc_expect expect = {dtype, n_streams, stream_size};
        fc_piece whole = {chunk, 0, chunk_size};
        fc_view to = {out, NULL, stream_size * size, size, 0};
        if (fc_decode(chunk, chunk_size, &whole, 1, &expect, NULL, 0, &to, 2, NULL, &error))
            fail("decode", &error);
        if (rule == FC_QUANTA_NONE && memcmp(samples, out, (size_t)(n * size)))
            fail("other samples", NULL);
        damage(chunk, chunk_size, &expect, out);
        fc_free(chunk);
    }
    free(samples);
    free(out);
}

/* No frame may be larger than a verbatim one, whoever encodes it; the room is made for that. */
static void check_size(int kind, int bits, int level, int64_t n, int only_libflac) {
    int32_t *samples = malloc((size_t)n * 4), *out = malloc((size_t)n * 4);
    make_signal(kind, bits, n, samples);
    fc_view view = {samples, NULL, n * 4, 4, 0}, to = {out, NULL, n * 4, 4, 0};
    fc_encode_options options = {.dtype = FC_INT32, .level = level, .n_streams = 1,
                                 .stream_size = n, .frame_size = n,
                                 .only_libflac = only_libflac, .n_threads = 1};
    fc_header header;
    fc_error error;
    uint8_t *chunk;
    int64_t size;
    if (fc_encode(&view, &options, &chunk, &size, &error)) fail("encode", &error);
    if (fc_read_header(chunk, size, &header, &error)) fail("header", &error);
    if (header.streams_size > (int64_t)(FC_STREAM_HEADER_SIZE + fc_frame_bound(n, 1, bits)))
        fail("larger than verbatim", NULL);
    fc_piece whole = {chunk, 0, size};
    if (fc_decode(chunk, size, &whole, 1, NULL, NULL, 0, &to, 1, NULL, &error)) fail("decode", &error);
    if (memcmp(samples, out, (size_t)n * 4)) fail("other samples", NULL);
    fc_free(chunk);
    free(samples);
    free(out);
}

static int check_sizes(int only_libflac) {
    static const int64_t sizes[] = {16, 1000, 4096, 65535};
    int checks = 0;
    for (int kind = 0; kind < N_SIGNALS; kind++)
        for (int level = 0; level <= FC_MAX_LEVEL; level++)
            for (int i = 0; i < 4; i++)
                for (int w = 1; w < 6; w += 2, checks++)
                    check_size(kind, sample_widths[w], level, sizes[i], only_libflac);
    return checks;
}

int main(void) {
    static const int64_t shapes[][2] = {{1, 1}, {3, 15}, {2, 16}, {5, 100}, {2, 5000}, {40, 33},
                                        {2, 70000}}; /* enough for three threads */
    int checks = 0;
    for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int dtype = FC_INT8; dtype <= FC_FLOAT64; dtype++)
            for (int kind = 0; kind < (shapes[s][1] < 70000 ? 3 : 1); kind++)
                for (int rule = 0; rule <= (dtype >= FC_FLOAT32 ? 3 : 0); rule++, checks++)
                    check(dtype, shapes[s][0], shapes[s][1], rule, kind);
    checks += check_sizes(0) + check_sizes(1);
    printf("%d passed, 0 failed\n", checks);
    return 0;
}
