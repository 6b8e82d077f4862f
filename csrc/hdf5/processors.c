#include "processors.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "../affinity.h"

#define VARIABLE "FLACCODEC_NUM_THREADS" /* as in flaccodec/threads.py */

static int chosen_threads, is_in_pool;

FC_EXPORT void flaccodec_set_threads(int chosen, int in_pool) {
    __atomic_store_n(&chosen_threads, chosen, __ATOMIC_RELAXED);
    __atomic_store_n(&is_in_pool, in_pool, __ATOMIC_RELAXED);
}

static void begin_in_child(void) { __atomic_store_n(&is_in_pool, 1, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, begin_in_child);
}

static const char *skip_spaces(const char *text) {
    while (isspace((unsigned char)*text)) text++;
    return text;
}

/* 0 where it says nothing, -1 where it is no number that will do. */
static int from_environment(const char *text) {
    char *end;
    if (!text || !*skip_spaces(text)) return 0;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || *skip_spaces(end) || n < 1) return -1;
    return errno || n > INT_MAX ? INT_MAX : (int)n;
}

int fc_filter_threads(fc_reason *reason) {
    int chosen = __atomic_load_n(&chosen_threads, __ATOMIC_RELAXED);
    const char *text = getenv(VARIABLE);
    int n = chosen ? chosen : from_environment(text);
    if (n < 0)
        return fc_refuse(reason, "environment variable %s must be an integer of at least 1. "
                         "Got '%.40s'", VARIABLE, text);
    if (n) return n;
    int in_pool = __atomic_load_n(&is_in_pool, __ATOMIC_RELAXED) || !fc_in_main_thread();
    return in_pool ? 1 : fc_available_processors();
}
