"""Build the fuzz targets with clang's sanitizers and run them, side by side.

Each starts from its corpus in the repository and from what earlier runs found, which is
kept in .cache/fuzz. An input that fails is written to the repository's corpus, to stay.
"""

import argparse
import concurrent.futures
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.paths import ROOT
from support.sources import CSRC, core_sources

HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".cache" / "fuzz"

# What each target is made of beside the library.
SOURCES = {
    "frame": ["fuzz_frame.c", "repair.c"],
    "chunk": ["fuzz_chunk.c", "mutate_chunk.c", "decode_by_libflac.c", "repair.c"],
    "streams": ["fuzz_streams.c", "repair.c"],
    "round_trip": ["fuzz_round_trip.c"],
}
# Bytes of an input.
MAX_SIZE = {"frame": 4096, "chunk": 8192, "streams": 8192, "round_trip": 4096}

FLAGS = [
    "-std=gnu11",
    "-O1",
    "-g",
    "-pthread",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
    "-ffp-contract=off",
    "-DFC_NO_CLONES",
    "-Wno-bitwise-conditional-parentheses",  # convert/quantize.c means what it says
    f"-I{CSRC}",
]


def pkg_config(argument: str) -> list[str]:
    found = subprocess.run(
        ["pkg-config", argument, "flac"], capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def compile_source(source: Path) -> Path:
    target = CACHE / "build" / f"{source.parent.name}-{source.stem}.o"
    flags = [*FLAGS, *pkg_config("--cflags")]
    subprocess.run(["clang", *flags, "-c", "-o", str(target), str(source)], check=True)
    return target


def build(targets: list[str]) -> None:
    """Compile every source once and link the targets."""
    (CACHE / "build").mkdir(parents=True, exist_ok=True)
    library = core_sources()
    own = sorted({HERE / name for target in targets for name in SOURCES[target]})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        sources = library + own
        objects = dict(zip(sources, pool.map(compile_source, sources), strict=True))
    for target in targets:
        parts = [objects[source] for source in [*library, *(HERE / n for n in SOURCES[target])]]
        command = ["clang", *FLAGS, "-o", str(CACHE / "build" / target), *map(str, parts)]
        subprocess.run([*command, *pkg_config("--libs"), "-lm"], check=True)


def start(target: str, seconds: int) -> subprocess.Popen[bytes]:
    found = CACHE / target
    found.mkdir(exist_ok=True)
    seeds = HERE / "corpus" / target
    command = [
        str(CACHE / "build" / target),
        f"-max_total_time={seconds}",
        f"-max_len={MAX_SIZE[target]}",
        "-timeout=60",
        "-rss_limit_mb=2000",
        "-print_final_stats=1",
        f"-artifact_prefix={seeds}/",
        str(found),  # the first folder is the one that new inputs go to
        str(seeds),
    ]
    with (CACHE / f"{target}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def report(target: str, code: int) -> None:
    """Say in a line how far a target came, or show the end of its log."""
    path = CACHE / f"{target}.log"
    log = path.read_text(errors="replace")
    done = re.findall(r"number_of_executed_units: (\d+)", log)
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    if code or not done or not covered:
        print(*log.splitlines()[-60:], sep="\n")
        print(f"{target}: FAILED with {code}; the whole log is {path}")
        print(f"{target}: the input is in {HERE / 'corpus' / target}; fix the fault and keep it")
        return
    edges, features, inputs = covered[-1]
    print(f"{target}: {done[-1]} runs, {edges} edges, {features} features, {inputs} inputs")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument(
        "seconds", type=int, nargs="?", default=3600, help="for each target (default 3600)"
    )
    parser.add_argument("--targets", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    arguments = parser.parse_args()
    build(arguments.targets)
    running = {target: start(target, arguments.seconds) for target in arguments.targets}
    codes = {target: process.wait() for target, process in running.items()}
    for target, code in codes.items():
        report(target, code)
    return int(any(codes.values()))


if __name__ == "__main__":
    sys.exit(main())
