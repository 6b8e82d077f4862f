/* Copies datasets of which HDF5 has all chunks in its cache, after they have shrunk: it puts
 * the samples of each chunk into the buffer in which the filter gave it the one before. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 40, COLUMNS = 1000, KEPT_ROWS = 35, KEPT_COLUMNS = 950 };

static int sample(int i, int j) { return j % 20 + i % 3; }

static int is_right(hid_t x) {
    static int got[KEPT_ROWS][KEPT_COLUMNS];
    if (H5Dread(x, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) < 0) return 0;
    for (int i = 0; i < KEPT_ROWS; i++)
        for (int j = 0; j < KEPT_COLUMNS; j++)
            if (got[i][j] != sample(i, j)) return 0;
    return 1;
}

int main(int argc, char **argv) {
    static int samples[ROWS][COLUMNS];
    hsize_t shape[] = {ROWS, COLUMNS}, most[] = {H5S_UNLIMITED, H5S_UNLIMITED};
    hsize_t chunk[] = {10, 100}, kept[] = {KEPT_ROWS, KEPT_COLUMNS};
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) samples[i][j] = sample(i, j);
    hid_t file = H5Fcreate(argv[argc - 1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, shape, most);
    H5Pset_chunk(plist, 2, chunk);
    if (H5Pset_filter(plist, 61868, H5Z_FLAG_MANDATORY, 0, NULL) < 0) return 1;
    hid_t x = H5Dcreate2(file, "x", H5T_STD_I32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Dwrite(x, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, samples);
    H5Dflush(x);
    H5Dwrite(x, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, samples);
    H5Dset_extent(x, kept);
    H5Ocopy(file, "x", file, "copy", H5P_DEFAULT, H5P_DEFAULT);
    hid_t copy = H5Dopen2(file, "copy", H5P_DEFAULT);
    int right = is_right(x) && is_right(copy);
    puts(right ? "right" : "wrong");
    H5Dclose(copy);
    H5Dclose(x);
    H5Sclose(space);
    H5Pclose(plist);
    return H5Fclose(file) < 0 || !right;
}
