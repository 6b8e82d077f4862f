"""`FlacCodecPipeline`, by the path that zarr's configuration has."""

from flaccodec.zarr.pipeline.pipeline import FlacCodecPipeline

__all__ = ["FlacCodecPipeline"]
