"""Every name of the flacarray package's reference, and what each gives.

test_dropin.py runs this text as it is, then once more with the name of the package
replaced by ours, in an empty folder each time, and compares ``results``: what each call
returned, or the exception that it raised. Names are noted there, not here.
"""

import copy
import pickle

import flacarray
import h5py
import numpy as np
import zarr
from flacarray import FlacArray
from flacarray.compress import array_compress
from flacarray.decompress import array_decompress, array_decompress_slice
from flacarray.demo import create_fake_data, plot_data
from flacarray.hdf5 import read_array as hdf5_read_array
from flacarray.hdf5 import read_compressed as hdf5_read_compressed
from flacarray.hdf5 import write_array as hdf5_write_array
from flacarray.hdf5 import write_compressed as hdf5_write_compressed
from flacarray.utils import (
    compressed_dtype,
    ensure_one_element,
    float_to_int,
    int_to_float,
    keep_select,
    select_keep_indices,
)
from flacarray.zarr import read_array as zarr_read_array
from flacarray.zarr import read_compressed as zarr_read_compressed
from flacarray.zarr import write_array as zarr_write_array
from flacarray.zarr import write_compressed as zarr_write_compressed

results = {}


def note(name, call, *arguments, **options):
    try:
        results[name] = call(*arguments, **options)
    except Exception as error:
        results[name] = error
    return results[name]


def waves(shape, dtype):
    """Whole numbers, so that quanta of 1/4 lose nothing."""
    random = np.random.default_rng(7)
    times = np.arange(shape[-1])
    slow = 900 * np.sin(times / 50) + random.uniform(-300, 300, (*shape[:-1], 1))
    return np.rint(slow + random.normal(0, 30, shape)).astype(dtype)


PROPERTIES = [
    "shape", "global_shape", "leading_shape", "global_leading_shape", "stream_size",
    "nbytes", "global_nbytes", "global_process_nbytes", "nstreams", "global_nstreams",
    "compressed", "stream_starts", "stream_nbytes", "global_stream_starts",
    "global_stream_nbytes", "stream_offsets", "stream_gains", "mpi_comm", "mpi_dist", "dtype",
    "typestr",
]  # fmt: skip

KEYS = {
    "one": 0,
    "numpy integer": np.int64(0),
    "slice": slice(0, 2),
    "samples": (0, slice(30, 90)),
    "sample": (0, 17),
    "slices": (slice(0, 1), slice(5, 7)),
    "column": (slice(None), 3),
    "no samples": (0, slice(9, 9)),
    "negative": -1,
    "negative sample": (0, -1),
    "step": (slice(None), slice(0, 100, 5)),
    "every other stream": slice(0, 3, 2),
    "ellipsis": (Ellipsis, 4),
    "out of range": 99,
}

hdf5 = h5py.File("arrays.h5", "w")
stores = {2: zarr.open_group("2.zarr", mode="w", zarr_format=2)}
stores[3] = zarr.open_group("3.zarr", mode="w", zarr_format=3)

for dtype in ("int32", "int64", "float32", "float64"):
    for shape in ((500,), (3, 500), (2, 3, 500)):
        case = f"{dtype} {len(shape)}d"
        data = waves(shape, dtype)
        leading = shape[:-1] or (1,)
        keep = np.arange(np.prod(leading)).reshape(leading) % 2 == 0
        quanta = 0.25 if dtype.startswith("float") else None

        # -- FlacArray
        fa = FlacArray.from_array(data, level=6, quanta=quanta, mpi_comm=None, use_threads=False)
        results[f"from_array {case}"] = type(fa).__name__
        for name in PROPERTIES:
            note(f"{name} {case}", getattr, fa, name)
        note(f"to_array {case}", fa.to_array)
        note(f"to_array part {case}", fa.to_array, stream_slice=slice(20, 60), use_threads=True)
        note(f"to_array keep {case}", fa.to_array, keep=keep)
        note(f"to_array indices {case}", fa.to_array, keep, slice(20, 60), True)
        for name, key in KEYS.items():
            if len(shape) == 2:
                note(f"getitem {name} {case}", fa.__getitem__, key)
        note(f"repr {case}", repr, fa)
        note(f"copy {case}", lambda fa=fa: FlacArray(fa) == fa)
        note(f"deepcopy {case}", lambda fa=fa: copy.deepcopy(fa) == fa)
        other = FlacArray.from_array(data + 1, quanta=quanta)
        note(f"eq {case}", lambda fa=fa, other=other: fa == other)
        note(f"ne {case}", lambda fa=fa, other=other: fa != other)
        note(f"setitem {case}", fa.__setitem__, 0, 1)
        note(f"delitem {case}", fa.__delitem__, 0)
        note(f"hash {case}", hash, fa)

        # -- groups
        group = hdf5.create_group(f"FlacArray {case}")
        note(f"write_hdf5 {case}", fa.write_hdf5, group)
        readings = {"": {}, " keep": {"keep": keep}, " axes": {"no_flatten": True}}
        for name, options in readings.items():
            back = note(f"read_hdf5{name} {case}", FlacArray.read_hdf5, group, **options)
            results[f"read_hdf5{name} {case}"] = back.to_array()
        group = hdf5.create_group(f"array {case}")
        note(f"hdf5.write_array {case}", hdf5_write_array, data, group, quanta=quanta)
        note(f"hdf5.read_array {case}", hdf5_read_array, group)
        note(f"hdf5.read_array axes {case}", hdf5_read_array, group, no_flatten=True)
        note(f"hdf5.read_array part {case}", hdf5_read_array, group, keep, slice(20, 60), True)
        for version, store in stores.items():
            group = store.create_group(f"FlacArray {case}")
            note(f"write_zarr {version} {case}", fa.write_zarr, group)
            back = FlacArray.read_zarr(group, keep=None, mpi_comm=None, mpi_dist=None)
            results[f"read_zarr {version} {case}"] = back.to_array()
            group = store.create_group(f"array {case}")
            note(
                f"zarr.write_array {version} {case}",
                zarr_write_array,
                *(data, group, 5, quanta, None, None, False),
            )
            note(f"zarr.read_array {version} {case}", zarr_read_array, group)
            note(
                f"zarr.read_array part {version} {case}",
                zarr_read_array,
                *(group, keep, slice(20, 60), True, None, None, True),
            )

        # -- streams and tables
        for name, root, write, read in (
            ("hdf5", hdf5, hdf5_write_compressed, hdf5_read_compressed),
            ("zarr", stores[3], zarr_write_compressed, zarr_read_compressed),
        ):
            parts = array_compress(data, level=5, quanta=quanta)
            size = len(parts[0])
            group = root.create_group(f"compressed {case}")
            note(
                f"{name}.write_compressed {case}",
                write,
                *(group, shape[:-1] or (1,), shape[:-1] or (1,), shape[-1], parts[1], parts[1]),
                *(parts[2], parts[3], parts[4], parts[0], 2 if dtype.endswith("64") else 1),
                *(size, size, [size], None, [(0, leading[0])]),
            )
            (local, whole, streams, channels, starts, nbytes, offsets, gains, ranges, places) = (
                read(group, keep=keep)
            )
            results[f"{name}.read_compressed keep {case}"] = (tuple(local)[-1:], channels, places)
            (local, whole, streams, channels, starts, nbytes, offsets, gains, ranges, places) = (
                read(group)
            )
            results[f"{name}.read_compressed {case}"] = (tuple(whole), channels, ranges, places)
            again = FlacArray(
                None,
                shape=shape,
                global_shape=whole,
                compressed=streams,
                dtype=np.dtype(dtype),
                stream_starts=starts,
                stream_nbytes=nbytes,
                stream_offsets=offsets,
                stream_gains=gains,
                mpi_comm=None,
                mpi_dist=ranges,
            )
            results[f"{name} FlacArray of parts {case}"] = again.to_array()

        # -- low-level tools
        tables = array_compress(data, level=5, quanta=quanta, use_threads=True)
        note(f"array_compress {case}", lambda tables=tables: tables)
        wide = dtype.endswith("64")
        options = {"stream_offsets": tables[3], "stream_gains": tables[4], "is_int64": wide}
        arguments = (tables[0], shape[-1], tables[1], tables[2])
        note(f"array_decompress {case}", array_decompress, *arguments, **options)
        note(
            f"array_decompress part {case}",
            array_decompress,
            *arguments,
            **options,
            first_stream_sample=20,
            last_stream_sample=60,
            use_threads=True,
            no_flatten=True,
        )
        for first, last in ((10, None), (None, 10), (None, 2000), (10, -1), (-1, 10), (0, 500)):
            note(
                f"array_decompress ends {first} {last} {case}",
                array_decompress,
                *arguments,
                **options,
                first_stream_sample=first,
                last_stream_sample=last,
            )
        note(f"array_decompress_slice {case}", array_decompress_slice, *arguments, **options)
        note(
            f"array_decompress_slice keep {case}",
            array_decompress_slice,
            *arguments,
            **options,
            keep=keep,
            first_stream_sample=20,
            last_stream_sample=60,
        )
        chosen = note(f"keep_select {case}", keep_select, keep, tables[1], tables[2])
        note(f"keep_select all {case}", keep_select, None, tables[1], tables[2])
        note(f"select_keep_indices {case}", select_keep_indices, tables[2], chosen[2])
        note(f"select_keep_indices all {case}", select_keep_indices, tables[2], None)
        note(f"select_keep_indices none {case}", select_keep_indices, None, chosen[2])
        channels = 2 if wide else 1
        note(f"compressed_dtype {case}", compressed_dtype, channels, tables[3], tables[4])
        if quanta is not None:
            integers = note(f"float_to_int {case}", float_to_int, data, quanta=quanta)
            note(f"int_to_float {case}", int_to_float, *integers)
            note(f"float_to_int range {case}", float_to_int, data)
            note(f"float_to_int precision {case}", float_to_int, data, precision=3)
            digits = FlacArray.from_array(data, precision=3)
            note(f"gains of precision {case}", getattr, digits, "stream_gains")

note("ensure_one_element", ensure_one_element, 3, np.float32)
note("ensure_one_element array", ensure_one_element, np.ones(1, np.float32), np.float32)
note("ensure_one_element shape", ensure_one_element, np.ones(2))
note("ensure_one_element dtype", ensure_one_element, np.ones(1), np.float32)
note("ensure_one_element without dtype", ensure_one_element, 3)

# -- bad input
eight = np.ones((4, 8))
note("both", array_compress, eight, quanta=1.0, precision=1)
note("neither", array_compress, eight)
note("empty", array_compress, eight[:0], quanta=1.0)
note("dtype", array_compress, eight.astype(complex))
note("no group", hdf5_read_array, hdf5)
note("no zarr group", zarr_read_array, stores[3])
whole = FlacArray.from_array(eight, quanta=1.0)
note("step", whole.to_array, stream_slice=slice(0, 8, 2))
note("shape of keep", whole.to_array, keep=np.ones(3, bool))
note("integers as keep", whole.to_array, keep=np.array([1, 0, 1, 1]))

# -- demo
for shape in ((500,), (3, 500), (2, 3, 500)):
    for dtype in ("int32", "int64", "float32", "float64"):
        case = f"{dtype} {len(shape)}d"
        fake = note(f"create_fake_data {case}", create_fake_data, shape, dtype=np.dtype(dtype))
        note(
            f"create_fake_data uniform {case}",
            create_fake_data,
            *(shape, None, np.dtype(dtype), 123, None, None),
        )
        alone = {"dtype": np.dtype(dtype), "comm": None}
        note(f"create_fake_data alone {case}", create_fake_data, shape, **alone)
    note(f"plot_data {len(shape)}d", plot_data, fake[0], None, slice(0, 100), f"{len(shape)}d.png")

# -- MPI, with one process --------------------------------------------------------------------

from flacarray.mpi import (  # noqa: E402
    MPI,
    distribute_and_verify,
    global_array_properties,
    global_bytes,
    use_mpi,
)

note("use_mpi", lambda: use_mpi)
for comm in (None, MPI.COMM_SELF):
    kind = "alone" if comm is None else "self"
    note(f"distribute_and_verify {kind}", distribute_and_verify, comm, 5)
    note(f"distribute_and_verify given {kind}", distribute_and_verify, comm, 5, [(0, 5)])
    note(f"distribute_and_verify wrong {kind}", distribute_and_verify, comm, 5, [(0, 4)])
    for shape in ((500,), (3, 500)):
        found = (shape, np.dtype("float64"), comm)
        note(f"global_array_properties {len(shape)}d {kind}", global_array_properties, *found)
    note(f"global_bytes {kind}", global_bytes, 9, np.array([0, 7]), comm)

for shape in ((500,), (3, 500), (2, 3, 500)):
    for dtype in ("int32", "int64", "float32", "float64"):
        case = f"{dtype} {len(shape)}d"
        spread = {"dtype": np.dtype(dtype), "comm": MPI.COMM_SELF}
        note(f"create_fake_data self {case}", create_fake_data, shape, **spread)
        data = waves(shape, dtype)
        quanta = 0.25 if dtype.startswith("float") else None
        fa = FlacArray.from_array(data, quanta=quanta, mpi_comm=MPI.COMM_SELF)
        note(f"pickle self {case}", lambda fa=fa: pickle.loads(pickle.dumps(fa)).to_array())

results["version"] = flacarray.__version__
hdf5.close()
