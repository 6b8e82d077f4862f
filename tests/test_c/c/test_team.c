/* Threads: every job is done once, with a worker number of its own, for any number of callers at
 * once; threads that come late are not waited for; forked children have their own. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "threads/jobs.h"

static int failures;

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);              \
        }                                                                    \
    } while (0)

static void sleep_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {}
}

/* -- jobs ------------------------------------------------------------------------ */

#define MOST_JOBS 500

typedef struct {
    int n_threads, in_order;
    int64_t fails_at;
    int done[MOST_JOBS], committed[MOST_JOBS];
    int taken[FC_MAX_SLOTS]; /* worker numbers that a job has */
    int64_t next;            /* to be committed */
    long ms;
} jobs;

static int do_job(void *context, int worker, int64_t job, fc_error *error) {
    jobs *j = context;
    CHECK(worker >= 0 && worker < (j->in_order ? fc_slots(j->n_threads) : j->n_threads));
    CHECK(!__atomic_exchange_n(&j->taken[worker], 1, __ATOMIC_ACQ_REL));
    __atomic_add_fetch(&j->done[job], 1, __ATOMIC_RELAXED);
    if (j->ms) sleep_ms(j->ms);
    if (!j->in_order) __atomic_store_n(&j->taken[worker], 0, __ATOMIC_RELEASE);
    return job >= j->fails_at ? fc_fail_at(error, FC_ERR_ARGUMENT, job, -1, -1) : FC_OK;
}

static int commit_job(void *context, int worker, int64_t job, fc_error *error) {
    jobs *j = context;
    (void)error;
    CHECK(job == j->next++);
    j->committed[job]++;
    __atomic_store_n(&j->taken[worker], 0, __ATOMIC_RELEASE);
    return FC_OK;
}

static void run(int n_threads, int64_t n, int in_order, int64_t fails_at, long ms) {
    jobs j = {.n_threads = n_threads, .in_order = in_order, .fails_at = fails_at, .ms = ms};
    fc_error error;
    fc_stopping stopping = fc_begin_stopping(NULL);
    int code = fc_run_jobs(n_threads, n, do_job, in_order ? commit_job : NULL, &j, &stopping,
                           &error);
    CHECK(code == (fails_at < n ? FC_ERR_ARGUMENT : FC_OK));
    if (code) CHECK(error.stream == fails_at);
    for (int64_t i = 0; i < n && i < fails_at; i++) {
        CHECK(j.done[i] == 1);
        CHECK(j.committed[i] == in_order);
    }
}

static void run_many(void) {
    static const int threads[] = {1, 2, 3, 8};
    static const int64_t counts[] = {0, 1, 2, 3, 7, 64, MOST_JOBS};
    for (int t = 0; t < 4; t++)
        for (int c = 0; c < 7; c++)
            for (int in_order = 0; in_order < 2; in_order++)
                for (int64_t fails_at = 0; fails_at <= counts[c]; fails_at += 1 + counts[c] / 3)
                    run(threads[t], counts[c], in_order, fails_at, 0);
}

static void *run_many_in_a_thread(void *unused) {
    for (int i = 0; i < 5; i++) run_many();
    return unused;
}

static void test_callers_at_once(void) {
    pthread_t callers[6];
    for (int i = 0; i < 6; i++) pthread_create(&callers[i], NULL, run_many_in_a_thread, NULL);
    for (int i = 0; i < 6; i++) pthread_join(callers[i], NULL);
}

/* -- side by side -------------------------------------------------------------------- */

typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int begun, awaited, may_end;
} gate;

#define GATE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0}

/* Ends when as many as are awaited have begun, and when it may. */
static void pass(void *context, int worker) {
    gate *g = context;
    (void)worker;
    pthread_mutex_lock(&g->mutex);
    g->begun++;
    pthread_cond_broadcast(&g->changed);
    while (g->begun < g->awaited || !g->may_end) pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void test_all_threads_begin(void) {
    gate g = GATE;
    g.awaited = 5;
    g.may_end = 1;
    fc_run_team(5, pass, &g); /* would not return with fewer */
    CHECK(g.begun == 5);
}

static void *hold_all(void *context) {
    fc_run_team(FC_MAX_THREADS + 1, pass, context);
    return NULL;
}

/* All threads that the process may have are at work, and stay there. */
static void test_busy_threads_are_not_waited_for(void) {
    gate g = GATE;
    pthread_t caller;
    g.awaited = FC_MAX_THREADS + 1;
    pthread_create(&caller, NULL, hold_all, &g);
    pthread_mutex_lock(&g.mutex);
    while (g.begun < g.awaited) pthread_cond_wait(&g.changed, &g.mutex);
    pthread_mutex_unlock(&g.mutex);
    for (int in_order = 0; in_order < 2; in_order++) run(4, 40, in_order, INT64_MAX, 0);
    pthread_mutex_lock(&g.mutex);
    g.may_end = 1;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mutex);
    pthread_join(caller, NULL);
}

/* -- forks ------------------------------------------------------------------------------ */

static void test_forked_child(void) {
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        failures = 0;
        test_all_threads_begin();
        run_many();
        _exit(failures != 0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void *fork_in_a_thread(void *unused) {
    for (int i = 0; i < 5; i++) test_forked_child();
    return unused;
}

/* Whatever the pool is doing when the fork comes. (The sanitizers' own locks
 * are not made for forks.) */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define CAN_FORK 1
#else
#define CAN_FORK 0
#endif

static void test_forks_amid_work(void) {
    pthread_t callers[2], forker;
    for (int i = 0; i < 2; i++) pthread_create(&callers[i], NULL, run_many_in_a_thread, NULL);
    pthread_create(&forker, NULL, fork_in_a_thread, NULL);
    for (int i = 0; i < 2; i++) pthread_join(callers[i], NULL);
    pthread_join(forker, NULL);
}

int main(void) {
    run_many();
    for (int in_order = 0; in_order < 2; in_order++) run(3, 20, in_order, INT64_MAX, 1);
    test_all_threads_begin();
    test_callers_at_once();
    test_busy_threads_are_not_waited_for();
    test_forked_child();
    if (CAN_FORK) test_forks_amid_work();
    printf("%d failures\n", failures);
    return failures != 0;
}
