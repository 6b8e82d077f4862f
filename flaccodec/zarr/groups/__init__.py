"""Groups of the flacarray package's layout in Zarr."""
