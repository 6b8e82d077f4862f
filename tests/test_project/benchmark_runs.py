"""The benchmark's command line, run by its tests, and the package on their path."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

from support.paths import ROOT

SOURCES = str(ROOT)
if SOURCES not in sys.path:
    sys.path.append(SOURCES)  # behind an installed flaccodec

RUN = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module("benchmarks", run_name="__main__")
"""

Run = SimpleNamespace
"""`results` of a run, what it showed on the `screen`, and its `file`."""


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, SOURCES, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
