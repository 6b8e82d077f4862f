"""The benchmark runs, verifies what it decodes, and writes what its readers expect."""

from __future__ import annotations

import ast
import graphlib
import json
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from support.paths import ROOT
from test_project.benchmark_runs import Run, bench

pytest.importorskip("flacarray", reason="the benchmark's rival flacarray is not installed")
pytest.importorskip("pcodec", reason="the benchmark's rival pcodec is not installed")

import benchmarks
from benchmarks.contestants.libflac import bundled_library
from benchmarks.data.cases import Case
from benchmarks.harness import timing
from benchmarks.harness.checks import WrongDataError, largest_error
from benchmarks.measures.decoding import Prepared, decoding_cases
from benchmarks.report.tables import target_table
from benchmarks.report.targets import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    assert str(ROOT) not in text


def test_table_is_markdown(run: Run) -> None:
    done = bench("table", run.file)
    assert done.returncode == 0, done.stderr
    assert "### int32-100-samples: int32 (500, 100), level 5" in done.stdout
    assert "| flaccodec | level 5 | 1 |" in done.stdout
    assert "seismic_kw1-level5 was skipped" in done.stdout


def test_table_of_one_section(run: Run) -> None:
    done = bench("table", run.file, "--only", "targets")
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == ["### targets"]


def test_unknown_section_is_refused(run: Run) -> None:
    done = bench("table", run.file, "--only", "times")
    assert done.returncode == 2
    assert "Got 'times'" in done.stderr


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
    "exact": Case("exact", lambda: np.arange(8, dtype=np.int32).reshape(2, 4)),
    "quanta": Case("quanta", lambda: np.linspace([0.0, 5], [1, 9], 9).T, quanta=0.1),
    "precision": Case("precision", lambda: np.eye(3, dtype=np.float32), precision=2),
}


def contestant(takes_quanta: bool) -> Any:
    return SimpleNamespace(name="rival", takes_quanta=takes_quanta, allowed_spacings=0.5)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("takes_quanta", [True, False])
def test_right_data_pass(case: Case, takes_quanta: bool) -> None:
    error = largest_error(case, contestant(takes_quanta), case.rounded)
    assert (error > 0) == (case.is_quantized and takes_quanta)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("takes_quanta", [True, False])
def test_wrong_data_are_noticed(case: Case, takes_quanta: bool) -> None:
    wrong = case.rounded.copy()
    wrong[-1, -1] += 1 if case.name == "exact" else case.stream_quanta[-1, 0]
    with pytest.raises(WrongDataError, match=f"rival on {case.name}"):
        largest_error(case, contestant(takes_quanta), wrong)
    with pytest.raises(WrongDataError, match="shape"):
        largest_error(case, contestant(takes_quanta), wrong[:, 1:])


def test_missed_target_is_marked() -> None:
    met: Any = {"what": "a", "target": "1", "measured": "2", "met": True}
    table = target_table([met, {**met, "met": False}], quick=False)
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
    with pytest.raises(WrongDataError, match="libFLAC"):
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
    encode, decode = judge(results)
    assert encode["met"] is met
    assert decode["met"] is True


# -- rooms -------------------------------------------------------------------------------

FOLDER = Path(benchmarks.__file__).parent
ROOMS = [
    ["results"],
    ["data"],
    ["harness"],
    ["contestants"],
    ["measures"],
    ["measures.hdf5", "measures.scaling"],
    ["report"],
    ["run"],
    ["__main__"],
]
"""From the ground up. A room imports from rooms before its line, and from itself."""

LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
SOURCES = {
    ".".join(("benchmarks", *path.relative_to(FOLDER).with_suffix("").parts)): path
    for path in FOLDER.rglob("*.py")
}
MODULES = {name.removesuffix(".__init__"): ast.parse(p.read_text()) for name, p in SOURCES.items()}


def room_of(module: str) -> str:
    """Return the longest name of a room that the name of a module begins with."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next(name for name in names if name in LEVELS)


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports of the benchmarks, for type checking and in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path, which says the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from {name if name in MODULES else str(node.module) for name in names} & {
                *MODULES
            }


IMPORTS = {module: set(imports_of(tree)) for module, tree in MODULES.items()}


def test_rooms_import_one_way() -> None:
    assert sum(map(len, IMPORTS.values())) > 100
    upwards = [
        f"{module} imports {imported}"
        for module in MODULES.keys() - {"benchmarks"}
        for imported in IMPORTS[module]
        if room_of(module) != room_of(imported)
        if LEVELS[room_of(module)] <= LEVELS[room_of(imported)]
    ]
    assert upwards == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_rooms_stand_in_the_docstring_in_their_order() -> None:
    named = re.findall(r"``([\w.]+?)(?:\.py)?``", benchmarks.__doc__ or "")
    rooms = [name for name in named if name in LEVELS]
    assert set(rooms) == set(LEVELS)
    assert [LEVELS[room] for room in rooms] == sorted(LEVELS[room] for room in rooms)


def test_no_public_name_is_defined_twice() -> None:
    homes = defaultdict(set)
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                homes[node.name].add(module)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        homes[target.id].add(module)
    public = {name: modules for name, modules in homes.items() if not name.startswith("_")}
    assert len(public) > 100
    assert {name: modules for name, modules in public.items() if len(modules) > 1} == {}
    assert {name for name in public if f"_{name}" in homes} == set()


def test_rooms_and_files_are_small() -> None:
    folders = {folder: list(folder.iterdir()) for folder in {p.parent for p in SOURCES.values()}}
    entries = {f: [e for e in entries if e.name != "__pycache__"] for f, entries in folders.items()}
    assert {folder: len(found) for folder, found in entries.items() if len(found) > 14} == {}
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES.values()}
    assert {path: n for path, n in lengths.items() if n > 500} == {}
