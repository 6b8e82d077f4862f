/* Linked to the filter, makes a plugin whose memory runs out: at one allocation of each call
 * from HDF5, of its own and of HDF5's, as flaccodec_fail_at() says, or FLACCODEC_TEST_FAILS_AT. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hdf5/h5.h"

static atomic_long fails_at = -1, until_failure = -1; /* -1: never */
static atomic_long n_failures;

/* From now on; 0 for the first. Returns how often memory ran out since this was called last. */
FC_EXPORT long flaccodec_fail_at(long n) {
    fails_at = n;
    until_failure = -1;
    return atomic_exchange(&n_failures, 0);
}

__attribute__((constructor)) static void ask(void) {
    const char *given = getenv("FLACCODEC_TEST_FAILS_AT");
    if (given) fails_at = atol(given);
}

static int runs_out(void) {
    if (until_failure < 0 || atomic_fetch_sub(&until_failure, 1)) return 0;
    n_failures++;
    return 1;
}

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
const fc_h5 *__real_fc_h5_of(const void *address);

void *__wrap_malloc(size_t size) { return runs_out() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t n, size_t size) { return runs_out() ? NULL : __real_calloc(n, size); }

void *__wrap_realloc(void *memory, size_t size) {
    return runs_out() ? NULL : __real_realloc(memory, size);
}

static const fc_h5 *found; /* HDF5 calls one filter at a time */

static void *allocate(size_t size, int clear) {
    return runs_out() ? NULL : found->allocate(size, clear);
}

static void *resize(void *memory, size_t size) {
    return runs_out() ? NULL : found->resize(memory, size);
}

/* Each call from HDF5 begins with this. */
const fc_h5 *__wrap_fc_h5_of(const void *address) {
    static fc_h5 failing;
    until_failure = -1;
    found = __real_fc_h5_of(address);
    failing = *found;
    failing.allocate = allocate;
    failing.resize = resize;
    until_failure = fails_at;
    return &failing;
}
