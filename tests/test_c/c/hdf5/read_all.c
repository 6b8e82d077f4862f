/* Reads every dataset of a file's root group whole, and prints for each its
 * name and "read", or the first cause on HDF5's error stack. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

static herr_t keep_last(unsigned n, const H5E_error2_t *error, void *text) {
    (void)n;
    snprintf(text, 500, "%s", error->desc);
    return 0;
}

static herr_t read_one(hid_t group, const char *name, const H5L_info_t *info, void *data) {
    char cause[500] = "no cause";
    (void)info, (void)data;
    hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    void *samples = malloc(H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space));
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, samples) >= 0)
        printf("%s: read\n", name);
    else {
        H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_last, cause);
        H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_last, cause);
        printf("%s: %s\n", name, cause);
    }
    free(samples);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return 0;
}

int main(int argc, char **argv) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = argc == 2 ? H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (file < 0) return 2;
    herr_t failed = H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, read_one, NULL);
    return H5Fclose(file) < 0 || failed < 0;
}
