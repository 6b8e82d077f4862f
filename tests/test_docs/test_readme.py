"""The README's Python runs, block after block."""

import re

import numpy as np
import pytest

from support.paths import ROOT

README = ROOT / "README.md"


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
def test_the_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target


def test_chunks_of_time_and_channels_become_larger():
    """As README says of what SpikeInterface and hdmf-zarr store, as long as it is so."""
    codec = pytest.importorskip("flaccodec.numcodecs").Flac()
    steps = np.random.default_rng(0).integers(-20, 21, (30_000, 8))
    traces = np.cumsum(steps, axis=0).astype("int16")
    assert len(codec.encode(traces)) > traces.nbytes
    assert "those become larger, not smaller" in README.read_text()
