/* How many threads the filter codes a chunk on. */
#ifndef FC_PROCESSORS_H
#define FC_PROCESSORS_H

#include "hdf5/reason.h"

/* The number that was set, else that of FLACCODEC_NUM_THREADS, else of OMP_NUM_THREADS, both as
 * they were when this was loaded, else the processors that the process may use; but one in a pool, whose threads or processes
 * have them already: on threads other than the main one and in processes that were forked. 0
 * with a reason where the environment variable had no number. */
int fc_filter_threads(fc_reason *reason);

/* For flaccodec/hdf5_filter.py, exported. chosen: threads, or 0 for none; in_pool: the
 * process is one of multiprocessing's. */
void flaccodec_set_threads(int chosen, int in_pool);

#endif
