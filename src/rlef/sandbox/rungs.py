"""Which rung a sandbox stands on: the highest that the machine gives, and never below the floor."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from rlef.sandbox import cgroups, slot
from rlef.sandbox.failures import BootError
from rlef.sandbox.layers import CGROUP, explain, unavailable
from rlef.sandbox.types import Rung

_BANNER = (
    "rlef: PROGRAMS ARE NOT ISOLATED (rung L0, sandbox.floor=L0): they may read and write what you may. "
    "Missing: {missing}. `rlef doctor` says how to get it.\n"
)
# A slot that fails at one of these is not short of a layer: it can't work.
_WORK = ("canary honest", "canary cpu", "canary output", "canary compiler")


class Ladder:
    """Rungs to try, from the highest down.

    Raises ``SandboxUnavailable`` if ``floor`` can't be had already.
    """

    def __init__(self, floor: str) -> None:
        self.floor = Rung(floor)
        self.missing: dict[str, str] = {}
        """What the next higher rung would have needed: layer to reason."""
        self.rung = Rung.L3
        self.places: cgroups.Places | None = None
        found = "masked by a test" if CGROUP in slot.MASK else cgroups.find()
        if isinstance(found, str):
            self._step_down({CGROUP: found})
        else:
            cgroups.sweep(found)
            self.places = found

    def descend(self, error: Exception) -> None:
        """Choose the next rung, given why this one failed. Raises ``SandboxUnavailable``."""
        steps = error.steps if isinstance(error, BootError) else {}
        missing = {name: reason for name, reason in steps.items() if reason}
        if not missing or missing.keys() & set(_WORK) or self.rung is Rung.L0:
            raise explain(error) from None
        self._step_down(missing)

    def _step_down(self, missing: Mapping[str, str]) -> None:
        self.missing |= missing
        if CGROUP in missing:
            self.places = None
            rung = min(self.rung, Rung.L2)
        else:
            rung = Rung.L1 if self.rung > Rung.L1 else Rung.L0
        if rung < self.floor:
            raise unavailable(missing, self.floor)
        self.rung = rung

    def warn(self) -> None:
        """Say on stderr that programs are not isolated, if that is so."""
        if self.rung is Rung.L0:
            missing = "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())
            sys.stderr.write(_BANNER.format(missing=missing))
