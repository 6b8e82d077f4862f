/* Jobs run by several threads. */
#ifndef FC_THREADS_H
#define FC_THREADS_H

#include "flaccodec.h"
#include "threads/stop.h"
#include "threads/team.h"

#define FC_MAX_SLOTS (2 * FC_MAX_THREADS)

/* Does job number `job`. `worker` says which working memory to use: no two jobs have the same
 * number at one time. Returns FC_OK, or a code with `*error` filled in. */
typedef int (*fc_job)(void *context, int worker, int64_t job, fc_error *error);

/* Calls `work` for jobs 0 to `n_jobs` - 1, in any order, on up to `n_threads` threads. `worker` is
 * 0 to n_threads - 1.
 *
 * If `commit` is not NULL, it is called for each job after its work, in the order of jobs, one at a
 * time. The job keeps its worker number from the work to the end of the commit; numbers are 0 to
 * fc_slots(n_threads) - 1 then.
 *
 * Returns FC_OK if all jobs are done. Else returns the code of the lowest job that failed, with
 * its `*error`: all jobs before it are done, none after it is committed. If the call is stopped,
 * returns FC_ERR_STOPPED; then any jobs may be left undone. */
int fc_run_jobs(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                void *context, fc_stopping *stopping, fc_error *error);

/* Returns how many worker numbers jobs with a commit have. */
int fc_slots(int n_threads);

/* Returns how many threads a call uses at most that was asked to use `n_threads`: 1 to
 * FC_MAX_THREADS. */
int fc_usable_threads(int n_threads);

#endif
