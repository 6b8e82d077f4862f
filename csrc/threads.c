#include "threads.h"

#include <omp.h>
#include <pthread.h>

#include "error.h"

static volatile int forked;

static void note_fork(void) { forked = 1; }

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, note_fork);
}

int fc_usable_threads(int n_threads) {
    return forked || n_threads < 1 ? 1 : n_threads;
}

static int run_serially(int64_t n_jobs, fc_job work, fc_job commit, void *context,
                        fc_error *error) {
    for (int64_t job = 0; job < n_jobs; job++) {
        int code = work(context, 0, job, error);
        if (!code && commit) code = commit(context, 0, job, error);
        if (code) return code;
    }
    return FC_OK;
}

typedef struct {
    int64_t job;  /* the lowest that failed; INT64_MAX where none did */
    fc_error error;
} failure;

static int64_t lowest_failed(const failure *lowest) {
    return __atomic_load_n(&lowest->job, __ATOMIC_ACQUIRE);
}

static void note_failure(failure *lowest, int64_t job, const fc_error *error) {
#pragma omp critical(fc_failure)
    if (job < lowest->job) {
        lowest->error = *error;
        __atomic_store_n(&lowest->job, job, __ATOMIC_RELEASE);
    }
}

static void work_on(int64_t job, fc_job work, void *context, failure *lowest) {
    fc_error error;
    if (job < lowest_failed(lowest) && work(context, omp_get_thread_num(), job, &error))
        note_failure(lowest, job, &error);
}

static void run_in_any_order(int n_threads, int64_t n_jobs, fc_job work,
                             void *context, failure *lowest) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int64_t job = 0; job < n_jobs; job++) work_on(job, work, context, lowest);
}

/* Whose turn it is. OpenMP's ordered would do, but libgomp's threads wait for
 * their turn by spinning, and on a busy machine take the processor from the
 * thread that they wait for. */
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int64_t next;
} turns;

static void commit_in_turn(turns *t, int64_t job, fc_job commit, void *context,
                           failure *lowest) {
    pthread_mutex_lock(&t->mutex);
    while (t->next != job) pthread_cond_wait(&t->changed, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
    work_on(job, commit, context, lowest);
    pthread_mutex_lock(&t->mutex);
    t->next++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

/* Jobs are given out in rising order, so the one whose turn it is has always
 * been begun, and nobody waits for ever. */
static void run_in_order(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                         void *context, failure *lowest) {
    turns t = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
#pragma omp parallel for schedule(monotonic : dynamic, 1) num_threads(n_threads)
    for (int64_t job = 0; job < n_jobs; job++) {
        work_on(job, work, context, lowest);
        commit_in_turn(&t, job, commit, context, lowest);
    }
}

int fc_run_jobs(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                void *context, fc_error *error) {
    n_threads = fc_usable_threads(n_threads);
    if (n_threads > n_jobs) n_threads = (int)n_jobs;
    if (n_threads <= 1) return run_serially(n_jobs, work, commit, context, error);
    failure lowest = {INT64_MAX, {0, -1, -1, -1, -1, -1, 0}};
    if (commit)
        run_in_order(n_threads, n_jobs, work, commit, context, &lowest);
    else
        run_in_any_order(n_threads, n_jobs, work, context, &lowest);
    if (lowest.job == INT64_MAX) return FC_OK;
    *error = lowest.error;
    return lowest.error.code;
}
