"""Which languages this service runs, and how it asks the sandbox for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from rlef.errors import SandboxUnavailable, UserError
from rlef.judge import Runner
from rlef.sandbox import RunLimits, RunResult, Sandbox, languages
from rlef.sandbox.languages.tools import tool


class Spoken:
    """The languages whose compilers or interpreters this machine has."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.names = tuple(one.name for one in languages.known() if _installed(one))

    def name(self, language: str) -> str | None:
        """The proper name of a language that runs here, by any of its names; None if it does not."""
        try:
            proper = languages.find(language).name
        except UserError:
            return None
        return proper if proper in self.names else None

    def runner(self, name: str) -> Runner:
        """A sandbox for the programs of one language."""
        return self._sandbox if name == languages.PYTHON.name else _Speaking(self._sandbox, name)


@dataclass(frozen=True, slots=True)
class _Speaking:
    """A sandbox whose programs are of one language."""

    sandbox: Sandbox
    language: str

    def run(
        self, source: str, stdins: Sequence[bytes], limits: RunLimits, **options: Any
    ) -> AsyncGenerator[RunResult, None]:
        return self.sandbox.run(source, stdins, limits, **{"language": self.language, **options})

    def call(
        self, source: str, function: str, arguments: Sequence[bytes], limits: RunLimits
    ) -> AsyncGenerator[RunResult, None]:
        raise AssertionError("calls are of Python functions; see order.check_tests")


def _installed(language: languages.Language) -> bool:
    try:
        return language is languages.PYTHON or bool(tool(language))
    except SandboxUnavailable:
        return False
