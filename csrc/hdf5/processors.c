#include "hdf5/processors.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "threads/affinity.h"

#define VARIABLE "FLACCODEC_NUM_THREADS" /* as in flaccodec/threads.py */
#define OPENMP_VARIABLE "OMP_NUM_THREADS"

static int chosen_threads, is_in_pool, is_forked;
/* Of the environment, asked once: another thread may be changing it later, and asking would
 * crash. 0 where it says nothing, -1 where it is no number that will do. */
static int environment_threads;
static char environment_text[41];

FC_EXPORT void flaccodec_set_threads(int chosen, int in_pool) {
    __atomic_store_n(&chosen_threads, chosen, __ATOMIC_RELAXED);
    __atomic_store_n(&is_in_pool, in_pool, __ATOMIC_RELAXED);
}

static void begin_in_child(void) { is_forked = 1; }

static const char *skip_spaces(const char *text) {
    while (isspace((unsigned char)*text)) text++;
    return text;
}

/* What comes first in *text, which goes on to what follows it; -1 if that is no number that
 * will do. */
static int take_number(const char **text) {
    char *end;
    errno = 0;
    long n = strtol(*text, &end, 10);
    if (end == *text || n < 1) return -1;
    *text = skip_spaces(end);
    return errno || n > INT_MAX ? INT_MAX : (int)n;
}

static int read_number(const char *text) {
    int n = take_number(&text);
    return *text ? -1 : n;
}

/* The first of OpenMP's list, which has a number for each nested level; 0 for anything else:
 * OpenMP's own libraries pass over that, too. */
static int read_openmp_list(const char *text) {
    int first = take_number(&text), n = first;
    while (n > 0 && *text == ',') {
        text++;
        n = take_number(&text);
    }
    return n > 0 && !*text ? first : 0;
}

static int is_blank(const char *text) { return !text || !*skip_spaces(text); }

/* For messages: readers of HDF5's errors want them in UTF-8. */
static void note_text(const char *text) {
    for (size_t i = 0; text[i] && i + 1 < sizeof environment_text; i++)
        environment_text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv(VARIABLE), *openmp = getenv(OPENMP_VARIABLE);
    pthread_atfork(NULL, NULL, begin_in_child);
    if (is_blank(text)) {
        environment_threads = openmp ? read_openmp_list(openmp) : 0;
    } else {
        environment_threads = read_number(text);
        note_text(text);
    }
}

int fc_filter_threads(fc_reason *reason) {
    int chosen = __atomic_load_n(&chosen_threads, __ATOMIC_RELAXED);
    int n = chosen ? chosen : environment_threads;
    if (n < 0)
        return fc_refuse(reason, "environment variable %s must be an integer of at least 1. "
                         "Got '%s'", VARIABLE, environment_text);
    if (n) return n;
    int in_pool = is_forked || __atomic_load_n(&is_in_pool, __ATOMIC_RELAXED)
        || !fc_in_main_thread();
    return in_pool ? 1 : fc_available_processors();
}
