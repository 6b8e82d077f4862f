/* Where threads run. */
#ifndef FC_AFFINITY_H
#define FC_AFFINITY_H

#include <pthread.h>
#include <sched.h>

/* Where a thread may run, while it may not run everywhere. */
typedef struct fc_affinity {
    int is_elsewhere;
#ifdef __linux__
    cpu_set_t cpus;
#endif
} fc_affinity;

/* Keeps another thread, that is about to be woken, from the processor on which the caller
 * runs, if there are others. (Linux wakes a thread where it was last or where it is woken from,
 * unless another processor is idle; and in a virtual machine those that are idle look as if
 * they were taken. The thread would wait there until the caller has done all the work.) */
void fc_send_elsewhere(fc_affinity *affinity, pthread_t thread);

/* Lets a thread run again where it might before. */
void fc_come_back(fc_affinity *affinity, pthread_t thread);

/* Processors that the calling thread may run on, 1 or more. */
int fc_available_processors(void);

/* Whether the calling thread is the process's first. */
int fc_in_main_thread(void);

#endif
