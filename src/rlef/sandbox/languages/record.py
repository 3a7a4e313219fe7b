"""What is to be known of a language, and the list of those that are known."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rlef.errors import UserError
from rlef.sandbox.types import RunLimits

_MIB = 2**20


def _nothing(program: str) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How programs of a language are made ready and run; ``docs/languages.md`` has an example.

    Commands are words. ``{program}`` in them stands for the path of ``program``, ``{source}`` and
    ``{output}`` for files in the working directory, ``{memory_mb}`` for the test's limit.
    """

    name: str
    suffixes: tuple[str, ...]
    """Of files with programs: ``(".cpp", ".cc")``. The source is called ``solution`` with the first."""
    program: str
    """The compiler or interpreter, looked for on PATH."""
    install: str
    """How to get it: ``apt install g++``."""
    compile: tuple[str, ...] = ()
    """Command that makes ``{output}``, which is then executed. Empty for an interpreted language."""
    run: tuple[str, ...] = ()
    """Command that runs ``{source}``; for an interpreted language."""
    check: tuple[str, ...] = ()
    """Command that fails for a source that does not parse; empty if there is none. It is asked
    only if the first test fails without output, to tell a compile error from a runtime error."""
    paths: Callable[[str], Iterable[str]] = _nothing
    """From the program's path to what else of the host it needs to see, besides its shared
    libraries, which are found."""
    precompile: str = ""
    """A header that is worth compiling once if a source includes it: ``bits/stdc++.h``."""
    hello: str = ""
    """A program that prints its input, with which ``rlef doctor`` tries the language."""
    environment: tuple[tuple[str, str], ...] = ()
    own_bytes: int = 0
    """Memory that an empty program takes, which is not held against the limit."""
    reserved_bytes: int = 0
    """Address space that an empty program reserves without using it."""
    stack_bytes: int = -1
    """Limit of the main thread's stack; -1 for none but the memory limit."""
    compile_limits: RunLimits = field(
        default_factory=lambda: RunLimits(
            cpu_s=10.0, wall_s=200.0, memory_bytes=1024 * _MIB, stderr_bytes=_MIB
        )
    )
    """For each process of the compiler. The driver waits for the others, so its wall time is all that
    shows if the machine is busy."""
    output_bytes: int = 64 * _MIB
    """Most that a compiled program may have."""

    @property
    def source(self) -> str:
        """Name of the source in the working directory, and so in messages."""
        return f"solution{self.suffixes[0]}"


PYTHON = Language(
    name="python",
    suffixes=(".py",),
    program="python3",
    install="set sandbox.python to the path of an interpreter, 3.11 or later",
    hello="print(input())",
)
"""Runs in the slot's own interpreter; none of the commands is for it."""

_known: dict[str, Language] = {}
_nicknames: dict[str, str] = {}


def register(language: Language, *nicknames: str) -> None:
    """Make a language known, or replace one. ``nicknames`` are other names for it.

    Raises ``ValueError`` for a record that makes no sense.
    """
    if not language.suffixes or not language.suffixes[0].startswith("."):
        raise ValueError(f"{language.name}: suffixes must be like ('.c',)")
    if language is not PYTHON and bool(language.compile) == bool(language.run):
        raise ValueError(f"{language.name}: give either compile or run")
    if language.compile and not any("{output}" in word for word in language.compile):
        raise ValueError(f"{language.name}: the compile command must write {{output}}")
    _known[language.name] = language
    for nickname in nicknames:
        _nicknames[nickname] = language.name


def known() -> list[Language]:
    """All languages, in the order of their registration."""
    return list(_known.values())


def find(name: str) -> Language:
    """The language of this name. Raises ``UserError`` with the nearest name if there is none."""
    language = _known.get(_nicknames.get(name, name))
    if language is not None:
        return language
    near = difflib.get_close_matches(name.lower(), [*_known, *_nicknames], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_known)}"
    raise UserError(f"no language {name!r}; {hint}")


def of_file(path: Path) -> Language:
    """The language of a file's suffix. Raises ``UserError`` if no language has it."""
    for language in _known.values():
        if path.suffix in language.suffixes:
            return language
    suffixes = ", ".join(language.suffixes[0] for language in _known.values())
    raise UserError(f"can't tell the language of {path}: known suffixes are {suffixes}; or give --language")


def words(command: Iterable[str], **values: object) -> list[str]:
    """A command with its ``{names}`` filled in."""
    return [word.format(**values) for word in command]


register(PYTHON, "python3", "py")

__all__ = ["PYTHON", "Language", "find", "known", "of_file", "register", "replace", "words"]
