/* FLAC streams of any writer, through libFLAC: no index tells where their
 * frames are, so each stream is decoded, or sought in, by one thread. */
#include <FLAC/stream_decoder.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "threads/jobs.h"

/* What one thread decodes with. */
typedef struct {
    FLAC__StreamDecoder *flac;
    const uint8_t *bytes;
    int64_t size, at;
    int32_t channels;
    int64_t stream_size;
    int64_t block;              /* samples of each frame but the last; 0 where not known */
    int64_t first, wanted, end; /* samples that are wanted: the first, the next, where they end */
    uint8_t *out;               /* where the next wanted sample goes */
    int64_t frames;             /* that libFLAC has given */
    int64_t frame;              /* that it is asked for; -1 for none, or where not known */
    int failed;                 /* an fc_code */
    fc_stopping *stopping;
} reader;

typedef struct {
    const uint8_t *bytes;
    const int64_t *starts, *nbytes;
    int64_t size, stream_size, first, last;
    int32_t channels;
    uint8_t *out;
    reader *readers;
    fc_stopping stopping;
} streams;

static FLAC__StreamDecoderReadStatus read_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__byte *buffer, size_t *size, void *client) {
    reader *r = client;
    (void)flac;
    if (fc_is_stopped(r->stopping)) return FLAC__STREAM_DECODER_READ_STATUS_ABORT;
    if ((int64_t)*size > r->size - r->at) *size = (size_t)(r->size - r->at);
    if (!*size) return FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
    memcpy(buffer, r->bytes + r->at, *size);
    r->at += (int64_t)*size;
    return FLAC__STREAM_DECODER_READ_STATUS_CONTINUE;
}

static FLAC__StreamDecoderSeekStatus seek_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__uint64 offset, void *client) {
    reader *r = client;
    (void)flac;
    if (offset > (FLAC__uint64)r->size) return FLAC__STREAM_DECODER_SEEK_STATUS_ERROR;
    r->at = (int64_t)offset;
    return FLAC__STREAM_DECODER_SEEK_STATUS_OK;
}

static FLAC__StreamDecoderTellStatus tell_bytes(const FLAC__StreamDecoder *flac,
                                                FLAC__uint64 *offset, void *client) {
    (void)flac;
    *offset = (FLAC__uint64)((reader *)client)->at;
    return FLAC__STREAM_DECODER_TELL_STATUS_OK;
}

static FLAC__StreamDecoderLengthStatus length_of_bytes(const FLAC__StreamDecoder *flac,
                                                       FLAC__uint64 *length, void *client) {
    (void)flac;
    *length = (FLAC__uint64)((reader *)client)->size;
    return FLAC__STREAM_DECODER_LENGTH_STATUS_OK;
}

static FLAC__bool at_end(const FLAC__StreamDecoder *flac, void *client) {
    (void)flac;
    return ((reader *)client)->at == ((reader *)client)->size;
}

static void copy_samples(reader *r, const FLAC__int32 *const *buffer, int64_t skip,
                         int64_t count) {
    if (r->channels == 1) {
        memcpy(r->out, buffer[0] + skip, (size_t)count * 4);
        r->out += count * 4;
        return;
    }
    for (int64_t i = skip; i < skip + count; i++, r->out += 8) {
        uint64_t value = (uint64_t)(uint32_t)buffer[1][i] << 32 | (uint32_t)buffer[0][i];
        memcpy(r->out, &value, 8);
    }
}

static FLAC__StreamDecoderWriteStatus take_frame(const FLAC__StreamDecoder *flac,
                                                 const FLAC__Frame *frame,
                                                 const FLAC__int32 *const *buffer, void *client) {
    reader *r = client;
    (void)flac;
    if (fc_is_stopped(r->stopping)) return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    int64_t begin = (int64_t)frame->header.number.sample_number;
    int64_t end = begin + frame->header.blocksize;
    r->frames++;
    if (frame->header.channels != (uint32_t)r->channels || end > r->stream_size)
        r->failed = FC_ERR_STREAM_SHAPE;
    /* libFLAC before 1.4.3 takes blocks of 65536 samples, which no STREAMINFO can have. */
    else if (begin > r->wanted || frame->header.blocksize > FC_MAX_FRAME_SIZE)
        r->failed = FC_ERR_STREAM;
    if (r->failed) return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    if (end > r->end) end = r->end;
    if (end > r->wanted) {
        copy_samples(r, buffer, r->wanted - begin, end - r->wanted);
        r->wanted = end;
    }
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void take_metadata(const FLAC__StreamDecoder *flac, const FLAC__StreamMetadata *metadata,
                          void *client) {
    reader *r = client;
    (void)flac;
    if (metadata->type != FLAC__METADATA_TYPE_STREAMINFO) return;
    const FLAC__StreamMetadata_StreamInfo *info = &metadata->data.stream_info;
    if (info->channels != (uint32_t)r->channels
        || (info->total_samples && info->total_samples != (FLAC__uint64)r->stream_size))
        r->failed = FC_ERR_STREAM_SHAPE;
    r->block = info->min_blocksize == info->max_blocksize ? info->max_blocksize : 0;
}

static void note_error(const FLAC__StreamDecoder *flac, FLAC__StreamDecoderErrorStatus status,
                       void *client) {
    (void)flac, (void)status;
    if (!((reader *)client)->failed) ((reader *)client)->failed = FC_ERR_STREAM;
}

static int open_reader(reader *r) {
    r->flac = FLAC__stream_decoder_new();
    if (!r->flac) return FC_ERR_MEMORY;
    return FLAC__stream_decoder_init_stream(r->flac, read_bytes, seek_bytes, tell_bytes,
                                            length_of_bytes, at_end, take_frame, take_metadata,
                                            note_error, r)
            == FLAC__STREAM_DECODER_INIT_STATUS_OK
        ? FC_OK
        : FC_ERR_MEMORY;
}

/* The frame of the next wanted sample; -1 where blocks differ and a seek has passed some. */
static int64_t next_frame(const reader *r) {
    if (r->block) return r->wanted / r->block;
    return r->first ? -1 : r->frames;
}

/* Decodes on from the start, or from a seek, until nothing more is wanted; a
 * whole stream must end there too. */
static int decode_wanted(reader *r) {
    if (!FLAC__stream_decoder_process_until_end_of_metadata(r->flac) || r->failed)
        return r->failed ? r->failed : FC_ERR_STREAM;
    r->frame = next_frame(r);
    if (r->first && !FLAC__stream_decoder_seek_absolute(r->flac, (FLAC__uint64)r->first))
        return r->failed ? r->failed : FC_ERR_STREAM;
    int to_the_end = r->end == r->stream_size;
    while (!r->failed && (to_the_end || r->wanted < r->end)) {
        int64_t before = r->frames;
        r->frame = next_frame(r);
        if (!FLAC__stream_decoder_process_single(r->flac)) break;
        /* More than one at a time: libFLAC fills frames that are missing with silence. */
        if (r->frames > before + 1) return FC_ERR_STREAM;
        if (FLAC__stream_decoder_get_state(r->flac) == FLAC__STREAM_DECODER_END_OF_STREAM) break;
    }
    if (r->failed) return r->failed;
    r->frame = -1;
    return r->wanted == r->end ? FC_OK : FC_ERR_STREAM_SHAPE;
}

static int decode_stream(void *context, int thread, int64_t stream, fc_error *error) {
    streams *s = context;
    reader *r = s->readers + thread;
    int64_t start = s->starts[stream], nbytes = s->nbytes[stream];
    if (start < 0 || nbytes < 0 || start > s->size || nbytes > s->size - start)
        return fc_fail_at(error, FC_ERR_STREAM_RANGE, stream, -1, -1);
    int code = r->flac ? FC_OK : open_reader(r);
    if (code) return fc_fail_at(error, code, stream, -1, -1);
    uint8_t *out = s->out + stream * (s->last - s->first) * 4 * s->channels;
    *r = (reader){.flac = r->flac, .bytes = s->bytes + start, .size = nbytes,
                  .channels = s->channels, .stream_size = s->stream_size, .first = s->first,
                  .wanted = s->first, .end = s->last, .out = out, .frame = -1,
                  .stopping = &s->stopping};
    if (!FLAC__stream_decoder_reset(r->flac))
        return fc_fail_at(error, FC_ERR_MEMORY, stream, -1, -1);
    code = decode_wanted(r);
    return code ? fc_fail_at(error, code, stream, r->frame, -1) : FC_OK;
}

int fc_decode_streams(const uint8_t *bytes, int64_t size, const int64_t *starts,
                      const int64_t *nbytes, int64_t n_streams, int64_t stream_size,
                      int64_t first, int64_t last, int32_t channels, void *out,
                      int32_t n_threads, const fc_stop *stop, fc_error *error) {
    if (first < 0 || last <= first || last > stream_size || channels < 1 || channels > 2)
        return fc_fail(error, FC_ERR_ARGUMENT);
    int threads = fc_usable_threads(n_threads);
    streams s = {bytes, starts, nbytes, size, stream_size, first, last, channels, out, NULL,
                 fc_begin_stopping(stop)};
    s.readers = calloc((size_t)threads, sizeof *s.readers);
    if (!s.readers) return fc_fail(error, FC_ERR_MEMORY);
    int code = fc_run_jobs(threads, n_streams, decode_stream, NULL, &s, &s.stopping, error);
    for (int i = 0; i < threads; i++)
        if (s.readers[i].flac) FLAC__stream_decoder_delete(s.readers[i].flac);
    free(s.readers);
    return fc_end_stopping(&s.stopping, code, error);
}
