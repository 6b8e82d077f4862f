"""The C tests, under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from support import sanitized
from support.sources import core_sources

PROGRAMS = sorted((Path(__file__).parent / "c").glob("test_*.c"))


@pytest.mark.parametrize("code", sanitized.CODES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_under_sanitizers(program, code, tmp_path, tmp_path_factory):
    own = tmp_path / "program.o"
    binary = tmp_path / program.stem
    sanitized.compile_source(program, own, code)
    sanitized.link([own, *sanitized.library(code, tmp_path_factory)], binary)
    environment = sanitized.environment(code) | {"ASAN_OPTIONS": "detect_leaks=1"}
    result = subprocess.run([str(binary)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 fail" in result.stdout


def run_with_thread_sanitizer(binary):
    """Run it; with fixed addresses where ThreadSanitizer cannot do with random ones."""
    environment = os.environ | {"TSAN_OPTIONS": "die_after_fork=0"}
    for prefix in ([], ["setarch", platform.machine(), "--addr-no-randomize"]):
        command = [*prefix, str(binary)]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        if "unexpected memory mapping" not in result.stderr:
            return result
    return pytest.skip("ThreadSanitizer cannot run here: " + result.stderr)


def compile_program(name, binary, flags=()):
    flags = [flag for flag in sanitized.FLAGS if not flag.startswith("-fsanitize")] + list(flags)
    program = Path(__file__).parent / "c" / f"{name}.c"
    sources = [program, *core_sources()]
    libraries = [*sanitized.pkg_config("--cflags"), *sanitized.pkg_config("--libs"), "-lm"]
    command = ["cc", *flags, "-DFC_NO_CLONES", "-o", str(binary), *map(str, sources), *libraries]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("name", ["test_team", "test_chunk", "test_stop"])
def test_under_thread_sanitizer(name, tmp_path):
    compile_program(name, tmp_path / name, ["-fsanitize=thread"])
    result = run_with_thread_sanitizer(tmp_path / name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 fail" in result.stdout


def test_forks_without_a_sanitizer(tmp_path):
    compile_program("test_team", tmp_path / "test_team")
    result = subprocess.run([tmp_path / "test_team"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
