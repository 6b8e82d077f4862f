#include "chunk/write.h"

#include "base/error.h"
#include "chunk/format.h"

static void write_index(fc_encoding *e) {
    const fc_header *h = &e->header;
    for (int64_t s = 0; s < h->n_streams && !fc_is_stopped_at(e->stopping, s); s++) {
        uint8_t *offset = e->chunk + fc_offsets_at(h) + h->offset_width * s;
        if (h->offset_width == 8) fc_put64(offset, e->offsets[s]);
        if (h->offset_width == 4) fc_put32(offset, (uint32_t)e->offsets[s]);
        if (e->quanta) fc_put_double(e->chunk + fc_quanta_at(h) + 8 * s, e->quanta[s]);
    }
}

static void write_stream_headers(fc_encoding *e) {
    const fc_header *h = &e->header;
    uint8_t *at = e->chunk + h->head_size;
    for (int64_t s = 0; s < h->n_streams && !fc_is_stopped_at(e->stopping, s); s++) {
        uint32_t smallest = UINT32_MAX, largest = 0;
        int64_t size = FC_STREAM_HEADER_SIZE;
        for (int64_t f = 0; f < h->n_frames; f++) {
            uint32_t bytes = fc_frame_bytes(e->chunk, h, s * h->n_frames + f);
            if (bytes < smallest) smallest = bytes;
            if (bytes > largest) largest = bytes;
            size += bytes;
        }
        fc_plan plan = fc_plan_of(e, s);
        fc_write_stream_header(at, h, plan.bits, plan.channels, smallest, largest);
        at += size;
    }
}

static int write_exceptions(fc_encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    h->exceptions_size = FC_EXCEPTION_SIZE * e->n_exceptions;
    h->chunk_size = e->written + h->exceptions_size;
    uint8_t *chunk = e->allocator->resize(e->allocator->context, e->chunk, (size_t)h->chunk_size);
    if (!chunk) return fc_fail(error, FC_ERR_MEMORY);
    e->chunk = chunk;
    uint8_t *at = chunk + e->written;
    for (; e->first_part && !fc_is_stopped(e->stopping); fc_drop_part(e)) {
        const fc_exceptions *some = &e->first_part->list;
        for (int64_t i = 0; i < some->n; i++, at += FC_EXCEPTION_SIZE)
            fc_write_exception(at, some->items + i);
    }
    h->exceptions_crc = fc_crc32c(0, chunk + e->written, h->exceptions_size);
    return FC_OK;
}

int fc_finish_chunk(fc_encoding *e, fc_error *error) {
    fc_header *h = &e->header;
    write_index(e);
    write_stream_headers(e);
    h->streams_size = e->written - h->head_size;
    if (fc_streams_checksum(e->chunk + h->head_size, h->streams_size, e->n_threads,
                            e->stopping, &h->streams_crc, error)
        || write_exceptions(e, error))
        return error->code;
    fc_write_head(e->chunk, h);
    return FC_OK;
}
