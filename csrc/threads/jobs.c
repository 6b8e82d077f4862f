#include "threads/jobs.h"

#include <pthread.h>

#include "base/error.h"

int fc_usable_threads(int n_threads) {
    return n_threads < 1 ? 1 : n_threads < FC_MAX_THREADS ? n_threads : FC_MAX_THREADS;
}

static int run_serially(int64_t n_jobs, fc_job work, fc_job commit, void *context,
                        fc_stopping *stopping, fc_error *error) {
    for (int64_t job = 0; job < n_jobs; job++) {
        if (fc_is_stopped(stopping)) return fc_fail(error, FC_ERR_STOPPED);
        int code = work(context, 0, job, error);
        if (!code && commit) code = commit(context, 0, job, error);
        if (code) return code;
    }
    return FC_OK;
}

typedef struct {
    pthread_mutex_t mutex;
    int64_t job;  /* the lowest that failed; INT64_MAX where none did */
    fc_error error;
    fc_stopping *stopping;
} failure;

#define BEFORE_ALL (-1) /* the job that fails if the call is stopped */

static int64_t lowest_failed(const failure *lowest) {
    return __atomic_load_n(&lowest->job, __ATOMIC_ACQUIRE);
}

static void note_failure(failure *lowest, int64_t job, const fc_error *error) {
    pthread_mutex_lock(&lowest->mutex);
    if (job < lowest->job) {
        lowest->error = *error;
        __atomic_store_n(&lowest->job, job, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lowest->mutex);
}

static void work_on(int64_t job, int worker, fc_job work, void *context, failure *lowest) {
    fc_error error;
    if (job >= lowest_failed(lowest)) return;
    if (fc_is_stopped(lowest->stopping)) {
        fc_fail(&error, FC_ERR_STOPPED);
        note_failure(lowest, BEFORE_ALL, &error);
    } else if (work(context, worker, job, &error)) {
        note_failure(lowest, job, &error);
    }
}

typedef struct {
    int n_threads;
    int64_t n_jobs, given;
    fc_job work;
    void *context;
    failure *lowest;
} unordered;

/* Each thread's part of the jobs is given out a job at a time, in turn with the others:
 * where neighbouring jobs write to a page that is not in memory yet, of 2 MiB maybe, and
 * two threads have them at once, the system clears one for each and throws one away. */
static void work_unordered(void *context, int worker) {
    unordered *u = context;
    int64_t part = (u->n_jobs + u->n_threads - 1) / u->n_threads, i;
    while ((i = __atomic_fetch_add(&u->given, 1, __ATOMIC_RELAXED)) < part * u->n_threads) {
        int64_t job = i % u->n_threads * part + i / u->n_threads;
        if (job < u->n_jobs) work_on(job, worker, u->work, u->context, u->lowest);
    }
}

static void run_in_any_order(int n_threads, int64_t n_jobs, fc_job work,
                             void *context, failure *lowest) {
    unordered u = {n_threads, n_jobs, 0, work, context, lowest};
    fc_run_team(n_threads, work_unordered, &u);
}

/* Jobs whose results are committed in order. A job's results stay in its slot
 * until its turn comes; the thread that did it goes on with another job in
 * another slot. */
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    int64_t n_jobs, given, committed; /* jobs so far */
    int n_slots, committing;
    int64_t job_of[FC_MAX_SLOTS]; /* FREE, or the job */
    int done[FC_MAX_SLOTS];
    fc_job work, commit;
    void *context;
    failure *lowest;
} queue;

#define FREE (-1)

static int find_slot(const queue *q, int64_t job) {
    for (int slot = 0; slot < q->n_slots; slot++)
        if (q->job_of[slot] == job) return slot;
    return -1;
}

/* Jobs are given out in rising order, each with its slot. So the job whose
 * turn it is has one, and slots become free in the end. */
static int take_slot(queue *q) {
    int slot;
    while (q->given < q->n_jobs && (slot = find_slot(q, FREE)) < 0)
        pthread_cond_wait(&q->freed, &q->mutex);
    if (q->given == q->n_jobs) return -1;
    q->job_of[slot] = q->given++;
    q->done[slot] = 0;
    return slot;
}

static void commit_done(queue *q) {
    int slot;
    if (q->committing) return;
    q->committing = 1;
    while ((slot = find_slot(q, q->committed)) >= 0 && q->done[slot]) {
        pthread_mutex_unlock(&q->mutex);
        work_on(q->job_of[slot], slot, q->commit, q->context, q->lowest);
        pthread_mutex_lock(&q->mutex);
        q->job_of[slot] = FREE;
        q->committed++;
        pthread_cond_broadcast(&q->freed);
    }
    q->committing = 0;
}

static void work_in_slots(void *context, int worker) {
    queue *q = context;
    int slot;
    (void)worker;
    pthread_mutex_lock(&q->mutex);
    while ((slot = take_slot(q)) >= 0) {
        pthread_mutex_unlock(&q->mutex);
        work_on(q->job_of[slot], slot, q->work, q->context, q->lowest);
        pthread_mutex_lock(&q->mutex);
        q->done[slot] = 1;
        commit_done(q);
    }
    pthread_cond_broadcast(&q->freed);
    pthread_mutex_unlock(&q->mutex);
}

static void run_in_order(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                         void *context, failure *lowest) {
    queue q = {.mutex = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER,
               .n_jobs = n_jobs, .n_slots = fc_slots(n_threads), .work = work,
               .commit = commit, .context = context, .lowest = lowest};
    for (int slot = 0; slot < q.n_slots; slot++) q.job_of[slot] = FREE;
    fc_run_team(n_threads, work_in_slots, &q);
}

int fc_slots(int n_threads) { return n_threads < 2 ? 1 : 2 * n_threads; }

int fc_run_jobs(int n_threads, int64_t n_jobs, fc_job work, fc_job commit,
                void *context, fc_stopping *stopping, fc_error *error) {
    n_threads = fc_usable_threads(n_threads);
    if (n_threads > n_jobs) n_threads = (int)n_jobs;
    if (n_threads <= 1) return run_serially(n_jobs, work, commit, context, stopping, error);
    failure lowest = {PTHREAD_MUTEX_INITIALIZER, INT64_MAX, {0, -1, -1, -1, -1, -1, 0},
                      stopping};
    if (commit)
        run_in_order(n_threads, n_jobs, work, commit, context, &lowest);
    else
        run_in_any_order(n_threads, n_jobs, work, context, &lowest);
    if (lowest.job == INT64_MAX) return FC_OK;
    *error = lowest.error;
    return lowest.error.code;
}
