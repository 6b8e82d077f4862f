/* The client data of a dataset: docs/format.md, "In HDF5". */
#ifndef FC_CLIENT_DATA_H
#define FC_CLIENT_DATA_H

#include "flaccodec.h"
#include "hdf5/reason.h"

#define FC_CLIENT_LAYOUT 1
#define FC_CLIENT_MARKS_LAYOUT 2         /* with marks after it, two values each */
#define FC_CLIENT_DECIMAL_MARKS_LAYOUT 3 /* the same, three values each, as people type them */
#define FC_CLIENT_USER_VALUES 6          /* the most that users give before any marks */
#define FC_CLIENT_VALUES 11              /* of a dataset: those, and what set_local adds */
#define FC_CLIENT_MARKS 8                /* at most, with the fill value */
#define FC_CLIENT_MOST_VALUES (FC_CLIENT_VALUES + 2 * FC_CLIENT_MARKS)

/* How users may give quanta and precision. */
enum {
    FC_CLIENT_LOSSLESS = 0,
    FC_CLIENT_QUANTA = 1,            /* the bits of a float64, low word and high word */
    FC_CLIENT_PRECISION = 2,         /* the same */
    FC_CLIENT_DECIMAL_QUANTA = 3,    /* m, e for m * 10**-e */
    FC_CLIENT_DECIMAL_PRECISION = 4, /* the same */
};

/* What the client data say. */
typedef struct {
    int32_t level; /* 0 to FC_MAX_LEVEL */
    int32_t quanta_rule; /* fc_quanta_rule */
    double parameter;
    int64_t frame_size;
    /* From the dataset. */
    fc_expect chunk;
    int32_t big_endian;
    /* Numbers that mark missing samples. The first is the fill value, 0 if there is none; another
     * 0 after it says that HDF5 fills chunks with zeros nevertheless. */
    double marks[FC_CLIENT_MARKS];
    int32_t n_marks; /* at least 1 */
} fc_client;

/* Each of these but the last returns 1, or 0 with a reason. */

/* Reads what users give: `n` values, 0 to FC_CLIENT_MOST_VALUES. Of what a dataset added, which is
 * there if its creation properties are used again, it reads marks alone. */
int fc_read_user_values(const unsigned *values, size_t n, fc_client *client, fc_reason *reason);

/* Reads all `n` values of a dataset. */
int fc_read_client_data(const unsigned *values, size_t n, fc_client *client, fc_reason *reason);

/* Checks that what users gave suits the chunks. */
int fc_check_client(const fc_client *client, fc_reason *reason);

/* Adds a mark, unless it is there already. */
int fc_add_mark(fc_client *client, double mark, fc_reason *reason);

/* Writes the values of a dataset. Returns how many. */
size_t fc_write_client_data(const fc_client *client, unsigned values[FC_CLIENT_MOST_VALUES]);

#endif
