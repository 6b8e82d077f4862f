"""The blocks of docs/xarray_dask.md run, one after the other, and print what they show."""

import doctest
import re

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from support.paths import DOCS

PAGE = DOCS / "xarray_dask.md"


def test_the_blocks_run_and_print_what_is_shown(tmp_path):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    parser = PythonCodeBlockParser(doctest_optionflags=flags)
    document = Sybil(parsers=[parser], path=str(PAGE.parent)).parse(PAGE)
    examples = list(document.examples())
    assert len(examples) >= PAGE.read_text().count("```python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for example in examples:
            example.evaluate()
    assert (tmp_path / "group.zarr").exists()


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
