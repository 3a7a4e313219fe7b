"""What the sandbox's own failures look like."""

from __future__ import annotations

from rlef.errors import SandboxError


class BootError(SandboxError):
    """A slot did not come up. ``steps`` says which layers it got: name to error or ''."""

    def __init__(self, message: str, steps: dict[str, str]) -> None:
        super().__init__(message)
        self.steps = steps


def one_line(error: Exception) -> str:
    """The message of a failure for whoever waits for the run."""
    if isinstance(error, OSError):
        return f"the sandbox could not work: {error.strerror or error}"
    name = "" if isinstance(error, SandboxError) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())
