#include "threads/stop.h"

#include <time.h>

#include "base/error.h"

/* The clock of the last tick is good enough, and costs next to nothing. */
#ifdef CLOCK_MONOTONIC_COARSE
#define CLOCK CLOCK_MONOTONIC_COARSE
#else
#define CLOCK CLOCK_MONOTONIC
#endif

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

fc_stopping fc_begin_stopping(const fc_stop *stop) {
    fc_stopping s = {.stop = stop};
    if (!stop) return s;
    s.caller = pthread_self();
    s.asked = now();
    return s;
}

static int wants_stop(fc_stopping *s) {
    const fc_stop *stop = s->stop;
    if (stop->flag && __atomic_load_n(stop->flag, __ATOMIC_RELAXED)) return 1;
    if (!stop->ask || !pthread_equal(s->caller, pthread_self()) || now() - s->asked < FC_ASK_MS)
        return 0;
    int wanted = stop->ask(stop->context) != 0;
    s->asked = now();
    return wanted;
}

int fc_is_stopped(fc_stopping *s) {
    if (!s->stop) return 0;
    if (__atomic_load_n(&s->is_stopped, __ATOMIC_RELAXED)) return 1;
    if (!wants_stop(s)) return 0;
    __atomic_store_n(&s->is_stopped, 1, __ATOMIC_RELAXED);
    return 1;
}

int fc_end_stopping(const fc_stopping *s, int code, fc_error *error) {
    int is_stopped = __atomic_load_n(&s->is_stopped, __ATOMIC_RELAXED);
    return is_stopped ? fc_fail(error, FC_ERR_STOPPED) : code;
}
