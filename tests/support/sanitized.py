"""C programs with the library's sources, under AddressSanitizer and UndefinedBehaviorSanitizer."""

import contextlib
import fcntl
import os
import subprocess

from support.sources import CSRC, core_sources

CODES = ["this processor's", "avx2", "portable"]
"""Whose code is run; that for AVX2, on a processor that has more, needs asking for."""

FLAGS = [
    "-std=gnu11",
    "-O1",
    "-g",
    "-pthread",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ffp-contract=off",
    f"-I{CSRC}",
]


def pkg_config(argument):
    found = subprocess.run(
        ["pkg-config", argument, "flac"], capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def compile_source(source, target, code, flags=()):
    which = "-DFC_PORTABLE" if code == "portable" else "-DFC_NO_CLONES"
    command = ["cc", *FLAGS, which, *pkg_config("--cflags"), *flags]
    subprocess.run([*command, "-c", "-o", str(target), str(source)], check=True)


@contextlib.contextmanager
def locked(path):
    """Keep other processes that ask for the same file waiting."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def library(code, tmp_path_factory):
    """Compile the library's sources once for all tests of a run, and return the objects."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):  # one of several workers, which share the parent
        folder = folder.parent
    folder = folder / ("library-portable" if code == "portable" else "library")
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        sources = core_sources()
        objects = [folder / f"{source.parent.name}-{source.stem}.o" for source in sources]
        if not (folder / "done").exists():
            for source, target in zip(sources, objects, strict=True):
                compile_source(source, target, code)
            (folder / "done").touch()
    return objects


def environment(code):
    """Return the environment in which a program runs this code."""
    return os.environ | ({"FLACCODEC_CPU": "avx2"} if code == "avx2" else {})


def link(objects, binary):
    command = ["cc", *FLAGS, "-o", str(binary), *map(str, objects), *pkg_config("--libs"), "-lm"]
    subprocess.run(command, check=True)
