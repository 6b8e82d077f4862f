/* Which processors threads run on. */
#ifndef FC_AFFINITY_H
#define FC_AFFINITY_H

#include <pthread.h>
#include <sched.h>

/* Which processors a thread may run on, while it is kept from some. */
typedef struct fc_affinity {
    int is_elsewhere; /* whether it is kept from some now */
#ifdef __linux__
    cpu_set_t cpus; /* all that it may run on */
#endif
} fc_affinity;

/* Keeps `thread`, which is about to be woken, from the processor that the caller runs on, if there
 * are others. Sets `affinity`. (Linux wakes a thread on the processor that it last ran on, or on
 * the caller's, unless another is idle. In a virtual machine idle processors look busy. So the
 * thread would wait until the caller has done all the work.) */
void fc_send_elsewhere(fc_affinity *affinity, pthread_t thread);

/* Lets `thread` run again on all processors that it might before. */
void fc_come_back(fc_affinity *affinity, pthread_t thread);

/* Returns how many processors the calling thread may run on, at least 1. */
int fc_available_processors(void);

/* Returns whether the calling thread is the first of the process. */
int fc_in_main_thread(void);

#endif
