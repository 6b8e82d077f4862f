"""Users of flacarray 0.4.1 move over by changing an import: its names, one by one."""

import importlib
import inspect
import pkgutil
import re
import types
from pathlib import Path

import flacarray
import numpy as np
import pytest

import flaccodec
from flaccodec.exceptions import ConfigurationError, GroupError

SCRIPT = Path(__file__).with_name("dropin.py")
CASES = [f"{d} {n}d" for d in ("int32", "int64", "float32", "float64") for n in (1, 2, 3)]
SHAPES = {"1d": (500,), "2d": (3, 500), "3d": (2, 3, 500)}


# -- one script with either package -------------------------------------------------------


def run(package, folder):
    """Run the script in a folder, and give all its names."""
    text = SCRIPT.read_text().replace("flacarray", package)
    names = {"__name__": package}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(text, f"{SCRIPT} with {package}", "exec"), names)
    return names


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return run("flacarray", tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ours")


@pytest.fixture(scope="module")
def ours(folder):
    return run("flaccodec", folder)


def difference(one, other, values=True):
    """What two results differ in: type, shape, dtype or values; "" for nothing.

    An exception may be of a kind of the one that is expected, since it is caught as that.
    """
    if isinstance(one, Exception) and isinstance(other, type(one)):
        return ""
    if type(one) is not type(other):
        return f"{type(one).__name__}, and {type(other).__name__}"
    if isinstance(one, tuple | list):
        pairs = [difference(a, b, values) for a, b in zip(one, other, strict=False)]
        return "length" if len(one) != len(other) else "".join(pairs)
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.ndim != other.ndim:
            return f"{one.dtype} of shape {one.shape}, and {other.dtype} of shape {other.shape}"
        return "values" if values and not np.array_equal(one, other) else ""
    return "values" if values and one != other else ""


# What is not the same, by the first words of its name.

OUR_BYTES = {  # our encoder's streams are of other sizes, our offsets whole quanta from zero
    "nbytes", "global_nbytes", "compressed", "stream_starts", "stream_nbytes",
    "global_stream_starts", "stream_offsets", "array_compress", "keep_select", "keep_select all",
    "select_keep_indices", "select_keep_indices all", "repr",
}  # fmt: skip

OUR_ROUNDING = {  # quanta are computed in float64, and of a range as 2**30 of it
    "float_to_int range", "float_to_int precision", "gains of precision",
}  # fmt: skip

OUR_NUMBERS = {
    "create_fake_data int", "create_fake_data alone int", "create_fake_data self int",
    "create_fake_data uniform float",
}  # fmt: skip

OUR_INTS = {"distribute_and_verify self"}  # numpy's there

RAISES = {  # in 0.4.1: properties of attributes that are never set, numpy's errors, no steps
    "nstreams": AttributeError,
    "global_nstreams": AttributeError,
    "global_process_nbytes": AttributeError,
    "global_stream_nbytes": AttributeError,
    "getitem ellipsis": AttributeError,
    "getitem step": ValueError,
    "getitem every other stream": ValueError,
}

RAISES_ANOTHER = {  # where 0.4.1 has RuntimeError for all kinds of things
    "setitem": TypeError,
    "delitem": TypeError,
    "both": ConfigurationError,
    "neither": ConfigurationError,
    "step": ConfigurationError,
    "shape of keep": ConfigurationError,
    "distribute_and_verify wrong alone": ConfigurationError,
    "distribute_and_verify wrong self": ConfigurationError,
    "no group": GroupError,
    "no zarr group": GroupError,
}

REFUSED = {"integers as keep"}  # a mask there, indices to users of numpy

SHAPED_OTHERWISE = {  # one stream of several that are kept has no axis there
    "to_array keep", "to_array indices", "read_hdf5 keep", "hdf5.read_array part",
    "zarr.read_array part 2", "zarr.read_array part 3",
}  # fmt: skip

INDEXED_OTHERWISE = {  # no stream where the last is asked for, arrays instead of samples
    "getitem negative", "getitem negative sample", "getitem sample",
}  # fmt: skip

GLOBAL_SHAPE = {"global_shape"}  # of one axis there are two there; shape and global_shape differ

NOT_THE_SAME = (
    OUR_BYTES | OUR_ROUNDING | OUR_NUMBERS | OUR_INTS | set(RAISES) | set(RAISES_ANOTHER)
    | REFUSED | SHAPED_OTHERWISE | INDEXED_OTHERWISE | GLOBAL_SHAPE | {"version"}
)  # fmt: skip


def first_words(key):
    if key.startswith("create_fake_data"):
        return re.sub(r"\d\d \dd$", "", key)
    return re.sub(r" (int|float)\d\d \dd$", "", key)


def test_results_are_the_same(theirs, ours):
    want, got = theirs["results"], ours["results"]
    assert set(want) == set(got)
    different = {key: text for key in want if (text := difference(want[key], got[key]))}
    assert {k: v for k, v in different.items() if first_words(k) not in NOT_THE_SAME} == {}
    assert {first_words(key) for key in different} == NOT_THE_SAME  # no note without a reason


def test_what_raises_there_is_right_here(theirs, ours):
    want, got = theirs["results"], ours["results"]
    for case in CASES:
        for name in set(RAISES) & {"nstreams", *dir(flacarray.FlacArray)}:
            assert type(want[f"{name} {case}"]) is RAISES[name]
        nstreams, nbytes = got[f"nstreams {case}"], got[f"stream_nbytes {case}"]
        assert nstreams == got[f"global_nstreams {case}"] == np.prod(SHAPES[case[-2:]][:-1])
        assert got[f"global_process_nbytes {case}"] == [nbytes.sum()]
        np.testing.assert_array_equal(got[f"global_stream_nbytes {case}"], nbytes)


def test_other_exceptions_are_those_that_python_has_for_it(theirs, ours):
    for key, error in ours["results"].items():
        if first_words(key) in RAISES_ANOTHER:
            assert isinstance(error, RAISES_ANOTHER[first_words(key)]), key
            assert type(theirs["results"][key]) is RuntimeError


def test_what_is_refused_says_what_to_do(ours):
    for name in REFUSED:
        assert re.search(r"use keep\.astype\(bool\)", str(ours["results"][name]))


def test_the_shape_over_one_rank_is_the_shape(theirs, ours):
    for case in CASES:
        here = ours["results"]
        assert here[f"global_shape {case}"] == here[f"shape {case}"] == SHAPES[case[-2:]]


def test_what_is_indexed_is_numpys(theirs, ours):
    for dtype in ("int32", "int64", "float32", "float64"):
        data = ours["waves"]((3, 500), dtype)
        for name, key in ours["KEYS"].items():
            here = ours["results"][f"getitem {name} {dtype} 2d"]
            there = theirs["results"][f"getitem {name} {dtype} 2d"]
            if name == "out of range":
                assert isinstance(here, IndexError)
            else:
                assert difference(here, data[key]) == ""
                assert here.shape == data[key].shape
            if f"getitem {name}" in RAISES:
                assert type(there) is RAISES[f"getitem {name}"]


def test_streams_of_other_bytes_are_alike(theirs, ours):
    want, got = theirs["results"], ours["results"]
    for case in CASES:
        for name in OUR_BYTES - {"stream_offsets", "repr"}:
            assert difference(want[f"{name} {case}"], got[f"{name} {case}"], values=False) == ""
        assert got[f"nbytes {case}"] <= want[f"nbytes {case}"]
        sizes = [re.sub(r"bytes=\d+", "", results[f"repr {case}"]) for results in (want, got)]
        assert sizes[0] == sizes[1]
        offsets = want[f"stream_offsets {case}"], got[f"stream_offsets {case}"]
        # Integers may be stored less an offset here.
        if case.startswith("float") or offsets[1] is None:
            assert difference(*offsets, values=False) == ""


def test_rounded_numbers_are_near(theirs, ours):
    want, got = theirs["results"], ours["results"]
    for case in CASES[6:]:
        tolerance = 1e-4 if "32" in case else 1e-12
        gains = want[f"gains of precision {case}"], got[f"gains of precision {case}"]
        np.testing.assert_allclose(*gains, rtol=tolerance)
        for how in ("range", "precision"):
            there, here = (results[f"float_to_int {how} {case}"] for results in (want, got))
            assert difference(there, here, values=False) == ""
            for ints, offsets, quanta in ((i, o, 1 / g) for i, o, g in (there, here)):
                restored = ints * quanta[..., None].reshape(*ints.shape[:-1], 1)
                restored = restored + offsets.reshape(*ints.shape[:-1], 1)
                data = ours["waves"](ints.shape, case.split()[0])
                rounding = 4 * np.spacing(np.abs(data).max())
                assert np.abs(restored - data).max() <= 0.5001 * quanta.max() + rounding


def test_one_kept_stream_has_the_axis_that_several_have(theirs, ours):
    want, got = theirs["results"], ours["results"]
    for name in SHAPED_OTHERWISE:
        for case in CASES:
            there, here = want[f"{name} {case}"], got[f"{name} {case}"]
            if isinstance(there, tuple):
                assert here[1] == there[1]
                there, here = there[0], here[0]
            np.testing.assert_array_equal(here.reshape(there.shape), there)
            assert here.shape == (-(-np.prod(SHAPES[case[-2:]][:-1]) // 2), there.shape[-1])


def test_ranges_of_ranks_are_the_same(theirs, ours):
    for name in OUR_INTS:
        assert theirs["results"][name] == ours["results"][name]


def test_fake_data_are_alike(theirs, ours):
    for key, (data, ranges) in ((k, ours["results"][k]) for k in ours["results"] if "fake" in k):
        dtype, axes = key.split()[-2:]
        assert data.shape == SHAPES[axes]
        assert data.dtype == dtype
        there = theirs["results"][key]  # 0.4.1 makes uniform integers and waves of floats only
        if ("uniform" in key) == dtype.startswith("int"):
            assert difference(there, (data, ranges)) == ""
        else:
            assert isinstance(there, TypeError)


def test_pictures_are_written(ours, folder):
    assert ours["results"]["plot_data 1d"] is None
    for axes in SHAPES:
        assert (folder / f"{axes}.png").read_bytes().startswith(b"\x89PNG")


# -- all names ----------------------------------------------------------------------------

OTHER_MODULES = {
    "_libflacarray": "the C library's functions, as 0.4.1 calls them itself",
    "_version": "a constant",
    "hdf5_load_v0": "a reader of one format, which hdf5 calls",
    "hdf5_load_v1": "a reader of one format, which hdf5 calls",
    "zarr_load_v0": "a reader of one format, which zarr calls",
    "zarr_load_v1": "a reader of one format, which zarr calls",
    "hdf5_utils": "files opened over MPI, which h5py does itself with driver and comm",
    "io_common": "buffers sent between MPI ranks",
    "scripts": "its benchmark",
    "tests": "its tests",
}

OTHER_NAMES = {
    "compress.array_compress_empty": "its own, of MPI ranks without data",
    "hdf5.WriterHDF5": "its own, for what MPI ranks send",
    "zarr.WriterZarr": "its own, for what MPI ranks send",
    "zarr.ZarrGroup": "a group on rank 0 alone, which zarr opens; all ranks may open it here",
    "utils.use_function_timers": "times its own functions",
    "utils.get_timers": "times its own functions",
    "utils.update_timer": "times its own functions",
    "utils.clear_timers": "times its own functions",
    "utils.print_timers": "times its own functions",
    "utils.function_timer": "times its own functions",
    "utils.function_timer_stackskip": "times its own functions",
}


def public_names():
    """Give the modules' functions and classes, and the attributes of FlacArray."""
    for module in pkgutil.iter_modules(flacarray.__path__):
        if module.name in OTHER_MODULES or module.name == "array":
            continue
        for name, value in vars(importlib.import_module(f"flacarray.{module.name}")).items():
            home = getattr(value, "__module__", None)
            if home == f"flacarray.{module.name}" and not name.startswith("_"):
                yield f"{module.name}.{name}"
    for name, value in vars(flacarray.FlacArray).items():
        special = name.startswith("__") and isinstance(value, types.FunctionType)
        if special or not name.startswith("_"):
            yield f"FlacArray.{name}"


NAMES = list(public_names())


def find(package, name):
    module, _, last = name.partition(".")
    if module == "FlacArray":
        return inspect.getattr_static(package.FlacArray, last)
    return getattr(importlib.import_module(f"{package.__name__}.{module}"), last)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHER_NAMES])
def test_names_are_here_with_their_parameters(name):
    there, here = find(flacarray, name), find(flaccodec, name)
    if isinstance(there, property):
        assert isinstance(here, property)
        return
    there, here = (getattr(f, "__func__", f) for f in (there, here))
    wanted = list(inspect.signature(there).parameters.values())
    given = list(inspect.signature(here).parameters.values())
    assert len(given) >= len(wanted)
    for mine, other in zip(given, wanted, strict=False):
        if not name.startswith("FlacArray.__"):  # whose arguments have no names in use
            assert mine.name == other.name
        assert mine.kind == other.kind
        assert (mine.default is mine.empty) == (other.default is other.empty)
    for extra in given[len(wanted) :]:
        assert extra.default is not extra.empty


def test_exclusions_are_of_names_that_are_there():
    modules = {module.name for module in pkgutil.iter_modules(flacarray.__path__)}
    assert set(OTHER_MODULES) <= modules
    assert set(OTHER_NAMES) <= set(NAMES)


def test_the_script_uses_all_names():
    text = SCRIPT.read_text()
    special = {  # how Python calls these
        "__getitem__": "fa.__getitem__", "__setitem__": "fa.__setitem__", "__eq__": "fa == other",
        "__delitem__": "fa.__delitem__", "__repr__": "repr, fa", "__init__": "FlacArray(fa",
        "write_compressed": "_write_compressed", "read_compressed": "_read_compressed",
    }  # fmt: skip
    for name in set(NAMES) - set(OTHER_NAMES):
        last = name.partition(".")[2]
        assert re.search(re.escape(special.get(last, last)) + r"\b", text), name
