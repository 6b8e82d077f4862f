"""Measuring in a process of its own, where nobody finds the memory that others have left."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = str(Path(__file__).parents[1])

PROCESS = """
import sys
sys.path.append(sys.argv[1])  # behind the installed flaccodec
from benchmarks.apart import answer
answer(*sys.argv[2:])
"""


def run_apart(
    function: Callable[..., Any], *args: Any, environment: Mapping[str, str] | None = None
) -> Any:
    """Call a function in a new process.

    Parameters
    ----------
    function : callable
        Of a module. What it is given and what it returns have a form in JSON.
    environment : dict of str, optional
        Variables besides those of this process.
    """
    call = [function.__module__, function.__qualname__, json.dumps(args)]
    command = [sys.executable, "-c", PROCESS, ROOT, *call]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return json.loads(done.stdout)


def answer(module: str, name: str, args: str) -> None:
    """Call a function in this process, and print what `run_apart` reads."""
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(function(*json.loads(args))))
