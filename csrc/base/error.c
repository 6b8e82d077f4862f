#include "base/error.h"

static const struct {
    int code;
    const char *name, *text;
} codes[] = {
    {FC_OK, "FC_OK", "success"},
    {FC_ERR_MEMORY, "FC_ERR_MEMORY", "out of memory"},
    {FC_ERR_ARGUMENT, "FC_ERR_ARGUMENT", "an argument is out of its range"},
    {FC_ERR_EMPTY, "FC_ERR_EMPTY", "the array has no samples"},
    {FC_ERR_TOO_LARGE, "FC_ERR_TOO_LARGE",
     "more streams, samples or frames than a chunk can hold"},
    {FC_ERR_QUANTA, "FC_ERR_QUANTA", "quanta must be positive and finite"},
    {FC_ERR_QUANTA_TOO_FINE, "FC_ERR_QUANTA_TOO_FINE",
     "a sample is 2**63 quanta or more from zero"},
    {FC_ERR_ENCODER, "FC_ERR_ENCODER", "libFLAC's encoder failed"},
    {FC_ERR_STOPPED, "FC_ERR_STOPPED", "the call was stopped before its end"},
    {FC_ERR_TRUNCATED, "FC_ERR_TRUNCATED", "the chunk is cut short"},
    {FC_ERR_TRAILING, "FC_ERR_TRAILING", "bytes follow the end of the chunk"},
    {FC_ERR_MAGIC, "FC_ERR_MAGIC", "these bytes are not a flaccodec chunk"},
    {FC_ERR_VERSION, "FC_ERR_VERSION", "the chunk's format version is unknown"},
    {FC_ERR_RESERVED, "FC_ERR_RESERVED", "a reserved bit is set, or a dtype or mode is unknown"},
    {FC_ERR_HEADER, "FC_ERR_HEADER", "the header contradicts itself"},
    {FC_ERR_HEAD_CHECKSUM, "FC_ERR_HEAD_CHECKSUM",
     "header and index do not match their checksum"},
    {FC_ERR_DTYPE, "FC_ERR_DTYPE", "the chunk's dtype is not the expected one"},
    {FC_ERR_SHAPE, "FC_ERR_SHAPE", "the chunk's shape is not the expected one"},
    {FC_ERR_INDEX, "FC_ERR_INDEX",
     "the sizes of the frames do not add up to that of the streams"},
    {FC_ERR_FRAME_HEADER, "FC_ERR_FRAME_HEADER",
     "a FLAC frame's header is damaged or does not belong here"},
    {FC_ERR_FRAME, "FC_ERR_FRAME", "a FLAC frame is damaged"},
    {FC_ERR_STREAMS_CHECKSUM, "FC_ERR_STREAMS_CHECKSUM",
     "the FLAC streams do not match their checksum"},
    {FC_ERR_EXCEPTIONS, "FC_ERR_EXCEPTIONS", "the table of exceptions is damaged"},
    {FC_ERR_MISSING_PIECE, "FC_ERR_MISSING_PIECE",
     "bytes that the selection needs were not given"},
    {FC_ERR_STREAM, "FC_ERR_STREAM", "a FLAC stream is damaged"},
    {FC_ERR_STREAM_RANGE, "FC_ERR_STREAM_RANGE",
     "a stream's start and size point outside of the compressed bytes"},
    {FC_ERR_STREAM_SHAPE, "FC_ERR_STREAM_SHAPE",
     "a FLAC stream has another number of samples or channels than declared"},
    {FC_ERR_UNLIKE, "FC_ERR_UNLIKE",
     "chunks differ in dtype, mode, stream size or frame size"},
};

static int position(int code) {
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return (int)i;
    return -1;
}

const char *fc_code_name(int code) {
    int i = position(code);
    return i < 0 ? "unknown" : codes[i].name;
}

const char *fc_code_text(int code) {
    int i = position(code);
    return i < 0 ? "unknown error" : codes[i].text;
}

int fc_fail(fc_error *error, int code) {
    return fc_fail_values(error, code, -1, -1);
}

int fc_fail_values(fc_error *error, int code, int64_t got, int64_t want) {
    *error = (fc_error){code, -1, -1, -1, got, want, 0};
    return code;
}

int fc_fail_at(fc_error *error, int code, int64_t stream, int64_t frame,
               int64_t sample) {
    *error = (fc_error){code, stream, frame, sample, -1, -1, 0};
    return code;
}
