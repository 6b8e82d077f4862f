#include "decode/batch.h"

#include "base/cpu.h"
#include "simd/residual_avx512.h"
#include "simd/restore_avx2.h"
#include "simd/restore_avx512.h"
#include "simd/restore_neon.h"

/* -- restoring ------------------------------------------------------------------ */

/* Blocks are restored together where there are this many or more. */
#define FEWEST_TOGETHER 2
#define MOST_TOGETHER 8

/* Restores the first samples of all; returns how many of each. */
static int64_t restore_together(fc_restoring *blocks, int n) {
    fc_cpu cpu = fc_this_cpu();
    if (n < FEWEST_TOGETHER) return 0;
    if (cpu >= FC_CPU_AVX2) return fc_restore_avx2(blocks, n);
    return cpu == FC_CPU_NEON ? fc_restore_neon(blocks, n) : 0;
}

void fc_restore_blocks(fc_restoring *blocks, int n) {
    for (; n > 0; n -= MOST_TOGETHER, blocks += MOST_TOGETHER) {
        int some = n < MOST_TOGETHER ? n : MOST_TOGETHER;
        int64_t done = restore_together(blocks, some);
        for (int i = 0; i < some; i++)
            fc_restore_block(blocks + i, done ? done : blocks[i].predictor->order);
    }
}

/* -- reading and restoring ------------------------------------------------------- */

/* Fewer take less time otherwise. */
#define FEWEST_FOR_TILES 5

static int count_of_length(const fc_residual *residuals, int n, int64_t samples) {
    int count = 0;
    for (int i = 0; i < n; i++) count += residuals[i].samples == samples;
    return count;
}

static int64_t most_frequent_length(const fc_residual *residuals, int n) {
    int64_t samples = 0;
    for (int i = 0, most = 0; i < n && 2 * most <= n; i++) {
        int count = count_of_length(residuals, n, residuals[i].samples);
        if (count <= most) continue;
        most = count;
        samples = residuals[i].samples;
    }
    return samples;
}

/* Puts those first that have the most frequent length, and sorts them by order: all
 * lanes work as hard as that of the highest. Returns their number. */
static int arrange(fc_residual *residuals, fc_restoring *blocks, int n) {
    enum { OTHERS = FC_MAX_ORDER + 1 };
    int64_t samples = most_frequent_length(residuals, n);
    int key[FC_MAX_BATCH], at[OTHERS + 2] = {0};
    fc_residual from[FC_MAX_BATCH];
    fc_restoring from_blocks[FC_MAX_BATCH];
    for (int i = 0; i < n; i++) {
        key[i] = residuals[i].samples == samples ? residuals[i].order : OTHERS;
        at[key[i] + 1]++;
        from[i] = residuals[i];
        from_blocks[i] = blocks[i];
    }
    for (int k = 1; k <= OTHERS; k++) at[k] += at[k - 1];
    int same = at[OTHERS];
    for (int i = 0; i < n; i++) {
        residuals[at[key[i]]] = from[i];
        blocks[at[key[i]]++] = from_blocks[i];
    }
    return same;
}

static int decode_in_tiles(fc_residual *residuals, fc_restoring *blocks, int n) {
    if (!fc_decode_tiles(residuals, blocks, n)) return 0;
    for (int i = 0; i < n; i++) residuals[i].good = fc_fits(blocks + i);
    return 1;
}

static void decode_otherwise(fc_residual *residuals, const fc_restoring *blocks, int n) {
    fc_restoring good[FC_MAX_BATCH];
    fc_residual *read[FC_MAX_BATCH];
    int n_good = 0;
    fc_read_residuals(residuals, n);
    for (int i = 0; i < n; i++) {
        if (!residuals[i].good) continue;
        read[n_good] = residuals + i;
        good[n_good] = blocks[i];
        good[n_good++].reach = 0; /* tiles may have begun */
    }
    fc_restore_blocks(good, n_good);
    for (int i = 0; i < n_good; i++) read[i]->good = fc_fits(good + i);
}

void fc_decode_batch(fc_residual *residuals, fc_restoring *blocks, int n) {
    int in_tiles = fc_this_cpu() < FC_CPU_AVX512 ? 0 : arrange(residuals, blocks, n);
    for (int done = 0, some; done < n; done += some) {
        int left = (done < in_tiles ? in_tiles : n) - done;
        some = left < FC_TILE_LANES ? left : FC_TILE_LANES;
        if (done >= in_tiles || some < FEWEST_FOR_TILES
            || !decode_in_tiles(residuals + done, blocks + done, some))
            decode_otherwise(residuals + done, blocks + done, some);
    }
}
