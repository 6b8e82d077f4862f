"""Running a function in a new process, which has no memory left from earlier measurements.

The standard library's pools of processes cannot do this: some of these processes need an
environment of their own (LD_PRELOAD), and others are started by mpirun.
"""

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

ROOT = Path(__file__).parents[2]

PROCESS = f"""
import sys
sys.path.append(sys.argv[1])  # behind the installed flaccodec
from {__name__} import answer
answer(*sys.argv[2:])
"""


def arguments_of(function: Callable[..., Any], *args: Any) -> list[str]:
    """Return the arguments that make a Python interpreter call a function and print its result.

    Parameters
    ----------
    function : callable
        A function of a module.
    *args
        Written as JSON, as is the result.
    """
    name = function.__module__, function.__qualname__
    return ["-c", PROCESS, str(ROOT), *name, json.dumps(args)]


def answer(module: str, name: str, args: str) -> None:
    """Call a function in this process and print its result."""
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(function(*json.loads(args))))


def run_apart(
    function: Callable[..., Any], *args: Any, environment: Mapping[str, str] | None = None
) -> Any:
    """Call a function in a new process and return its result.

    Parameters
    ----------
    function, *args
        As in `arguments_of`.
    environment : dict of str, optional
        Variables to add to those of this process.
    """
    command = [sys.executable, *arguments_of(function, *args)]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return json.loads(done.stdout)
