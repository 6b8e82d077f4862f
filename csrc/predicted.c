#include "predicted.h"

#include "cpu.h"
#include "restore_avx512.h"
#include "subframe.h"

/* Fewer take less time otherwise. */
#define FEWEST_FOR_TILES 5

static void swap(fc_residual *residuals, fc_restoring *blocks, int i, int j) {
    fc_residual residual = residuals[i];
    fc_restoring block = blocks[i];
    residuals[i] = residuals[j];
    blocks[i] = blocks[j];
    residuals[j] = residual;
    blocks[j] = block;
}

static int count_of_length(const fc_residual *residuals, int n, int64_t samples) {
    int count = 0;
    for (int i = 0; i < n; i++) count += residuals[i].samples == samples;
    return count;
}

/* Puts those first that have the most frequent length; returns their number. */
static int bring_forward(fc_residual *residuals, fc_restoring *blocks, int n) {
    int64_t samples = 0;
    int most = 0, at = 0;
    for (int i = 0; i < n && 2 * most <= n; i++) {
        int count = count_of_length(residuals, n, residuals[i].samples);
        if (count <= most) continue;
        most = count;
        samples = residuals[i].samples;
    }
    for (int i = 0; i < n; i++)
        if (residuals[i].samples == samples) swap(residuals, blocks, at++, i);
    return most;
}

static int decode_in_tiles(fc_residual *residuals, fc_restoring *blocks, int n) {
    if (fc_this_cpu() < FC_CPU_AVX512 || n < FEWEST_FOR_TILES) return 0;
    int same = bring_forward(residuals, blocks, n);
    if (same < FEWEST_FOR_TILES || !fc_decode_tiles(residuals, blocks, same)) return 0;
    for (int i = 0; i < same; i++) residuals[i].good = 1;
    return same;
}

void fc_decode_predicted(fc_residual *residuals, fc_restoring *blocks, int n) {
    fc_restoring good[FC_MAX_BATCH];
    int n_good = 0, done = decode_in_tiles(residuals, blocks, n);
    fc_read_residuals(residuals + done, n - done);
    for (int i = done; i < n; i++)
        if (residuals[i].good) good[n_good++] = blocks[i];
    fc_restore_samples(good, n_good);
}
