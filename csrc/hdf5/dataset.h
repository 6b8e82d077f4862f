/* What is known of a dataset that is being created. */
#ifndef FC_DATASET_H
#define FC_DATASET_H

#include "hdf5/client_data.h"
#include "hdf5/h5.h"

#define FC_FILTER_ID 0xF1AC /* a private number; flaccodec.hdf5.FILTER_ID is the same */

/* Each returns 1, or 0 with a reason why the dataset cannot be. `dcpl`, `type` and `space` are what
 * HDF5 gives its filters: creation properties, datatype, and the dataspace of a chunk. */

/* Reads the dtype, the shape of the chunks, the filters and what users ask for. */
int fc_read_dataset(const fc_h5 *h5, hid_t dcpl, hid_t type, hid_t space, fc_client *client,
                    fc_reason *reason);

/* Reads the fill value, with which HDF5 fills partial chunks: it marks what is no sample. A dataset
 * without one keeps what the client data say, for copies by programs that set none. To be called
 * only while the dataset is created: the creation properties of an opened one have no type of the
 * fill value, and HDF5 crashes. */
int fc_read_fill(const fc_h5 *h5, hid_t dcpl, hid_t type, fc_client *client, fc_reason *reason);

/* Sets the client data of the dataset. */
int fc_update_dataset(const fc_h5 *h5, hid_t dcpl, const fc_client *client, fc_reason *reason);

#endif
