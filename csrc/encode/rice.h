/* Residuals coded by Rice codes (RFC 9639, section 9.2.7). */
#ifndef FC_RICE_H
#define FC_RICE_H

#include "base/bit_writer.h"

#define FC_MOST_PARTITION_ORDER 6

/* How a residual is to be coded. */
typedef struct fc_rice_plan {
    int order; /* there are 2**order partitions; 0 to FC_MOST_PARTITION_ORDER */
    uint8_t parameter[1 << FC_MOST_PARTITION_ORDER]; /* of each partition */
    int64_t bits;          /* an estimate, of the whole residual */
    int64_t bits_unparted; /* the same with one partition */
} fc_rice_plan;

/* Plans how to code a residual. `folded` has `samples` numbers; the first `warm_up` are 0 and are
 * not coded. The order is at most `most_order`, and less if block and warm-up need it. */
void fc_plan_rice(const uint32_t *folded, int64_t samples, int warm_up, int most_order,
                  fc_rice_plan *plan);

/* Returns about how many bits a residual of `samples` numbers takes in one partition. `sum`: of
 * the folded numbers. */
int64_t fc_estimate_rice(int64_t samples, uint64_t sum);

/* Writes a residual with its header; parameters are those of fc_plan_rice(). Writes no byte at
 * `limit` + FC_WRITER_SLACK or after. Returns 0, having written a part, if there is no room for
 * all. */
int fc_write_rice(fc_bit_writer *writer, const uint8_t *limit, const fc_rice_plan *plan,
                  const uint32_t *folded, int64_t samples, int warm_up);

#endif
