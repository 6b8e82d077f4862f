#define _GNU_SOURCE
#include "threads/team.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#include "threads/affinity.h"

/* One call of fc_run_team. It is listed as long as threads may begin. */
typedef struct team {
    struct team *next;
    fc_part part;
    void *context;
    int parts, begun; /* how many parts there are, with the caller's; how many have begun */
    int working;      /* threads that have begun and are not done, without the caller */
} team;

/* A thread of the pool. It works, or looks for work, or is listed as one that sleeps. */
typedef struct worker {
    struct worker *next;
    pthread_t thread;
    pthread_cond_t woken;
    int is_awake;
    fc_affinity affinity;
} worker;

/* Of the process. Threads are made when there are too few, and stay. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    team *teams;
    worker *sleeping;
    int n_threads, n_working, n_looking;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void lock(void) { pthread_mutex_lock(&pool.mutex); }

static void unlock(void) { pthread_mutex_unlock(&pool.mutex); }

/* -- looking ------------------------------------------------------------------ */

/* A thread looks this often whether something has changed before it sleeps. That is as long
 * as it takes to wake one several times over, but less than what people notice. */
#define LOOKS 4000

static void look_again(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static void look_for_team(void) {
    for (int i = 0; i < LOOKS && !__atomic_load_n(&pool.teams, __ATOMIC_RELAXED); i++) look_again();
}

static void look_for_end(const team *t) {
    for (int i = 0; i < LOOKS && __atomic_load_n(&t->working, __ATOMIC_RELAXED); i++) look_again();
}

/* -- the list of teams: what follows is done with the lock -------------------------- */

static team **find(const team *t) {
    team **at = &pool.teams;
    while (*at && *at != t) at = &(*at)->next;
    return at;
}

static void set_link(team **at, team *t) { __atomic_store_n(at, t, __ATOMIC_RELAXED); }

static void list(team *t) { set_link(find(NULL), t); }

static void unlist(team *t) {
    team **at = find(t);
    if (*at) set_link(at, t->next);
}

static int parts_to_begin(void) {
    int n = 0;
    for (const team *t = pool.teams; t; t = t->next) n += t->parts - t->begun;
    return n;
}

/* -- workers ------------------------------------------------------------------------ */

static void fall_asleep(worker *w) {
    w->is_awake = 0;
    w->next = pool.sleeping;
    pool.sleeping = w;
    while (!w->is_awake) pthread_cond_wait(&w->woken, &pool.mutex);
    fc_come_back(&w->affinity, w->thread);
}

/* The one that sleeps for the shortest time, whose memory is in the cache yet. */
static void wake_one(void) {
    worker *w = pool.sleeping;
    pool.sleeping = w->next;
    w->is_awake = 1;
    fc_send_elsewhere(&w->affinity, w->thread);
    pthread_cond_signal(&w->woken);
}

static void find_work(worker *w) {
    pool.n_looking++;
    unlock();
    look_for_team();
    lock();
    pool.n_looking--;
    if (!pool.teams) fall_asleep(w);
}

static void set_working(team *t, int n) {
    __atomic_store_n(&t->working, t->working + n, __ATOMIC_RELAXED);
    pool.n_working += n;
}

static void work_for(team *t) {
    int number = t->begun++;
    if (t->begun == t->parts) unlist(t);
    set_working(t, 1);
    unlock();
    t->part(t->context, number);
    lock();
    set_working(t, -1);
    if (!t->working) pthread_cond_broadcast(&pool.done);
}

static void *work(void *unused) {
    worker self = {.thread = pthread_self(), .woken = PTHREAD_COND_INITIALIZER};
    lock();
    for (;;)
        if (pool.teams) work_for(pool.teams);
        else find_work(&self);
    return unused;
}

/* Signals are for the program's own threads. */
static int make_thread(void) {
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    if (pthread_attr_init(&detached)) return 0;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int made = !pthread_create(&thread, &detached, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return made;
}

/* Where the system gives no more of them, those that there are do the work. */
static void call_workers(void) {
    int wanted = parts_to_begin(), threads = wanted + pool.n_working;
    if (threads > FC_MAX_THREADS) threads = FC_MAX_THREADS;
    for (; pool.n_threads < threads && make_thread(); wanted--) pool.n_threads++;
    for (wanted -= pool.n_looking; wanted > 0 && pool.sleeping; wanted--) wake_one();
}

/* -- forks: a child has none of its parent's threads ---------------------------------- */

static void begin_in_child(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.teams = NULL;
    pool.sleeping = NULL;
    pool.n_threads = pool.n_working = pool.n_looking = 0;
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(lock, unlock, begin_in_child);
}

/* ------------------------------------------------------------------------------------- */

static void await_end(const team *t) {
    look_for_end(t);
    lock();
    while (t->working) pthread_cond_wait(&pool.done, &pool.mutex);
    unlock();
}

void fc_run_team(int n_threads, fc_part part, void *context) {
    team t = {.part = part, .context = context, .parts = n_threads, .begun = 1};
    lock();
    list(&t);
    call_workers();
    unlock();
    part(context, 0);
    lock();
    unlist(&t);
    unlock();
    await_end(&t);
}
