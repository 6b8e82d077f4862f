/* Calls of the library that are stopped before their end. */
#ifndef FC_STOP_H
#define FC_STOP_H

#include <pthread.h>

#include "flaccodec.h"

/* Of one call. */
typedef struct fc_stopping {
    const fc_stop *stop; /* NULL where nobody may stop it */
    pthread_t caller;
    int64_t asked; /* when stop->ask was last called, in milliseconds */
    int is_stopped;
} fc_stopping;

fc_stopping fc_begin_stopping(const fc_stop *stop);

/* Whether the call is to end now. All of its threads ask this again and again, at least once
 * for each job, and hold no lock: on the caller's thread stop->ask may do whatever it likes.
 * Once it is so it stays so. */
int fc_is_stopped(fc_stopping *stopping);

/* The same for loops of short steps: asks at some of the steps, the first among them. */
static inline int fc_is_stopped_at(fc_stopping *stopping, int64_t step) {
    return step % 4096 == 0 && fc_is_stopped(stopping);
}

/* Returns FC_ERR_STOPPED, with *error filled in, if the call was stopped, whatever else went
 * wrong or right; else code. */
int fc_end_stopping(const fc_stopping *stopping, int code, fc_error *error);

#endif
