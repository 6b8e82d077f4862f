/* The HDF5 filter: what HDF5 calls when a dataset is created and for each
 * chunk, and what it looks for in a plugin. */
#include <stdint.h>
#include <string.h>

#include "hdf5/client_data.h"
#include "hdf5/dataset.h"
#include "hdf5/h5.h"
#include "hdf5/processors.h"
#include "hdf5/reason.h"
#include "samples/dtype.h"

/* -- chunks ---------------------------------------------------------------- */

typedef struct {
    const fc_h5 *h5;
    fc_client client;
    fc_reason reason;
    int n_threads;
    /* HDF5's buffer, ours to replace. */
    size_t nbytes, *buf_size;
    void **buf;
} call;

static fc_view view_of(const fc_client *client, void *samples) {
    int item = fc_item_size(client->chunk.dtype);
    int host_is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    return (fc_view){.data = samples, .stream_stride = client->chunk.stream_size * item,
                     .sample_stride = item, .byte_swapped = client->big_endian != host_is_big};
}

/* Bytes of the samples of a chunk, 0 where no memory could hold them. */
static size_t samples_size(const fc_client *client) {
    size_t size;
    if (__builtin_mul_overflow(client->chunk.n_streams, client->chunk.stream_size, &size)
        || __builtin_mul_overflow(size, (size_t)fc_item_size(client->chunk.dtype), &size)
        || size > PTRDIFF_MAX)
        return 0;
    return size;
}

static void replace_buffer(call *c, void *buffer, size_t size) {
    c->h5->free(*c->buf);
    *c->buf = buffer;
    *c->buf_size = size;
}

/* Encoded where HDF5 will have the chunk, in its own memory. Never in less than the samples
 * take: as HDF5 copies a dataset, it puts the samples of its next chunk into the buffer of this
 * one, and does not look at how large it is. What is not touched takes no memory. */
static size_t room(const call *c, size_t size) { return size < c->nbytes ? c->nbytes : size; }

static void *allocate(const void *context, size_t size) {
    const call *c = context;
    return c->h5->allocate(room(c, size), 0);
}

static void *resize(const void *context, void *memory, size_t size) {
    const call *c = context;
    return c->h5->resize(memory, room(c, size));
}

static void release(const void *context, void *memory) {
    ((const call *)context)->h5->free(memory);
}

static size_t encode(call *c) {
    const fc_client *client = &c->client;
    fc_allocator allocator = {allocate, resize, release, c};
    fc_encode_options options = {
        .dtype = client->chunk.dtype, .level = client->level,
        .n_streams = client->chunk.n_streams, .stream_size = client->chunk.stream_size,
        .frame_size = client->frame_size, .quanta_rule = client->quanta_rule,
        .parameters = &client->parameter, .n_parameters = 1, .marks = client->marks,
        .n_marks = client->n_marks,
        .n_threads = c->n_threads, .allocator = &allocator};
    fc_view samples = view_of(client, *c->buf);
    fc_error error;
    uint8_t *chunk;
    int64_t size;
    if (c->nbytes != samples_size(client))
        return (size_t)fc_refuse(&c->reason, "the chunk's samples must have %zu bytes. Got %zu",
                                 samples_size(client), c->nbytes);
    if (fc_encode(&samples, &options, &chunk, &size, &error))
        return (size_t)fc_refuse_chunk(&c->reason, &error, &client->chunk);
    replace_buffer(c, chunk, room(c, (size_t)size));
    return (size_t)size;
}

static size_t decode(call *c) {
    const fc_expect *expect = &c->client.chunk;
    fc_header header;
    fc_error error;
    size_t size = samples_size(&c->client);
    if (fc_read_header(*c->buf, (int64_t)c->nbytes, &header, &error)
        || fc_check_expected(&header, expect, &error))
        return (size_t)fc_refuse_chunk(&c->reason, &error, expect);
    void *samples = size ? c->h5->allocate(size, 0) : NULL;
    if (!samples) return (size_t)fc_refuse(&c->reason, "%s", fc_code_text(FC_ERR_MEMORY));
    fc_view out = view_of(&c->client, samples);
    fc_piece piece = {*c->buf, 0, (int64_t)c->nbytes};
    if (fc_decode(*c->buf, (int64_t)c->nbytes, &piece, 1, expect, NULL, 0, &out, c->n_threads,
                  NULL, &error)) {
        c->h5->free(samples);
        return (size_t)fc_refuse_chunk(&c->reason, &error, expect);
    }
    replace_buffer(c, samples, size);
    return size;
}

static size_t filter(unsigned flags, size_t cd_nelmts, const unsigned cd_values[], size_t nbytes,
                     size_t *buf_size, void **buf) {
    call c = {.h5 = fc_h5_of(__builtin_return_address(0)), .nbytes = nbytes,
              .buf_size = buf_size, .buf = buf};
    size_t size = 0;
    int decoding = (flags & H5Z_FLAG_REVERSE) != 0;
    c.n_threads = fc_filter_threads(&c.reason);
    if (!c.n_threads && !decoding) c.n_threads = 1; /* it is too late to refuse samples */
    if (c.n_threads && fc_read_client_data(cd_values, cd_nelmts, &c.client, &c.reason))
        size = decoding ? decode(&c) : encode(&c);
    if (!size) fc_push(c.h5, decoding ? "decode" : "encode", &c.reason);
    return size;
}

/* -- datasets -------------------------------------------------------------- */

static int read_dataset(const fc_h5 *h5, hid_t dcpl, hid_t type, hid_t space, fc_client *client,
                        fc_reason *reason) {
    /* Without names nothing can be asked, nor said why. */
    return h5->Epush2 && fc_filter_threads(reason)
        && fc_read_dataset(h5, dcpl, type, space, client, reason);
}

static htri_t can_apply(hid_t dcpl, hid_t type, hid_t space) {
    const fc_h5 *h5 = fc_h5_of(__builtin_return_address(0));
    fc_client client;
    fc_reason reason;
    if (read_dataset(h5, dcpl, type, space, &client, &reason)) return 1;
    fc_push(h5, "can_apply", &reason);
    return -1; /* 0 would have the filter left out in silence, as it may be optional */
}

static herr_t set_local(hid_t dcpl, hid_t type, hid_t space) {
    const fc_h5 *h5 = fc_h5_of(__builtin_return_address(0));
    fc_client client;
    fc_reason reason;
    if (read_dataset(h5, dcpl, type, space, &client, &reason)
        && fc_read_fill(h5, dcpl, type, &client, &reason)
        && fc_update_dataset(h5, dcpl, &client, &reason))
        return 0;
    fc_push(h5, "set_local", &reason);
    return -1;
}

/* -- plugin ---------------------------------------------------------------- */

static const H5Z_class2_t class = {
    .version = H5Z_CLASS_T_VERS, .id = FC_FILTER_ID, .encoder_present = 1, .decoder_present = 1,
    .name = "flaccodec", .can_apply = can_apply, .set_local = set_local, .filter = filter};

FC_EXPORT int H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }

FC_EXPORT const void *H5PLget_plugin_info(void) { return &class; }
