"""flaccodec beside flacarray, pcodec, Blosc and Zstd: run with ``python -m benchmarks``."""
