"""The HDF5 filter in C programs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from flaccodec import hdf5
from flaccodec.chunks.options import CodecOptions
from flaccodec.hdf5 import Flac
from support.paths import ROOT
from support.sources import CSRC, core_sources, hdf5_sources
from test_hdf5.programs.files import options_in, read, walk
from test_hdf5.running import VALGRIND, WITHOUT, pkg_config, run


def test_the_module_prints_the_directory():
    printed = run(sys.executable, "-W", "error", "-m", "flaccodec.hdf5", environment=WITHOUT)
    assert printed == hdf5.PLUGIN_PATH + "\n"
    assert os.listdir(printed.strip()) == ["libh5flaccodec.so"]


def test_the_plugin_needs_neither_python_nor_hdf5_nor_openmp():
    needed = run("ldd", Path(hdf5.PLUGIN_PATH) / "libh5flaccodec.so")
    assert "libFLAC" in needed
    assert not re.search(r"python|hdf5|gomp", needed, re.IGNORECASE)


# -- the filter in C ----------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["hidden"]], ids=["found", "hidden"])
def test_memory_that_runs_out(tmp_path, arguments):
    """Against a stand-in for HDF5, whose functions the filter finds, or cannot."""
    flags = ["-std=gnu11", "-g", "-O1", "-ffp-contract=off", "-fvisibility=hidden", f"-I{CSRC}"]
    wrap = "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free"
    binary = tmp_path / "test_filter"
    run(
        *("cc", *flags, *([] if arguments else ["-rdynamic"]), wrap, "-o", binary),
        ROOT / "tests/test_c/c/hdf5/test_filter.c",
        *core_sources(),
        *hdf5_sources(),
        *(*pkg_config("flac"), "-lm", "-ldl"),
    )
    assert ", 0 fail" in run(*VALGRIND, binary, *arguments)


@pytest.fixture(scope="module")
def read_all(tmp_path_factory):
    binary = tmp_path_factory.mktemp("c") / "read_all"
    source = ROOT / "tests/test_c/c/hdf5/read_all.c"
    run("cc", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *pkg_config("hdf5-serial"))
    return binary


def damage(chunk, rng):
    """Return a chunk with flipped bits, cut, longer, or with parts exchanged."""
    kind, changed = rng.integers(5), bytearray(chunk)
    at = int(rng.integers(len(chunk)))
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del changed[max(at, 1) :]
    elif kind == 2:
        changed += bytes(int(rng.integers(1, 99)))
    elif kind == 3:
        changed[at:] = rng.permutation(np.frombuffer(chunk[at:], "u1")).tobytes()
    else:
        for i in rng.integers(len(chunk), size=9):
            changed[i] = int(rng.integers(256))
    return bytes(changed)


def test_damaged_chunks_under_valgrind(tmp_path, read_all):
    """Each chunk is refused with a reason of ours, or is what it was."""
    rng = np.random.default_rng(0)
    kinds = [
        ("i4", {}),
        (">u8", {}),
        ("f4", {}),
        ("f8", {"quanta": 0.5}),
        (">f4", {"precision": 2}),
    ]
    changed = {}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(150):
            dtype, options = kinds[i % len(kinds)]
            array = np.abs(walk(dtype, (3, 50)))
            if "f" in dtype:
                array[1, 7:9] = np.nan
            name = f"{i:03}"
            x = file.create_dataset(
                name, data=array, chunks=(3, 50), compression=Flac(frame_size=16, **options)
            )
            x.id.flush()
            _, chunk = x.id.read_direct_chunk((0, 0))
            damaged = damage(chunk, rng) if i >= 5 else chunk
            changed[name] = damaged != chunk
            x.id.write_direct_chunk((0, 0), damaged)
    lines = dict(
        line.split(": ", 1) for line in run(*VALGRIND, read_all, tmp_path / "x.h5").splitlines()
    )
    assert lines.keys() == changed.keys()
    assert sum(changed.values()) > 130
    for name, text in lines.items():
        assert text.startswith("flaccodec: ") if changed[name] else text == "read", name


def test_the_example_in_c(tmp_path):
    binary, path = tmp_path / "hdf5_from_c", tmp_path / "walk.h5"
    source = ROOT / "examples/hdf5_from_c.c"
    run("cc", "-Wall", "-Wextra", "-Werror", source, "-o", binary, *pkg_config("hdf5-serial"))
    run(*VALGRIND, binary, "write", path)
    assert "largest error 0.000" in run(*VALGRIND, binary, "read", path)
    assert options_in(path, "samples") == CodecOptions(quanta=1e-3)
    array = read(path, "samples")
    with h5py.File(path, "w") as file:
        file.create_dataset("samples", data=array, chunks=(5, 777), compression=Flac(level=8))
    assert "largest error 0.000" in run(binary, "read", path)
    missing = run(binary, "read", path, environment=WITHOUT, code=1)
    assert re.search(r"filter '?(flaccodec|61868)'?", missing)
