"""The arrays that are compressed, and the slices that are read."""
