#include "hdf5/dataset.h"

#include <string.h>

#include "samples/dtype.h"

/* -- dtypes ---------------------------------------------------------------- */

/* H5T_class_t, with what to do about dtypes that FLAC cannot hold. */
static const char *const classes[] = {
    "an integer of another size, precision or layout than those",
    "a float of another size or layout than those; convert it to float32 or float64",
    "a time",
    "a string",
    "a bit field",
    "opaque",
    "a compound; store each field, or real and imaginary part, as a dataset of its own",
    "a reference",
    "an enumeration or bool; convert it to uint8",
    "of variable length",
    "an array; give the dataset its axes instead",
    "complex; store real and imaginary part as two datasets",
};

static const char *describe(int class) {
    return class < 0 || class >= (int)(sizeof classes / sizeof *classes) ? "of an unknown class"
                                                                         : classes[class];
}

/* All bits of an integer count. */
static int integer_of(const fc_h5 *h5, hid_t type, size_t size) {
    int is_unsigned = h5->Tget_sign(type) == H5T_SGN_NONE;
    if (h5->Tget_precision(type) != 8 * size) return 0;
    switch (size) {
    case 1: return is_unsigned ? FC_UINT8 : FC_INT8;
    case 2: return is_unsigned ? FC_UINT16 : FC_INT16;
    case 4: return is_unsigned ? FC_UINT32 : FC_INT32;
    case 8: return is_unsigned ? FC_UINT64 : FC_INT64;
    }
    return 0;
}

/* A float with the fields that IEEE 754 has for its size. */
static int float_of(const fc_h5 *h5, hid_t type, size_t size) {
    size_t sign_at, exponent_at, exponent_size, mantissa_at, mantissa_size;
    if (h5->Tget_norm(type) != H5T_NORM_IMPLIED
        || h5->Tget_fields(type, &sign_at, &exponent_at, &exponent_size, &mantissa_at,
                           &mantissa_size) < 0
        || mantissa_at != 0 || exponent_at != mantissa_size || sign_at != 8 * size - 1
        || exponent_at + exponent_size != sign_at)
        return 0;
    for (int dtype = 1; fc_item_size(dtype); dtype++)
        if (fc_is_float(dtype) && (size_t)fc_item_size(dtype) == size
            && (size_t)fc_float_of(dtype)->mantissa_bits == mantissa_size)
            return h5->Tget_ebias(type) == ((size_t)1 << (exponent_size - 1)) - 1 ? dtype : 0;
    return 0;
}

static int dtype_of(const fc_h5 *h5, hid_t type, size_t size, int class, int order) {
    if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return 0;
    return class == H5T_INTEGER ? integer_of(h5, type, size)
        : class == H5T_FLOAT    ? float_of(h5, type, size)
                                : 0;
}

static int read_dtype(const fc_h5 *h5, hid_t type, fc_client *client, fc_reason *reason) {
    size_t size = h5->Tget_size(type);
    int class = h5->Tget_class(type);
    int is_number = class == H5T_INTEGER || class == H5T_FLOAT; /* others may have no order */
    int order = is_number ? h5->Tget_order(type) : -1;
    client->chunk.dtype = dtype_of(h5, type, size, class, order);
    client->big_endian = order == H5T_ORDER_BE && size > 1;
    if (client->chunk.dtype) return 1;
    return fc_refuse(reason, "the dtype must be one of int8, int16, int32, int64, uint8, uint16, "
                     "uint32, uint64, float32, float64. Got one of %zu bytes that is %s",
                     size, describe(class));
}

/* -- chunks ---------------------------------------------------------------- */

static int read_shape(const fc_h5 *h5, hid_t space, fc_client *client, fc_reason *reason) {
    hsize_t dims[H5S_MAX_RANK];
    int rank = h5->Sget_simple_extent_dims(space, dims, NULL);
    if (rank < 1) return fc_refuse(reason, "only datasets with chunks can be compressed");
    hsize_t n_streams = 1;
    for (int i = 0; i < rank - 1; i++)
        if (!dims[i] || __builtin_mul_overflow(n_streams, dims[i], &n_streams)
            || n_streams > UINT32_MAX)
            return fc_refuse(reason, "%s", fc_code_text(FC_ERR_TOO_LARGE));
    if (!dims[rank - 1] || dims[rank - 1] > INT64_MAX)
        return fc_refuse(reason, "%s", fc_code_text(FC_ERR_TOO_LARGE));
    client->chunk.n_streams = (int64_t)n_streams;
    client->chunk.stream_size = (int64_t)dims[rank - 1];
    return 1;
}

/* -- filters --------------------------------------------------------------- */

#define MORE_VALUES 64 /* so that a count which is too large is seen as it is */

/* Takes the samples as they are, so nothing may stand before it. */
static int read_filters(const fc_h5 *h5, hid_t dcpl, fc_client *client, fc_reason *reason) {
    unsigned values[MORE_VALUES], flags, config;
    size_t n = MORE_VALUES, none = 0;
    char name[64] = "";
    int first = h5->Pget_filter2(dcpl, 0, &flags, &n, values, sizeof name, name, &config);
    if (first < 0) return fc_refuse(reason, "the dataset's filters could not be read");
    if (first != FC_FILTER_ID)
        return fc_refuse(reason, "no filter may stand before this one, which needs the samples as "
                         "they are. Got filter %d (%s): leave it out, or put it behind", first,
                         *name ? name : "without a name");
    for (int i = 1; i < h5->Pget_nfilters(dcpl); i++, none = 0)
        if (h5->Pget_filter2(dcpl, (unsigned)i, &flags, &none, NULL, 0, NULL, &config)
            == FC_FILTER_ID)
            return fc_refuse(reason, "the filter is there twice: once will do");
    return fc_read_user_values(values, n, client, reason);
}

/* -- fill value ------------------------------------------------------------ */

static int own_fill(const fc_h5 *h5, hid_t dcpl, hid_t type, const fc_client *client,
                    double *fill) {
    uint8_t value[8] = {0};
    size_t size = (size_t)fc_item_size(client->chunk.dtype);
    uint64_t bits = 0;
    if (h5->Pget_fill_value(dcpl, type, value) < 0) return 0;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)value[client->big_endian ? size - 1 - i : i] << 8 * i;
    *fill = fc_value_of_bits(client->chunk.dtype, bits);
    return 1;
}

int fc_read_fill(const fc_h5 *h5, hid_t dcpl, hid_t type, fc_client *client, fc_reason *reason) {
    int status, when;
    if (!fc_is_float(client->chunk.dtype)) return 1;
    if (h5->Pfill_value_defined(dcpl, &status) < 0 || h5->Pget_fill_time(dcpl, &when) < 0
        || (status == H5D_FILL_VALUE_USER_DEFINED
            && !own_fill(h5, dcpl, type, client, &client->marks[0])))
        return fc_refuse(reason, "the dataset's fill value could not be read");
    /* HDF5 fills partial chunks up with zeros then. Quanta that are given have all zeros on
     * their grid; those that follow the samples must know that these are none. */
    int pads_with_zeros = status != H5D_FILL_VALUE_USER_DEFINED || when == H5D_FILL_TIME_NEVER;
    return !pads_with_zeros || client->quanta_rule != FC_QUANTA_PRECISION
        || fc_add_mark(client, 0, reason);
}

/* -------------------------------------------------------------------------- */

int fc_read_dataset(const fc_h5 *h5, hid_t dcpl, hid_t type, hid_t space, fc_client *client,
                    fc_reason *reason) {
    return read_dtype(h5, type, client, reason) && read_shape(h5, space, client, reason)
        && read_filters(h5, dcpl, client, reason) && fc_check_client(client, reason);
}

/* Optional whatever the program said, so that HDF5 stores a chunk that cannot be encoded, as
 * when there is no memory, as the samples that it holds, and notes that in its filter mask.
 * Where a mandatory filter fails as HDF5 flushes a chunk, it loses the file. */
int fc_update_dataset(const fc_h5 *h5, hid_t dcpl, const fc_client *client, fc_reason *reason) {
    unsigned values[FC_CLIENT_MOST_VALUES];
    size_t n = fc_write_client_data(client, values);
    if (h5->Pmodify_filter(dcpl, FC_FILTER_ID, H5Z_FLAG_OPTIONAL, n, values) < 0)
        return fc_refuse(reason, "the client data could not be set");
    return 1;
}
