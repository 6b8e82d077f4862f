/* Writes a dataset with the flaccodec filter, or reads one, through HDF5's
 * ordinary functions. Nothing of flaccodec is included or linked: HDF5 loads
 * the filter from the directory in HDF5_PLUGIN_PATH.
 *
 *     cc hdf5_from_c.c -o hdf5_from_c $(pkg-config --cflags --libs hdf5)
 *     export HDF5_PLUGIN_PATH=$(python -m flaccodec.hdf5)
 *     ./hdf5_from_c write walk.h5
 *     ./hdf5_from_c read walk.h5
 */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLACCODEC 61868 /* the number of the filter */
#define N_STREAMS 16
#define STREAM_SIZE 10000

static double samples[N_STREAMS][STREAM_SIZE];

static void make_samples(void) {
    for (int s = 0; s < N_STREAMS; s++)
        for (int i = 1; i < STREAM_SIZE; i++)
            samples[s][i] = samples[s][i - 1] + (i * 7919 + s * 104729) % 201 / 97. - 1;
}

static int write_samples(hid_t file) {
    const hsize_t shape[] = {N_STREAMS, STREAM_SIZE}, chunk[] = {4, STREAM_SIZE};
    /* layout 1, level 5, decimal quanta, 1 * 10**-3 */
    const unsigned options[] = {1, 5, 3, 1, 3};
    hid_t space = H5Screate_simple(2, shape, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 2, chunk);
    H5Pset_filter(plist, FLACCODEC, H5Z_FLAG_MANDATORY, 5, options);
    hid_t dataset = H5Dcreate2(file, "samples", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist,
                               H5P_DEFAULT);
    int failed = dataset < 0
        || H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, samples) < 0;
    if (dataset >= 0 && H5Dclose(dataset) < 0) failed = 1; /* what was written late may fail here */
    H5Pclose(plist);
    H5Sclose(space);
    return failed;
}

static int read_samples(hid_t file) {
    static double got[N_STREAMS][STREAM_SIZE];
    double worst = 0;
    hid_t dataset = H5Dopen2(file, "samples", H5P_DEFAULT);
    int failed = dataset < 0
        || H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) < 0;
    if (dataset >= 0) H5Dclose(dataset);
    if (failed) return 1;
    for (int s = 0; s < N_STREAMS; s++)
        for (int i = 0; i < STREAM_SIZE; i++) {
            double error = got[s][i] - samples[s][i];
            if (error < 0) error = -error;
            if (error > worst) worst = error;
        }
    printf("largest error %.5f\n", worst);
    return worst > 0.00051;
}

int main(int argc, char **argv) {
    int writes = argc == 3 && !strcmp(argv[1], "write");
    if (!writes && (argc != 3 || strcmp(argv[1], "read"))) {
        fprintf(stderr, "usage: %s write|read FILE\n", argv[0]);
        return 2;
    }
    make_samples();
    hid_t file = writes ? H5Fcreate(argv[2], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)
                        : H5Fopen(argv[2], H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return 1;
    int failed = writes ? write_samples(file) : read_samples(file);
    if (H5Fclose(file) < 0) failed = 1;
    return failed;
}
