"""Groups of flacarray's layout: what its versions wrote is read, and it reads what is written."""

from __future__ import annotations

import io
import json
import tarfile
from types import SimpleNamespace

import flacarray.hdf5
import flacarray.zarr
import h5py
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

import flaccodec.zarr
from flaccodec import FlacArray, hdf5
from flaccodec.compress import array_compress, compress_streams
from flaccodec.decompress import array_decompress
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptGroupError,
    GroupExistsError,
    NoGroupError,
    UnknownGroupVersionError,
    UnsupportedDtypeError,
)
from flaccodec.groups import runs as group_runs
from flaccodec.groups.layout import DATASETS, GroupStreams
from flaccodec.groups.packed import packed_of, streams_of
from flaccodec.groups.read import read_bytes
from flaccodec.zarr.groups import arrays as group_zarr
from flaccodec.zarr.groups.door import ZarrDoor, readable
from support.paths import DATA
from support.watched_store import IgnoresRanges, WatchedStore, WithoutRanges
from test_groups.interchange.cases import QUANTA, SHAPES, cases
from test_groups.interchange.environments import REQUIREMENTS, run_program

FILES = DATA / "flacarray"
CASES = cases(wide_int64=True)


def compress(array, **options):
    extras = options.pop("extras", {})
    tables = compress_streams(array, 5, options.get("quanta"), options.get("precision"), False)
    return GroupStreams(
        array.shape, array.dtype, *tables[:5], extras=extras, stream_quanta=tables[5]
    )


def values_of(streams):
    """Decode streams as the layout's module says."""
    samples = array_decompress(
        streams.compressed,
        streams.stream_size,
        streams.stream_starts,
        streams.stream_nbytes,
        is_int64=streams.n_channels == 2,
        no_flatten=True,
    )
    offsets, gains = streams.stream_offsets, streams.stream_gains
    if gains is not None:
        one = streams.dtype.type(1)
        samples = samples.astype(streams.dtype) * (one / gains)[..., None] + offsets[..., None]
    elif offsets is not None:
        samples = samples + offsets[..., None]
    assert samples.dtype == streams.dtype
    return samples.reshape(streams.shape)


def assert_same(got, want):
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()


@pytest.fixture(params=["hdf5", "zarr2", "zarr3"])
def door(request, tmp_path):
    """Give functions that make empty groups, read and write, of one kind of file."""
    kind = request.param
    if kind == "hdf5":
        with h5py.File(tmp_path / "groups.h5", "w") as file:
            yield SimpleNamespace(
                kind=kind,
                root=file,
                write=hdf5.write_streams,
                read=hdf5.read_streams,
                read_array=flacarray.hdf5.read_array,
                write_array=flacarray.hdf5.write_array,
                put=lambda group, name, data: group.create_dataset(name, data=data),
            )
    else:
        root = zarr.create_group(tmp_path / "groups.zarr", zarr_format=int(kind[-1]))
        yield SimpleNamespace(
            kind=kind,
            root=root,
            write=group_zarr.write_streams,
            read=group_zarr.read_streams,
            read_array=flacarray.zarr.read_array,
            write_array=flacarray.zarr.write_array,
            put=lambda group, name, data: group.create_array(name, data=data),
        )


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


# -- reading in part ----------------------------------------------------------------------

WIDE = np.random.default_rng(1).integers(-(2**20), 2**20, (6, 5, 4000), dtype="int32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_does_not_depend_on_the_order_in_memory(dtype):
    """A group that ranks write, each its rows, is what one process writes."""
    array = np.random.default_rng(1).normal(0, 1000, (30, 5000)).cumsum(axis=-1).astype(dtype)
    expected = array_compress(array, precision=5.0)
    for other in (np.asfortranarray(array), np.repeat(array, 2, axis=-1)[:, ::2]):
        for one, two in zip(expected, array_compress(other, precision=5.0), strict=True):
            np.testing.assert_array_equal(one, two)


def test_masks_of_one_stream(door):
    array = np.arange(70, dtype="int32")
    door.write(door.root, compress(array))
    for keep in (np.array(True), np.array([True]), [True]):
        streams, indices = door.read(door.root, keep)
        assert_same(values_of(streams), array.reshape(1, 70))
        assert indices == [(0,)]


def test_a_mask_of_nothing_keeps_nothing(door):
    door.write(door.root, compress(WIDE.astype("float64"), quanta=1.0))
    streams, indices = door.read(door.root, np.zeros((6, 5), bool))
    assert indices == []
    assert streams.shape == (0, 4000)
    assert streams.compressed.shape == streams.stream_starts.shape == (0,)
    assert streams.stream_gains.shape == (0,)


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_any_mask(door, density):
    door.write(door.root, compress(WIDE))
    for seed in range(5):
        keep = np.random.default_rng(seed).random((6, 5)) < density
        keep[3, 3] = True
        streams, indices = door.read(door.root, keep)
        assert_same(values_of(streams), WIDE[keep])
        assert_same(np.array(indices), np.argwhere(keep))


def test_streams_in_another_order_are_read(door):
    """Nothing in the layout says that streams begin in the order of their indices."""
    streams = compress(WIDE)
    turned = GroupStreams(
        WIDE.shape,
        WIDE.dtype,
        streams.compressed,
        streams.stream_starts[::-1, ::-1],
        streams.stream_nbytes[::-1, ::-1],
    )
    door.write(door.root, turned)
    keep = np.ones((6, 5), bool)
    keep[2] = False
    assert_same(values_of(door.read(door.root)[0]), WIDE[::-1, ::-1])
    assert_same(values_of(door.read(door.root, keep)[0]), WIDE[::-1, ::-1][keep])


@pytest.mark.parametrize(
    "keep", [np.ones((6, 4), bool), np.ones(30, bool), np.ones((6, 5), int), np.array(True), "no"]
)
def test_masks_that_fit_not_are_refused(door, keep):
    door.write(door.root, compress(WIDE))
    with pytest.raises(
        ConfigurationError, match=r"keep must be bool of the leading shape, \(6, 5\)"
    ):
        door.read(door.root, keep)


@pytest.fixture
def hdf5_reads(monkeypatch):
    """Give the ranges of compressed bytes that are read of HDF5 files."""
    reads = []
    read = h5py.Dataset.__getitem__

    def watched(dataset, key):
        if dataset.name == "/compressed":
            reads.append((key.start, key.stop))
        return read(dataset, key)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    return reads


def test_hdf5_reads_touch_the_bytes_of_their_streams_alone(tmp_path, hdf5_reads):
    streams = compress(WIDE)
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        hdf5.write_streams(file, streams)
        keep = np.zeros((6, 5), bool)
        keep[1, 2:] = keep[4, 0] = keep[2, 0] = True  # 7 to 10 are neighbours, and 20
        hdf5.read_streams(file, keep)
    starts, stops = streams.stream_starts.ravel(), np.append(streams.stream_starts.ravel(), 0)[1:]
    assert hdf5_reads == [(starts[7], stops[10]), (starts[20], stops[20])]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_reads_touch_the_chunks_of_their_streams_alone(zarr_format):
    streams = compress(WIDE)
    chunk = 4000  # less than half of a stream
    store = WatchedStore(MemoryStore())
    group = zarr.create_group(store, zarr_format=zarr_format)
    group_zarr.write_streams(group, streams)
    del group["compressed"]
    group.create_array("compressed", data=streams.compressed, chunks=(chunk,), compressors=None)
    keep = np.zeros((6, 5), bool)
    keep[1, 2:4] = keep[4, 0] = True
    store.forget()
    group_zarr.read_streams(group, keep)
    asked = [
        int(get.key.rsplit("/", 1)[-1])
        for get in store.gets
        if "compressed/" in get.key and "." not in get.key
    ]
    needed = set()
    for start, size in zip(streams.stream_starts[keep], streams.stream_nbytes[keep], strict=True):
        needed.update(range(start // chunk, (start + size - 1) // chunk + 1))
    assert sorted(asked) == sorted(needed)


MANY = np.random.default_rng(5).integers(-(2**10), 2**10, (100, 10000), dtype="int32")


def gets_of_compressed(store):
    return [get for get in store.gets if "compressed/" in get.key and "/." not in get.key]


@pytest.fixture(params=["3", "3 with keys of 2", "2"])
def watched(request):
    """Give a store that counts, and a group in a group of it, with streams of MANY."""
    store = WatchedStore(MemoryStore())
    zarr_format = int(request.param[0])
    group = zarr.create_group(store, zarr_format=zarr_format).create_group("in/side")
    flaccodec.zarr.write_array(MANY, group)
    if "keys" in request.param:
        data = group["compressed"][...]
        del group["compressed"]
        encoding = {"name": "v2", "separator": "."}
        put = {"chunks": (group_zarr.CHUNK_BYTES,), "compressors": None}
        group.create_array("compressed", data=data, chunk_key_encoding=encoding, **put)
    store.forget()
    return store, group


@pytest.mark.parametrize("reads", [flaccodec.zarr.read_array, FlacArray.read_zarr])
def test_zarr_reads_touch_the_bytes_of_their_streams_alone(watched, reads):
    store, group = watched
    nbytes = group["stream_bytes"][...]
    keep = np.zeros(100, bool)
    keep[[50, 51, 90]] = True
    store.forget()
    np.testing.assert_array_equal(np.asarray(reads(group, keep=keep)), MANY[keep])
    gets = gets_of_compressed(store)
    assert sum(get.nbytes for get in gets) == nbytes[keep].sum()
    starts, stops = group["stream_starts"][...], np.cumsum(nbytes)
    assert {get.span for get in gets} == {(starts[50], stops[51]), (starts[90], stops[90])}


def test_zarr_reads_of_all_streams_take_one_request_a_chunk(watched):
    store, group = watched
    put_compressed(group, chunks=(10**5,), compressors=None)
    chunks = group["compressed"].nchunks
    store.forget()
    values = flaccodec.zarr.read_array(group, keep=np.ones(100, bool))
    np.testing.assert_array_equal(values, MANY)
    spans = [get.span for get in gets_of_compressed(store)]
    assert sorted(spans, key=str)[1:] == [None] * (chunks - 1)
    assert chunks == len(spans) > 10


def put_compressed(group, **options):
    data = group["compressed"][...]
    del group["compressed"]
    group.create_array("compressed", data=data, **options)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (4000,), "compressors": None},
        {"chunks": (4000,)},
        {"chunks": (4000,), "shards": (8000,)},
        {"chunks": (4000,), "shards": (8000,), "compressors": None},
    ],
)
def test_streams_over_chunks_of_any_kind_are_read(zarr_format, options):
    if zarr_format == 2 and "shards" in options:
        options = {"chunks": (5000,), "filters": [numcodecs.Delta("u1")], "compressors": None}
    group = zarr.create_group({}, zarr_format=zarr_format)
    flaccodec.zarr.write_array(MANY[:20], group)
    put_compressed(group, **options)
    for seed in range(3):
        keep = np.random.default_rng(seed).random(20) < 0.3
        values = flaccodec.zarr.read_array(group, keep=keep)
        np.testing.assert_array_equal(values, MANY[:20][keep])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("fill_value", [0, 7])
def test_chunks_that_are_missing_are_of_the_fill_value(zarr_format, fill_value):
    group = zarr.create_group({}, zarr_format=zarr_format)
    array = group.create_array(
        "compressed",
        shape=(100,), dtype="u1", chunks=(30,), compressors=None, fill_value=fill_value,
    )  # fmt: skip
    array[30:60] = np.arange(30)
    data = read_bytes(ZarrDoor(), group, np.array([95, 20]), np.array([5, 20]))
    np.testing.assert_array_equal(data, np.append(array[95:], array[20:40]))
    assert set(data[:15]) == {fill_value}


@pytest.mark.parametrize("store", [IgnoresRanges, WithoutRanges])
def test_stores_without_ranges_are_read_by_chunks(store):
    group = zarr.create_group(store(MemoryStore()))
    flaccodec.zarr.write_array(MANY, group)
    keep = np.arange(100) % 9 == 3
    np.testing.assert_array_equal(flaccodec.zarr.read_array(group, keep=keep), MANY[keep])


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["", "det"])
def test_groups_of_a_store_with_consolidated_metadata(zarr_format, name):
    """They tell of a time before the datasets were there."""
    array = np.arange(12, dtype="int32").reshape(2, 6)
    store = zarr.create_group({}, zarr_format=zarr_format).store
    zarr.open_group(store).create_group("det")

    def open_group():
        root = zarr.open_group(store)
        return root[name] if name else root

    zarr.consolidate_metadata(store)
    group = open_group()
    for write in (
        lambda: flaccodec.zarr.write_array(array, group),
        lambda: FlacArray.from_array(array).write_zarr(group),
    ):
        write()
        with pytest.raises(GroupExistsError):
            write()
        for reader in (group, open_group()):
            np.testing.assert_array_equal(flaccodec.zarr.read_array(reader), array)
            assert FlacArray.read_zarr(reader) == FlacArray.from_array(array)
        there = zarr.open_group(store, path=name, use_consolidated=False)
        for dataset in list(there):
            if dataset != "det":
                del there[dataset]


def test_what_consolidated_metadata_tell_of_is_read_without_asking_the_store():
    array = np.arange(12, dtype="int32").reshape(2, 6)
    group = zarr.create_group({}, zarr_format=2)
    flaccodec.zarr.write_array(array, group)
    consolidated = zarr.consolidate_metadata(group.store)
    assert readable(consolidated) is consolidated
    np.testing.assert_array_equal(flaccodec.zarr.read_array(consolidated), array)


def test_runs_over_many_chunks_are_read(monkeypatch):
    monkeypatch.setattr(group_runs, "READ_BYTES", 5000)
    group = zarr.create_group({})
    flaccodec.zarr.write_array(MANY[:, :200], group)
    put_compressed(group, chunks=(300,), compressors=None)
    for seed in range(5):
        keep = np.random.default_rng(seed).random(100) < 0.5
        values = flaccodec.zarr.read_array(group, keep=keep)
        np.testing.assert_array_equal(values, MANY[keep, :200])


def test_runs_are_of_neighbours():
    starts, nbytes = np.array([0, 10, 25, 30, 99]), np.array([10, 10, 5, 10, 1])
    assert group_runs.split_runs(starts, nbytes, 1) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert group_runs.split_runs(starts, nbytes, 30) == [slice(0, 4), slice(4, 5)]
    assert group_runs.split_runs(starts, nbytes, 100) == [slice(0, 5)]
    assert group_runs.split_runs(starts[:0], nbytes[:0], 1) == []


def test_gaps_of_less_than_a_page_are_read_along():
    starts, nbytes = np.array([0, 4105, 8301, 9000]), np.array([10, 100, 10, 5])
    assert np.array_equal(starts[1:] - starts[:-1] - nbytes[:-1], [4095, 4096, 689])
    runs = group_runs.split_runs(starts, nbytes, 1, group_runs.PAGE_BYTES - 1)
    assert runs == [slice(0, 2), slice(2, 4)]


def test_short_streams_of_hdf5_are_read_together(tmp_path, hdf5_reads):
    array = np.random.default_rng(3).integers(-2000, 2000, (5000, 100), dtype="int32")
    keep = np.arange(5000) % 2 == 0
    keep[2000:2100] = False  # some 20 KB
    with h5py.File(tmp_path / "short.h5", "w") as file:
        hdf5.write_array(array, file)
        starts, nbytes = file["stream_starts"][...], file["stream_bytes"][...]
        hdf5_reads.clear()
        assert_same(hdf5.read_array(file, keep=keep), array[keep])
    first, last = starts[1998] + nbytes[1998], starts[4998] + nbytes[4998]
    assert hdf5_reads == [(0, first), (starts[2100], last)]


def test_runs_end_at_borders(monkeypatch):
    monkeypatch.setattr(group_runs, "READ_BYTES", 50)
    starts, nbytes = np.arange(0, 200, 10), np.full(20, 10)
    assert group_runs.split_runs(starts, nbytes, 1) == [slice(i, i + 5) for i in range(0, 20, 5)]
    assert group_runs.split_runs(starts, nbytes, 20) == [
        *(slice(i, i + 4) for i in range(0, 20, 4)),
    ]
    assert group_runs.split_runs(starts, nbytes, 1000) == [slice(0, 20)]


# -- groups that are not as they should be ------------------------------------------------


@pytest.fixture
def broken(door):
    """Give a good group, a function that replaces datasets, and one that reads it."""
    array = WIDE.astype("float64")
    door.write(door.root, compress(array, quanta=0.5))

    def replace(name, data):
        attributes = dict(door.root[name].attrs)
        del door.root[name]
        door.put(door.root, name, data).attrs.update(attributes)

    def complains(error, match):
        for mask in (None, np.ones((6, 5), bool)):
            with pytest.raises(error, match=match) as caught:
                door.read(door.root, mask)
            assert "groups." in str(caught.value)  # the file, and so the place

    return SimpleNamespace(group=door.root, replace=replace, complains=complains)


def test_a_group_of_something_else(door):
    door.root.create_group("compressed")
    with pytest.raises(NoGroupError, match=r"group .*groups\..* holds no flacarray data"):
        door.read(door.root)


@pytest.mark.parametrize("version", ["2", 7, "one", -1])
def test_versions_that_nobody_knows(broken, version):
    broken.group.attrs["flacarray_format_version"] = version
    broken.complains(UnknownGroupVersionError, f"formats 0 and 1 are known. Got .*{version}")


@pytest.mark.parametrize("name", DATASETS)
def test_missing_datasets(broken, name):
    del broken.group[name]
    broken.complains(CorruptGroupError, name)


@pytest.mark.parametrize("name", DATASETS)
def test_groups_where_datasets_should_be(broken, name):
    del broken.group[name]
    broken.group.create_group(name)
    broken.complains(CorruptGroupError, f"{name} must be a dataset")


@pytest.mark.parametrize("channels", ["1", "3", "two"])
def test_channels_that_cannot_be(broken, channels):
    broken.group.attrs["flac_channels"] = channels
    broken.complains(
        CorruptGroupError, f"flac_channels.* '{channels}'|channels. Got .* '{channels}'"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("stream_gains", value) for value in (0.0, -0.5, np.nan, np.inf, 1e-310)),
        *(("stream_offsets", value) for value in (np.nan, np.inf, -np.inf)),
    ],
)
def test_values_that_nothing_can_be_restored_with(broken, name, value):
    table = broken.group[name][...]
    table[2, 3] = table[4, 0] = value
    broken.replace(name, table)
    broken.complains(
        CorruptGroupError, rf"{name} must be .*finite.* Got {value} for stream \(2, 3\)"
    )


def test_missing_attributes(broken):
    del broken.group["stream_starts"].attrs["stream_size"]
    broken.complains(CorruptGroupError, "stream_starts lacks its attribute stream_size")
    broken.group["stream_starts"].attrs["stream_size"] = 4000
    del broken.group.attrs["flac_channels"]
    broken.complains(CorruptGroupError, "flac_channels is missing")


@pytest.mark.parametrize("size", [0, -5, "many"])
def test_stream_sizes_that_cannot_be(broken, size):
    broken.group["stream_starts"].attrs["stream_size"] = size
    broken.complains(CorruptGroupError, f"stream_size must be at least 1. Got .*{size}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stream_starts", -1),
        ("stream_starts", 2**40),
        ("stream_starts", 2**63 - 1),
        ("stream_bytes", 0),
        ("stream_bytes", -3),
        ("stream_bytes", 2**63 - 1),
    ],
)
def test_streams_outside_of_the_compressed_bytes(broken, name, value):
    table = broken.group[name][...]
    table[2, 3] = value
    broken.replace(name, table)
    broken.complains(CorruptGroupError, r"stream \(2, 3\) must lie within the [\d,]+ bytes")


def test_shapes_that_disagree(broken):
    good = {name: broken.group[name][...] for name in DATASETS}
    for name in ("stream_starts", "stream_bytes", "stream_offsets", "stream_gains"):
        broken.replace(name, good[name][1:])
        broken.complains(CorruptGroupError, "shape")
        broken.replace(name, good[name])
    broken.replace("compressed", good["compressed"][None])
    broken.complains(CorruptGroupError, "compressed must be uint8 and have one axis")


def test_dtypes_that_disagree(broken):
    good = {name: broken.group[name][...] for name in DATASETS}
    for name, dtype in (
        ("compressed", "uint16"),
        ("stream_starts", "float64"),
        ("stream_offsets", "float32"),
        ("stream_gains", "float32"),
        ("stream_gains", "int64"),
    ):
        broken.replace(name, good[name].astype(dtype))
        broken.complains(CorruptGroupError, f"{name}.*{dtype}")
        broken.replace(name, good[name])


def test_offsets_without_gains(broken):
    del broken.group["stream_gains"]
    for version in (1, 0):
        broken.group.attrs["flacarray_format_version"] = version
        message = f"stream_offsets of float64 need stream_gains in format {version}"
        broken.complains(CorruptGroupError, message)
    broken.replace("stream_offsets", np.zeros((6, 5), "int16"))
    broken.complains(CorruptGroupError, "stream_offsets .* must be int64")


def test_gains_without_offsets(broken):
    del broken.group["stream_offsets"]
    broken.complains(CorruptGroupError, "float64 in format 1 needs stream_offsets")


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_extras_that_are_no_object(broken, text):
    broken.group.attrs["flaccodec"] = text
    broken.complains(CorruptGroupError, "flaccodec must be a JSON object")


def test_tables_of_other_integers_are_read(door):
    """Of other widths and byte orders, as another program may have copied them."""
    array = WIDE.astype("float32")
    streams = compress(array, quanta=1.0)
    door.write(door.root, streams)
    for name, dtype in (
        ("stream_starts", ">i4"),
        ("stream_bytes", "uint16"),
        ("stream_offsets", ">f4"),
        ("stream_gains", ">f4"),
    ):
        table, attributes = door.root[name][...], dict(door.root[name].attrs)
        del door.root[name]
        door.put(door.root, name, table.astype(dtype)).attrs.update(attributes)
    assert_same(values_of(door.read(door.root)[0]), values_of(streams))


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
