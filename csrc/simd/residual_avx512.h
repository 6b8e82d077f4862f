/* Residuals of up to 16 blocks read side by side with AVX-512. */
#ifndef FC_RESIDUAL_AVX512_H
#define FC_RESIDUAL_AVX512_H

#include "flac/residual.h"

#define FC_TILE_LANES 16

/* Residuals of one length that are being read, one in each lane. Lanes without a residual of
 * their own read the first one again. */
typedef struct fc_tile_reader {
    int lanes;      /* 8 or 16 */
    int64_t next;   /* the sample whose residual comes next */
    int64_t samples; /* of each block */
    int64_t until;  /* the sample at which the first partition ends, of those being read */
    const uint8_t *bytes[FC_TILE_LANES];
    uint64_t size[FC_TILE_LANES];
    uint64_t at[FC_TILE_LANES];   /* positions, in bits from address 0 */
    uint64_t last[FC_TILE_LANES]; /* the last position to load a window at; 0 for none */
    int64_t partition[FC_TILE_LANES]; /* samples of a partition */
    int64_t end[FC_TILE_LANES];       /* the sample at which the present partition ends */
    unsigned parameter_bits[FC_TILE_LANES];
    uint64_t parameter[FC_TILE_LANES]; /* of the present partition */
} fc_tile_reader;

/* Begins to read `n` residuals, 1 to 16, all of one length. The processor must have AVX-512.
 * Reads those of samples before `from` to where `residuals` say; `from` is not below any order.
 * Moves no position of `residuals`. Returns 0 if a residual is not valid, or too unusual for
 * this reader. */
int fc_open_tiles(fc_tile_reader *reader, const fc_residual *residuals, int n, int64_t from);

/* Reads the residuals of the next `steps` samples of all lanes, folded, to `tile`: FC_TILE_LANES
 * numbers for each sample. Returns 0 as fc_open_tiles() does. */
int fc_read_tile(fc_tile_reader *reader, int64_t steps, int32_t *tile);

/* Returns the position at which the residual of `lane` ends, in bits from its bytes. All must have
 * been read. */
uint64_t fc_tile_position(const fc_tile_reader *reader, int lane);

#endif
