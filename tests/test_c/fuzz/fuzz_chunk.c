/* A libFuzzer target: any bytes as a chunk, with and without its checksums made
 * right. What decodes must decode to the same whatever the way. */
#include <stdlib.h>
#include <string.h>

#include "chunk/format.h"
#include "decode_by_libflac.h"
#include "flaccodec.h"
#include "repair.h"

#define MOST_OUTPUT (INT64_C(1) << 19) /* bytes; what a few bytes may declare is no limit */
#define MOST_SPAN (INT64_C(1) << 16)   /* samples */

/* -- choices, which hang on the input alone ----------------------------------- */

static uint64_t state;

static uint64_t draw(void) { /* xorshift, Marsaglia 2003 */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int64_t below(int64_t n) { return (int64_t)(draw() >> 1) % n; }

static void seed_choices(const uint8_t *bytes, int64_t size) {
    state = (uint64_t)fc_crc32c(0, bytes, size) + 1;
    for (int i = 0; i < 8; i++) draw();
}

/* -- inputs and outputs of exactly their size ----------------------------------- */

typedef struct {
    const uint8_t *bytes;
    int64_t size;
    fc_header header;
    int item;
} chunk;

static uint8_t *copy(const uint8_t *bytes, int64_t size) {
    uint8_t *to = malloc((size_t)size + !size);
    memcpy(to, bytes, (size_t)size);
    return to;
}

static uint8_t *make_output(int64_t size, int filling) {
    uint8_t *out = malloc((size_t)size + !size);
    memset(out, filling, (size_t)size);
    return out;
}

static int64_t output_size(const chunk *c) {
    return c->header.n_streams * c->header.stream_size * c->item;
}

static int is_small(const chunk *c) {
    return c->header.n_streams <= MOST_OUTPUT / c->item / c->header.stream_size;
}

/* -- what an error must tell ------------------------------------------------------ */

static void check_error(const chunk *c, int code, const fc_error *error) {
    if (!code) return;
    if (code != error->code || !strcmp(fc_code_name(code), "unknown")) abort();
    if (code != FC_ERR_FRAME && code != FC_ERR_FRAME_HEADER) return;
    if (error->stream < 0 || error->stream >= c->header.n_streams) abort();
    if (error->frame < 0 || error->frame >= c->header.n_frames) abort();
    if (error->sample != error->frame * c->header.frame_size) abort();
}

/* -- the whole ---------------------------------------------------------------------- */

static fc_view plain_view(const chunk *c, uint8_t *out) {
    return (fc_view){out, NULL, c->header.stream_size * c->item, c->item, 0};
}

static int decode_whole(const chunk *c, const fc_view *out) {
    fc_expect expect = {c->header.dtype, c->header.n_streams, c->header.stream_size};
    fc_piece whole = {c->bytes, 0, c->size};
    fc_error error;
    int code = fc_decode(c->bytes, c->size, &whole, 1, &expect, NULL, 0, out, 1, NULL, &error);
    check_error(c, code, &error);
    return code;
}

/* Another filling shows samples that were not written. */
static void decode_again(const chunk *c, const uint8_t *samples) {
    uint8_t *out = make_output(output_size(c), 0xaa);
    fc_view view = plain_view(c, out);
    if (decode_whole(c, &view) || memcmp(out, samples, (size_t)output_size(c))) abort();
    free(out);
}

/* Streams backwards, samples apart and in the other byte order. */
static void decode_strided(const chunk *c, const uint8_t *samples) {
    const fc_header *h = &c->header;
    int64_t stream_bytes = 2 * h->stream_size * c->item;
    uint8_t *out = make_output(2 * output_size(c), 0xaa);
    fc_view view = {out + (h->n_streams - 1) * stream_bytes, NULL, -stream_bytes, 2 * c->item, 1};
    if (decode_whole(c, &view)) abort();
    for (int64_t s = 0; s < h->n_streams; s++)
        for (int64_t i = 0; i < h->stream_size; i++)
            for (int b = 0; b < c->item; b++) {
                const uint8_t *at =
                    out + (h->n_streams - 1 - s) * stream_bytes + 2 * i * c->item + b;
                if (at[c->item] != 0xaa) abort();
                if (*at != samples[(s * h->stream_size + i + 1) * c->item - 1 - b]) abort();
            }
    free(out);
}

static void compare_with_libflac(chunk *c, const uint8_t *samples) {
    fc_error error;
    uint8_t *out = make_output(output_size(c), 0xaa);
    fc_view view = plain_view(c, out);
    int code = decode_chunk_by_libflac(c->bytes, c->size, &view, &error);
    check_error(c, code, &error);
    if (!code && memcmp(out, samples, (size_t)output_size(c))) abort();
    free(out);
}

/* -- parts --------------------------------------------------------------------------- */

#define MOST_PIECES 3

/* The chunk, or what comes after the head, cut anywhere; sometimes with a
 * part missing. Returns how many pieces. */
static int cut_pieces(const chunk *c, fc_piece *pieces) {
    int64_t at = below(2) ? 0 : c->header.head_size < c->size ? c->header.head_size : c->size;
    int n = 0, most = 1 + (int)below(MOST_PIECES);
    while (n < most) {
        int64_t size = n + 1 == most ? c->size - at : below(c->size - at + 1);
        if (below(12)) pieces[n++] = (fc_piece){copy(c->bytes + at, size), at, size};
        else most--;
        at += size;
    }
    return n;
}

static int64_t draw_spans(const chunk *c, fc_span *spans, int64_t most) {
    int64_t out = 0;
    for (int64_t i = 0; i < most; i++) {
        int64_t start = below(c->header.stream_size), left = c->header.stream_size - start;
        int64_t count = 1 + below(left < MOST_SPAN ? left : MOST_SPAN);
        spans[i] = (fc_span){below(c->header.n_streams), start, count, out};
        out += count * c->item;
    }
    return out;
}

static void compare_spans(chunk *c, const fc_span *spans, int64_t n, const uint8_t *out,
                          const uint8_t *samples) {
    for (int64_t i = 0; i < n; i++) {
        const fc_span *s = spans + i;
        const uint8_t *want = samples + (s->stream * c->header.stream_size + s->start) * c->item;
        if (memcmp(out + s->out_offset, want, (size_t)(s->count * c->item))) abort();
    }
}

/* samples is NULL where the whole is not known. */
static void decode_spans(chunk *c, const uint8_t *samples) {
    fc_span spans[3];
    fc_piece pieces[MOST_PIECES];
    fc_error error;
    int64_t n = 1 + below(3), size = draw_spans(c, spans, n);
    int64_t head_size = c->header.head_size < c->size ? c->header.head_size : c->size;
    uint8_t *out = make_output(size, 0x55), *head = copy(c->bytes, head_size);
    int n_pieces = cut_pieces(c, pieces);
    fc_view view = {out, NULL, 0, c->item, 0};
    int code = fc_decode(head, head_size, pieces, n_pieces, NULL, spans, n, &view, 1, NULL, &error);
    check_error(c, code, &error);
    if (!code && samples) compare_spans(c, spans, n, out, samples);
    for (int i = 0; i < n_pieces; i++) free((uint8_t *)pieces[i].bytes);
    free(head);
    free(out);
}

/* Spans out of range are refused whatever the chunk. */
static void decode_outside(const chunk *c) {
    const fc_header *h = &c->header;
    fc_span spans[] = {{h->n_streams, 0, 1, 0}, {-1, 0, 1, 0}, {0, h->stream_size, 1, 0},
                       {0, 0, h->stream_size + 1, 0}, {0, -1, 1, 0}, {0, 0, 0, 0},
                       {0, 1, INT64_MAX, 0}};
    fc_piece whole = {c->bytes, 0, c->size};
    fc_view view = {NULL, NULL, 0, c->item, 0};
    fc_error error;
    if (!fc_decode(c->bytes, c->size, &whole, 1, NULL, spans + below(7), 1, &view, 1, NULL, &error))
        abort();
}

/* -- gathering ------------------------------------------------------------------------- */

static void compare_gathered(chunk *c, const uint8_t *gathered, int64_t size,
                             const fc_pick *picks, int64_t n, const uint8_t *samples) {
    int64_t stream_bytes = c->header.stream_size * c->item;
    chunk new = {gathered, size, {0}, c->item};
    fc_error error;
    if (fc_read_header(gathered, size, &new.header, &error)) abort();
    if (new.header.n_streams != n || fc_check_head(gathered, size, &error)) abort();
    if (!samples) return;
    uint8_t *out = make_output(output_size(&new), 0x55);
    fc_view view = plain_view(&new, out);
    if (decode_whole(&new, &view)) abort();
    for (int64_t i = 0; i < n; i++)
        if (memcmp(out + i * stream_bytes, samples + picks[i].stream * stream_bytes,
                   (size_t)stream_bytes))
            abort();
    free(out);
}

/* The last stream first, from a chunk and its copy. */
static void gather(chunk *c, const uint8_t *samples) {
    int64_t n = c->header.n_streams < 4 ? c->header.n_streams : 4, size;
    uint8_t *twin = copy(c->bytes, c->size), *gathered;
    fc_piece chunks[2] = {{c->bytes, 0, c->size}, {twin, 0, c->size}};
    fc_pick picks[4];
    fc_error error;
    for (int64_t i = 0; i < n; i++) picks[i] = (fc_pick){i & 1, c->header.n_streams - 1 - i};
    int code = fc_gather_streams(chunks, 2, picks, n, NULL, &gathered, &size, &error);
    check_error(c, code, &error);
    if (code && samples) abort();
    if (!code) {
        compare_gathered(c, gathered, size, picks, n, samples);
        fc_free(gathered);
    }
    free(twin);
}

/* -- */

static void try_whole(chunk *c) {
    uint8_t *samples = make_output(output_size(c), 0x55);
    fc_view view = plain_view(c, samples);
    int code = decode_whole(c, &view);
    if (!code) {
        decode_again(c, samples);
        decode_strided(c, samples);
        compare_with_libflac(c, samples);
    }
    gather(c, code ? NULL : samples);
    decode_spans(c, code ? NULL : samples);
    free(samples);
}

static void try_chunk(const uint8_t *bytes, int64_t size) {
    chunk c = {bytes, size, {0}, 0};
    fc_error error;
    seed_choices(bytes, size);
    int code = fc_read_header(bytes, size, &c.header, &error);
    check_error(&c, code, &error);
    if (code) return;
    c.item = fc_item_size(c.header.dtype);
    const fc_header *h = &c.header;
    if (fc_head_bound(h->dtype, h->n_streams, h->stream_size, h->frame_size) < h->head_size)
        abort();
    code = fc_check_head(bytes, size, &error);
    check_error(&c, code, &error);
    if (is_small(&c)) {
        try_whole(&c);
    } else {
        decode_spans(&c, NULL);
        gather(&c, NULL);
    }
    decode_outside(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = copy(data, (int64_t)size);
    try_chunk(bytes, (int64_t)size);
    repair_chunk(bytes, size);
    if (memcmp(bytes, data, size)) try_chunk(bytes, (int64_t)size);
    free(bytes);
    return 0;
}
