/* Calls that are stopped: by the caller, who is asked now and then, or by a flag that another
 * thread sets at any time. They fail with FC_ERR_STOPPED, or end before they notice, and free
 * all that they allocated (LeakSanitizer). tests/test_c/test_programs.py builds and runs this. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "flaccodec.h"
#include "threads/stop.h"

static int failures;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

#define STREAMS 8
#define SIZE 20000

static int32_t samples[STREAMS * SIZE], out[STREAMS * SIZE];
static uint8_t *whole; /* a chunk of all */
static int64_t whole_size;

static fc_view view_of(void *data) {
    return (fc_view){.data = data, .stream_stride = SIZE * 4, .sample_stride = 4};
}

static int encode(int threads, const fc_stop *stop, uint8_t **chunk, int64_t *size) {
    fc_encode_options options = {.dtype = FC_INT32, .level = 8, .n_streams = STREAMS,
                                 .stream_size = SIZE, .frame_size = 4096, .n_threads = threads,
                                 .stop = stop};
    fc_view from = view_of(samples);
    fc_error error;
    int code = fc_encode(&from, &options, chunk, size, &error);
    CHECK(!code || (code == FC_ERR_STOPPED && error.code == code));
    return code;
}

static int encode_and_free(int threads, const fc_stop *stop) {
    uint8_t *chunk = NULL;
    int64_t size = -1;
    int code = encode(threads, stop, &chunk, &size);
    if (code) CHECK(!chunk && size == -1);
    else fc_free(chunk);
    return code;
}

static int decode(int threads, const fc_stop *stop) {
    fc_piece piece = {whole, 0, whole_size};
    fc_view to = view_of(out);
    fc_error error;
    return fc_decode(whole, whole_size, &piece, 1, NULL, NULL, 0, &to, threads, stop, &error);
}

static int decode_span(int threads, const fc_stop *stop) {
    fc_piece piece = {whole, 0, whole_size};
    fc_span span = {3, 5, SIZE - 10, 0};
    fc_view to = view_of(out);
    fc_error error;
    return fc_decode(whole, whole_size, &piece, 1, NULL, &span, 1, &to, threads, stop, &error);
}

static int check(int threads, const fc_stop *stop) {
    fc_error error;
    return fc_check_streams(whole, whole_size, threads, stop, &error);
}

static int gather(int threads, const fc_stop *stop) {
    fc_piece source = {whole, 0, whole_size};
    fc_pick picks[] = {{0, 3}, {0, 1}, {0, 3}};
    uint8_t *chunk = NULL;
    int64_t size;
    fc_error error;
    (void)threads;
    int code = fc_gather_streams(&source, 1, picks, 3, stop, &chunk, &size, &error);
    if (code) CHECK(!chunk);
    else fc_free(chunk);
    return code;
}

typedef int (*call)(int threads, const fc_stop *stop);
static const call calls[] = {encode_and_free, decode, decode_span, check, gather};
static const int n_threads[] = {1, 2, 3, 8};

static void test_a_flag_that_is_set(void) {
    int32_t flag = 1;
    fc_stop stop = {NULL, NULL, &flag};
    for (int c = 0; c < 5; c++)
        for (int t = 0; t < 4; t++) {
            CHECK(calls[c](n_threads[t], &stop) == FC_ERR_STOPPED);
            CHECK(calls[c](n_threads[t], NULL) == FC_OK);
        }
}

static int32_t flag_of_others;

static void *set_flag(void *microseconds) {
    struct timespec left = {0, *(long *)microseconds * 1000};
    nanosleep(&left, NULL);
    __atomic_store_n(&flag_of_others, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void test_a_flag_that_is_set_meanwhile(void) {
    fc_stop stop = {NULL, NULL, &flag_of_others};
    for (int c = 0; c < 5; c++)
        for (long after = 0; after < 5000; after = 2 * after + 100) {
            pthread_t other;
            flag_of_others = 0;
            pthread_create(&other, NULL, set_flag, &after);
            int code = calls[c](3, &stop);
            pthread_join(other, NULL);
            CHECK(code == FC_OK || code == FC_ERR_STOPPED);
        }
}

typedef struct {
    pthread_t caller;
    int asked, stops_at;
} counter;

static int ask(void *context) {
    counter *c = context;
    CHECK(pthread_equal(c->caller, pthread_self()));
    return ++c->asked == c->stops_at;
}

/* About every FC_ASK_MS, and only on the caller's thread. */
static void test_the_caller_is_asked(void) {
    for (int stops_at = 0; stops_at < 3; stops_at++) {
        counter c = {pthread_self(), 0, stops_at};
        fc_stop stop = {ask, &c, NULL};
        fc_stopping stopping = fc_begin_stopping(&stop);
        struct timespec begin, now;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        do {
            fc_is_stopped(&stopping);
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while (now.tv_sec - begin.tv_sec + (now.tv_nsec - begin.tv_nsec) * 1e-9 < 0.35);
        CHECK(stops_at ? c.asked == stops_at : c.asked >= 1 && c.asked <= 3);
        CHECK(fc_is_stopped(&stopping) == (stops_at != 0));
        fc_error error;
        CHECK(fc_end_stopping(&stopping, FC_ERR_MEMORY, &error)
              == (stops_at ? FC_ERR_STOPPED : FC_ERR_MEMORY));
    }
    for (int t = 0; t < 4; t++) {
        counter c = {pthread_self(), 0, 1};
        fc_stop stop = {ask, &c, NULL};
        int code = FC_OK;
        for (int i = 0; i < 3 && !code; i++) code = encode_and_free(n_threads[t], &stop);
        CHECK(code == FC_ERR_STOPPED ? c.asked == 1 : !c.asked);
    }
}

int main(void) {
    uint32_t state = 1;
    for (int i = 0; i < STREAMS * SIZE; i++) {
        state = state * 1664525 + 1013904223;
        samples[i] = (int32_t)state >> 12;
    }
    CHECK(encode(2, NULL, &whole, &whole_size) == FC_OK);
    test_a_flag_that_is_set();
    test_a_flag_that_is_set_meanwhile();
    test_the_caller_is_asked();
    fc_free(whole);
    printf("%d failures\n", failures);
    return failures != 0;
}
