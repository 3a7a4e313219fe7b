"""Modules from outside the library: imported before the jail closes, and shown inside it."""

# ruff: noqa: PTH112, PTH118 (pathlib would sit in the memory of every fork)

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_COMPANIONS = {"numpy": ("numpy.linalg", "numpy.fft", "numpy.random")}
"""What a package imports only when it is first used, which would then be in every test."""


def preload(modules: Sequence[str], paths: Sequence[str]) -> None:
    """Import ``modules`` from ``paths``, which are searched for nothing else. Raises ``ImportError``."""
    sys.path += paths
    for name in modules:
        for each in (name, *_COMPANIONS.get(name, ())):
            __import__(each)
    del sys.path[len(sys.path) - len(paths) :]
    if random := sys.modules.get("numpy.random"):
        random.seed(0)  # as with the library's own: a program that uses it must repeat


def threads() -> int:
    """Threads of this process. More than one could not be locked up."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123
        return int(file.read().rpartition(b")")[2].split()[17])


def packages(paths: Sequence[str]) -> list[str]:
    """What lies in ``paths`` of the modules that are imported: packages, and libraries beside them.

    They import more of themselves later, so they have to stay in sight.
    """
    tops = set()
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
        for path in paths:
            if origin.startswith(path + "/"):
                tops.add(os.path.join(path, origin[len(path) + 1 :].split("/")[0]))
    beside = [f"{top}.libs" for top in tops]
    return sorted([*tops, *(folder for folder in beside if os.path.isdir(folder))])
