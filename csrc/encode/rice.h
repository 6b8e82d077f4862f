/* Coding residuals (RFC 9639, section 9.2.7). */
#ifndef FC_RICE_H
#define FC_RICE_H

#include "base/bit_writer.h"

#define FC_MOST_PARTITION_ORDER 6

/* How a residual is to be coded. */
typedef struct fc_rice_plan {
    int order; /* there are 2**order partitions */
    uint8_t parameter[1 << FC_MOST_PARTITION_ORDER];
    int64_t bits;           /* an estimate, of all of it */
    int64_t bits_unparted;  /* with one partition */
} fc_rice_plan;

/* folded has samples items, of which the first warm_up are zeros and are not
 * to be coded. most_order: of partitions; the block's size and the warm-up may
 * allow less. */
void fc_plan_rice(const uint32_t *folded, int64_t samples, int warm_up, int most_order,
                  fc_rice_plan *plan);

/* Bits, estimated, that a residual of so many samples takes whose folded
 * values come to sum, in one partition. */
int64_t fc_estimate_rice(int64_t samples, uint64_t sum);

/* Writes a residual, header and all. Stores nowhere from limit + FC_WRITER_SLACK on; 0,
 * with only a part written, where that is not enough. */
int fc_write_rice(fc_bit_writer *writer, const uint8_t *limit, const fc_rice_plan *plan,
                  const uint32_t *folded, int64_t samples, int warm_up);

#endif
