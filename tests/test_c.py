"""The C tests, under AddressSanitizer and UndefinedBehaviorSanitizer."""

import subprocess
from pathlib import Path

import pytest
import sanitized

PROGRAMS = sorted((Path(__file__).parent / "c").glob("test_*.c"))


@pytest.mark.parametrize("code", sanitized.CODES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_under_sanitizers(program, code, tmp_path, tmp_path_factory):
    own = tmp_path / "program.o"
    binary = tmp_path / program.stem
    sanitized.compile_source(program, own, code)
    sanitized.link([own, *sanitized.library(code, tmp_path_factory)], binary)
    # libgomp keeps its threads, which is no leak of ours.
    environment = sanitized.environment(code) | {
        "ASAN_OPTIONS": "detect_leaks=1",
        "OMP_WAIT_POLICY": "passive",
    }
    result = subprocess.run([str(binary)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 fail" in result.stdout
