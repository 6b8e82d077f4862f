"""``./dev bench scale`` runs, verifies what it reads, and says what it skips."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from test_project.benchmark_runs import Run, bench

pytest.importorskip("flacarray", reason="the benchmark's rival flacarray is not installed")
pytest.importorskip("pcodec", reason="the benchmark's rival pcodec is not installed")

from benchmarks.measures.scaling import workers
from benchmarks.measures.scaling.scale import SLICES_PER_ARRAY, lack_of_space
from benchmarks.measures.scaling.work import ScaleError, Work, run_share


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("scale")
    file = directory / "scale.json"
    done = bench("scale", "--quick", "--repeat", 1, "--output", file, "--folder", directory)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in directory.iterdir()] == ["scale.json"]
    return Run(results=json.loads(file.read_text()), screen=done.stdout, file=file)


def test_all_kinds_of_workers_are_measured_that_are_there(scale: Run) -> None:
    results = scale.results["scale"]["workers"]
    there = [kind for kind in workers.KINDS if workers.missing(kind) is None]
    skipped = {entry["name"] for entry in scale.results["skipped"]}
    assert {*there, *skipped} == {"threads", "dask processes", "MPI ranks"}
    measured = [(result["dtype"], result["kind"], result["workers"]) for result in results]
    assert measured == [(d, k, n) for d in ("float32", "int32") for k in there for n in (1, 2)]
    for one, two in zip(results[::2], results[1::2], strict=True):
        assert one["write_vs_one"] == one["read_vs_one"] == 1
        assert two["read_vs_one"] == pytest.approx(two["read_speed"] / one["read_speed"])
        assert two["write_vs_one"] == pytest.approx(two["write_speed"] / one["write_speed"])


def test_speeds_are_of_the_bytes_of_the_array(scale: Run) -> None:
    parts = scale.results["scale"]
    assert [size["nbytes"] / 1e6 for size in parts["sizes"]] == [2.5, 10, 2.5, 10]
    for result in (*parts["workers"], *parts["sizes"], *parts["chunks"]):
        for way in ("write", "read"):
            seconds = np.median(result[f"{way}_seconds"])
            assert result[f"{way}_speed"] == pytest.approx(result["nbytes"] / 1e6 / seconds)


def test_chunks_have_their_index_ratio_and_slices(scale: Run) -> None:
    results = scale.results["scale"]["chunks"]
    assert [result["chunk_nbytes"] for result in results] == 2 * [2**16, 2**18, 2**20]
    for result in results:
        n_streams, stream_size = result["chunk"]
        index = 64 + n_streams * 4 * -(-stream_size // 4096)
        assert result["index_nbytes"] in (index, index + 4 * n_streams, index + 8 * n_streams)
        assert 1.5 < result["ratio"] < 3
        assert len(result["slice_seconds"]) == SLICES_PER_ARRAY
        assert result["slice_median"] == np.median(result["slice_seconds"])


def test_tables_of_scale(scale: Run) -> None:
    printed = bench("table", scale.file).stdout
    titles = [line for line in printed.splitlines() if line.startswith("#")]
    assert [title.split(":")[0] for title in titles] == ["### workers", "### sizes", "### chunks"]
    assert "| 256 KiB | (2, 32768) | float32 |" in printed
    assert "| threads | float32 | 2 |" in printed


def test_larger_arrays_than_asked_for_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "scale.json"
    done = bench("scale", "--quick", "--largest", 2, "--output", file)
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert results["scale"] == {"workers": [], "sizes": [], "chunks": []}
    assert [entry["name"] for entry in results["skipped"]] == [
        "workers",
        "2.5 MB",
        "10 MB",
        "chunks",
    ]
    assert "10 MB is skipped: 10 MB are more than --largest." in done.stdout


def test_arrays_that_do_not_fit_the_disk_are_skipped(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert lack_of_space(tmp_path, 1000) is None
    reason = lack_of_space(tmp_path, 2 * free)
    assert reason is not None
    assert "MB are free" in reason


@pytest.mark.parametrize("kind", workers.KINDS)
def test_a_missing_program_or_package_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.shutil, "which", lambda _: "mpirun")
    monkeypatch.setattr(workers.importlib.util, "find_spec", lambda _: None)
    expected = {"threads": None, "dask processes": "pip install 'dask", "MPI ranks": "mpi4py"}
    assert (expected[kind] or "None") in str(workers.missing(kind))
    monkeypatch.setattr(workers.shutil, "which", lambda _: None)
    if kind == "MPI ranks":
        assert "openmpi-bin" in str(workers.missing(kind))


def some_work(path: Path, dtype: str = "float32") -> Work:
    return Work(str(path / "a.zarr"), dtype, (8, 8192), (2, 2048), (2, 4096))


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_workers_share_all_blocks(tmp_path: Path, n_workers: int) -> None:
    work = some_work(tmp_path)
    shares = [list(work.blocks(worker, n_workers)) for worker in range(n_workers)]
    hits = np.zeros(work.shape, dtype=int)
    for _, place in itertools.chain(*shares):
        hits[place] += 1
    assert (hits == 1).all()
    numbers = [number for share in shares for number, _ in share]
    assert sorted(numbers) == list(range(8))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_blocks_in_each_other_s_places_are_noticed(tmp_path: Path, dtype: str) -> None:
    work = some_work(tmp_path, dtype)
    work.check(3, work.generate(3).copy())
    with pytest.raises(ScaleError, match="block 3 of"):
        work.check(3, work.generate(4))


def test_damage_while_reading_is_noticed(tmp_path: Path) -> None:
    work = some_work(tmp_path)
    work.create()
    meetings = iter(range(9))

    def meet() -> None:
        if next(meetings) == 2:  # all is written and read; verification comes
            chunk = Path(work.path) / "c" / "1" / "1"
            chunk.write_bytes((Path(work.path) / "c" / "2" / "0").read_bytes())

    with pytest.raises(ScaleError, match="other samples"):
        run_share(work, 0, 1, meet)


@pytest.mark.parametrize("kind", workers.KINDS)
def test_a_worker_that_fails_ends_all(tmp_path: Path, kind: str) -> None:
    if workers.missing(kind) is not None:
        pytest.skip(str(workers.missing(kind)))
    work = some_work(tmp_path)  # not created
    with pytest.raises((ScaleError, FileNotFoundError), match=r"a\.zarr|mpirun ended"):
        workers.KINDS[kind]([work], 2)


@pytest.mark.parametrize("kind", workers.KINDS)
def test_the_error_of_one_worker_is_raised_and_nobody_waits_for_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if workers.missing(kind) is not None:
        pytest.skip(str(workers.missing(kind)))
    monkeypatch.setattr(workers, "MEETING_SECONDS", 300)  # longer than this test may take
    work = some_work(tmp_path)
    work.create()
    rows = Path(work.path) / "c" / "2"  # the second worker writes chunks there
    rows.parent.mkdir()
    rows.write_text("no folder")
    start = time.monotonic()
    with pytest.raises((OSError, ScaleError), match=r"c/2"):
        workers.KINDS[kind]([work], 2)
    assert time.monotonic() - start < 200
