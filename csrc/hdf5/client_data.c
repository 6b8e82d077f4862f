#include "hdf5/client_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples/dtype.h"

/* Where each value is. */
enum { LAYOUT, LEVEL, RULE, FIRST, SECOND, FRAME_SIZE, DTYPE, ORDER, N_STREAMS, SIZE_LOW,
       SIZE_HIGH };

static uint64_t two_words(const unsigned *low) {
    return (uint64_t)low[1] << 32 | (uint32_t)low[0];
}

static void put_two_words(unsigned *low, uint64_t value) {
    low[0] = (uint32_t)value;
    low[1] = (uint32_t)(value >> 32);
}

static void put_double(unsigned *low, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_two_words(low, bits);
}

static double from_bits(const unsigned *low) {
    uint64_t bits = two_words(low);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The float64 nearest to the decimal number, as compilers and Python have it. */
static double from_decimal(const unsigned *mantissa) {
    char text[32];
    snprintf(text, sizeof text, "%ue-%u", mantissa[0], mantissa[1]);
    return strtod(text, NULL);
}

static int read_rule(const unsigned *values, fc_client *c, fc_reason *reason) {
    int decimal = values[RULE] == FC_CLIENT_DECIMAL_QUANTA
        || values[RULE] == FC_CLIENT_DECIMAL_PRECISION;
    c->parameter = decimal ? from_decimal(values + FIRST) : from_bits(values + FIRST);
    switch (values[RULE]) {
    case FC_CLIENT_LOSSLESS:
        c->quanta_rule = FC_QUANTA_NONE;
        if (!values[FIRST] && !values[SECOND]) return 1;
        return fc_refuse(reason, "values 4 and 5 of the client data must be 0 where value 3 is 0 "
                         "(lossless). Got %u, %u", values[FIRST], values[SECOND]);
    case FC_CLIENT_QUANTA:
    case FC_CLIENT_DECIMAL_QUANTA:
        c->quanta_rule = FC_QUANTA_GIVEN;
        if (isfinite(c->parameter) && c->parameter > 0) return 1;
        return fc_refuse(reason, "quanta must be positive and finite. Got %g", c->parameter);
    case FC_CLIENT_PRECISION:
    case FC_CLIENT_DECIMAL_PRECISION:
        c->quanta_rule = FC_QUANTA_PRECISION;
        if (isfinite(c->parameter)) return 1;
        return fc_refuse(reason, "precision must be finite. Got %g", c->parameter);
    }
    return fc_refuse(reason, "value 3 of the client data, how quanta are given, must be 0 to 4. "
                     "Got %u", values[RULE]);
}

/* What was not given has its default. */
static void fill_in(const unsigned *given, size_t n, unsigned *values) {
    static const unsigned defaults[FC_CLIENT_USER_VALUES] = {
        FC_CLIENT_LAYOUT, FC_DEFAULT_LEVEL, FC_CLIENT_LOSSLESS, 0, 0, FC_DEFAULT_FRAME_SIZE};
    memcpy(values, defaults, sizeof defaults);
    if (n) memcpy(values, given, n * sizeof *given);
}

/* -- marks ----------------------------------------------------------------- */

static int too_many_marks(fc_reason *reason) {
    return fc_refuse(reason, "there must be at most %d numbers that mark missing samples, the "
                     "fill value among them", FC_CLIENT_MARKS);
}

int fc_add_mark(fc_client *c, double mark, fc_reason *reason) {
    for (int i = 0; i < c->n_marks; i++)
        if (c->marks[i] == mark || (isnan(c->marks[i]) && isnan(mark))) return 1;
    if (c->n_marks == FC_CLIENT_MARKS) return too_many_marks(reason);
    c->marks[c->n_marks++] = mark;
    return 1;
}

/* Sign and direction of the exponent, then m and e. */
static int read_decimal_mark(const unsigned *three, double *mark, fc_reason *reason) {
    static const char *const forms[] = {"%ue-%u", "-%ue-%u", "%ue%u", "-%ue%u"};
    char text[32];
    if (three[0] >= sizeof forms / sizeof *forms)
        return fc_refuse(reason, "the first of the three values of a mark in the client data must "
                         "be 0 to 3. Got %u", three[0]);
    snprintf(text, sizeof text, forms[three[0]], three[1], three[2]);
    *mark = strtod(text, NULL);
    if (isfinite(*mark)) return 1;
    return fc_refuse(reason, "a mark must be finite. Got %s", text);
}

/* Of a dataset that may be copied, all with its fill value in front; else those that users name
 * besides. There are as many values that only the first count goes with, or the second. */
static int read_marks(const unsigned *given, size_t n, fc_client *c, fc_reason *reason) {
    c->marks[0] = 0;
    c->n_marks = 1;
    if (n <= FC_CLIENT_USER_VALUES || n == FC_CLIENT_VALUES) return 1;
    if (given[LAYOUT] == FC_CLIENT_MARKS_LAYOUT && n % 2) {
        c->n_marks = (int32_t)(n - FC_CLIENT_VALUES) / 2;
        for (int i = 0; i < c->n_marks; i++)
            c->marks[i] = from_bits(given + FC_CLIENT_VALUES + 2 * i);
        return 1;
    }
    size_t each = given[LAYOUT] == FC_CLIENT_MARKS_LAYOUT ? 2 : 3;
    for (const unsigned *at = given + FC_CLIENT_USER_VALUES; at < given + n; at += each) {
        double mark = each == 2 ? from_bits(at) : 0;
        if ((each == 3 && !read_decimal_mark(at, &mark, reason)) || !fc_add_mark(c, mark, reason))
            return 0;
    }
    return 1;
}

/* Layout and count; a dataset may be copied, and then all its values are given. */
static int check_layout(const unsigned *given, size_t n, fc_reason *reason) {
    unsigned layout = n ? given[LAYOUT] : FC_CLIENT_LAYOUT;
    if (layout < FC_CLIENT_LAYOUT || layout > FC_CLIENT_DECIMAL_MARKS_LAYOUT)
        return fc_refuse(reason, "value 1 of the client data, their layout, must be %d to "
                         "%d. Got %u; a later flaccodec may know it", FC_CLIENT_LAYOUT,
                         FC_CLIENT_DECIMAL_MARKS_LAYOUT, layout);
    if (n <= FC_CLIENT_USER_VALUES) return 1;
    if (layout == FC_CLIENT_LAYOUT) {
        if (n == FC_CLIENT_VALUES) return 1;
        return fc_refuse(reason, "there must be at most %d values of client data. Got %zu",
                         FC_CLIENT_USER_VALUES, n);
    }
    size_t each = layout == FC_CLIENT_MARKS_LAYOUT ? 2 : 3, user = n - FC_CLIENT_USER_VALUES;
    int is_copy = each == 2 && n > FC_CLIENT_VALUES && n % 2;
    if (is_copy ? n <= FC_CLIENT_MOST_VALUES : user % each == 0 && user / each < FC_CLIENT_MARKS)
        return 1;
    return fc_refuse(reason, "client data of layout %u must be %d values, and %zu for each of at "
                     "most %d marks. Got %zu", layout, FC_CLIENT_USER_VALUES, each,
                     FC_CLIENT_MARKS - 1, n);
}

/* -- all ------------------------------------------------------------------- */

int fc_read_user_values(const unsigned *given, size_t n, fc_client *c, fc_reason *reason) {
    unsigned values[FC_CLIENT_USER_VALUES];
    if (!check_layout(given, n, reason)) return 0;
    fill_in(given, n < FC_CLIENT_USER_VALUES ? n : FC_CLIENT_USER_VALUES, values);
    if (values[LEVEL] > FC_MAX_LEVEL)
        return fc_refuse(reason, "level must be 0 to %d. Got %u", FC_MAX_LEVEL, values[LEVEL]);
    if (values[FRAME_SIZE] < FC_MIN_FRAME_SIZE || values[FRAME_SIZE] > FC_MAX_FRAME_SIZE)
        return fc_refuse(reason, "frame_size must be %d to %d. Got %u", FC_MIN_FRAME_SIZE,
                         FC_MAX_FRAME_SIZE, values[FRAME_SIZE]);
    c->level = (int32_t)values[LEVEL];
    c->frame_size = values[FRAME_SIZE];
    return read_rule(values, c, reason) && read_marks(given, n, c, reason);
}

int fc_check_client(const fc_client *c, fc_reason *reason) {
    if (c->quanta_rule != FC_QUANTA_NONE && !fc_is_float(c->chunk.dtype))
        return fc_refuse(reason, "%s is for float32 and float64; integers are stored exactly. "
                         "Got dtype %s: leave it out",
                         c->quanta_rule == FC_QUANTA_GIVEN ? "quanta" : "precision",
                         fc_dtype_name(c->chunk.dtype));
    if (fc_head_bound(c->chunk.dtype, c->chunk.n_streams, c->chunk.stream_size, c->frame_size) < 0)
        return fc_refuse(reason, "%s: %" PRId64 " streams of %" PRId64 " samples",
                         fc_code_text(FC_ERR_TOO_LARGE), c->chunk.n_streams, c->chunk.stream_size);
    return 1;
}

int fc_read_client_data(const unsigned *values, size_t n, fc_client *c, fc_reason *reason) {
    if (n < FC_CLIENT_VALUES || n > FC_CLIENT_MOST_VALUES || n % 2 == 0)
        /* HDF5 asks no filter when such a dataset is created. */
        return fc_refuse(reason, "the dataset must have %d values of client data. Got %zu, as have "
                         "datasets of variable length, which cannot be compressed",
                         FC_CLIENT_VALUES, n);
    if (values[LAYOUT] == FC_CLIENT_DECIMAL_MARKS_LAYOUT)
        return fc_refuse(reason, "value 1 of a dataset's client data, their layout, must be %d or "
                         "%d. Got %u", FC_CLIENT_LAYOUT, FC_CLIENT_MARKS_LAYOUT, values[LAYOUT]);
    if (!fc_read_user_values(values, n, c, reason)) return 0;
    uint64_t stream_size = two_words(values + SIZE_LOW);
    if (!fc_item_size((int)values[DTYPE]) || values[ORDER] > 1 || !values[N_STREAMS]
        || !stream_size || stream_size > INT64_MAX)
        return fc_refuse(reason, "values 7 to 11 of the client data describe no chunk: "
                         "%u, %u, %u, %u, %u", values[DTYPE], values[ORDER],
                         values[N_STREAMS], values[SIZE_LOW], values[SIZE_HIGH]);
    c->chunk = (fc_expect){(int32_t)values[DTYPE], values[N_STREAMS], (int64_t)stream_size};
    c->big_endian = (int32_t)values[ORDER];
    return fc_check_client(c, reason);
}

size_t fc_write_client_data(const fc_client *c, unsigned values[FC_CLIENT_MOST_VALUES]) {
    int is_lossless = c->quanta_rule == FC_QUANTA_NONE;
    int has_marks = !is_lossless && (c->n_marks > 1 || c->marks[0] != 0);
    values[LAYOUT] = has_marks ? FC_CLIENT_MARKS_LAYOUT : FC_CLIENT_LAYOUT;
    values[LEVEL] = (unsigned)c->level;
    values[RULE] = c->quanta_rule == FC_QUANTA_GIVEN ? FC_CLIENT_QUANTA
        : c->quanta_rule == FC_QUANTA_PRECISION      ? FC_CLIENT_PRECISION
                                                     : FC_CLIENT_LOSSLESS;
    put_double(values + FIRST, is_lossless ? 0 : c->parameter);
    values[FRAME_SIZE] = (unsigned)c->frame_size;
    values[DTYPE] = (unsigned)c->chunk.dtype;
    values[ORDER] = (unsigned)c->big_endian;
    values[N_STREAMS] = (unsigned)c->chunk.n_streams;
    put_two_words(values + SIZE_LOW, (uint64_t)c->chunk.stream_size);
    if (!has_marks) return FC_CLIENT_VALUES;
    for (int i = 0; i < c->n_marks; i++)
        put_double(values + FC_CLIENT_VALUES + 2 * i, c->marks[i]);
    return (size_t)(FC_CLIENT_VALUES + 2 * c->n_marks);
}
