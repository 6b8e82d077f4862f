"""HDF5 files as Zarr: copies without decoding, and virtual stores."""
