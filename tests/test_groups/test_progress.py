"""Groups written and read by blocks, under a progress bar."""

import h5py
import numpy as np
import pytest

from flaccodec import FlacArray
from flaccodec.exceptions import (
    ConfigurationError,
    CorruptStreamError,
    QuantaTooFineError,
)
from flaccodec.groups.layout import DATASETS
from flaccodec.runtime import progress
from test_groups.arrays import DTYPES, make, modules, options_of, read, write


@pytest.fixture
def two_streams_a_block(monkeypatch):
    monkeypatch.setattr(progress, "BLOCK_SAMPLES", 2 * 900 + 100)


def contents(group):
    datasets = {name: group[name][...] for name in DATASETS if name in group}
    return datasets, {name: group.attrs[name] for name in sorted(group.attrs)}


def assert_equal_contents(one, other):
    (tables, attributes), (other_tables, other_attributes) = contents(one), contents(other)
    assert attributes == other_attributes
    assert set(tables) == set(other_tables)
    for name, table in tables.items():
        assert table.dtype == other_tables[name].dtype
        np.testing.assert_array_equal(table, other_tables[name])


def shown(capsys, what, blocks):
    """Whether a bar went to so many blocks, and nothing else was printed."""
    printed = capsys.readouterr()
    return (
        printed.out == ""
        and f"{what}: 100%" in printed.err
        and f"{blocks}/{blocks}" in printed.err
        and printed.err.count("100%") == 1
    )


@pytest.mark.usefixtures("two_streams_a_block")
@pytest.mark.parametrize(("shape", "blocks"), [((900,), 1), ((1, 900), 1), ((5, 900), 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_the_same_under_a_bar(dtype, shape, blocks, kind, group, capsys):
    data = make(dtype, shape)
    ours, _ = modules(kind)
    plain, barred = group.create_group("plain"), group.create_group("barred")
    ours.write_array(data, plain, **options_of(dtype))
    values = ours.read_array(plain)
    assert capsys.readouterr() == ("", "")
    ours.write_array(data, barred, **options_of(dtype), progress=True)
    assert shown(capsys, "write_array", blocks)
    assert_equal_contents(plain, barred)
    restored = ours.read_array(plain, progress=True)
    assert shown(capsys, "read_array", blocks)
    assert (restored.dtype, restored.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(restored, values)


@pytest.mark.usefixtures("two_streams_a_block")
def test_parts_of_arrays_are_the_same_under_a_bar(kind, group, capsys):
    ours, _ = modules(kind)
    ours.write_array(make("float64", (2, 3, 900)), group, precision=3)
    for keep in (np.array([[True, False, True], [True, True, True]]), np.zeros((2, 3), bool)):
        arguments = {"keep": keep, "stream_slice": slice(30, 50), "keep_indices": True}
        values, indices = ours.read_array(group, **arguments)
        restored, others = ours.read_array(group, **arguments, progress=True)
        assert shown(capsys, "read_array", max(1, -(-keep.sum() // 2)))
        assert restored.shape == (keep.sum(), 20)
        np.testing.assert_array_equal(restored, values)
        assert others == indices
    with pytest.raises(ConfigurationError, match="no step"):
        ours.read_array(group, stream_slice=slice(0, 9, 2), progress=True)


@pytest.mark.usefixtures("two_streams_a_block")
@pytest.mark.parametrize("name", ["quanta", "precision"])
def test_options_of_each_stream_go_with_it_under_a_bar(name, group, kind):
    data = make("float32", (2, 3, 900))
    options = {name: np.array([[1, 2, 3], [0.5, 1.5, 2.5]])}
    ours, _ = modules(kind)
    plain, barred = group.create_group("plain"), group.create_group("barred")
    ours.write_array(data, plain, **options)
    ours.write_array(data, barred, **options, progress=True)
    assert_equal_contents(plain, barred)
    with pytest.raises(ConfigurationError, match=f"{name} must be one number or have the shape"):
        ours.write_array(data, group, **{name: np.ones(6)}, progress=True)


@pytest.mark.usefixtures("two_streams_a_block")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("each", [False, True])
def test_flacarrays_are_the_same_under_a_bar(dtype, each, group, capsys):
    data = make(dtype, (5, 900))
    quanta = {"quanta": 0.5 ** np.arange(1, 6) if each else 1 / 64} if dtype[0] == "f" else {}
    fa = FlacArray.from_array(data, **quanta)
    plain, barred = group.create_group("plain"), group.create_group("barred")
    kind = "hdf5" if isinstance(group, h5py.Group) else "zarr"
    write(fa, plain)
    again = read(FlacArray, plain)
    assert capsys.readouterr() == ("", "")
    getattr(fa, f"write_{kind}")(barred, progress=True)
    if dtype == "int32":  # moved, in no time
        assert capsys.readouterr() == ("", "")
    else:
        assert shown(capsys, f"write_{kind}", 3)
    assert_equal_contents(plain, barred)
    assert read(FlacArray, barred, progress=True) == again == fa
    assert shown(capsys, f"read_{kind}", 3)


@pytest.mark.usefixtures("two_streams_a_block")
def test_errors_name_the_stream_among_all_under_a_bar(kind, group):
    ours, _ = modules(kind)
    data = make("float32", (5, 900))
    data[3, 7] = 1e12
    with pytest.raises(QuantaTooFineError, match="at stream 3, sample"):
        ours.write_array(data, group, quanta=1e-3, progress=True)
    ours.write_array(make("int32", (5, 900)), group)
    compressed = group["compressed"]
    at = int(group["stream_starts"][3]) + 300
    compressed[at] = int(compressed[at]) ^ 255
    for reader in (ours.read_array, FlacArray.read_hdf5 if kind == "hdf5" else FlacArray.read_zarr):
        with pytest.raises(CorruptStreamError, match="stream 3"):
            reader(group, progress=True)
        keep = np.array([True, False, False, True, True])
        with pytest.raises(CorruptStreamError, match="stream 3"):
            reader(group, keep=keep, progress=True)
