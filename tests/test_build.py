"""What the build says where libFLAC is missing or too old."""

import importlib.util
import stat
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[1] / "build_ffi.py"


def pretend(tmp_path, monkeypatch, script):
    """Put a pkg-config in place that answers as told."""
    program = tmp_path / "pkg-config"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PKG_CONFIG", str(program))


def run_build():
    spec = importlib.util.spec_from_file_location("build_ffi_under_test", BUILD)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_a_missing_libflac_names_the_package(tmp_path, monkeypatch):
    pretend(tmp_path, monkeypatch, "echo no flac >&2; exit 1")
    with pytest.raises(SystemExit, match=r"libflac-dev and pkg-config \(Debian(.|\n)*no flac"):
        run_build()


def test_an_old_libflac_names_the_version(tmp_path, monkeypatch):
    pretend(tmp_path, monkeypatch, "echo 1.3.4")
    with pytest.raises(SystemExit, match=r"1\.4\.0 or later is needed, found 1\.3\.4.*libflac-dev"):
        run_build()


def test_a_missing_pkg_config_is_named(monkeypatch):
    monkeypatch.delenv("PKG_CONFIG", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SystemExit, match="pkg-config, which finds libFLAC, is not installed"):
        run_build()


def test_the_build_stands_with_what_is_here():
    pytest.importorskip("cffi")
    run_build()
