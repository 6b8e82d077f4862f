"""Tests beside the oldest and the newest libraries, and beside zarr 2: ``./dev versions``.

Which versions are the oldest is read from pyproject.toml. The environments are kept between runs
(see kept.py); what they hold of flaccodec is made anew when the sources have changed.

- oldest: the oldest Python and the oldest libraries that pyproject.toml allows
- zarr2: zarr 2.18, as programs have it that cannot do with zarr 3, two of these programs, and the
  oldest libraries of what else works beside it; numpy may be older there than zarr 3 allows
- newest: the newest of all, on Debian 13 in a folder of its own, where debootstrap can make one
  (as root, on Linux, with Debian's archive in reach); else on the latest Python that is here
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.environments.debian import CannotHaveError, Debian
from support.environments.kept import environment, locked, pip
from support.paths import ROOT

NAMES = ("oldest", "zarr2", "newest")
EXTRAS = {
    "oldest": ("zarr", "numcodecs", "hdf5", "xarray", "progress"),
    "zarr2": ("numcodecs", "hdf5", "progress"),
}
"""Those whose oldest libraries fit together; VirtualiZarr's need a later numpy."""

NEWEST_MINOR = 19
"""Pythons up to 3.19 are looked for."""

# The doors to Zarr, HDF5, numcodecs, xarray and dask, and what they stand on. Not those tests that
# need more than the libraries whose versions are tested: flacarray, icechunk, VirtualiZarr.
DOORS = (
    "test_array/test_dask.py",
    "test_array/test_streams.py",
    "test_array/test_xarray.py",
    "test_array/doors/test_sliced_inputs.py",
    "test_chunks/test_selections.py",
    "test_hdf5/as_zarr/test_attributes.py",
    "test_hdf5/as_zarr/test_copies.py",
    "test_hdf5/as_zarr/test_refusals.py",
    "test_hdf5/direct",
    "test_hdf5/filter/test_options.py",
    "test_hdf5/filter/test_refusals.py",
    "test_hdf5/filter/test_stored.py",
    "test_hdf5/filter/test_threads.py",
    "test_project/test_imports.py",
    "test_project/test_versions.py",
    "test_runtime/test_optional.py",
    "test_samples/test_fill_values.py",
    "test_samples/test_masks.py",
    "test_samples/test_misfits.py",
    "test_samples/test_missing_values.py",
    "test_zarr/format2/test_numcodecs.py",
    "test_zarr/partial/test_answers.py",
    "test_zarr/partial/test_requests.py",
    "test_zarr/test_filters.py",
    "test_zarr/test_grid.py",
    "test_zarr/test_making.py",
    "test_zarr/test_operations.py",
    "test_zarr/test_pipeline.py",
    "test_zarr/test_strategies.py",
)
ZARR2 = (
    "test_array/test_streams.py",
    "test_hdf5/direct",
    "test_project/test_versions.py",
    "test_runtime/test_optional.py",
    "test_zarr/format2/test_zarr2.py",
    "test_zarr/format2/test_zarr2_programs.py",
)


def say(message):
    print(f"versions: {message}", file=sys.stderr, flush=True)


# -- what pyproject.toml says ---------------------------------------------------


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def lower_bound(requirement):
    """Return the version that a requirement's ``>=`` names, None where it has none."""
    return next((s.version for s in requirement.specifier if s.operator == ">="), None)


def requirements(extras):
    """Return what some extras require, with numpy and cffi."""
    table = project()["project"]
    lines = [*table["dependencies"]]
    for extra in extras:
        lines += table["optional-dependencies"][extra]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if requirement.name != "flaccodec"]


def bounds(extras):
    """Return the oldest version of each library that some extras allow together."""
    found = {}
    for requirement in requirements(extras):
        name, bound = requirement.name, lower_bound(requirement)
        found[name] = max(found.get(name, bound), bound, key=Version)
    return found


def oldest_python():
    """Return the oldest Python that is allowed, as (major, minor)."""
    (specifier,) = Requirement(f"python{project()['project']['requires-python']}").specifier
    return tuple(map(int, specifier.version.split(".")))


def group(name):
    """Return the requirements of a dependency group, those of included groups too."""
    lines = []
    for entry in project()["dependency-groups"][name]:
        lines += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return lines


# -- Pythons --------------------------------------------------------------------


def pythons(minor):
    """Pythons 3.minor: the one that runs this, on the PATH, of pyenv; some may not work."""
    name = f"python3.{minor}"
    if sys.version_info[:2] == (3, minor):
        yield sys.executable
    if shutil.which(name):
        yield shutil.which(name)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"), reverse=True))


def works(python):
    """Whether it can make environments and build extensions."""
    check = (
        "import ensurepip, venv, sysconfig, os\n"
        "assert os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))"
    )
    return subprocess.run([python, "-c", check], capture_output=True).returncode == 0


def find_python(minors):
    """Return the first Python that works, None where there is none."""
    return next((p for minor in minors for p in pythons(minor) if works(p)), None)


# -- the sources, and what is built of them ---------------------------------------


def copy_sources(folder):
    """Copy what git knows of, or would add."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def state_of(source):
    """Return a hash of what is installed of the sources."""
    digest = hashlib.sha256()
    installed = ("csrc/**/*", "flaccodec/**/*", "*.py", "*.toml", "README.md")
    for path in sorted({p for pattern in installed for p in source.glob(pattern)}):
        if path.is_file():
            digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return digest.hexdigest()


def run_tests(name, python, source, names, arguments):
    """Install flaccodec and run tests against it, in sight of no other sources."""
    # A worker of pytest that runs this has no part in these tests.
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    variables |= {"FLACCODEC_TEST_WHEEL": "1", "FLACCODEC_TEST_VERSIONS": name, "PYTHONPATH": ""}
    with locked(f"{name}-in-use"), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "source"
        shutil.copytree(source, folder)
        state, installed = state_of(folder), python.parents[1] / "installed"
        if not installed.exists() or installed.read_text() != state:
            installed.unlink(missing_ok=True)
            pip(python, "install", "--no-deps", "--force-reinstall", folder)
            installed.write_text(state)
        shutil.rmtree(folder / "flaccodec")
        shared = ROOT.parent / "shared"
        if shared.is_dir():
            (folder.parent / "shared").symlink_to(shared.resolve())
        tests = arguments or [f"tests/{name}" for name in names]
        command = [python, "-m", "pytest", "-n", "auto", "-q", *tests]
        return subprocess.run(list(map(str, command)), cwd=folder, env=variables).returncode == 0


# -- the environments -------------------------------------------------------------


def oldest_of(name):
    """Return what to install for the oldest of the libraries that go together.

    pip fails where these do not fit together: then a bound is lower than can be.
    """
    found = bounds(EXTRAS[name])
    extras = {
        r.name: f"[{','.join(sorted(r.extras))}]" for r in requirements(EXTRAS[name]) if r.extras
    }
    return [f"{library}{extras.get(library, '')}=={found[library]}" for library in sorted(found)]


def oldest(source, arguments):
    major, minor = oldest_python()
    python = find_python([minor])
    if python is None:
        raise CannotHaveError(f"Python {major}.{minor}, the oldest that is allowed, is not here")
    inside = environment("oldest", python, *oldest_of("oldest"), *group("versions"))
    return run_tests("oldest", inside, source, DOORS, arguments)


def zarr2(source, arguments):
    major, minor = oldest_python()
    python = find_python([minor])
    if python is None:
        raise CannotHaveError(f"Python {major}.{minor}, the oldest that is allowed, is not here")
    inside = environment("zarr2", python, "zarr==2.18.*", *oldest_of("zarr2"), *group("zarr2"))
    return run_tests("zarr2", inside, source, ZARR2, arguments)


def newest(source, arguments):
    try:
        debian = Debian(say)
    except CannotHaveError as error:
        say(f"no Debian 13: {error}")
    else:
        tests = arguments or [f"tests/{name}" for name in DOORS]
        return debian.run_tests(source, tests)
    first = oldest_python()[1] + 1
    python = find_python(range(NEWEST_MINOR, first - 1, -1))
    if python is None:
        raise CannotHaveError(f"there is no Debian 13, and no Python 3.{first} or later either")
    lines = [str(r) for r in requirements(EXTRAS["oldest"])] + group("versions")
    inside = environment("newest", python, *lines)
    pip(inside, "install", "--upgrade", "--upgrade-strategy", "eager", *lines)
    return run_tests("newest", inside, source, DOORS, arguments)


RUNS = {"oldest": oldest, "zarr2": zarr2, "newest": newest}


def main():
    """Run the tests in each environment; fail where any fails, and name what was left out."""
    parser = argparse.ArgumentParser(prog="./dev versions", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="oldest|zarr2|newest", help="by default all")
    parser.add_argument("--tests", nargs=argparse.REMAINDER, default=[], help="given to pytest")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"names must be of {', '.join(NAMES)}. Got {', '.join(sorted(unknown))}.")
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        copy_sources(Path(temporary))
        for name in options.names or NAMES:
            say(f"{name} ...")
            try:
                passed = RUNS[name](Path(temporary), options.tests)
                results[name] = "passed" if passed else "FAILED"
            except CannotHaveError as error:
                results[name] = f"SKIPPED, {error}"
    for name, result in results.items():
        say(f"{name}: {result}")
    return "FAILED" in results.values()


if __name__ == "__main__":
    sys.exit(main())
