"""Folders that tests make once and keep between runs: environments of other versions.

They lie in the folder that the environment variable FLACCODEC_TEST_ENVS names, by default in the
user's cache, so that a fresh clone finds those of another.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

DAYS = 30
"""Folders that were not used for so long are removed."""


def cache():
    """Return the folder of all that is kept, made if there is none yet."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("FLACCODEC_TEST_ENVS") or user / "flaccodec-tests").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name):
    """Let one process at a time in: tests run in several, and so do clones."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept(name, contents, make):
    """Return a folder that `make` has filled, now or in an earlier run.

    Parameters
    ----------
    name : str
        What the folder is called, with a hash of `contents` behind it.
    contents : sequence of str
        All that decides what is in the folder.
    make : callable
        Given the folder, which does not exist yet, makes it. Call this inside of
        ``locked(name)`` where the folder is changed afterwards.
    """
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:12]
    folder = cache() / f"{name}-{digest}"
    done = folder / "done"
    with locked(folder.name):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.write_text("\n".join(contents))
        done.touch()
    _remove_unused()
    return folder


def _remove_unused():
    for done in cache().glob("*/done"):
        if time.time() - done.stat().st_mtime > DAYS * 86400:
            shutil.rmtree(done.parent, ignore_errors=True)


def pip(python, *arguments, **kwargs):
    """Run the pip of an environment."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(list(map(str, command)), check=True, **kwargs)


def environment(name, python, *arguments):
    """Return the Python of an environment in which ``pip install *arguments`` was run."""

    def make(folder):
        subprocess.run([str(python), "-m", "venv", folder], check=True)
        pip(folder / "bin" / "python", "install", "--upgrade", "pip>=25.1")
        pip(folder / "bin" / "python", "install", *arguments)

    version = subprocess.run([str(python), "-VV"], capture_output=True, text=True, check=True)
    return kept(name, [version.stdout, *map(str, arguments)], make) / "bin" / "python"
