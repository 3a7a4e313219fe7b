"""Which languages this service runs, and how it asks the sandbox for them."""

from __future__ import annotations

from rlef.judge import Runner
from rlef.sandbox import Sandbox


class Spoken:
    """The languages of a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.names: tuple[str, ...] = ("python",)

    def runner(self, language: str) -> Runner:
        """A sandbox for the programs of one language, one of ``names``."""
        assert language in self.names
        return self.sandbox
