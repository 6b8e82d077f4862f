/* New chunks out of the streams of others, without decoding. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chunk/format.h"

/* A chunk that streams are taken from. */
typedef struct {
    const uint8_t *chunk;
    fc_header header;
    int64_t *starts; /* of each stream, in the chunk; one more at the end */
} source;

typedef struct {
    source *sources;
    int64_t n_sources;
    const fc_pick *picks;
    fc_header header; /* of the new chunk */
    uint8_t *chunk;
    int64_t written;
    fc_stopping stopping;
} gathering;

static int open_source(source *s, const uint8_t *chunk, int64_t size, fc_stopping *stopping,
                       fc_error *error) {
    s->chunk = chunk;
    int code = fc_read_header(chunk, size, &s->header, error);
    const fc_header *h = &s->header;
    if (code) return code;
    if (fc_check_length(h, size, error)) return error->code;
    if (fc_check_head(chunk, size, error)) return error->code;
    if (fc_check_exceptions(chunk + h->head_size + h->streams_size, h, stopping, error))
        return error->code;
    s->starts = malloc((size_t)(h->n_streams + 1) * sizeof *s->starts);
    if (!s->starts) return fc_fail(error, FC_ERR_MEMORY);
    int64_t at = h->head_size;
    for (int64_t i = 0; i < h->n_streams; i++) {
        if (fc_is_stopped_at(stopping, i)) return fc_fail(error, FC_ERR_STOPPED);
        s->starts[i] = at;
        at += FC_STREAM_HEADER_SIZE;
        for (int64_t f = 0; f < h->n_frames; f++)
            at += fc_frame_bytes(chunk, h, i * h->n_frames + f);
    }
    s->starts[h->n_streams] = at;
    return FC_OK;
}

static int are_alike(const fc_header *a, const fc_header *b) {
    return a->dtype == b->dtype && a->mode == b->mode && a->stream_size == b->stream_size
        && a->frame_size == b->frame_size;
}

static int check_picks(gathering *g, int64_t n, fc_error *error) {
    if (n < 1) return fc_fail(error, FC_ERR_EMPTY);
    for (int64_t i = 0; i < n; i++) {
        if (fc_is_stopped_at(&g->stopping, i)) return fc_fail(error, FC_ERR_STOPPED);
        const fc_pick *p = g->picks + i;
        if (p->chunk < 0 || p->chunk >= g->n_sources || p->stream < 0
            || p->stream >= g->sources[p->chunk].header.n_streams)
            return fc_fail_at(error, FC_ERR_ARGUMENT, p->stream, -1, -1);
        if (!are_alike(&g->sources[p->chunk].header, &g->sources[0].header))
            return fc_fail(error, FC_ERR_UNLIKE);
    }
    return FC_OK;
}

static uint64_t offset_of(const gathering *g, int64_t i) {
    const source *s = g->sources + g->picks[i].chunk;
    return fc_stream_offset(s->chunk, &s->header, g->picks[i].stream);
}

static double quanta_of(const gathering *g, int64_t i) {
    const source *s = g->sources + g->picks[i].chunk;
    return fc_stream_quanta(s->chunk, &s->header, g->picks[i].stream);
}

/* As an encoder would have it: tables only where streams differ. */
static int plan_header(gathering *g, int64_t n, fc_error *error) {
    fc_header *h = &g->header;
    const fc_header *first = &g->sources[0].header;
    *h = (fc_header){.version = FC_FORMAT_VERSION, .dtype = first->dtype, .mode = first->mode,
                     .flags = first->flags & FC_FLAG_BIG_ENDIAN, .n_streams = n,
                     .stream_size = first->stream_size, .frame_size = first->frame_size,
                     .quanta = first->mode == FC_MODE_QUANTIZED ? quanta_of(g, 0) : 0};
    for (int64_t i = 0; i < n; i++) {
        if (fc_is_stopped_at(&g->stopping, i)) return fc_fail(error, FC_ERR_STOPPED);
        if (offset_of(g, i)) h->flags |= FC_FLAG_OFFSETS;
        if (h->mode == FC_MODE_QUANTIZED && quanta_of(g, i) != quanta_of(g, 0))
            h->flags |= FC_FLAG_QUANTA;
    }
    if (h->flags & FC_FLAG_QUANTA) h->quanta = 0;
    return fc_derive(h, error);
}

static int64_t streams_bytes(gathering *g) {
    int64_t bytes = 0;
    for (int64_t i = 0; i < g->header.n_streams && !fc_is_stopped_at(&g->stopping, i); i++) {
        const source *s = g->sources + g->picks[i].chunk;
        bytes += s->starts[g->picks[i].stream + 1] - s->starts[g->picks[i].stream];
    }
    return bytes;
}

static void copy_index(gathering *g, int64_t i) {
    const fc_header *h = &g->header;
    const source *s = g->sources + g->picks[i].chunk;
    uint8_t *offset = g->chunk + fc_offsets_at(h) + h->offset_width * i;
    if (h->offset_width == 8) fc_put64(offset, offset_of(g, i));
    if (h->offset_width == 4) fc_put32(offset, (uint32_t)offset_of(g, i));
    if (h->flags & FC_FLAG_QUANTA)
        fc_put_double(g->chunk + fc_quanta_at(h) + 8 * i, quanta_of(g, i));
    memcpy(g->chunk + fc_sizes_at(h) + 4 * i * h->n_frames,
           s->chunk + fc_sizes_at(&s->header) + 4 * g->picks[i].stream * h->n_frames,
           (size_t)(4 * h->n_frames));
}

#define COPIED_AT_ONCE (INT64_C(1) << 20)

static void copy_stream(gathering *g, int64_t i) {
    const source *s = g->sources + g->picks[i].chunk;
    int64_t start = s->starts[g->picks[i].stream];
    int64_t end = s->starts[g->picks[i].stream + 1];
    for (int64_t size; start < end && !fc_is_stopped(&g->stopping); start += size) {
        size = end - start < COPIED_AT_ONCE ? end - start : COPIED_AT_ONCE;
        memcpy(g->chunk + g->written, s->chunk + start, (size_t)size);
        g->written += size;
    }
}

/* The exceptions of a stream of a source: the first, and the one after the last. */
static void find_exceptions(const source *s, int64_t stream, int64_t *first, int64_t *end) {
    const uint8_t *table = s->chunk + s->header.head_size + s->header.streams_size;
    int64_t n = s->header.exceptions_size / FC_EXCEPTION_SIZE;
    *first = fc_find_exception(table, n, stream, 0);
    *end = fc_find_exception(table, n, stream + 1, 0);
}

static int64_t count_exceptions(gathering *g) {
    int64_t n = 0, first, end;
    for (int64_t i = 0; i < g->header.n_streams && !fc_is_stopped_at(&g->stopping, i); i++) {
        find_exceptions(g->sources + g->picks[i].chunk, g->picks[i].stream, &first, &end);
        n += end - first;
    }
    return n;
}

static void copy_exceptions(gathering *g, int64_t i) {
    const source *s = g->sources + g->picks[i].chunk;
    const uint8_t *table = s->chunk + s->header.head_size + s->header.streams_size;
    int64_t first, end;
    find_exceptions(s, g->picks[i].stream, &first, &end);
    for (; first < end; first++, g->written += FC_EXCEPTION_SIZE) {
        fc_exception e = fc_read_exception(table + FC_EXCEPTION_SIZE * first);
        e.stream = (uint32_t)i;
        fc_write_exception(g->chunk + g->written, &e);
    }
}

static void for_each_stream(gathering *g, void (*copy)(gathering *g, int64_t i)) {
    for (int64_t i = 0; i < g->header.n_streams && !fc_is_stopped_at(&g->stopping, i); i++)
        copy(g, i);
}

static int gather(gathering *g, int64_t n, fc_error *error) {
    int code = check_picks(g, n, error);
    if (!code) code = plan_header(g, n, error);
    if (code) return code;
    fc_header *h = &g->header;
    h->streams_size = streams_bytes(g);
    h->exceptions_size = FC_EXCEPTION_SIZE * count_exceptions(g);
    if (fc_is_stopped(&g->stopping)) return fc_fail(error, FC_ERR_STOPPED); /* sizes in part */
    h->chunk_size = h->head_size + h->streams_size + h->exceptions_size;
    g->chunk = malloc((size_t)h->chunk_size);
    if (!g->chunk) return fc_fail(error, FC_ERR_MEMORY);
    g->written = h->head_size;
    for_each_stream(g, copy_index);
    for_each_stream(g, copy_stream);
    for_each_stream(g, copy_exceptions);
    if (fc_streams_checksum(g->chunk + h->head_size, h->streams_size, 1, &g->stopping,
                            &h->streams_crc, error))
        return error->code;
    h->exceptions_crc = fc_crc32c(0, g->chunk + h->head_size + h->streams_size,
                                  h->exceptions_size);
    fc_write_head(g->chunk, h);
    return FC_OK;
}

int fc_gather_streams(const fc_piece *chunks, int64_t n_chunks, const fc_pick *picks,
                      int64_t n_picks, const fc_stop *stop, uint8_t **chunk, int64_t *chunk_size,
                      fc_error *error) {
    if (n_chunks < 1) return fc_fail(error, FC_ERR_EMPTY);
    gathering g = {.n_sources = n_chunks, .picks = picks,
                   .stopping = fc_begin_stopping(stop)};
    g.sources = calloc((size_t)n_chunks, sizeof *g.sources);
    int code = g.sources ? FC_OK : fc_fail(error, FC_ERR_MEMORY);
    for (int64_t i = 0; i < n_chunks && !code; i++)
        code = open_source(g.sources + i, chunks[i].bytes, chunks[i].size, &g.stopping, error);
    if (!code) code = gather(&g, n_picks, error);
    code = fc_end_stopping(&g.stopping, code, error);
    if (!code) {
        *chunk = g.chunk;
        *chunk_size = g.header.chunk_size;
    } else {
        free(g.chunk);
    }
    for (int64_t i = 0; g.sources && i < n_chunks; i++) free(g.sources[i].starts);
    free(g.sources);
    return code;
}
