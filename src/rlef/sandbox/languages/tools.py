"""The compilers and interpreters of this machine: where they are, which, what they need to see."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from rlef.errors import SandboxUnavailable
from rlef.sandbox.languages import paths
from rlef.sandbox.languages.record import Language


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of the host that a language needs."""

    path: str
    version: str
    """First line of what it says about itself."""
    identity: str
    """Another text whenever it, or its command line, is another."""
    visible: paths.Shown


@functools.cache
def tool(language: Language) -> Tool:
    """The tool of a language, looked up once. Raises ``SandboxUnavailable`` if it is not there."""
    path = paths.program(language.program)
    if path is None:
        raise SandboxUnavailable(
            f"{language.name} needs {language.program}, which is not on PATH; to get it: {language.install}"
        )
    version = paths.output_of(path, "--version").strip().partition("\n")[0]
    visible = paths.shown([path, *paths.libraries(path), *language.paths(path)])
    stamps: list[object] = [path, version, language.compile, language.precompile]
    for outside, _ in visible:
        found = Path(outside).lstat()
        stamps += [outside, found.st_size, found.st_mtime_ns]
    return Tool(path, version, hashlib.sha256(json.dumps(stamps).encode()).hexdigest(), visible)
