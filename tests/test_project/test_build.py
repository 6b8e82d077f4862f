"""The build: what it needs, what it says if that is missing, and what it compiles."""

import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from support.paths import ROOT
from support.sources import core_sources, hdf5_sources, headers

pytest.importorskip("setuptools")
pytest.importorskip("cffi")


COMPILER = """#!{python}
import os, sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
open(sys.argv[sys.argv.index("-o") + 1], "w").close()
"""


def program(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def run_build(tmp_path, code=0, **variables):
    """Build both extensions into a folder; return what was said."""
    folders = [f"--build-lib={tmp_path / 'lib'}", f"--build-temp={tmp_path / 'temp'}"]
    result = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", *folders],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stderr


# -- what is missing -------------------------------------------------------------------------


def pretend(tmp_path, script):
    """Return a pkg-config that answers as told."""
    return program(tmp_path / "pkg-config", f"#!/bin/sh\n{script}\n")


def test_a_missing_libflac_names_the_package(tmp_path):
    script = pretend(tmp_path, "echo no flac >&2; exit 1")
    said = run_build(tmp_path, 1, PKG_CONFIG=script)
    assert "libflac-dev and pkg-config (Debian" in said
    assert "no flac" in said


def test_an_old_libflac_names_the_version(tmp_path):
    said = run_build(tmp_path, 1, PKG_CONFIG=pretend(tmp_path, "echo 1.3.4"))
    assert "1.4.0 or later is needed, found 1.3.4" in said
    assert "libflac-dev" in said


def test_a_missing_pkg_config_is_named(tmp_path):
    compiler = program(tmp_path / "cc", "#!/bin/sh\n")
    path = str(tmp_path)
    said = run_build(tmp_path, 1, CC=compiler, PKG_CONFIG="", PATH=path)
    assert "pkg-config, which finds libFLAC, is not installed" in said


def test_a_missing_compiler_gets_one_line_with_the_package(tmp_path):
    said = run_build(tmp_path, 1, CC=str(tmp_path / "no-compiler"))
    (line,) = said.splitlines()
    assert line.startswith(f"flaccodec: a C compiler is needed, and {tmp_path / 'no-compiler'}")
    assert "build-essential (Debian" in line


# -- what is compiled ------------------------------------------------------------------------


@pytest.mark.parametrize("debug", ["", "1"])
def test_each_source_is_compiled_once_and_linked_where_it_belongs(tmp_path, debug):
    compiler = program(
        tmp_path / "cc", COMPILER.format(python=sys.executable, log=str(tmp_path / "log"))
    )
    run_build(tmp_path, CC=compiler, LDSHARED=f"{compiler} -shared", FLACCODEC_DEBUG=debug)
    commands = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    compiled = [c[c.index("-c") + 1] for c in commands if "-c" in c]
    ours = [str(path.relative_to(ROOT)) for path in [*core_sources(), *hdf5_sources()]]
    assert sorted(name for name in compiled if name.startswith("csrc/")) == sorted(ours)
    assert len(compiled) == len(ours) + 1  # cffi's own
    links = {Path(c[c.index("-o") + 1]).name: c for c in commands if "-shared" in c}
    assert {name.partition(".")[0] for name in links} == {"_native", "libh5flaccodec"}
    for name, command in links.items():
        objects = {Path(part).name for part in command if part.endswith(".o")}
        assert {f"{path.stem}.o" for path in core_sources()} <= objects
        is_plugin = name == "libh5flaccodec.so"
        assert ({f"{path.stem}.o" for path in hdf5_sources()} <= objects) == is_plugin
        assert ("-Wl,-z,nodelete" in command) == (is_plugin and sys.platform != "darwin")
        assert ("-Wl,-s" in command) == (not debug and sys.platform != "darwin")


@pytest.mark.skipif("FLACCODEC_TEST_WHEEL" in os.environ, reason="of the whole tree of sources")
def test_metadata_and_a_source_distribution_need_neither_libflac_nor_a_compiler(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ["csrc", "flaccodec"]:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__*__"))
    for path in [*ROOT.glob("*.py"), *ROOT.glob("*.toml"), *ROOT.glob("*.in"), *ROOT.glob("*.md")]:
        shutil.copy(path, tree)
    shutil.copy(ROOT / "LICENSE", tree)
    call = (
        "from setuptools import build_meta as b; import sys; folder = sys.argv[1]\n"
        "b.prepare_metadata_for_build_wheel(folder); b.build_sdist(folder)"
    )
    missing = {"CC": "/no/cc", "PKG_CONFIG": "/no/pkg-config", "PATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", call, str(tmp_path)],
        cwd=tree,
        env=os.environ | missing,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    sources = [*core_sources(), *hdf5_sources(), *headers(), *ROOT.glob("build_*.py")]
    assert {str(path.relative_to(ROOT)) for path in sources} <= inside
    assert list(tmp_path.glob("*.dist-info/METADATA"))


# -- ./dev without root ----------------------------------------------------------------------


@pytest.mark.parametrize("has_python", [True, False])
def test_a_user_without_root_is_asked_for_all_packages_in_one_go(tmp_path, has_python):
    for name, script in {"id": "echo 1000", "sudo": "exit 1", "apt-get": "exit 1"}.items():
        program(tmp_path / name, f"#!/bin/sh\n{script}\n")
    for name in ["dirname", "uname"]:
        (tmp_path / name).symlink_to(shutil.which(name))
    if has_python:
        (tmp_path / "python3").symlink_to(sys.executable)
    result = subprocess.run(
        [shutil.which("bash"), str(ROOT / "dev"), "demo"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    missing, _, command = result.stderr.splitlines()
    for package in ["build-essential", "pkg-config", "libflac-dev"]:
        assert package in missing
        assert package in command
    for package in ["valgrind", "libhdf5-dev", "openmpi-bin"]:  # of tests alone
        assert package not in missing
        assert package in command
    assert ("python3-venv" in missing) == (not has_python)
    assert "apt-get update && apt-get install" in command
