"""What this machine can isolate with, what is missing, and the exact step that gets it."""

from __future__ import annotations

import os
import select
from dataclasses import asdict, dataclass
from typing import Any

from rlef.errors import SandboxError
from rlef.sandbox import cgroups, layers, slot
from rlef.sandbox.failures import BootError
from rlef.sandbox.layers import CGROUP
from rlef.sandbox.slot import Slot
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import Rung

_CANARIES = "canary programs"
_ANSWER_S = 10.0
"""Longest that a probed slot takes for a message; a busy machine is slow."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation."""

    name: str
    available: bool
    rung: Rung
    """The lowest rung that needs it."""
    stops: str
    """What programs could do without it."""
    reason: str = ""
    """Why it is not available; empty if it is."""
    step: str = ""
    """What to do to get it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Every layer, and the rung they add up to."""

    rung: Rung
    """The highest to be had; L0 if programs can't be isolated."""
    layers: tuple[Layer, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)


def probe() -> DoctorReport:
    """Try every layer in slots of their own, then let a full slot prove itself (0.3 s)."""
    found = "masked by a test" if CGROUP in slot.MASK else cgroups.find()
    places = None if isinstance(found, str) else found
    group = {CGROUP: found if isinstance(found, str) else ""}
    apart = _try(Rung.L2, places)
    if not any(apart.values()):
        return _report(Rung.L2 if group[CGROUP] else Rung.L3, apart | group)
    if apart.get(CGROUP):
        group[CGROUP], places = apart.pop(CGROUP), None
        apart = _try(Rung.L2, None)
        if not any(apart.values()):
            return _report(Rung.L2, apart | group)
    bare = _try(Rung.L1, places)
    return _report(Rung.L0 if any(bare.values()) else Rung.L1, apart | bare | group)


def _try(rung: Rung, places: cgroups.Places | None) -> dict[str, str]:
    """Name of each layer of a rung, and of its canaries if it has all layers, to its error or ''."""
    steps = _probe_steps(rung)
    return steps if any(steps.values()) else steps | _probe_canaries(rung, places)


def _report(rung: Rung, steps: dict[str, str]) -> DoctorReport:
    order = [*layers.KINDS, _CANARIES]
    names = sorted(steps, key=lambda name: order.index(name) if name in order else len(order))
    return DoctorReport(rung, tuple(_layer(name, steps[name]) for name in names))


def _layer(name: str, reason: str) -> Layer:
    known = layers.kind(name)
    step = layers.step(name) if reason else ""
    return Layer(name, not reason, known.rung, known.stops, reason, step)


def _probe_steps(rung: Rung) -> dict[str, str]:
    """Name of each boot step to its error or ''."""
    probed = Slot(min(os.sched_getaffinity(0)), None, rung=rung, probing=True)
    try:
        while select.select([probed.sock], [], [], _ANSWER_S)[0]:
            message = probed.sock.recv(4096)
            if not message:
                break
            if probed.booted(message):
                return probed.steps
        return {"boot": probed.log() or "the slot's process did not answer"}
    except SandboxError:
        return probed.steps
    finally:
        probed.kill()
        probed.bury()


def _probe_canaries(rung: Rung, places: cgroups.Places | None) -> dict[str, str]:
    supervisor = Supervisor([min(os.sched_getaffinity(0))], recycle=1, places=places, rung=rung)
    supervisor.start()
    try:
        supervisor.opened.result()
    except (SandboxError, OSError) as error:
        steps = error.steps if isinstance(error, BootError) else {}
        return {name: reason for name, reason in steps.items() if reason} or {_CANARIES: str(error)}
    finally:
        supervisor.close()
        supervisor.join()
    return {_CANARIES: ""}
