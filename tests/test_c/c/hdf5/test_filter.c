/* The filter against a stand-in for HDF5, which this program is: the filter
 * finds the functions below in the program that calls it. So memory can be
 * made to run out at each allocation in turn. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flaccodec.h"
#include "hdf5/client_data.h"
#include "hdf5/dataset.h"

#define EXPORT __attribute__((visibility("default")))

static int failures, checks;

#define CHECK(condition)                                                        \
    do {                                                                        \
        checks++;                                                               \
        if (!(condition)) {                                                     \
            failures++;                                                         \
            printf("%s:%d: %s (stack: %s)\n", __FILE__, __LINE__, #condition, stack); \
        }                                                                       \
    } while (0)

const void *H5PLget_plugin_info(void);

/* -- memory ---------------------------------------------------------------- */

static long live, until_failure = -1; /* blocks; allocations that still succeed, -1 for all */

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
void __real_free(void *);

static int runs_out(void) { return until_failure >= 0 && until_failure-- == 0; }

static void *count(void *memory) {
    live += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size) { return runs_out() ? NULL : count(__real_malloc(size)); }

void *__wrap_calloc(size_t n, size_t size) {
    return runs_out() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *memory, size_t size) {
    if (runs_out()) return NULL;
    return memory ? __real_realloc(memory, size) : count(__real_realloc(memory, size));
}

void __wrap_free(void *memory) {
    live -= memory != NULL;
    __real_free(memory);
}

/* -- the stand-in ------------------------------------------------------------ */

static char stack[500]; /* what was pushed last */
static int open_things; /* classes, messages and stacks that were made and not given back */
static unsigned values[64], n_values, filter_flags;
static hsize_t dims[2];

/* Marked in front, so that memory of others is told from it. */
#define MARK 16
static const char mark[MARK] = "memory of HDF5";
static size_t in_front; /* MARK, or 0 where the filter cannot find these functions */

EXPORT void *H5resize_memory(void *memory, size_t size) {
    char *old = memory ? (char *)memory - in_front : NULL;
    CHECK(!old || !memcmp(old, mark, in_front));
    char *resized = realloc(old, size + in_front);
    if (!resized) return NULL;
    memcpy(resized, mark, in_front);
    return resized + in_front;
}

EXPORT void *H5allocate_memory(size_t size, int clear) {
    char *memory = H5resize_memory(NULL, size);
    return memory && clear ? memset(memory, 0, size) : memory;
}

EXPORT herr_t H5free_memory(void *memory) {
    char *old = memory ? (char *)memory - in_front : NULL;
    CHECK(!old || !memcmp(old, mark, in_front));
    free(old);
    return 0;
}

EXPORT hid_t H5Eregister_class(const char *a, const char *b, const char *c) {
    (void)a, (void)b, (void)c;
    return ++open_things;
}

EXPORT hid_t H5Ecreate_msg(hid_t class, int type, const char *text) {
    (void)class, (void)type, (void)text;
    return ++open_things;
}

EXPORT hid_t H5Ecreate_stack(void) { return ++open_things; }

EXPORT herr_t H5Epush2(hid_t s, const char *file, const char *function, unsigned line, hid_t class,
                       hid_t major, hid_t minor, const char *format, ...) {
    va_list arguments;
    (void)s, (void)file, (void)function, (void)line, (void)class, (void)major, (void)minor;
    va_start(arguments, format);
    vsnprintf(stack, sizeof stack, format, arguments);
    va_end(arguments);
    return 0;
}

static herr_t give_back(hid_t thing) {
    (void)thing;
    open_things--;
    return 0;
}

EXPORT herr_t H5Eset_current_stack(hid_t s) { return give_back(s); }
EXPORT herr_t H5Eclose_msg(hid_t message) { return give_back(message); }
EXPORT herr_t H5Eunregister_class(hid_t class) { return give_back(class); }

EXPORT int H5Pget_nfilters(hid_t plist) { return plist == 1; }

static float fill_value; /* 0: undefined */
static int fill_time = 2; /* where it is set; 1 never */

EXPORT herr_t H5Pfill_value_defined(hid_t plist, int *status) {
    (void)plist;
    *status = fill_value ? H5D_FILL_VALUE_USER_DEFINED : 1;
    return 0;
}

EXPORT herr_t H5Pget_fill_value(hid_t plist, hid_t type, void *value) {
    (void)plist, (void)type;
    memcpy(value, &fill_value, sizeof fill_value);
    return 0;
}

EXPORT herr_t H5Pget_fill_time(hid_t plist, int *when) {
    (void)plist;
    *when = fill_time;
    return 0;
}

EXPORT int H5Pget_filter2(hid_t plist, unsigned index, unsigned *flags, size_t *n, unsigned out[],
                          size_t name_size, char name[], unsigned *config) {
    (void)plist, (void)index, (void)flags, (void)config, (void)name_size, (void)name;
    for (size_t i = 0; i < *n && i < n_values; i++) out[i] = values[i];
    *n = n_values;
    return FC_FILTER_ID;
}

EXPORT herr_t H5Pmodify_filter(hid_t plist, int filter, unsigned flags, size_t n,
                               const unsigned given[]) {
    (void)plist;
    if (filter != FC_FILTER_ID) return -1;
    filter_flags = flags;
    n_values = (unsigned)n;
    memcpy(values, given, n * sizeof *given);
    return 0;
}

EXPORT int H5Sget_simple_extent_dims(hid_t space, hsize_t out[], hsize_t max_dims[]) {
    (void)space, (void)max_dims;
    memcpy(out, dims, sizeof dims);
    return 2;
}

/* A type's identifier is its fc_dtype, 100 more for big-endian. */
EXPORT int H5Tget_class(hid_t type) { return type % 100 >= FC_FLOAT32; }
EXPORT size_t H5Tget_size(hid_t type) {
    static const size_t sizes[] = {0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
    return sizes[type % 100];
}
EXPORT int H5Tget_order(hid_t type) { return type >= 100; }
EXPORT int H5Tget_sign(hid_t type) { return type % 100 < FC_UINT8; }
EXPORT size_t H5Tget_precision(hid_t type) { return 8 * H5Tget_size(type); }
EXPORT size_t H5Tget_ebias(hid_t type) { return H5Tget_size(type) == 4 ? 127 : 1023; }
EXPORT int H5Tget_norm(hid_t type) { return (int)(type * 0); }

EXPORT herr_t H5Tget_fields(hid_t type, size_t *sign_at, size_t *exponent_at, size_t *exponent_size,
                            size_t *mantissa_at, size_t *mantissa_size) {
    int is_small = H5Tget_size(type) == 4;
    *sign_at = is_small ? 31 : 63;
    *exponent_at = *mantissa_size = is_small ? 23 : 52;
    *exponent_size = is_small ? 8 : 11;
    *mantissa_at = 0;
    return 0;
}

/* -- tests --------------------------------------------------------------------- */

#define STREAMS 3
#define SAMPLES 300
#define SIZE (STREAMS * SAMPLES * 4)

static const H5Z_class2_t *filter_class;

static void set_user_values(unsigned n, const unsigned *given) {
    n_values = n;
    memcpy(values, given, n * sizeof *given);
}

static void prepare(hid_t type, hsize_t n_streams, hsize_t stream_size) {
    dims[0] = n_streams;
    dims[1] = stream_size;
    CHECK(filter_class->can_apply(1, type, 1) == 1);
    CHECK(filter_class->set_local(1, type, 1) == 0);
}

static void test_set_local_again(void) {
    const unsigned user[] = {1, 7, FC_CLIENT_DECIMAL_QUANTA, 5, 1};
    const unsigned first[] = {1, 7, 1, 0, 0x3fe00000, 4096, FC_FLOAT32, 0, STREAMS, SAMPLES, 0};
    const unsigned other[] = {1, 7, 1, 0, 0x3fe00000, 4096, FC_FLOAT64, 1, 4, 0, 1};
    set_user_values(5, user);
    prepare(FC_FLOAT32, STREAMS, SAMPLES);
    CHECK(n_values == 11 && !memcmp(values, first, sizeof first));
    prepare(FC_FLOAT32, STREAMS, SAMPLES);
    CHECK(n_values == 11 && !memcmp(values, first, sizeof first));
    prepare(100 + FC_FLOAT64, 4, (hsize_t)1 << 32);
    CHECK(n_values == 11 && !memcmp(values, other, sizeof other));
    CHECK(filter_flags == H5Z_FLAG_OPTIONAL);
    CHECK(filter_class->can_apply(1, FC_INT32, 1) < 0);
    CHECK(strstr(stack, "quanta is for float32 and float64"));
    CHECK(n_values == 11 && !memcmp(values, other, sizeof other));
    prepare(FC_FLOAT32, STREAMS, SAMPLES);
    CHECK(n_values == 11 && !memcmp(values, first, sizeof first));
    CHECK(open_things == 0);
}

/* -9999, 1e20, -1.5 as two values each */
#define MISSING 0, 0xc0c38780
#define LARGE 0x78b58c40, 0x4415af1d
#define OTHER 0, 0xbff80000
#define QUANTA 1, 0, 0x3fe00000, 4096
#define PRECISION 2, 0, 0x40080000, 4096
#define CHUNK FC_FLOAT32, 0, STREAMS, SAMPLES, 0

/* Checks what becomes of values that are given. */
static void check_values(unsigned n, const unsigned *given, unsigned n_kept, const unsigned *kept) {
    set_user_values(n, given);
    for (int i = 0; i < 2; i++) {
        prepare(FC_FLOAT32, STREAMS, SAMPLES);
        CHECK(n_values == n_kept && !memcmp(values, kept, n_kept * sizeof *kept));
    } /* as do copies, which are given all that the first has */
}

#define CHECK_VALUES(given, kept) \
    check_values(sizeof given / sizeof *given, given, sizeof kept / sizeof *kept, kept)

/* The fill value stands behind, where there is one that needs care. */
static void test_fill_value(void) {
    const unsigned user[] = {1, 5, FC_CLIENT_DECIMAL_QUANTA, 5, 1};
    const unsigned filled[] = {2, 5, QUANTA, CHUNK, MISSING};
    const unsigned none[] = {1, 5, QUANTA, CHUNK};
    fill_value = -9999;
    CHECK_VALUES(user, filled);
    fill_value = 0;
    CHECK_VALUES(user, none);
}

/* That of a dataset without one is what was given: that of the dataset that it is a copy of. */
static void test_fill_value_of_a_copy(void) {
    const unsigned given[] = {2, 5, QUANTA, CHUNK, MISSING};
    const unsigned own[] = {2, 5, QUANTA, CHUNK, OTHER};
    const unsigned two[] = {2, 5, QUANTA, CHUNK, MISSING, LARGE};
    const unsigned own_and_second[] = {2, 5, QUANTA, CHUNK, OTHER, LARGE};
    CHECK_VALUES(given, given);
    CHECK_VALUES(two, two);
    fill_value = -1.5;
    CHECK_VALUES(given, own);
    CHECK_VALUES(two, own_and_second);
    fill_value = 0;
}

/* HDF5 fills chunks up with zeros then, which must not be taken for samples. */
static void test_quanta_that_follow_samples_know_of_zeros(void) {
    const unsigned given[] = {2, 5, PRECISION, CHUNK, MISSING};
    const unsigned padded[] = {2, 5, PRECISION, CHUNK, MISSING, 0, 0};
    const unsigned none[] = {1, 5, PRECISION, CHUNK};
    CHECK_VALUES(given, padded);
    CHECK_VALUES(none, none);
    fill_value = -9999;
    CHECK_VALUES(given, given);
    CHECK_VALUES(none, given);
    fill_time = 1;
    CHECK_VALUES(none, padded);
    fill_value = 0, fill_time = 2;
}

/* As people type them: with the bits of a float64, or as decimal numbers. */
static void test_marks_that_are_named(void) {
    const unsigned words[] = {2, 5, QUANTA, MISSING, LARGE};
    const unsigned decimals[] = {3, 5, QUANTA, 1, 99990, 1, 2, 1, 20};
    const unsigned one[] = {3, 5, QUANTA, 3, 9999, 0};
    const unsigned kept[] = {2, 5, QUANTA, CHUNK, 0, 0, MISSING, LARGE};
    const unsigned kept_one[] = {2, 5, QUANTA, CHUNK, 0, 0, MISSING};
    const unsigned filled[] = {2, 5, QUANTA, CHUNK, OTHER, MISSING, LARGE};
    const unsigned lossless[] = {2, 5, 0, 0, 0, 4096, MISSING}, plain[] = {1, 5, 0, 0, 0, 4096, CHUNK};
    CHECK_VALUES(words, kept);
    CHECK_VALUES(decimals, kept);
    CHECK_VALUES(one, kept_one);
    CHECK_VALUES(lossless, plain);
    fill_value = -1.5;
    CHECK_VALUES(words, filled);
    CHECK_VALUES(decimals, filled);
    fill_value = 0;
}

static float sample(int i) {
    /* Not finite here and there, so that there are exceptions, which take memory too. */
    return i % 50 == 7 ? 1.f / 0.f : (float)((i * 7919) % 1000);
}

static void *new_samples(void) {
    float *samples = H5allocate_memory(SIZE, 0);
    for (int i = 0; i < SIZE / 4; i++) samples[i] = sample(i);
    return samples;
}

static int are_samples(const float *got) {
    for (int i = 0; i < SIZE / 4; i++)
        if (got[i] != sample(i)) return 0;
    return 1;
}

static size_t call(unsigned flags, size_t nbytes, size_t *buf_size, void **buf) {
    return filter_class->filter(flags, n_values, values, nbytes, buf_size, buf);
}

/* Has memory run out at the first allocation, the second, and so on, until
 * the call succeeds; returns how often it did not. */
static int fail_in_turn(unsigned flags, size_t *nbytes, size_t *buf_size, void **buf) {
    for (int n = 0;; n++) {
        void *before = *buf, *copy = H5allocate_memory(*nbytes, 0);
        size_t size_before = *buf_size;
        memcpy(copy, before, *nbytes);
        long live_before = live;
        *stack = 0;
        until_failure = n;
        size_t size = call(flags, *nbytes, buf_size, buf);
        int ran_out = until_failure < 0;
        until_failure = -1;
        if (!ran_out || size) {
            CHECK(!ran_out && size);
            CHECK(live == live_before);
            H5free_memory(copy);
            *nbytes = size;
            return n;
        }
        CHECK(strstr(stack, "out of memory"));
        CHECK(*buf == before && *buf_size == size_before && !memcmp(before, copy, *nbytes));
        CHECK(live == live_before);
        H5free_memory(copy);
    }
}

static void test_memory_that_runs_out(void) {
    const unsigned user[] = {1, 5, FC_CLIENT_DECIMAL_QUANTA, 1, 0, 64};
    set_user_values(6, user);
    prepare(FC_FLOAT32, STREAMS, SAMPLES);
    void *buf = new_samples();
    size_t nbytes = SIZE, buf_size = SIZE;
    CHECK(fail_in_turn(0, &nbytes, &buf_size, &buf) > 8);
    /* HDF5 puts the samples of other chunks into it. */
    CHECK(nbytes < SIZE && buf_size >= SIZE);
    memset((char *)buf + nbytes, 1, SIZE - nbytes);
    CHECK(fail_in_turn(H5Z_FLAG_REVERSE, &nbytes, &buf_size, &buf) > 3);
    CHECK(nbytes == SIZE && buf_size >= SIZE && are_samples(buf));
    H5free_memory(buf);
    CHECK(live == 0);
    CHECK(open_things == 0);
}

static void test_sizes_that_are_wrong(void) {
    const unsigned none[] = {0};
    set_user_values(0, none);
    prepare(FC_FLOAT32, STREAMS, SAMPLES);
    void *buf = new_samples();
    size_t buf_size = SIZE;
    CHECK(call(0, SIZE - 4, &buf_size, &buf) == 0);
    CHECK(strstr(stack, "must have 3600 bytes. Got 3596"));
    CHECK(are_samples(buf));
    n_values = 6;
    CHECK(call(0, SIZE, &buf_size, &buf) == 0);
    CHECK(strstr(stack, "must have 11 values of client data. Got 6"));
    CHECK(are_samples(buf));
    n_values = 11;
    values[10] = 1u << 30; /* more bytes than there are addresses */
    CHECK(call(H5Z_FLAG_REVERSE, SIZE, &buf_size, &buf) == 0);
    CHECK(are_samples(buf));
    H5free_memory(buf);
    CHECK(live == 0);
}

int main(int argc, char **argv) {
    filter_class = H5PLget_plugin_info();
    if (argc > 1 && !strcmp(argv[1], "hidden")) {
        /* Built so that the functions above cannot be found. */
        const unsigned given[] = {1, 5, 0, 0, 0, 64, FC_FLOAT32, 0, STREAMS, SAMPLES, 0};
        set_user_values(11, given);
        void *buf = new_samples();
        size_t nbytes = SIZE, buf_size = SIZE;
        CHECK(filter_class->can_apply(1, FC_FLOAT32, 1) < 0);
        CHECK(filter_class->set_local(1, FC_FLOAT32, 1) < 0);
        nbytes = call(0, nbytes, &buf_size, &buf);
        CHECK(nbytes && call(H5Z_FLAG_REVERSE, nbytes, &buf_size, &buf) == SIZE);
        CHECK(are_samples(buf));
        CHECK(call(H5Z_FLAG_REVERSE, SIZE, &buf_size, &buf) == 0 && !*stack);
        H5free_memory(buf);
        CHECK(live == 0);
    } else {
        test_set_local_again();
        test_fill_value();
        test_fill_value_of_a_copy();
        test_quanta_that_follow_samples_know_of_zeros();
        test_marks_that_are_named();
        in_front = MARK;
        test_memory_that_runs_out();
        test_sizes_that_are_wrong();
    }
    printf("%d checks, %d fail\n", checks, failures);
    return failures != 0;
}
