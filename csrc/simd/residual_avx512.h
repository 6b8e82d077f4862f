/* Residuals of up to sixteen blocks read side by side with AVX-512. */
#ifndef FC_RESIDUAL_AVX512_H
#define FC_RESIDUAL_AVX512_H

#include "flac/residual.h"

#define FC_TILE_LANES 16

/* Blocks of one length on their way. A position is counted in bits from
 * address 0. Lanes that are left over do again what the first does. */
typedef struct fc_tile_reader {
    int lanes;             /* 8 or 16 */
    int64_t next, samples; /* the sample whose residual comes next, and all */
    int64_t until;         /* where the first partition ends, of those being read */
    const uint8_t *bytes[FC_TILE_LANES];
    uint64_t size[FC_TILE_LANES];
    uint64_t at[FC_TILE_LANES];
    uint64_t last[FC_TILE_LANES]; /* from which a window of bytes may be loaded; 0 for none */
    int64_t partition[FC_TILE_LANES], end[FC_TILE_LANES]; /* samples; end of the present one */
    unsigned parameter_bits[FC_TILE_LANES];
    uint64_t parameter[FC_TILE_LANES];
} fc_tile_reader;

/* Begins with n residuals, 1 to 16, of blocks of one length, on a processor
 * that has AVX-512. Reads those for the samples before from, which is not
 * below any order, to where residuals say. Returns 0 for what is not good, or
 * too unusual: read it otherwise. Moves no position of the residuals. */
int fc_open_tiles(fc_tile_reader *reader, const fc_residual *residuals, int n, int64_t from);

/* Reads the residuals of the next steps samples, folded: FC_TILE_LANES for each,
 * of which those of lanes count. Returns 0 as above. */
int fc_read_tile(fc_tile_reader *reader, int64_t steps, int32_t *tile);

/* Where a lane's residual ends, once all have been read. */
uint64_t fc_tile_position(const fc_tile_reader *reader, int lane);

#endif
