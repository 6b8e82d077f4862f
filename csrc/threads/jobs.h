/* Jobs side by side. */
#ifndef FC_THREADS_H
#define FC_THREADS_H

#include "flaccodec.h"
#include "threads/stop.h"
#include "threads/team.h"

#define FC_MAX_SLOTS (2 * FC_MAX_THREADS)

/* Runs work(job) for job 0 to n_jobs - 1 on up to n_threads threads. place is
 * the thread's number, below n_threads.
 *
 * With commit, place is a slot instead, below fc_slots(n_threads): it is the
 * job's from its work to its commit, and commits go in the order of jobs, one
 * at a time.
 *
 * A callback that fails returns its code with *error filled in. The failure
 * of the lowest job is what this returns: all jobs below it are done, none
 * above it is committed. If the call is stopped, it returns FC_ERR_STOPPED,
 * and any jobs may be left undone. */
typedef int (*fc_job)(void *context, int place, int64_t job, fc_error *error);

int fc_run_jobs(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                void *context, fc_stopping *stopping, fc_error *error);

int fc_slots(int n_threads);

/* How many threads a call that was asked for n_threads uses at most. */
int fc_usable_threads(int n_threads);

#endif
