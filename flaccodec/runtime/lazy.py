"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(
    namespace: dict[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    namespace : dict
        The package's ``globals()``.
    homes : mapping of str to str
        The module that each name is in.

    Returns
    -------
    __getattr__, __dir__ : callable

    Examples
    --------
    >>> __getattr__, __dir__ = lazy(globals(), {"array_compress": "flaccodec.compress"})
    >>> __getattr__("array_compress").__name__
    'array_compress'
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return get, lambda: sorted({*namespace, *homes})
