"""Where the others are: installed by ``make bench``, on the path, or in a folder of the user's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.rows import Unavailable

INSTALLED = Path(sys.prefix) / "peers"
"""Packages that ``make bench`` puts aside, without what they depend on."""


def folder(name: str, holds: str) -> Path:
    """The folder ``name`` that has a file ``holds``. Raises ``Unavailable``."""
    places = [INSTALLED]
    if chosen := os.environ.get("RLEF_PEERS"):
        places = [Path(chosen) / name, Path(chosen), INSTALLED]
    for place in places:
        if (place / holds).exists():
            return place
    how = f"{chosen} has no {name}" if chosen else "RLEF_PEERS is not set"
    raise Unavailable(f"no {name} ({how}); benchmarks/README.md says how to get it")


def program(name: str, how: str) -> str:
    """A program on the path. Raises ``Unavailable``."""
    if found := shutil.which(name):
        return found
    raise Unavailable(f"no {name} on the path; {how}")


def package(name: str, init: Path) -> ModuleType:
    """Import a package from its ``__init__.py`` without importing the packages that it lies in."""
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(init.parent)])
    if spec is None or spec.loader is None:
        raise Unavailable(f"{init} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def importable(name: str) -> bool:
    """True if a package is installed."""
    return importlib.util.find_spec(name) is not None
