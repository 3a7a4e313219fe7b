"""Which Python runs the programs, and what it may import besides the library."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import rlef.config
from rlef.errors import ConfigError
from rlef.sandbox.profile import PYTHON, Profile

_OLDEST = (3, 11)
_ASK = """
import json, os, sys, sysconfig
binary = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
paths = sysconfig.get_paths()
print(json.dumps([list(sys.version_info[:3]), binary, [paths["purelib"], paths["platlib"]]]))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter says about itself."""

    version: tuple[int, ...]
    binary: str
    """The real one: not a virtual environment's link, not a version manager's script."""
    packages: tuple[str, ...]
    """Directories of installed packages."""


def home_profile(config: rlef.config.Sandbox) -> Profile:
    """The profile of slots for Python programs. Raises ``ConfigError``."""
    if not config.python and not config.preload:
        return PYTHON
    found = ask(config.python)
    if not config.preload:
        return Profile(name="python", interpreter=found.binary)
    paths = tuple(os.path.realpath(path) for path in config.import_path or found.packages)
    paths = tuple(dict.fromkeys(paths))
    if missing := [path for path in paths if not Path(path).is_dir()]:
        raise ConfigError(f"sandbox.import_path: there is no directory {missing[0]}")
    for name in config.preload:
        if name.split(".")[0] not in sys.stdlib_module_names and not _is_in(name, paths):
            raise ConfigError(f"sandbox.preload: there is no module {name!r} in {', '.join(paths)}")
    binary = found.binary if config.python else ""
    return Profile(name="python", interpreter=binary, preload=tuple(config.preload), import_paths=paths)


def _is_in(name: str, paths: tuple[str, ...]) -> bool:
    parts = name.split(".")
    return all(part.isidentifier() for part in parts) and bool(PathFinder.find_spec(parts[0], list(paths)))


@functools.cache
def ask(python: str) -> Interpreter:
    """What is to be known of an interpreter, given by path or empty for our own. Raises ``ConfigError``."""
    if not python:
        paths = sysconfig.get_paths()
        binary = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        return Interpreter(tuple(sys.version_info[:3]), binary, (paths["purelib"], paths["platlib"]))
    try:
        done = subprocess.run(
            [python, "-c", _ASK], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
        )
        version, binary, packages = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise ConfigError(
            f"sandbox.python: {python} is no Python that can be started; give the path of one"
        ) from None
    if tuple(version) < _OLDEST:
        said = ".".join(map(str, version))
        raise ConfigError(f"sandbox.python: {python} is Python {said}; 3.11 or later is needed")
    return Interpreter(tuple(version), binary, tuple(packages))
