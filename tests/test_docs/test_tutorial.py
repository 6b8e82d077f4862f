"""docs/tutorial.md runs, block after block, prints what it shows, and makes its pictures.

The pictures in docs/tutorial/ are made anew by
``./dev test tests/test_docs/test_tutorial.py --make-pictures``.
"""

import doctest
import re
import shutil
import struct

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from support.paths import DOCS

TUTORIAL = DOCS / "tutorial.md"
PICTURES = TUTORIAL.with_suffix("")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run all blocks in an empty folder."""
    folder = tmp_path_factory.mktemp("tutorial")
    parser = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
    document = Sybil(parsers=[parser], path=str(TUTORIAL.parent)).parse(TUTORIAL)
    examples = list(document.examples())
    assert len(examples) >= TUTORIAL.read_text().count("```python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for example in examples:
            example.evaluate()
    return folder


def size_in_pixels(path):
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">2I", head[16:])


def test_the_blocks_run_and_print_what_is_shown(folder):
    assert (folder / "mine.zarr" / "zarr.json").exists()


def test_pictures_are_those_that_the_blocks_make(folder, request):
    made = {path.name: path for path in folder.glob("*.png")}
    if request.config.getoption("--make-pictures"):
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir()
        for path in made.values():
            shutil.copy(path, PICTURES)
    kept = {path.name: path for path in PICTURES.iterdir()}
    shown = re.findall(r"!\[[^]]+\]\(tutorial/([^)]+)\)", TUTORIAL.read_text())
    assert set(made) == set(kept) == set(shown)
    for name, path in made.items():
        assert size_in_pixels(path) == size_in_pixels(kept[name])
        assert kept[name].stat().st_size < 150_000


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TUTORIAL.read_text()):
        assert (TUTORIAL.parent / target).exists(), target
