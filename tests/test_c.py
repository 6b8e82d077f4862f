"""The C tests, under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted((ROOT / "tests" / "c").glob("test_*.c"))


def pkg_config(argument):
    found = subprocess.run(
        ["pkg-config", argument, "flac"], capture_output=True, text=True, check=True
    )
    return found.stdout.split()


KINDS = ["this processor's", "avx2", "portable"]
"""Whose code is run; that for AVX2 on a processor that has more needs asking for."""


@pytest.mark.parametrize("code", KINDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_under_sanitizers(program, code, tmp_path):
    binary = tmp_path / program.stem
    subprocess.run(
        [
            "cc",
            "-std=gnu11",
            "-O1",
            "-g",
            "-fopenmp",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-ffp-contract=off",
            "-DFC_PORTABLE" if code == "portable" else "-DFC_NO_CLONES",
            f"-I{ROOT / 'csrc'}",
            *pkg_config("--cflags"),
            "-o",
            str(binary),
            str(program),
            *map(str, sorted((ROOT / "csrc").glob("*.c"))),
            *pkg_config("--libs"),
            "-lm",
        ],
        check=True,
    )
    # libgomp keeps its threads, which is no leak of ours.
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1", "OMP_WAIT_POLICY": "passive"}
    if code == "avx2":
        environment["FLACCODEC_CPU"] = "avx2"
    result = subprocess.run([str(binary)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 fail" in result.stdout
