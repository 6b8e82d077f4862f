"""No file of the tests and the examples is long, no folder is full, and none hides a library."""

from support.paths import ROOT, TESTS

MOST_LINES, MOST_FILES = 500, 14
FILES = [
    path
    for folder in (TESTS, ROOT / "examples")
    for path in sorted(folder.rglob("*"))
    if path.suffix in {".py", ".c", ".h"} and "__pycache__" not in path.parts
]
FOLDERS = {path.parent for path in FILES}


def test_files_are_short():
    assert len(FILES) > 150
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {path: n for path, n in lengths.items() if n > MOST_LINES} == {}


def test_folders_are_not_full():
    assert len(FOLDERS) > 20
    numbers = {folder: sum(path.parent == folder for path in FILES) for folder in FOLDERS}
    assert {folder: n for folder, n in numbers.items() if n > MOST_FILES} == {}


def test_packages_hide_no_library():
    """tests/ comes first on the path: a package there called zarr would be taken for zarr."""
    packages = {path.parent.name for path in TESTS.glob("*/__init__.py")}
    assert len(packages) > 10
    assert {name for name in packages if not name.startswith("test_")} == {"support"}
