/* The one place that starts threads. */
#ifndef FC_THREADS_H
#define FC_THREADS_H

#include "flaccodec.h"

/* Runs work(job) for job 0 to n_jobs - 1 on up to n_threads threads, and
 * commit(job), where given, in the order of jobs, one at a time, by the
 * thread that did the work. thread is below n_threads.
 *
 * A callback that fails returns its code with *error filled in. The failure
 * of the lowest job is what this returns: all jobs below it are done, none
 * above it is committed. */
typedef int (*fc_job)(void *context, int thread, int64_t job, fc_error *error);

int fc_run_jobs(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                void *context, fc_error *error);

/* How many threads a call that was asked for n_threads may use: 1 in a
 * forked child, since libgomp's threads do not survive a fork. */
int fc_usable_threads(int n_threads);

#endif
