"""Tests of what other libraries do, in versions that do it."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def needs(library, oldest):
    """Mark a test that compares with, or tells of, a library of this version or later."""
    found = version(library)
    return pytest.mark.skipif(
        Version(found) < Version(oldest), reason=f"about {library} {oldest} or later, not {found}"
    )
