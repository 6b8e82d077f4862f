"""The flacarray package's layout of a group, in HDF5 or in Zarr."""
