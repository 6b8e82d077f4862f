/* Threads that wait for work, all callers' alike. */
#ifndef FC_TEAM_H
#define FC_TEAM_H

#define FC_MAX_THREADS 256

/* Takes jobs until none is left. place is below the number of threads that
 * were asked for, and is had by one thread only. */
typedef void (*fc_part)(void *context, int place);

/* Calls part(context, 0), and part(context, place) on up to n_threads - 1
 * other threads. Returns when all that have begun are done; threads that have
 * not begun when the caller's own part is done are not waited for, and do
 * nothing. So it takes no longer than one thread does, however busy the
 * machine is. */
void fc_run_team(int n_threads, fc_part part, void *context);

#endif
