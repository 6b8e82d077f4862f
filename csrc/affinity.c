#define _GNU_SOURCE
#include "affinity.h"

#ifdef __linux__
void fc_send_elsewhere(fc_affinity *a, pthread_t thread) {
    int cpu = sched_getcpu();
    if (cpu < 0 || pthread_getaffinity_np(thread, sizeof a->cpus, &a->cpus)) return;
    cpu_set_t others = a->cpus;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others))
        a->is_elsewhere = !pthread_setaffinity_np(thread, sizeof others, &others);
}

void fc_come_back(fc_affinity *a, pthread_t thread) {
    if (a->is_elsewhere) pthread_setaffinity_np(thread, sizeof a->cpus, &a->cpus);
    a->is_elsewhere = 0;
}
#else
void fc_send_elsewhere(fc_affinity *a, pthread_t thread) { (void)a, (void)thread; }
void fc_come_back(fc_affinity *a, pthread_t thread) { (void)a, (void)thread; }
#endif
