"""Datasets in HDF5 files, written and read with several filters."""
