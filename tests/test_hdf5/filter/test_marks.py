"""Numbers that mark missing samples, in the client data: of copies, and named by hand."""

from __future__ import annotations

import ctypes
import itertools
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from h5py import h5d, h5p, h5s, h5t

import flaccodec
from flaccodec import hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.exceptions import ConfigurationError
from flaccodec.hdf5 import FILTER_ID, Flac
from flaccodec.hdf5 import filter as hdf5_filter
from support.strategies import same_bits
from test_hdf5.running import run

SHAPE, CHUNKS = (3, 15_000), (2, 10_000)
FILLS = [-9999.3, 1e20, np.nan, 0.0]
RULES = [{"quanta": 0.7}, {"precision": 3}]


def words(*values):
    return struct.unpack(f"<{2 * len(values)}I", struct.pack(f"<{len(values)}d", *values))


def walk(fill, dtype="f4", mean=300):
    """A walk of which samples are missing, whose edges differ much from zeros."""
    steps = np.random.default_rng(0).normal(0, 0.1, SHAPE)
    x = (np.cumsum(steps, axis=1) + mean).astype(dtype)
    x[1, 100:200] = x[2, 14_000:14_100] = fill
    return x


def values_of(dataset):
    return dataset.id.get_create_plist().get_filter(0)[2]


def undefine_fill_value(plist, type_id):
    """Which h5py cannot."""
    with Path("/proc/self/maps").open() as maps:
        libraries = {line.split()[-1] for line in maps if re.search(r"/libhdf5[-.]", line)}
    for library in libraries:  # another does not know the list
        ctypes.CDLL(library).H5Pset_fill_value(
            ctypes.c_int64(plist.id), ctypes.c_int64(type_id.id), None
        )


def copy(file, source, name, kind):
    """Copy as programs do that give all client data to a dataset without a fill value."""
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk(CHUNKS)
    if kind == "never":
        plist.set_fill_time(h5d.FILL_TIME_NEVER)
    if kind == "undefined":
        plist.set_fill_time(h5d.FILL_TIME_NEVER)
        undefine_fill_value(plist, h5t.IEEE_F32LE)
    plist.set_filter(FILTER_ID, 0, values_of(source))
    space = h5s.create_simple(SHAPE)
    dataset = h5py.Dataset(h5d.create(file.id, name.encode(), h5t.IEEE_F32LE, space, plist))
    dataset[...] = source[...]
    return dataset


@pytest.mark.parametrize("kind", ["default", "never", "undefined"])
@pytest.mark.parametrize("options", RULES, ids=str)
@pytest.mark.parametrize("fill", FILLS)
def test_a_copy_without_a_fill_value_keeps_that_of_its_source(tmp_path, fill, options, kind):
    x = walk(fill)
    missing = (x == np.float32(fill)) | np.isnan(x)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        first = file.create_dataset(
            "0", data=x, chunks=CHUNKS, fillvalue=fill, compression=Flac(**options)
        )
        second = copy(file, first, "1", kind)
        third = copy(file, second, "2", kind)
        fourth = file.create_dataset(
            "3", SHAPE, "f4", chunks=CHUNKS, dcpl=second.id.get_create_plist()
        )
        fourth[...] = second[...]
        given, kept = values_of(first), values_of(second)
        assert kept[1:13] == given[1:13]
        assert hdf5_filter.marks_of(kept)[0] == pytest.approx(fill, nan_ok=True)
        assert values_of(third) == values_of(fourth) == kept
        if "quanta" in options:
            assert kept == given
    with h5py.File(tmp_path / "x.h5") as file:
        want = file["0"][...]
        np.testing.assert_array_equal(want[missing], x[missing])
        for name in "123":
            got = file[name][...]
            np.testing.assert_array_equal(got[missing], x[missing])
            # Quanta that follow the samples are chosen anew, by samples that were rounded.
            np.testing.assert_allclose(got[~missing], want[~missing], rtol=3e-7)


def test_a_fill_value_of_its_own_wins(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        first = file.create_dataset(
            "x", SHAPE, "f4", chunks=CHUNKS, fillvalue=-1, compression=Flac(quanta=0.7)
        )
        plist = first.id.get_create_plist()
        plist.set_fill_value(np.array(-7.5, "f4"))
        space = h5s.create_simple(SHAPE)
        second = h5py.Dataset(h5d.create(file.id, b"y", h5t.IEEE_F32LE, space, plist))
        assert hdf5_filter.marks_of(values_of(first)) == (-1,)
        assert hdf5_filter.marks_of(values_of(second)) == (-7.5,)


@pytest.mark.parametrize("fill_time", ["never", "ifset"])
def test_quanta_of_edges_that_hdf5_fills_up_with_zeros(tmp_path, fill_time):
    """It does so where the fill value is not to be written, whatever it is."""
    x = walk(-9999.3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset(
            "x", data=x, chunks=CHUNKS, fillvalue=-9999.3, fill_time=fill_time,
            compression=Flac(precision=2),
        )  # fmt: skip
        file.create_dataset(
            "whole", data=x[2:, 10_000:], chunks=(1, 5000), fillvalue=-9999.3,
            compression=Flac(precision=2),
        )  # fmt: skip
    with h5py.File(tmp_path / "x.h5") as file:
        assert same_bits(file["x"][2:, 10_000:], file["whole"][...])


# -- named by hand ---------------------------------------------------------------------------


def test_marks_in_python():
    options = CodecOptions(quanta=0.5)
    assert hdf5_filter.client_data(options) == Flac(quanta=0.5).filter_options
    given = hdf5_filter.client_data(options, (-9999.3, 1e20))
    assert given == (2, 5, 1, *words(0.5), 4096, *words(-9999.3, 1e20))
    assert hdf5_filter.read_client_data(given) == options
    assert hdf5_filter.marks_of(()) == ()
    assert hdf5_filter.fill_of(()) == 0
    hdf5_filter.client_data(options, range(7))
    with pytest.raises(ConfigurationError, match=r"at most 7 numbers that mark .* Got 8: \(0, 1"):
        hdf5_filter.client_data(options, tuple(range(8)))


NAMED = {
    "words": (2, 5, 1, *words(0.7), 4096, *words(-9999.3)),
    "decimal": (3, 5, 3, 7, 1, 4096, 1, 99_993, 1),
    "several": (3, 5, 3, 7, 1, 4096, 2, 1, 20, 1, 99_993, 1, 3, 1, 20, 0, 1, 3),
    "precision": (3, 5, 4, 3, 0, 4096, 1, 99_993, 1),
}


def named(file, name, values, fill):
    return file.create_dataset(
        name, SHAPE, "f4", chunks=CHUNKS, fillvalue=fill, compression=FILTER_ID,
        compression_opts=values,
    )  # fmt: skip


@pytest.mark.parametrize("values", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("fill", [None, 1.25])
def test_marks_that_programs_name(tmp_path, values, fill):
    x = walk(-9999.3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        named(file, "x", values, fill)[...] = x
        marks = hdf5_filter.marks_of(values_of(file["x"]))
        assert marks[0] == (fill or 0)
        assert -9999.3 in marks
        if values is NAMED["several"]:
            assert marks[1:] == (1e20, -9999.3, -1e20, 0.001)
    with h5py.File(tmp_path / "x.h5") as file:
        got = file["x"][...]
    missing = x == np.float32(-9999.3)
    np.testing.assert_array_equal(got[missing], x[missing])
    assert 0 < np.abs(got - x)[~missing].max() <= 0.35 + 1e-4


@pytest.mark.parametrize("values", NAMED.values(), ids=NAMED)
def test_hdf5_write_knows_them_too(tmp_path, values):
    x = walk(-9999.3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        named(file, "a", values, 1.25)[...] = x
        hdf5.write(named(file, "b", values, 1.25), x)
    with h5py.File(tmp_path / "x.h5") as file:
        for at in np.ndindex(2, 2):
            chunks = [file[name].id.read_direct_chunk((2 * at[0], 10_000 * at[1])) for name in "ab"]
            assert chunks[0] == chunks[1]


@pytest.mark.parametrize("spec", ["2,5,1,0.7d,4096,-9999.3d", "3,5,3,7,1,4096,1,99993,1"])
def test_nccopy_with_a_mark(tmp_path, spec):
    source, target, x = tmp_path / "a.nc", tmp_path / "b.nc", walk(-9999.3)
    data = xarray.Dataset({"v": (("c", "t"), x, {"missing_value": np.float32(-9999.3)})})
    data.to_netcdf(source, engine="h5netcdf")
    run("nccopy", "-c", "v:2,10000", "-F", f"v,{FILTER_ID},{spec}", source, target)
    with h5py.File(target) as file:
        got = file["v"][...]
        assert hdf5_filter.options_of(file["v"]) == CodecOptions(quanta=0.7, missing_value=-9999.3)
    missing = x == np.float32(-9999.3)
    np.testing.assert_array_equal(got[missing], x[missing])
    assert 0 < np.abs(got - x)[~missing].max() <= 0.35 + 1e-4


@pytest.mark.parametrize(
    "options", [{"quanta": 0.7, "fill_value": -9999.3}, {"precision": 3, "fill_value": 1e20}]
)
def test_nccopy_keeps_the_fill_value(tmp_path, options):
    paths = [tmp_path / name for name in ("a.nc", "b.nc", "c.nc")]
    data = xarray.Dataset({"v": (("c", "t"), walk(np.nan, "f8", 5))})
    encoding = flaccodec.encoding(data.v, engine="h5netcdf", **options)
    data.to_netcdf(paths[0], engine="h5netcdf", encoding={"v": {**encoding, "chunksizes": CHUNKS}})
    for source, target in itertools.pairwise(paths):
        run("nccopy", source, target)
    with xarray.open_dataset(paths[0], engine="h5netcdf") as first:
        want = first.v.values
        assert (np.isnan(want) == np.isnan(data.v.values)).all()
        for path in paths[1:]:
            with xarray.open_dataset(path, engine="h5netcdf") as other:
                np.testing.assert_array_equal(other.v.values, want)


def test_h5repack_with_a_mark(tmp_path):
    plain, packed, x = tmp_path / "plain.h5", tmp_path / "packed.h5", walk(-9999.3)
    with h5py.File(plain, "w") as file:
        file.create_dataset("x", data=x, chunks=CHUNKS)
    run("h5repack", "-f", f"x:UD={FILTER_ID},0,9,3,5,3,7,1,4096,1,99993,1", plain, packed)
    with h5py.File(packed) as file:
        got = file["x"][...]
    missing = x == np.float32(-9999.3)
    np.testing.assert_array_equal(got[missing], x[missing])
    assert 0 < np.abs(got - x)[~missing].max() <= 0.35 + 1e-4
