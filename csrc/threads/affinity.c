#define _GNU_SOURCE
#include "threads/affinity.h"

#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
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

static int count_processors(void) {
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : CPU_COUNT(&cpus);
}

int fc_in_main_thread(void) { return syscall(SYS_gettid) == getpid(); }
#else
void fc_send_elsewhere(fc_affinity *a, pthread_t thread) { (void)a, (void)thread; }
void fc_come_back(fc_affinity *a, pthread_t thread) { (void)a, (void)thread; }
static int count_processors(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }

/* Where nobody can tell, it is taken for one of a pool. */
int fc_in_main_thread(void) {
#ifdef __APPLE__
    return pthread_main_np();
#else
    return 0;
#endif
}
#endif

int fc_available_processors(void) {
    int n = count_processors();
    return n < 1 ? 1 : n;
}
