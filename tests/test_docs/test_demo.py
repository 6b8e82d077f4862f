"""The demo command, and the made-up recordings and pictures that it uses."""

import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from flaccodec import FlacArray, demo
from flaccodec.demo import create_fake_data, plot_data, plot_residual
from flaccodec.exceptions import ConfigurationError
from support.paths import ROOT

DEMO = ROOT / "examples" / "demo.py"


def run(*arguments):
    command = [sys.executable, str(DEMO), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def row(output, codec):
    (line,) = [line for line in output.splitlines() if codec in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_each_recording(recording, tmp_path):
    name, array = recording
    path = tmp_path / f"{name}.npy"
    np.save(path, array)
    output = run("--input", path, "--output", tmp_path / "out")
    flac, zstd = row(output, "flaccodec"), row(output, "zstd")
    assert float(flac[2]) > float(zstd[2])
    if array.dtype.kind == "i":
        assert flac[-1] == "exact"
    else:
        error, bound = map(float, re.findall(r"[-+.e\d]+", flac[-1].replace("(at most", "")))
        assert 0 < error <= bound * 1.01
    assert (tmp_path / "out" / "residual.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(100_000,), (2, 3, 20_000)])
def test_any_number_of_axes(tmp_path, shape):
    np.save(tmp_path / "a.npy", create_fake_data(shape, dtype="float64")[0])
    output = run("--input", tmp_path / "a.npy", "--output", tmp_path / "out", "--quanta", "0.01")
    assert "0.005" in row(output, "flaccodec")[-1]


def test_fake_data_are_what_they_say():
    data, ranges = create_fake_data((3, 50_000), sigma=2.0, seed=1)
    assert ranges == [(0, 3)]
    assert data.shape == (3, 50_000)
    assert data.dtype == np.float64
    np.testing.assert_allclose(np.std(np.diff(data), axis=-1), 2 * np.sqrt(2), rtol=0.05)
    np.testing.assert_array_equal(data, create_fake_data((3, 50_000), sigma=2.0, seed=1)[0])
    assert not np.array_equal(data, create_fake_data((3, 50_000), sigma=2.0, seed=2)[0])
    assert create_fake_data((7,), sigma=100, dtype="int16")[0].dtype == np.int16
    level, _ = create_fake_data((200, 1000), dc_sigma=None)
    assert np.abs(level.mean()) < 0.1


@pytest.mark.parametrize("shape", [(50,), (1, 50), (3, 50), (2, 3, 50)])
@pytest.mark.parametrize("options", [{}, {"sigma": None, "dtype": "int32"}])
def test_fake_data_over_one_rank_are_those_of_one_process(shape, options):
    comm = pytest.importorskip("mpi4py.MPI").COMM_SELF
    alone, ranges = create_fake_data(shape, comm=None, **options)
    spread, ranges_of_ranks = create_fake_data(shape, comm=comm, **options)
    np.testing.assert_array_equal(spread, alone)
    assert spread.dtype == alone.dtype
    assert ranges_of_ranks == ranges


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_uniform_fake_data_fill_the_range(dtype):
    data, _ = create_fake_data((2, 5000), sigma=None, dtype=dtype)
    limit = np.iinfo(dtype).max if dtype.startswith("i") else np.finfo(dtype).max
    assert np.abs(data.astype("float64") / float(limit)).max() > 0.99
    assert np.isfinite(data).all()


def test_pictures(tmp_path):
    data, _ = create_fake_data((1000,))
    plot_residual(data, np.round(data, 1), 0.1, file=tmp_path / "a.png", title="a title")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("shape", [(500,), (3, 500), (2, 3, 500)])
def test_pictures_of_streams(tmp_path, shape):
    data, _ = create_fake_data(shape)
    plot_data(data, file=tmp_path / "all.png")
    keep = np.zeros(shape[:-1] or (1,), bool)
    keep.flat[0] = True
    plot_data(data, keep=keep, stream_slc=slice(10, 90), file=tmp_path / "one.png")
    whole, part = ((tmp_path / f"{n}.png").stat().st_size for n in ("all", "one"))
    assert part > 5_000
    assert part < whole or keep.size == 1


def test_axes_are_labelled(monkeypatch):
    figures = []
    monkeypatch.setattr(demo, "_finish", lambda figure, file: figures.append(figure))
    data, _ = create_fake_data((2, 3, 50))
    plot_data(data, keep=np.array([[1, 0, 1], [0, 1, 1]], bool), file="x")
    plot_data(data[0, 0], file="x")
    plot_residual(data[0, 0], data[0, 0], file="x")
    grid, single, residual = ([(a.get_xlabel(), a.get_ylabel()) for a in f.axes] for f in figures)
    assert grid == [
        ("", "stream (0, 0)"), ("", ""),
        ("", ""), ("", "stream (1, 1)"),
        ("sample", "stream (0, 2)"), ("sample", "stream (1, 2)"),
    ]  # fmt: skip
    assert single == [("sample", "stream 0")]
    assert residual == [("", "value"), ("sample", "restored - original")]


PYPLOT_LEFT_ALONE = """
import sys
import matplotlib
matplotlib.use("svg")
from flaccodec.demo import plot_data, plot_residual

plot_data([[1, 2, 4], [3, 3, 1]], file="a.png")
plot_residual([1, 2, 4], [1, 2, 3], file="b.png")
assert "matplotlib.pyplot" not in sys.modules
import matplotlib.pyplot
assert matplotlib.get_backend() == "svg", matplotlib.get_backend()
"""


def test_a_picture_for_a_file_leaves_pyplot_alone(tmp_path):
    command = [sys.executable, "-c", PYPLOT_LEFT_ALONE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_a_file_is_shown_by_pyplot(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    with plt.rc_context({"backend": "Agg"}):
        for call in (lambda: plot_data([1, 2]), lambda: plot_residual([1, 2], [1, 2], 0.5)):
            shown = []
            call()
            assert len(shown) == 1
            assert plt.get_fignums() == []


def test_pictures_of_lists_and_flacarrays(tmp_path):
    data = [[1.0, 2.0, 4.0, 3.0], [2.0, 0.0, 1.0, 1.0]]
    compressed = FlacArray.from_array(np.array(data), lossless=True)
    for i, kind in enumerate((data, np.array(data), compressed)):
        plot_data(kind, keep=[True, False], stream_slc=slice(3), file=tmp_path / f"data {i}.png")
        plot_residual(kind[0], kind[1], file=tmp_path / f"residual {i}.png")
    for name in ("data", "residual"):
        one, *others = ((tmp_path / f"{name} {i}.png").read_bytes() for i in range(3))
        assert others == [one, one]


def test_without_matplotlib_its_extra_is_named(monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    for file in (None, "x"):
        with pytest.raises(ImportError, match=r"flaccodec\[plot\]"):
            plot_data([1, 2], file=file)


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot_data(np.zeros((1, 1, 1, 5)), file="x"),
        lambda: plot_data(np.zeros((2, 5)), keep=np.ones(3, bool), file="x"),
        lambda: create_fake_data((5,), comm=object()),
    ],
)
def test_what_cannot_be_drawn_or_made_is_refused(call):
    with pytest.raises(ConfigurationError):
        call()
