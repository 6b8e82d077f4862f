"""How zarr reads and writes chunks of FLAC: its codec pipelines, with ours among them."""

import contextlib

from flaccodec.zarr.pipeline import pipeline  # noqa: F401 - it registers ours

with contextlib.suppress(ImportError):  # zarr before 3.4 has no fused pipeline
    from flaccodec.zarr.pipeline import fused  # noqa: F401 - it registers itself
