"""How zarr reads and writes chunks of FLAC: its codec pipelines, with ours among them."""
