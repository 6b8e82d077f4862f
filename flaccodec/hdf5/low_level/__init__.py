"""What h5py does not tell of HDF5."""
