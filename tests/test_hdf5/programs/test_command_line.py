"""The HDF5 filter in the command line tools of HDF5 and netCDF."""

from __future__ import annotations

import re
import sys

import h5py
import numpy as np
import pytest
import zarr

from flaccodec import hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import FILTER_ID, Flac
from support.paths import ROOT
from support.strategies import same_bits
from test_hdf5.programs.files import options_in, read, walk, write
from test_hdf5.running import WITH_PLUGIN, WITHOUT, run


def test_h5repack_writes_what_h5py_reads(tmp_path):
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    array = walk(">f4")
    write(plain, array, chunks=(4, 500))
    run("h5repack", "-f", f"x:UD={FILTER_ID},0,5,1,8,3,1,2", plain, packed)
    assert options_in(packed) == CodecOptions(level=8, quanta=0.01)
    got = read(packed)
    assert got.dtype == ">f4"
    assert 0 < np.abs(got - array).max() <= 0.005 + 1e-5
    with h5py.File(packed) as file:
        assert file["x"].chunks == (4, 500)
        _, chunk = file["x"].id.read_direct_chunk((4, 500))
    want = CodecOptions(level=8, quanta=0.01).encode(array[4:8, 500:1000])
    assert chunk == want.tobytes()


def test_h5repack_reads_what_h5py_writes(tmp_path):
    packed, plain = tmp_path / "packed.h5", tmp_path / "plain.h5"
    array = walk("i8")
    write(packed, array, chunks=(3, 700), compression=Flac())
    run("h5repack", "-f", "NONE", packed, plain)
    assert options_in(plain) is None
    np.testing.assert_array_equal(read(plain), array)
    assert run("h5diff", packed, plain) == ""


def test_h5repack_to_other_chunks(tmp_path):
    """The filter is given the client data of the old chunks."""
    packed, other = tmp_path / "packed.h5", tmp_path / "other.h5"
    array = walk("i2")
    write(packed, array, chunks=(3, 700), compression=Flac(level=2, frame_size=100))
    run("h5repack", "-l", "x:CHUNK=7x130", packed, other)
    assert options_in(other) == CodecOptions(level=2, frame_size=100)
    with h5py.File(other) as file:
        assert file["x"].chunks == (7, 130)
        assert file["x"].id.get_create_plist().get_filter(0)[2][8:] == (7, 130, 0)
    np.testing.assert_array_equal(read(other), array)


def test_h5repack_of_a_file_with_strings(tmp_path):
    """HDF5 does not ask the filter about them, so that their client data stay as given."""
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    array, words = walk("f4"), ["a", "bc"]
    with h5py.File(plain, "w") as file:
        file.create_dataset("x", data=array, chunks=(4, 500))
        file.create_dataset("words", data=words, dtype=h5py.string_dtype(), chunks=(2,))
    run("h5repack", "-f", f"UD={FILTER_ID},1,5,1,8,3,1,2", plain, packed)
    with h5py.File(packed) as file:
        assert file["words"]._filters == {str(FILTER_ID): (1, 8, 3, 1, 2)}
        assert [word.decode() for word in hdf5.read(file["words"])] == words
        assert np.abs(hdf5.read(file["x"]) - array).max() <= 0.005 + 1e-5
    group = zarr.open_group(hdf5.virtual_zarr(packed, drop_variables=["words"]), mode="r")
    assert same_bits(group["x"][...], read(packed))


REFUSED = {
    "quanta of integers": ("1,5,3,1,2", WITH_PLUGIN, "quanta is for float32 and float64; integers"),
    "a level beyond": ("1,9,0,0,0", WITH_PLUGIN, "flaccodec: level must be 0 to 8. Got 9"),
    "no plugin": ("1,5,0,0,0", WITHOUT, f"required filter {FILTER_ID} is not registered"),
}


@pytest.mark.parametrize(("values", "environment", "reason"), REFUSED.values(), ids=REFUSED)
def test_h5repack_keeps_to_itself_that_it_did_not_compress(tmp_path, values, environment, reason):
    """As docs/hdf5.md warns; ``h5ls -v`` shows it."""
    plain, packed = tmp_path / "plain.h5", tmp_path / "packed.h5"
    write(plain, walk("i2"), chunks=(4, 500))
    option = f"x:UD={FILTER_ID},0,5,{values}"
    assert run("h5repack", "-f", option, plain, packed, environment=environment) == ""
    assert options_in(packed) is None
    assert "flaccodec" not in run("h5ls", "-v", packed)
    said = run(
        *("h5repack", "--enable-error-stack", "-f", option, plain, packed), environment=environment
    )
    assert reason in said


def test_h5repack_without_the_plugin_leaves_the_dataset_out(tmp_path):
    """As docs/hdf5.md warns."""
    packed, plain = tmp_path / "packed.h5", tmp_path / "plain.h5"
    write(packed, walk("i2"), chunks=(4, 500), compression=Flac())
    said = run("h5repack", "-f", "NONE", packed, plain, environment=WITHOUT)
    assert "dataset </x> cannot be read, user defined filter is not available" in said
    with h5py.File(plain) as file:
        assert list(file) == []


def test_h5dump_and_h5ls(tmp_path):
    path = tmp_path / "x.h5"
    write(path, np.arange(12, dtype=">i2").reshape(3, 4), compression=Flac())
    shown = run("h5dump", "-p", "-d", "/x", path)
    assert re.search(
        rf"FILTER_ID {FILTER_ID}\s+COMMENT flaccodec\s+PARAMS {{ 1 5 0 0 0 4096 ", shown
    )
    assert "(2,0): 8, 9, 10, 11" in shown
    assert f"flaccodec-{FILTER_ID}" in run("h5ls", "-v", path)


WITHOUT_PLUGIN = {
    "h5dump": (["h5dump", "-d", "/x"], 1, "unable to print data"),
    "h5dump with the stack": (
        ["h5dump", "--enable-error-stack", "-d", "/x"],
        1,
        "required filter 'flaccodec' is not registered",
    ),
    "h5ls": (["h5ls", "-d"], 0, "Unable to print data"),
    "h5py": (
        [sys.executable, "-c", "import h5py, sys; h5py.File(sys.argv[1])['x'][...]"],
        1,
        r"OSError: Can't synchronously read data \((can't open directory|can't find plugin)",
    ),
    "netCDF4": (
        [sys.executable, "-c", "import netCDF4, sys; netCDF4.Dataset(sys.argv[1])['x'][...]"],
        1,
        "RuntimeError: NetCDF: Filter error: undefined filter encountered",
    ),
    "writing": (
        [
            *(sys.executable, "-c"),
            "import h5py, sys\n"
            "h5py.File(sys.argv[1], 'a').create_dataset('y', data=[1], compression=61868)",
        ],
        1,
        "ValueError: Unknown compression filter number: 61868",
    ),
}


@pytest.mark.parametrize(("command", "code", "text"), WITHOUT_PLUGIN.values(), ids=WITHOUT_PLUGIN)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_programs_say_without_the_plugin(tmp_path, command, code, text, elsewhere):
    """Each of these is in docs/hdf5.md."""
    path = tmp_path / "x.h5"
    write(path, walk(), compression=Flac())
    environment = WITHOUT | ({"HDF5_PLUGIN_PATH": str(tmp_path)} if elsewhere else {})
    assert re.search(text, run(*command, path, environment=environment, code=code))
    page = (ROOT / "docs" / "hdf5.md").read_text().lower()
    for words in re.findall(r"can't \w+ \w+|required filter.*|un[dk][^:]+|unable to .*", text):
        assert words.lower() in page
