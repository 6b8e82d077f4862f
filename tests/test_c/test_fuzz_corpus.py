"""The fuzz targets on their corpora, under sanitizers, without a fuzzer."""

import importlib
import os
import subprocess
from pathlib import Path

import pytest

from flaccodec.core import decode_chunk
from support import sanitized

FUZZ = Path(__file__).parent / "fuzz"
CORPUS = FUZZ / "corpus"
TARGETS = ["frame", "chunk", "streams", "round_trip"]
OTHERS = ["replay", "repair", "decode_by_libflac"]


def build(code, folder, library):
    objects = []
    for target in TARGETS:
        objects.append(folder / f"fuzz_{target}.o")
        name = f"-DLLVMFuzzerTestOneInput=fuzz_{target}"
        sanitized.compile_source(FUZZ / f"fuzz_{target}.c", objects[-1], code, [name])
    for other in OTHERS:
        objects.append(folder / f"{other}.o")
        sanitized.compile_source(FUZZ / f"{other}.c", objects[-1], code)
    sanitized.link([*objects, *library], folder / "replay")
    return str(folder / "replay")


@pytest.mark.skipif(
    "FLACCODEC_TEST_WHEEL" in os.environ, reason="of the sources, which ./dev test has tested"
)
@pytest.mark.parametrize("code", sanitized.CODES)
def test_no_fault_on_any_of_the_corpora(code, tmp_path, tmp_path_factory):
    binary = build(code, tmp_path, sanitized.library(code, tmp_path_factory))
    for target in TARGETS:
        files = sorted(str(path) for path in (CORPUS / target).iterdir())
        command, environment = [binary, target, *files], sanitized.environment(code)
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr[-5000:]
        assert result.stdout == f"{len(files)} replayed\n"


def test_the_seeds_are_chunks(monkeypatch):
    """Seeds of an older format would leave the fuzzer at the door."""
    monkeypatch.syspath_prepend(FUZZ)
    seeds = importlib.import_module("make_corpus")
    for name, array, _ in seeds.seed_arrays():
        decoded = decode_chunk((CORPUS / "chunk" / name).read_bytes())
        assert (decoded.size, decoded.dtype) == (array.size, array.dtype)
