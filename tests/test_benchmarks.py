"""The benchmark runs, verifies what it decodes, and writes what its readers expect."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("flacarray", reason="the benchmark's rival flacarray is not installed")
pytest.importorskip("pcodec", reason="the benchmark's rival pcodec is not installed")

ROOT = str(Path(__file__).parents[1])
if ROOT not in sys.path:
    sys.path.append(ROOT)  # behind an installed flaccodec

from benchmarks import compression, data, report, scaling, targets, timing  # noqa: E402
from benchmarks.decoding import Prepared, decoding_cases  # noqa: E402
from benchmarks.libflac import bundled_library  # noqa: E402
from benchmarks.scaling_work import ScaleError, Work, run_share  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module("benchmarks", run_name="__main__")
"""

Run = SimpleNamespace
"""`results` of a run, what it showed on the `screen`, and its `file`."""


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, ROOT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("bench")
    samples = np.cumsum(np.random.default_rng(0).integers(-9, 10, (2, 5000)), axis=-1)
    np.save(directory / "ecg_100.npy", samples.astype(np.int16))
    file = directory / "out" / "bench.json"
    only = ["int32-100-samples", "float32", "ecg_100", "seismic_kw1-level5", "slice", "memory"]
    only += ["FlacArray-float32-long-streams", "FlacArray-int32-one-stream", "hdf5"]
    selection = [word for name in only for word in ("--only", name)]
    where = ("--data", directory, "--output", file)
    done = bench("--quick", "--repeat", 2, *selection, *where)
    assert done.returncode == 0, done.stderr
    return Run(results=json.loads(file.read_text()), screen=done.stdout, file=file)


def test_selected_cases_were_measured(run: Run) -> None:
    names = [case["name"] for case in run.results["cases"]]
    assert names == ["int32-100-samples", "float32-quanta", "ecg_100-level5", "ecg_100-level8"]


def test_every_contestant_has_all_figures(run: Run) -> None:
    for case in run.results["cases"]:
        contestants = case["contestants"]
        names = {result["contestant"] for result in contestants}
        assert names == {"flaccodec", "flacarray", "pcodec", "Blosc", "Zstd"}
        for result in contestants:
            for operation in ("encode", "decode"):
                seconds = result[f"{operation}_seconds"]
                assert len(seconds) == 2
                assert min(seconds) > 0
                assert result[f"{operation}_median"] == pytest.approx(np.median(seconds))
                speed = case["nbytes"] / 1e6 / result[f"{operation}_median"]
                assert result[f"{operation}_speed"] == pytest.approx(speed)
                assert result[f"{operation}_vs_flacarray"] > 0
            assert result["ratio"] == pytest.approx(case["nbytes"] / result["nbytes"])


def test_quantized_case_says_what_lossless_contestants_were_given(run: Run) -> None:
    case = next(case for case in run.results["cases"] if case["name"] == "float32-quanta")
    assert any("already rounded to the quanta" in note for note in case["notes"])
    errors = {result["contestant"]: result["max_error"] for result in case["contestants"]}
    assert 0 < errors["flaccodec"] < 1e-3
    assert errors["Zstd"] == errors["pcodec"] == 0


def test_slice_counts_requests_and_bytes(run: Run) -> None:
    result = run.results["slice"]
    reads = {(read["contestant"], read["read"]): read for read in result["reads"]}
    cold = reads["flaccodec", "slice, index not remembered"]
    warm = reads["flaccodec", "slice, index remembered"]
    whole = reads["flaccodec", "whole chunk"]
    assert cold["requests"] == 3
    assert warm["requests"] == 2
    assert whole["requests"] == 1
    assert warm["nbytes_fetched"] < cold["nbytes_fetched"] < whole["nbytes_fetched"]
    assert cold["nbytes_fetched"] > result["index_nbytes"] > 0
    zstd = reads["Zstd", "slice"], reads["Zstd", "whole chunk"]
    assert zstd[0]["nbytes_fetched"] == zstd[1]["nbytes_fetched"]


def test_hdf5_filters_are_measured(run: Run) -> None:
    floats, recorded = run.results["hdf5"]
    assert (floats["name"], recorded["name"]) == ("hdf5-float32-quanta", "hdf5-ecg_100")
    lossless = {"flaccodec", "flaccodec.hdf5.read, write", "Blosc2", "Bitshuffle", "Zstd"}
    for result, lossy in ((floats, {"SZ3", "ZFP"}), (recorded, set())):
        assert {entry["contestant"] for entry in result["entries"]} == lossless | lossy
        for entry in result["entries"]:
            assert entry["ratio"] == pytest.approx(result["nbytes"] / entry["nbytes"])
            for what in ("write", "read", "slice"):
                assert min(entry[f"{what}_seconds"]) > 0
            median = np.median(entry["read_seconds"])
            assert entry["read_speed"] == pytest.approx(result["nbytes"] / 1e6 / median)
    errors = {entry["contestant"]: entry["max_error"] for entry in floats["entries"]}
    assert errors["Zstd"] == 0
    for name in ("flaccodec", "SZ3", "ZFP"):
        assert 0 < errors[name] < 1e-3
    ours = [times["ours"] for times in floats["times"]]
    one, uncached = "h5py, one thread", "h5py, one thread, rdcc_nbytes=0"
    ways = ["h5py", "h5py", one, one, uncached, uncached]
    assert ours == [*6 * [one], *4 * ways, "to_zarr"]
    alone = [t["what"] for t in floats["times"] if t["theirs"] == "flaccodec, chunks in memory"]
    assert [what.endswith("write") for what in alone] == [True, False] * 12
    sizes = [what.partition(", chunks (")[2].partition(",")[0] for what in alone]
    assert sizes == [*6 * [""], *6 * ["5"], *6 * ["10"], *6 * ["20"]]
    assert recorded["times"] == []


def test_hdf5_targets_are_judged(run: Run) -> None:
    what = [target["what"] for target in run.results["targets"]]
    for part in ("write through h5py", "read through h5py", "to_zarr, times as fast"):
        assert any(part in entry for entry in what)


def test_memory_is_measured_where_the_system_lets_it(run: Run) -> None:
    skipped = [entry["name"] for entry in run.results["skipped"]]
    assert ("memory" in skipped) != bool(run.results["memory"])
    for result in run.results["memory"]:
        both = result["input_nbytes"] + result["output_nbytes"]
        assert result["peak_nbytes"] > 0.9 * both
        assert result["excess"] == pytest.approx(result["peak_nbytes"] / both - 1)


def test_missing_recording_is_skipped_with_its_reason(run: Run) -> None:
    skipped = {entry["name"]: entry["reason"] for entry in run.results["skipped"]}
    assert "not there" in skipped["seismic_kw1-level5"]
    assert "seismic_kw1-level5 is skipped: its recording is not there" in run.screen


def test_targets_are_judged(run: Run) -> None:
    what = [target["what"] for target in run.results["targets"]]
    for part in ("int32-100-samples, encode", "float32-quanta, decode", "ecg_100", "bytes fetched"):
        assert any(part in entry for entry in what)


def test_file_names_machine_but_neither_host_nor_paths(run: Run) -> None:
    machine = run.results["machine"]
    assert machine["versions"]["flacarray"] == "0.4.1"
    assert set(machine["versions"]) >= {"flaccodec", "numpy", "zarr", "libFLAC"}
    text = run.file.read_text()
    assert str(run.file.parent) not in text
    assert ROOT not in text


def test_table_is_markdown(run: Run) -> None:
    done = bench("table", run.file)
    assert done.returncode == 0, done.stderr
    assert "### int32-100-samples: int32 (500, 100), level 5" in done.stdout
    assert "| flaccodec | level 5 | 1 |" in done.stdout
    assert "seismic_kw1-level5 was skipped" in done.stdout


def test_table_of_one_section(run: Run) -> None:
    done = bench("table", run.file, "--only", "targets")
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == ["### targets"]


def test_unknown_name_is_refused() -> None:
    done = bench("--only", "int64")
    assert done.returncode == 2
    assert "Got 'int64'" in done.stderr


def test_tasks_take_turns() -> None:
    calls: list[str] = []

    def call(name: str) -> Callable[[], None]:
        return lambda: calls.append(name)

    a, b, c = timing.Task(call("A"), call("a")), timing.Task(call("B"), warm=True), call("C")
    tasks = [a, b, timing.Task(c)]
    seconds = timing.round_robin(tasks, 2)
    assert calls == ["a", "A", "B", "B", "C", "a", "A", "B", "B", "C"]
    assert [len(times) for times in seconds] == [2, 2, 2]


CASES = {
    "exact": data.Case("exact", lambda: np.arange(8, dtype=np.int32).reshape(2, 4)),
    "quanta": data.Case("quanta", lambda: np.linspace([0.0, 5], [1, 9], 9).T, quanta=0.1),
    "precision": data.Case("precision", lambda: np.eye(3, dtype=np.float32), precision=2),
}


def contestant(takes_quanta: bool) -> Any:
    return SimpleNamespace(name="rival", takes_quanta=takes_quanta, allowed_spacings=0.5)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("takes_quanta", [True, False])
def test_right_data_pass(case: data.Case, takes_quanta: bool) -> None:
    error = compression.largest_error(case, contestant(takes_quanta), case.rounded)
    assert (error > 0) == (case.is_quantized and takes_quanta)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("takes_quanta", [True, False])
def test_wrong_data_are_noticed(case: data.Case, takes_quanta: bool) -> None:
    wrong = case.rounded.copy()
    wrong[-1, -1] += 1 if case.name == "exact" else case.stream_quanta[-1, 0]
    with pytest.raises(compression.WrongDataError, match=f"rival on {case.name}"):
        compression.largest_error(case, contestant(takes_quanta), wrong)
    with pytest.raises(compression.WrongDataError, match="shape"):
        compression.largest_error(case, contestant(takes_quanta), wrong[:, 1:])


def test_missed_target_is_marked() -> None:
    met: Any = {"what": "a", "target": "1", "measured": "2", "met": True}
    table = report.target_table([met, {**met, "met": False}], quick=False)
    assert table.misses == {1}
    assert [row[-1] for row in table.rows] == ["yes", "no"]


def test_arrays_have_their_slices(run: Run) -> None:
    names = [array["case"]["name"] for array in run.results["arrays"]]
    assert names == ["FlacArray-float32-long-streams", "FlacArray-int32-one-stream"]
    for array in run.results["arrays"]:
        assert {r["contestant"] for r in array["case"]["contestants"]} == {"flaccodec", "flacarray"}
        sliced = [entry["contestant"] for entry in array["slices"]]
        assert sliced == (["flaccodec", "flacarray"] if "float" in array["case"]["name"] else [])
    what = [target["what"] for target in run.results["targets"]]
    for part in (
        "slice of every stream",
        "to_array: times",
        "one-stream, encode",
        "from_array",
    ):
        assert any(part in entry for entry in what), part


@pytest.fixture(scope="module")
def decoding(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("decode")
    file = directory / "decode.json"
    only = ["int32-17bit-level5", "int32-17bit-1000", "int16", "float64", "times"]
    selection = [word for name in only for word in ("--only", name)]
    where = ("--data", directory, "--output", file)
    done = bench("decode", "--quick", "--repeat", 2, *selection, *where)
    assert done.returncode == 0, done.stderr
    return Run(results=json.loads(file.read_text()), screen=done.stdout, file=file)


def test_all_ways_to_decode_are_timed(decoding: Run) -> None:
    names = [case["name"] for case in decoding.results["decoding"]]
    expected = ["int32-17bit-level5", "int32-17bit-1000-samples", "int16-12bit", "float64-17bit"]
    assert names == expected
    for case in decoding.results["decoding"]:
        ways = {way["contestant"] for way in case["ways"]}
        assert ways == {"flaccodec", "libFLAC", "flacarray", "pcodec", "Blosc", "memcpy"}
        assert all(len(way["seconds"]) >= 2 and way["speed"] > 0 for way in case["ways"])


def test_two_sides_are_compared(decoding: Run) -> None:
    zarr, copied, *encoders = decoding.results["times"]
    assert "read whole" in zarr["what"]
    assert (zarr["ours"], copied["ours"]) == ("zarr.Array", "zarr.Array, zarr's own pipeline")
    systems, bundled = "the system's libFLAC", "libFLAC 1.5.0"
    assert [(result["ours"], result["theirs"]) for result in encoders] == [
        (f"flaccodec with {systems}", "flacarray"),
        (f"flaccodec with {bundled}", "flacarray"),
        *(
            pair
            for name in (systems, bundled)
            for pair in (
                (f"flaccodec, {name} encoding", "flacarray"),
                (f"flaccodec, {name} encoding", f"{name} alone, called from C"),
                (f"{name} alone, called from C", "flacarray"),
            )
        ),
    ]
    judged = [target["what"] for target in decoding.results["targets"]]
    assert sum("encode, one thread" in what for what in judged) == 4
    for result in (zarr, copied, *encoders):
        ratio = np.median(result["their_seconds"]) / np.median(result["our_seconds"])
        assert result["times"] == pytest.approx(ratio)


@pytest.mark.parametrize("what", ["encode", "decode", "zarr"])
def test_loops_go_round(what: str) -> None:
    done = bench("loop", what, "--quick", "--seconds", "0.2")
    assert re.fullmatch(rf"{what}: [1-9]\d* times\n", done.stdout), done.stderr


def test_unknown_loops_are_refused() -> None:
    done = bench("loop", "nothing")
    assert done.returncode == 2
    assert "encode, decode, zarr" in done.stderr


def test_decoding_targets_are_judged(decoding: Run) -> None:
    what = [target["what"] for target in decoding.results["targets"]]
    for part in ("level5: times as fast as libFLAC", "1000-samples", "times as long as C"):
        assert any(part in entry for entry in what), part
    assert "x libFLAC on one thread" in bench("table", decoding.file).stdout


def test_a_wrong_sample_of_libflac_is_noticed() -> None:
    case = decoding_cases(quick=True, data=Path())[0]
    prepared = Prepared(case)
    library = bundled_library()
    assert library is not None
    way = prepared.libflac(library, 1)
    with pytest.raises(compression.WrongDataError, match="libFLAC"):
        way.verify()  # nothing has been decoded yet
    way.run()
    way.verify()


@pytest.mark.parametrize(("speed", "met"), [(19.0, False), (20.0, True)])
def test_speed_target_takes_all_threads_and_the_faster_rival(speed: float, met: bool) -> None:
    def result(name: str, threads: int, encode: float) -> dict[str, Any]:
        speeds = {"encode_speed": encode, "decode_speed": encode}
        return {"contestant": name, "threads": threads, **speeds}

    results: Any = {
        "cases": [
            {
                "name": "int32-long-streams",
                "contestants": [
                    result("flaccodec", 1, 99.0),
                    result("flaccodec", 2, speed),
                    result("flacarray", 1, 10.0),
                    result("flacarray", 2, 8.0),
                ],
            }
        ],
        "slice": None,
        "memory": [],
        "arrays": [],
        "decoding": [],
        "times": [],
        "hdf5": [],
    }
    encode, decode = targets.judge(results)
    assert encode["met"] is met
    assert decode["met"] is True


# -- scale -------------------------------------------------------------------------------


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
    there = [kind for kind in scaling.KINDS if scaling.missing(kind) is None]
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
        assert len(result["slice_seconds"]) == scaling.SLICE_ROUNDS
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
    free = scaling.shutil.disk_usage(tmp_path).free
    assert scaling.lack_of_space(tmp_path, 1000) is None
    reason = scaling.lack_of_space(tmp_path, 2 * free)
    assert reason is not None
    assert "MB are free" in reason


@pytest.mark.parametrize("kind", scaling.KINDS)
def test_a_missing_program_or_package_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling.shutil, "which", lambda _: "mpirun")
    monkeypatch.setattr(scaling.importlib.util, "find_spec", lambda _: None)
    expected = {"threads": None, "dask processes": "pip install 'dask", "MPI ranks": "mpi4py"}
    assert (expected[kind] or "None") in str(scaling.missing(kind))
    monkeypatch.setattr(scaling.shutil, "which", lambda _: None)
    if kind == "MPI ranks":
        assert "openmpi-bin" in str(scaling.missing(kind))


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


@pytest.mark.parametrize("kind", scaling.KINDS)
def test_a_worker_that_fails_ends_all(tmp_path: Path, kind: str) -> None:
    if scaling.missing(kind) is not None:
        pytest.skip(str(scaling.missing(kind)))
    work = some_work(tmp_path)  # not created
    with pytest.raises((ScaleError, FileNotFoundError), match=r"a\.zarr|mpirun ended"):
        scaling.KINDS[kind]([work], 2)
