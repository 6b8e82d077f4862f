"""Where the tests find what is not theirs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, or the copy of one, that these tests are in."""

TESTS = ROOT / "tests"
DATA = TESTS / "data"
"""Files that earlier versions of flaccodec, and the flacarray package, wrote."""

DOCS = ROOT / "docs"
