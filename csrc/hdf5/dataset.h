/* What a dataset that is being created tells. */
#ifndef FC_DATASET_H
#define FC_DATASET_H

#include "hdf5/client_data.h"
#include "hdf5/h5.h"

#define FC_FILTER_ID 0xF1AC /* a private number; flaccodec.hdf5.FILTER_ID is the same */

/* Reads the dtype, the shape of the chunks, the filters and what users ask
 * for. Returns 1, or 0 with a reason why the dataset cannot be. */
int fc_read_dataset(const fc_h5 *h5, hid_t dcpl, hid_t type, hid_t space, fc_client *client,
                    fc_reason *reason);

/* Reads the fill value, with which HDF5 fills up partial chunks, so that they can be told
 * from samples when they are encoded. A dataset without one keeps what the client data say, as
 * copies by programs that set none need it. Only while the dataset is created: the creation
 * properties of one that was opened have no type of it, and HDF5 crashes. */
int fc_read_fill(const fc_h5 *h5, hid_t dcpl, hid_t type, fc_client *client, fc_reason *reason);

/* Gives the dataset its client data. */
int fc_update_dataset(const fc_h5 *h5, hid_t dcpl, const fc_client *client, fc_reason *reason);

#endif
