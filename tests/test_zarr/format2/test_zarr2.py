"""The numcodecs codec beside zarr 2.18, which ``./dev versions zarr2`` installs."""

import subprocess
import sys

import numpy as np
import pytest
import zarr

import flaccodec
from flaccodec import FlacArray
from flaccodec.exceptions import ConfigurationError

if not zarr.__version__.startswith("2."):
    pytest.skip("zarr 3 is here: ./dev versions zarr2 runs these", allow_module_level=True)

import numcodecs

from flaccodec.numcodecs import Flac

DTYPES = ["i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<u8", "<f4", "<f8", ">f8"]


def walk(dtype="<i4"):
    steps = np.random.default_rng(0).integers(-50, 50, (5, 30_000))
    return (np.cumsum(steps, axis=1) % 100).astype(dtype)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES)
def test_as_compressor_and_as_filter(dtype, order):
    data = walk(dtype)
    for options in (
        {"compressor": Flac()},
        {"compressor": None, "filters": [Flac(level=0)]},
        {"compressor": numcodecs.Zstd(), "filters": [Flac()]},
    ):
        array = zarr.array(data, chunks=(2, 8000), order=order, **options)  # the last are cut
        assert array.dtype == data.dtype
        np.testing.assert_array_equal(array[:], data)
        np.testing.assert_array_equal(array[1:4, 7990:16_010:3], data[1:4, 7990:16_010:3])


@pytest.mark.parametrize("dtype", ["<i2", "<i4", "<u8"])
def test_behind_delta(dtype):
    array = zarr.array(walk(dtype), filters=[numcodecs.Delta(dtype)], compressor=Flac())
    np.testing.assert_array_equal(array[:], walk(dtype))


def test_it_is_smaller_than_the_array():
    array = zarr.array(walk(), chunks=(5, 30_000), compressor=Flac())
    assert array.nbytes_stored < array.nbytes / 3


@pytest.mark.parametrize("options", [{"quanta": 1e-3}, {"precision": 3}], ids=repr)
def test_floats_with_an_error(options):
    data = np.random.default_rng(1).normal(size=(4, 10_000))
    data[2, 5:9] = np.nan, np.inf, -np.inf, -0.0
    array = zarr.array(data, chunks=(2, 5000), compressor=Flac(**options), fill_value=np.nan)
    finite = np.isfinite(data)
    difference = np.abs(array[:][finite] - data[finite])
    assert 0 < difference.max() <= 0.55e-3
    np.testing.assert_array_equal(array[:][~finite], data[~finite])
    again = zarr.array(array[:], chunks=(2, 5000), compressor=Flac(quanta=1e-3))
    if "quanta" in options:
        np.testing.assert_array_equal(again[:], array[:])


def test_another_process_reads_what_was_written(tmp_path):
    """It finds the codec by its entry point, without importing flaccodec."""
    group = zarr.open_group(str(tmp_path / "g.zarr"), mode="w")
    group.create_dataset("x", data=walk(), chunks=(2, 10_000), compressor=Flac(level=3))
    zarr.consolidate_metadata(group.store)
    program = """
import sys, zarr
x = zarr.open_consolidated(sys.argv[1])["x"]
print(x[3, 12345:12350].tolist(), x.compressor)
"""
    command = [sys.executable, "-c", program, tmp_path / "g.zarr"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(walk()[3, 12345:12350].tolist()) + " Flac(level=3")


def test_parts_are_written_and_appended():
    array = zarr.zeros((4, 20_000), chunks=(2, 5000), dtype="<i4", compressor=Flac())
    data = walk()[:4, :20_000]
    array[:, :12_345] = data[:, :12_345]
    array[:, 12_345:] = data[:, 12_345:]
    array.append(data)
    np.testing.assert_array_equal(array[:], np.concatenate([data, data]))


def test_options_are_kept_in_the_metadata():
    codec = numcodecs.get_codec(Flac(level=7, quanta=0.5, frame_size=64).get_config())
    assert (codec.level, codec.quanta, codec.frame_size) == (7, 0.5, 64)


def test_errors_are_ours():
    with pytest.raises(ConfigurationError):
        zarr.array(walk("<i4"), compressor=Flac(quanta=0.5))


@pytest.mark.parametrize(
    "use",
    [
        lambda: flaccodec.FlacCodec,
        lambda: flaccodec.create_array,
        lambda: flaccodec.encoding(),
        lambda: FlacArray.from_array(walk()).to_zarr("never.zarr"),
        lambda: FlacArray.from_zarr("never.zarr"),
        lambda: FlacArray.from_array(walk()).write_zarr(None),
        lambda: __import__("flaccodec.zarr.pipeline.pipeline"),
        lambda: __import__("flaccodec.zarr"),
    ],
)
def test_what_needs_zarr_3_names_both_versions(use):
    needed = rf"needs zarr 3\.\d+\.\d+ or later, and {zarr.__version__} is installed: pip install "
    with pytest.raises(ImportError, match=needed + r".*flaccodec\.numcodecs\.Flac"):
        use()
