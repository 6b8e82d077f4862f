/* How calls of the library are stopped before their end. */
#ifndef FC_STOP_H
#define FC_STOP_H

#include <pthread.h>

#include "flaccodec.h"

/* The state of one call. */
typedef struct fc_stopping {
    const fc_stop *stop; /* NULL if nothing may stop it */
    pthread_t caller;    /* the thread that the call began on */
    int64_t asked;       /* when stop->ask was last called, in milliseconds */
    int is_stopped;
} fc_stopping;

/* Begins a call. `stop` may be NULL, and must last as long as the call. */
fc_stopping fc_begin_stopping(const fc_stop *stop);

/* Returns whether the call is to end now; once it is, it stays so. All threads of the call ask
 * again and again, at least once for each job. They must hold no lock: on the caller's thread
 * stop->ask is called, which may do anything. */
int fc_is_stopped(fc_stopping *stopping);

/* The same for loops of short steps: asks at every 4096th step, from step 0 on. */
static inline int fc_is_stopped_at(fc_stopping *stopping, int64_t step) {
    return step % 4096 == 0 && fc_is_stopped(stopping);
}

/* Ends a call. Returns FC_ERR_STOPPED, with `*error` filled in, if it was stopped, even if it
 * failed or succeeded otherwise; else `code`. */
int fc_end_stopping(const fc_stopping *stopping, int code, fc_error *error);

#endif
