/* One pool of worker threads, shared by all callers. */
#ifndef FC_TEAM_H
#define FC_TEAM_H

#define FC_MAX_THREADS 256

/* Does jobs until none is left. `worker` is 0 to n_threads - 1; no two threads of one call have
 * the same. */
typedef void (*fc_part)(void *context, int worker);

/* Calls `part` with worker 0 on the caller's thread, and with other workers on up to
 * `n_threads` - 1 other threads. `n_threads` is 1 to FC_MAX_THREADS.
 *
 * Returns when all parts that have begun have ended. It does not wait for threads that have not
 * begun when the caller's own part ends; those do nothing. So it takes no longer than one thread
 * does, however busy the machine is. */
void fc_run_team(int n_threads, fc_part part, void *context);

#endif
