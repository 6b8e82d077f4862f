/* How many threads the filter codes a chunk on. */
#ifndef FC_PROCESSORS_H
#define FC_PROCESSORS_H

#include "hdf5/reason.h"

/* Returns how many threads to use: the number that was set; else that of FLACCODEC_NUM_THREADS;
 * else that of OMP_NUM_THREADS, both as they were when the filter was loaded; else the processors
 * that the process may use. In that last case it is 1 in a pool, which uses the processors already:
 * on a thread other than the main one, and in a process that was forked.
 *
 * Returns 0 with a reason if the environment variable has no number. */
int fc_filter_threads(fc_reason *reason);

/* Sets the number of threads; flaccodec's Python calls it. `chosen`: the number, 0 for none;
 * `in_pool`: whether the process is one of multiprocessing's. */
void flaccodec_set_threads(int chosen, int in_pool);

#endif
