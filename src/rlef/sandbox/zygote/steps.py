"""Steps from a process of the trainer's user to a jailed one, each with a proof that it had an effect.

A step that fails, or whose proof does, ends the boot with a report of the steps so far. In
probe mode the rest is tried as well, so that ``rlef doctor`` can show the whole table; on L0 the boot
goes on with what there is.

Tests mask steps. ``name`` in the mask: the step fails, as if the kernel refused it. ``silent name``:
it does nothing and says nothing. ``blind name``: nor is it proved. ``allow 41``: the filter lets
system call 41 through. ``abi 3``: Landlock is no newer than that.
"""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Callable
from typing import Any, NoReturn

NO_EFFECT = "it seemed to work, but has no effect"


class Boot:
    """The steps taken so far and what came of them."""

    def __init__(self, ctl: _socket.socket, spec: dict[str, Any]) -> None:
        self.ctl = ctl
        self.probing: bool = spec["probing"]
        self.apart = spec["rung"] in ("L3", "L2")
        """In namespaces."""
        self.optional = spec["rung"] == "L0"
        self.steps: dict[str, str] = {}
        self._mask: list[str] = spec["mask"]

    def step(self, name: str, action: Callable[[], object], proof: Callable[[], bool]) -> bool:
        """Take one step; True if it has an effect. The first failure reports and ends the process."""
        self.steps[name] = problem = self._try(name, action, proof)
        if problem and not self.probing and not self.optional:
            self.fail()
        return not problem

    def _try(self, name: str, action: Callable[[], object], proof: Callable[[], bool]) -> str:
        try:
            if name in self._mask:
                raise OSError(errno.EPERM, f"{os.strerror(errno.EPERM)} (masked by a test)")
            if self.blind(name):
                return ""
            if f"silent {name}" not in self._mask:
                action()
            return "" if proof() else NO_EFFECT
        except OSError as error:
            return error.strerror or str(error)

    def blind(self, name: str) -> bool:
        """True if a step is neither taken nor proved."""
        return f"blind {name}" in self._mask

    def masked(self, word: str) -> list[int]:
        """The numbers that a test masks with ``word``."""
        pairs = [entry.split() for entry in self._mask]
        return [int(pair[1]) for pair in pairs if pair[0] == word]

    def report(self, headline: str) -> None:
        """Tell the supervisor."""
        rows = [f"{name}\t{problem}" for name, problem in self.steps.items()]
        os.write(self.ctl.fileno(), "\n".join([headline, *rows]).encode())

    def fail(self) -> NoReturn:
        """Report what is missing and end."""
        self.report("missing")
        os._exit(3)


class Mirror:
    """What the kernel says about this process, also when /proc is out of sight."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)

    def __getitem__(self, name: str) -> str:
        return status_fields(os.pread(self._fd, 8192, 0).decode()).get(name, "")

    def capabilities(self, *kinds: str) -> set[int]:
        """Capabilities of these kinds (``Eff``, ``Prm``, ``Inh``, ``Amb``, ``Bnd``), as masks."""
        return {int(self[f"Cap{kind}"] or "0", 16) for kind in kinds}

    def filters(self) -> int:
        """Seccomp filters in force; kernels before 5.9 tell only whether there is one."""
        return int(self["Seccomp_filters"] or self["Seccomp"] == "2")

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self._fd)


def status_fields(text: str) -> dict[str, str]:
    """The fields of a /proc/*/status."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def refused(call: Callable[..., object], *args: object) -> bool:
    """True if a call is answered with an error."""
    try:
        call(*args)
    except OSError:
        return True
    return False


def namespace(kind: str) -> str:
    """The namespace of a kind that this process, or for ``pid_for_children`` its children, are in."""
    return os.readlink(f"/proc/self/ns/{kind}")  # noqa: PTH115
