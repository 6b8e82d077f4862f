"""Groups of flacarray's layout: what its versions wrote is read, and it reads what is written."""

from __future__ import annotations

import io
import json
import tarfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import zarr

from flaccodec import FlacArray, hdf5
from flaccodec.compress import array_compress
from flaccodec.exceptions import (
    ConfigurationError,
    GroupExistsError,
    UnsupportedDtypeError,
)
from flaccodec.groups.layout import DATASETS, GroupStreams
from flaccodec.groups.packed import packed_of, streams_of
from flaccodec.zarr.groups import arrays as group_zarr
from support.paths import DATA
from test_groups.interchange.cases import QUANTA, SHAPES, cases
from test_groups.interchange.environments import REQUIREMENTS, run_program
from test_groups.streams import WIDE, assert_same, compress, values_of

FILES = DATA / "flacarray"
CASES = cases(wide_int64=True)


# -- what flacarray wrote -------------------------------------------------------------


@pytest.fixture(scope="module", params=REQUIREMENTS)
def kept_files(request, tmp_path_factory):
    """Unpack the files that a version of flacarray wrote."""
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(FILES / f"{request.param}.tar.xz") as archive:
        # Python 3.11.2, Debian 12's, has no filters, and later ones warn without
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    with h5py.File(folder / "groups.h5", "r") as file, np.load(folder / "values.npz") as values:
        yield SimpleNamespace(
            roots=[(file, hdf5), (zarr.open_group(folder / "groups.zarr", mode="r"), group_zarr)],
            values=dict(values),
            format_version=0 if request.param == "0.2.2" else 1,
        )


def test_there_are_files_of_every_dtype_and_shape(kept_files):
    for root, _ in kept_files.roots:
        assert set(root) == set(kept_files.values)
    if kept_files.format_version == 0:  # it cannot write the offsets of a single stream
        left_out = {name for name in CASES if name.endswith("_1d") and name != "int32_1d"}
        assert set(kept_files.values) == set(CASES) - left_out
    else:
        assert set(kept_files.values) == set(CASES)


def test_files_of_flacarray_are_read(kept_files):
    for root, door in kept_files.roots:
        for name, values in kept_files.values.items():
            streams, indices = door.read_streams(root[name])
            assert indices is None
            assert streams.format_version == kept_files.format_version
            assert_same(values_of(streams), values)
            assert streams.extras == {}


def test_files_of_flacarray_are_read_in_part(kept_files):
    for root, door in kept_files.roots:
        for name, values in kept_files.values.items():
            leading = values.shape[:-1]
            keep = np.arange(np.prod(leading, dtype=int)).reshape(leading) % 2 == 1
            streams, indices = door.read_streams(root[name], keep)
            assert indices == [tuple(map(int, index)) for index in np.argwhere(keep)]
            assert streams.compressed.size == streams.stream_nbytes.sum()
            if keep.any():
                assert_same(values_of(streams), values[keep])


def test_files_of_flacarray_become_flacarrays(kept_files):
    """With samples within 4 eps of the stream's largest, that can be written again."""
    for root, door in kept_files.roots:
        for name, values in kept_files.values.items():
            streams, _ = door.read_streams(root[name])
            fa = FlacArray._of(packed_of(streams, no_flatten=False, what="", progress=False))
            samples = fa.to_array()
            assert (samples.dtype, samples.shape) == (values.dtype, values.shape)
            if values.dtype.kind == "i":
                assert_same(samples, values)
                continue
            eps = np.finfo(values.dtype).eps
            largest = np.abs(values).max(axis=-1, keepdims=True).astype("float64")
            assert (np.abs(samples.astype("float64") - values) <= 4 * eps * largest).all()
            assert fa.stream_gains is not None
            assert fa.nbytes < FlacArray.from_array(values, lossless=True).nbytes
            assert values_of(streams_of(fa._packed, "", progress=False)).shape == values.shape


def test_the_kept_values_are_those_that_were_written(kept_files):
    written = cases(wide_int64=kept_files.format_version == 1)
    for name, values in kept_files.values.items():
        array, options = written[name]
        if array.dtype.kind == "i":
            assert values.tobytes() == array.tobytes()
        elif "quanta" in options:
            rounding = 1.51 if kept_files.format_version == 0 else 0.501  # 0.2.2 does not round
            errors = values.reshape(array.shape).astype(float) - array
            assert np.abs(errors).max() <= rounding * options["quanta"]


@pytest.mark.parametrize("version", REQUIREMENTS)
def test_each_version_still_writes_what_is_kept(version, tmp_path):
    run_program(version, "write_groups.py", tmp_path)
    with tarfile.open(FILES / f"{version}.tar.xz") as archive:
        kept = np.load(io.BytesIO(archive.extractfile("values.npz").read()))
    with np.load(tmp_path / "values.npz") as values:
        assert set(values) == set(kept)
        for name in values:
            assert values[name].dtype == kept[name].dtype
            np.testing.assert_allclose(values[name], kept[name], rtol=0, atol=QUANTA)


# -- what flacarray reads ---------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read_by_us_and_by_flacarray(door, name):
    array, options = CASES[name]
    streams = compress(array, **options, extras={"quanta": options.get("quanta")})
    door.write(door.root, streams)
    back, _ = door.read(door.root)
    assert "groups." in back.place
    for attribute, value in {**vars(streams), "place": back.place}.items():
        np.testing.assert_array_equal(getattr(back, attribute), value)
    assert back.shape == array.shape
    values = values_of(streams)
    theirs = door.read_array(door.root)
    assert_same(theirs.reshape(array.shape), values)
    if array.ndim > 1 and array.shape[0] > 1:
        keep = np.arange(streams.n_streams).reshape(array.shape[:-1]) % 2 == 0
        assert_same(door.read_array(door.root, keep=keep), values[keep])


@pytest.mark.parametrize("version", ["0.3.4", "0.4.1"])
def test_versions_of_flacarray_read_what_is_written(version, tmp_path):
    values = {}
    roots = {
        kind: zarr.create_group(tmp_path / f"groups{kind}.zarr", zarr_format=kind)
        for kind in (2, 3)
    }
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        for name, (array, options) in CASES.items():
            streams = compress(array, **options)
            values[name] = values_of(streams)
            hdf5.write_streams(file.create_group(name), streams)
            for root in roots.values():
                group_zarr.write_streams(root.create_group(name), streams)
    run_program(version, "read_groups.py", tmp_path)
    for file_name in ("groups.h5", "groups2.zarr", "groups3.zarr"):
        with np.load(tmp_path / f"{file_name}.npz") as theirs:
            for name, value in values.items():
                assert_same(theirs[name].reshape(value.shape), value)
                if value.ndim > 1 and len(value) > 1:
                    rows = value.reshape(-1, value.shape[-1])
                    assert_same(theirs[f"{name}/keep"], rows[::2, 5:30])


def test_what_flacarray_left_in_the_attributes_is_understood(door):
    """Datasets that are deleted and written anew by flacarray are no longer ours."""
    door.write(door.root, compress(np.arange(70, dtype="int32").reshape(1, 70), extras={"a": 1}))
    assert door.read(door.root)[0].shape == (1, 70)
    for name in DATASETS:
        if name in door.root:
            del door.root[name]
    door.write_array(np.arange(70, dtype="int32"), door.root)
    streams, _ = door.read(door.root)
    assert streams.shape == (70,)
    assert streams.extras == {}


def test_extras_of_another_shape_are_passed_over(door):
    door.write(door.root, compress(np.ones((2, 70), "int32"), extras={"a": 1}))
    door.root.attrs["flaccodec"] = json.dumps({"shape": [3, 70], "a": 1})
    streams, _ = door.read(door.root)
    assert streams.shape == (2, 70)
    assert streams.extras == {}


# -- writing ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_are_not_overwritten(door, name):
    door.put(door.root, name, np.arange(3))
    with pytest.raises(GroupExistsError, match=f"already has {name}: delete"):
        door.write(door.root, compress(WIDE))
    assert set(door.root) == {name}
    assert len(door.root.attrs) == 0


def test_a_group_keeps_what_else_it_holds(door):
    door.put(door.root, "other", np.arange(3))
    door.root.attrs["mine"] = "yes"
    door.write(door.root, compress(WIDE))
    assert (door.root["other"][...] == np.arange(3)).all()
    assert door.root.attrs["mine"] == "yes"


@pytest.fixture(params=["stream_bytes", "compressed"])
def full(request, door, monkeypatch):
    """A disk that is full once a dataset was made."""
    kind, method = (
        (h5py.Group, "create_dataset") if door.kind == "hdf5" else (zarr.Group, "create_array")
    )
    create = getattr(kind, method)

    def fail(group, name, **options):
        created = create(group, name, **options)
        if name == request.param:
            raise OSError("disk full")
        return created

    monkeypatch.setattr(kind, method, fail)
    return kind


def test_nothing_stays_of_a_write_that_fails(door, full):
    with pytest.raises(OSError, match="disk full"):
        door.write(door.root, compress(WIDE))
    assert set(door.root) == set()
    assert len(door.root.attrs) == 0


def test_attributes_from_before_a_write_that_fails_stay(door, full):
    before = {"flaccodec": "of another", "flac_channels": "9", "mine": "yes"}
    door.root.attrs.update(before)
    with pytest.raises(OSError, match="disk full"):
        door.write(door.root, compress(WIDE))
    assert dict(door.root.attrs) == before


def test_what_cannot_be_removed_is_told(door, full, monkeypatch):
    def fail(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(full, "__delitem__", fail)
    with pytest.raises(OSError, match="disk full") as caught:
        door.write(door.root, compress(WIDE))
    (note,) = caught.value.__notes__
    assert "could not be removed: PermissionError('read-only')" in note


@pytest.mark.parametrize(
    ("extras", "match"),
    [
        ({"shape": [1]}, "must not hold shape"),
        ({"a": np.arange(3)}, "what JSON can express"),
        ({"a": "x" * 70_000}, "at most 60,000 bytes"),
    ],
)
def test_extras_that_cannot_be_written(door, extras, match):
    with pytest.raises(ConfigurationError, match=match):
        door.write(door.root, compress(WIDE, extras=extras))
    assert set(door.root) == set()
    assert len(door.root.attrs) == 0


def test_streams_that_cannot_be_written(door):
    streams = compress(WIDE)
    old = GroupStreams(**{**vars(streams), "format_version": 0})
    with pytest.raises(ConfigurationError, match=r"written in format 1\. Got streams of format 0"):
        door.write(door.root, old)
    door.write(door.root, streams)
    none, _ = door.read(door.root, np.zeros((6, 5), bool))
    with pytest.raises(ConfigurationError, match="at least 1 stream"):
        door.write(door.root.create_group("none"), none)


def test_what_is_no_group_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"must be an h5py.Group. Got Group"):
        hdf5.read_streams(zarr.create_group({}))
    with pytest.raises(TypeError, match=r"must be a zarr.Group. Got dict"):
        group_zarr.write_streams({}, compress(WIDE))


@pytest.mark.parametrize(
    ("dtype", "match"),
    [
        ("int16", r"FlacCodec can .*astype\('int32'\)"),
        ("uint16", r"astype\('int32'\)"),
        ("uint32", r"astype\('int64'\)"),
        (">i4", r"convert it with astype\('int32'\)"),
        ("complex64", "real and imaginary"),
    ],
)
def test_dtypes_that_the_layout_cannot_hold(dtype, match):
    tables = array_compress(WIDE)
    with pytest.raises(UnsupportedDtypeError, match=match):
        GroupStreams(WIDE.shape, np.dtype(dtype), *tables)


def test_streams_that_contradict_themselves():
    good = vars(compress(WIDE))
    for change, match in (
        ({"shape": (7, 5, 4000)}, "stream_starts of an array of shape"),
        ({"shape": ()}, "at least 1 sample"),
        ({"dtype": np.dtype("float32")}, "needs stream_offsets"),
        ({"compressed": good["compressed"][:-1]}, r"stream \(5, 4\) must lie within"),
        ({"compressed": good["compressed"].astype("int8")}, "compressed must be uint8"),
        ({"format_version": 3}, "formats 0 and 1"),
    ):
        with pytest.raises(ValueError, match=match):
            GroupStreams(**{**good, **change})


def test_the_cases_have_every_shape():
    assert {array.shape for array, _ in CASES.values()} == set(SHAPES.values())
