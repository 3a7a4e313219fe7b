"""Which languages this service runs."""

from __future__ import annotations

from rlef.errors import SandboxUnavailable, UserError
from rlef.sandbox import languages
from rlef.sandbox.languages.tools import tool


class Spoken:
    """The languages whose compilers or interpreters this machine has."""

    def __init__(self) -> None:
        self.names = tuple(one.name for one in languages.known() if _installed(one))

    def name(self, language: str) -> str | None:
        """The proper name of a language that runs here, by any of its names; None if it does not."""
        try:
            proper = languages.find(language).name
        except UserError:
            return None
        return proper if proper in self.names else None


def _installed(language: languages.Language) -> bool:
    try:
        return language is languages.PYTHON or bool(tool(language))
    except SandboxUnavailable:
        return False
