"""Selections of HDF5 datasets, read past HDF5's filters: the same as h5py's own."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaccodec import hdf5
from flaccodec.hdf5 import Flac
from flaccodec.hdf5 import selection as hdf5_selection
from support.needs import needs
from test_hdf5.direct.files import (
    CHUNKS,
    SHAPE,
    make,
    outcome,
    same_outcome,
    selections,
    write_file,
)


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    path = tmp_path_factory.mktemp("selected") / "x.h5"
    write_file(path, make())
    with h5py.File(path, "r+") as file:
        y = file.create_dataset(
            "y", SHAPE, "i4", chunks=CHUNKS, fillvalue=-7, compression=Flac(frame_size=16)
        )
        y[:3, :2, :100] = make()[:3, :2, :100]
        y[3:, 4:, 200:] = 5
    with h5py.File(path) as file, h5py.File(path, "r", driver="core") as in_memory:
        yield [file["x"], file["y"], in_memory["x"], in_memory["y"]]


@given(selections(), st.sampled_from([1, 2, 5]))
def test_selections_are_those_of_h5py(selected, selection, num_threads):
    for x in selected:
        want = outcome(lambda x=x: x[selection])
        got = outcome(lambda x=x: hdf5.read(x, selection, num_threads=num_threads))
        same_outcome(got, want)


@given(selections((300,)))
def test_selections_of_one_axis(one_axis, selection):
    same_outcome(
        outcome(lambda: hdf5.read(one_axis, selection)), outcome(lambda: one_axis[selection])
    )


@pytest.fixture(scope="module")
def one_axis(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "x.h5"
    write_file(path, make(shape=(300,)), chunks=(70,))
    with h5py.File(path) as file:
        yield file["x"]


@pytest.mark.parametrize(
    "selection",
    [
        None,
        (None, 1),
        (0, Ellipsis, None),
        2.5,
        "field",
        b"field",
        np.ones(SHAPE, dtype=bool),
        np.ones((2, 2), dtype=bool),
        np.bool_(True),
        True,
        ([0, 1], [0, 1]),
        ([[0, 1]],),
        (Ellipsis, Ellipsis),
        (0, 0, 0, 0),
        np.array(3),
        np.uint8(3),
        (1.0, 2),
        h5py.MultiBlockSlice(0, 2, 3, 1),
        range(2),
        slice(None, None, -1),
        slice(0, 3, 0),
        [2, 1],
        [1, 1],
        [7],
        7,
        -8,
        np.zeros(0, dtype=int),
        np.zeros(7, dtype=bool),
        [],
    ],
    ids=repr,
)
@needs("h5py", "3.16")
def test_odd_selections_are_those_of_h5py(selected, selection):
    for x in selected:
        same_outcome(
            outcome(lambda x=x: hdf5.read(x, selection)), outcome(lambda x=x: x[selection])
        )


def test_what_only_h5py_itself_takes_is_left_to_it(selected, monkeypatch):
    """An older h5py checks some masks more strictly than it reads them."""

    def refuse(*_):
        raise TypeError("Boolean indexing array has incompatible shape")

    monkeypatch.setattr(hdf5_selection, "select", refuse)
    mask = np.arange(SHAPE[0]) % 2 == 0
    for x in selected:
        same_outcome(hdf5.read(x, mask), x[mask])
