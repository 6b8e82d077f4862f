/* flaccodec: packed FLAC chunks <-> numbers.
 *
 * This header is the whole C interface. docs/format.md describes the bytes.
 *
 * A chunk holds `n_streams` streams of `stream_size` samples. All other sizes are in bytes.
 *
 * Every function that can fail returns an fc_code: FC_OK, or the reason, and then `*error` says
 * more; `error` must not be NULL. If a function fails, it leaves what it would allocate untouched,
 * and the caller's output array holds unspecified values.
 *
 * All functions may be called from any number of threads at once. None keeps a pointer that it was
 * given. A forked child starts threads of its own.
 */
#ifndef FLACCODEC_H
#define FLACCODEC_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin (build_ffi.py reads the declarations from here to the end mark) */

#define FC_FORMAT_VERSION 1
#define FC_HEADER_SIZE 64      /* bytes of the fixed header */
#define FC_STREAM_HEADER_SIZE 42 /* "fLaC" and its STREAMINFO block */
#define FC_FRAME_SIZE_BITS 20  /* of an index entry; the others are of the frame's CRC */
#define FC_MIN_FRAME_SIZE 16   /* samples; only the last frame of a stream may have fewer */
#define FC_MAX_FRAME_SIZE 65535
#define FC_DEFAULT_FRAME_SIZE 4096
#define FC_MAX_LEVEL 8
#define FC_DEFAULT_LEVEL 5
#define FC_MAX_MARKS 16 /* values that mark missing samples */
#define FC_ASK_MS 100 /* milliseconds between two calls of fc_stop.ask */

typedef enum fc_code {
    FC_OK = 0,
    FC_ERR_MEMORY = 1,
    FC_ERR_ARGUMENT = 2,
    FC_ERR_EMPTY = 3,
    FC_ERR_TOO_LARGE = 4,
    FC_ERR_QUANTA = 5,
    FC_ERR_QUANTA_TOO_FINE = 6,
    FC_ERR_ENCODER = 7,
    FC_ERR_STOPPED = 8,
    FC_ERR_TRUNCATED = 16,
    FC_ERR_TRAILING = 17,
    FC_ERR_MAGIC = 18,
    FC_ERR_VERSION = 19,
    FC_ERR_RESERVED = 20,
    FC_ERR_HEADER = 21,
    FC_ERR_HEAD_CHECKSUM = 22,
    FC_ERR_DTYPE = 23,
    FC_ERR_SHAPE = 24,
    FC_ERR_INDEX = 25,
    FC_ERR_FRAME_HEADER = 26,
    FC_ERR_FRAME = 27,
    FC_ERR_STREAMS_CHECKSUM = 28,
    FC_ERR_EXCEPTIONS = 29,
    FC_ERR_MISSING_PIECE = 30,
    FC_ERR_STREAM = 31,
    FC_ERR_STREAM_RANGE = 32,
    FC_ERR_STREAM_SHAPE = 33,
    FC_ERR_UNLIKE = 34
} fc_code;

/* What went wrong and where. `stream`, `frame` and `sample` are -1 if they do not apply; `sample`
 * counts from the start of its stream. `got` and `want` are the two sides of a disagreement. With
 * FC_ERR_QUANTA_TOO_FINE, `value` is the smallest quanta that would do; with FC_ERR_QUANTA, the
 * quanta. */
typedef struct fc_error {
    int32_t code;
    int64_t stream;
    int64_t frame;
    int64_t sample;
    int64_t got;
    int64_t want;
    double value;
} fc_error;

typedef enum fc_dtype {
    FC_INT8 = 1,
    FC_INT16 = 2,
    FC_INT32 = 3,
    FC_INT64 = 4,
    FC_UINT8 = 5,
    FC_UINT16 = 6,
    FC_UINT32 = 7,
    FC_UINT64 = 8,
    FC_FLOAT32 = 9,
    FC_FLOAT64 = 10
} fc_dtype;

/* How samples become integers, as the header stores it. */
typedef enum fc_mode {
    FC_MODE_INTEGER = 0,
    FC_MODE_QUANTIZED = 1,
    FC_MODE_LOSSLESS = 2
} fc_mode;

/* Where the quanta of a quantized float chunk come from. */
typedef enum fc_quanta_rule {
    FC_QUANTA_NONE = 0,      /* integers, or floats without loss */
    FC_QUANTA_GIVEN = 1,     /* parameters are quanta */
    FC_QUANTA_PRECISION = 2, /* quanta = RMS about the mean / 10**parameter */
    FC_QUANTA_RANGE = 3      /* quanta = (max - min) / 2**30; no parameters */
} fc_quanta_rule;

/* Header flags. */
#define FC_FLAG_OFFSETS 1    /* the index has an offset for each stream */
#define FC_FLAG_QUANTA 2     /* the index has quanta for each stream */
#define FC_FLAG_BIG_ENDIAN 4 /* the array written was big-endian (a hint) */

/* Streams of samples in the caller's memory. Stream s begins at `data` + `stream_offsets[s]`, or +
 * s * `stream_stride` if `stream_offsets` is NULL. Its samples are `sample_stride` bytes apart.
 * Strides may be negative. `byte_swapped`: whether samples are not in the machine's byte order. */
typedef struct fc_view {
    void *data;
    const int64_t *stream_offsets;
    int64_t stream_stride;
    int64_t sample_stride;
    int32_t byte_swapped;
} fc_view;

/* Memory of the caller's kind. All three are called on the caller's thread only. `resize` makes
 * memory smaller or larger, as realloc() does. `allocate` and `resize` return NULL if there is not
 * enough; `resize` leaves the memory as it was then. */
typedef struct fc_allocator {
    void *(*allocate)(const void *context, size_t size);
    void *(*resize)(const void *context, void *memory, size_t size);
    void (*release)(const void *context, void *memory);
    const void *context;
} fc_allocator;

/* Samples that quanta could not hold: those of 2**63 quanta or more and, if the quanta were given,
 * those that would break the promised error, if they are many. */
typedef struct fc_misfit {
    int32_t is_any;      /* whether there are any; else the rest means nothing */
    int32_t is_lossless; /* whether the whole chunk is stored without loss; else those samples
                          * alone are stored exactly, as exceptions */
    int64_t stream, sample; /* the sample that needs the coarsest quanta */
    double smallest;        /* the smallest quanta that would do for it */
} fc_misfit;

/* How a call is stopped before its end. It then fails with FC_ERR_STOPPED, after a few jobs of some
 * 100,000 samples at most, and has freed all that it allocated. */
typedef struct fc_stop {
    /* Called on the caller's thread, about every FC_ASK_MS, while the call lasts. If it returns
     * other than 0, the call is stopped. NULL for none. */
    int (*ask)(void *context);
    void *context;
    /* Stops the call when it is not 0. Any thread may set it, at any time. NULL for none. */
    const int32_t *flag;
} fc_stop;

typedef struct fc_encode_options {
    int32_t dtype;      /* fc_dtype */
    int32_t level;      /* 0 to FC_MAX_LEVEL, with libFLAC's meaning */
    int64_t n_streams;
    int64_t stream_size; /* samples */
    int64_t frame_size;  /* samples, FC_MIN_FRAME_SIZE to FC_MAX_FRAME_SIZE */
    int32_t quanta_rule; /* fc_quanta_rule */
    int32_t flags;       /* FC_FLAG_BIG_ENDIAN or 0 */
    const double *parameters; /* for the rule: one for all streams, or one each */
    int64_t n_parameters;     /* 0, 1 or n_streams */
    const double *marks; /* values that are stored exactly and left out when quanta are chosen; 0
                          * is left out only at the end of a stream */
    int64_t n_marks;     /* 0 to FC_MAX_MARKS */
    int32_t strict;      /* fail with FC_ERR_QUANTA_TOO_FINE for a sample of 2**63 quanta or more */
    fc_misfit *misfit;   /* written on success, if not strict; may be NULL */
    int32_t plain; /* whether integers stay as they are: no offsets, 64 bits in two channels */
    int32_t only_libflac; /* whether libFLAC alone encodes, as with FLACCODEC_ENCODER=libflac */
    int32_t n_threads;        /* at least 1; never changes the bytes */
    const fc_allocator *allocator; /* of the chunk; NULL for memory that fc_free frees */
    const fc_stop *stop;           /* NULL if nothing stops the call */
} fc_encode_options;

/* The header of a chunk, parsed. */
typedef struct fc_header {
    int32_t version;
    int32_t dtype;
    int32_t mode;
    int32_t flags;
    int64_t n_streams;
    int64_t stream_size;
    int64_t frame_size;
    int64_t n_frames;      /* of each stream */
    double quanta;         /* of all streams; 0 if the index has them */
    int64_t offset_width;  /* bytes of an offset in the index, 0, 4 or 8 */
    int64_t head_size;     /* header and index */
    int64_t streams_size;
    int64_t exceptions_size;
    int64_t chunk_size;    /* all of it */
    uint32_t streams_crc;
    uint32_t exceptions_crc;
    uint32_t head_crc;
} fc_header;

/* What the caller knows of a chunk before it is read. */
typedef struct fc_expect {
    int32_t dtype;
    int64_t n_streams;
    int64_t stream_size;
} fc_expect;

/* Samples `start` to `start` + `count` - 1 of a stream; `count` is at least 1. The first goes to
 * out->data + `out_offset`, the others come out->sample_stride bytes apart. */
typedef struct fc_span {
    int64_t stream;
    int64_t start;
    int64_t count;
    int64_t out_offset;
} fc_span;

/* `size` bytes of a chunk, from its byte `offset` on. */
typedef struct fc_piece {
    const uint8_t *bytes;
    int64_t offset;
    int64_t size;
} fc_piece;

/* Return the name of a code ("FC_ERR_FRAME") and a sentence about it. Never NULL; not to be
 * freed. */
const char *fc_code_name(int code);
const char *fc_code_text(int code);

/* Encodes the streams of `*samples` into a new chunk. Sets `*chunk` and `*chunk_size`. The caller
 * must give `*chunk` to fc_free(), or to the allocator that made it.
 *
 * Reads the samples twice: once for their range, once to encode them. Beside the chunk, takes about
 * 4 MiB of memory for each thread, 8 with the largest frames.
 *
 * Finite samples that quanta cannot hold are stored exactly: as exceptions or, if those would take
 * more bytes, by the whole chunk without loss. Then samples are read once or twice more. */
int fc_encode(const fc_view *samples, const fc_encode_options *options,
              uint8_t **chunk, int64_t *chunk_size, fc_error *error);

/* Frees what fc_encode() without an allocator, or fc_gather_streams(), made; NULL is allowed. */
void fc_free(void *memory);

/* Parses a header to `*header`. Needs FC_HEADER_SIZE bytes, and looks at no others. On success the
 * fields are of this version and agree with one another; whether the chunk has the bytes that they
 * declare is not known yet. Allocates nothing. */
int fc_read_header(const uint8_t *bytes, int64_t size, fc_header *header,
                   fc_error *error);

/* Compares a header with what the caller expects. Returns FC_OK; FC_ERR_DTYPE with the two dtypes
 * in the error's `got` and `want`; or FC_ERR_SHAPE with the header's `n_streams` in `got` and its
 * `stream_size` in `sample`. */
int fc_check_expected(const fc_header *header, const fc_expect *expect, fc_error *error);

/* Checks header and index against their checksum, and the sizes of the frames against that of the
 * streams. `head` has `size` bytes, at least the header's `head_size`. */
int fc_check_head(const uint8_t *head, int64_t size, fc_error *error);

/* Checks a whole chunk of `size` bytes, but for its streams and exceptions. */
int fc_check_chunk(const uint8_t *chunk, int64_t size, const fc_expect *expect, fc_error *error);

/* Checks the header of a whole chunk of `size` bytes, and its streams against their checksum.
 * Decodes nothing. `stop` may be NULL. */
int fc_check_streams(const uint8_t *chunk, int64_t size, int32_t n_threads, const fc_stop *stop,
                     fc_error *error);

/* Returns the largest `head_size` of a chunk of this dtype and shape: how many bytes to fetch first
 * if nothing of the chunk is known yet. Returns -1 if there is no such chunk. */
int64_t fc_head_bound(int32_t dtype, int64_t n_streams, int64_t stream_size,
                      int64_t frame_size);

/* Decodes spans of a chunk to `*out`.
 *
 * `head` has `head_size` bytes, at least the header and the index. `pieces`, sorted by offset and
 * without overlap, must hold the frames that the spans need, and the exceptions if there are any.
 * One piece at offset 0 must be a whole chunk. If `spans` is NULL, every stream is decoded as a
 * whole to where `*out` says, and the checksum of all streams is verified too. `expect`, unless
 * NULL, is compared before anything is allocated. `stop` may be NULL.
 *
 * Each frame is verified by FLAC's CRCs, its number, block size and length. If several fail, the
 * first is reported: the first in the chunk, or in the order of the spans. */
int fc_decode(const uint8_t *head, int64_t head_size, const fc_piece *pieces,
              int64_t n_pieces, const fc_expect *expect, const fc_span *spans,
              int64_t n_spans, const fc_view *out, int32_t n_threads,
              const fc_stop *stop, fc_error *error);

/* Decodes FLAC streams of any writer, such as flacarray's. Stream i has `nbytes[i]` bytes from
 * `bytes` + `starts[i]` on; all are within `size` bytes. Each must have `stream_size` samples of
 * `channels` channels, 1 or 2.
 *
 * Samples `first` to `last` - 1 of each go to `out`, stream after stream: int32 for one channel,
 * int64 for two (the first channel has the low word). Frames without such samples are not
 * checked. `stop` may be NULL. A failure names the stream and, if it is known, the frame. */
int fc_decode_streams(const uint8_t *bytes, int64_t size, const int64_t *starts,
                      const int64_t *nbytes, int64_t n_streams, int64_t stream_size,
                      int64_t first, int64_t last, int32_t channels, void *out,
                      int32_t n_threads, const fc_stop *stop, fc_error *error);

/* A stream of one of several chunks. */
typedef struct fc_pick {
    int64_t chunk;
    int64_t stream;
} fc_pick;

/* Makes a chunk of streams of other chunks, in the order of the picks, without decoding. `chunks`
 * are whole chunks; their offsets are ignored. They must have one dtype, mode, stream_size and
 * frame_size. Sets `*chunk`, for the caller to give to fc_free(), and `*chunk_size`. `stop` may be
 * NULL.
 *
 * Heads and exceptions are verified. Streams are not, and the new chunk has a new checksum of them:
 * call fc_check_streams() before. */
int fc_gather_streams(const fc_piece *chunks, int64_t n_chunks, const fc_pick *picks,
                      int64_t n_picks, const fc_stop *stop, uint8_t **chunk, int64_t *chunk_size,
                      fc_error *error);

/* Returns the CRC-32C (Castagnoli) of `size` bytes that follow others whose CRC-32C is `crc`, 0 if
 * there are none. */
uint32_t fc_crc32c(uint32_t crc, const uint8_t *bytes, int64_t size);

/* cffi: end */

#endif
