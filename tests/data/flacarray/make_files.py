"""Make the archives beside this file, with the flacarray versions that they are named after.

Run as ``python make_files.py`` in any environment; those with flacarray are made on the way.
Each archive holds ``groups.h5`` and ``groups.zarr`` with a group for each case of
``tests/test_groups/interchange/cases.py``, and ``values.npz`` with what that version itself
reads of them.
"""

import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from test_groups.interchange.environments import REQUIREMENTS, run_program  # noqa: E402


def without_times(member):
    """Let the same files give the same bytes."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def make_archive(version):
    with (
        tempfile.TemporaryDirectory() as folder,
        tarfile.open(HERE / f"{version}.tar.xz", "w:xz", preset=9) as archive,
    ):
        run_program(version, "write_groups.py", folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                archive.add(path, path.relative_to(folder), filter=without_times)


if __name__ == "__main__":
    for version in REQUIREMENTS:
        make_archive(version)
