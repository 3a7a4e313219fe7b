"""What this machine can isolate with, what is missing, and the exact step that gets it."""

from __future__ import annotations

import os
import select
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlef.errors import SandboxError, SandboxUnavailable
from rlef.sandbox import cgroups
from rlef.sandbox.failures import BootError
from rlef.sandbox.slot import Slot
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import Rung

CGROUP = "memory and pids cgroup"
_USER_NAMESPACE_STEPS = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids user namespaces: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "the kernel forbids user namespaces: sudo sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "no user namespace is allowed: sudo sysctl user.max_user_namespaces=10000",
    ),
)
_CONTAINER_STEP = (
    "in a container, allow namespaces: docker run --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined (podman: nothing to do)"
)
_STEPS = {
    "landlock": "a kernel of 5.13 or later with landlock in the lsm= boot parameter; on Docker, "
    "version 20.10.10 or later",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
    "unprivileged user": "a container whose user map covers uid 65534, or run rlef as an ordinary user",
    CGROUP: "run as root, or under systemd: systemd-run --user --scope -p Delegate=yes; in Docker: "
    "--cgroupns=private with a writable /sys/fs/cgroup",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation."""

    name: str
    available: bool
    reason: str = ""
    """Why it is not available; empty if it is."""
    step: str = ""
    """What to do to get it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Every layer, and the rung they add up to."""

    rung: Rung | None
    """None if even L2 can't be had."""
    layers: tuple[Layer, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)


def probe() -> DoctorReport:
    """Try every layer in a slot of its own, then let a full slot prove itself (0.2 s)."""
    steps = _probe_steps()
    if not any(steps.values()):
        steps.update(_probe_canaries())
    places = cgroups.find()
    layers = [_layer(name, reason) for name, reason in steps.items()]
    layers.append(_layer(CGROUP, places if isinstance(places, str) else ""))
    sealed = not any(steps.values())
    rung = None if not sealed else Rung.L3 if layers[-1].available else Rung.L2
    return DoctorReport(rung, tuple(layers))


def unavailable(steps: dict[str, str]) -> SandboxUnavailable:
    """The one-line error for layers that are missing: ``steps`` maps a name to its reason."""
    layers = [_layer(name, reason) for name, reason in steps.items() if reason]
    what = "; ".join(f"{layer.name}: {layer.reason}" for layer in layers)
    how = next((layer.step for layer in layers if layer.step), "see `rlef doctor`")
    return SandboxUnavailable(f"the sandbox is not to be had here: {what}. To mend it: {how}")


def _layer(name: str, reason: str) -> Layer:
    return Layer(name, not reason, reason, _step(name) if reason else "")


def _step(name: str) -> str:
    if name in _STEPS:
        return _STEPS[name]
    if name.startswith("canary"):
        return "this is a bug or a strange kernel: please report it with the output of `rlef doctor`"
    for path, value, step in _USER_NAMESPACE_STEPS:
        setting = Path("/proc/sys", path)
        if setting.exists() and setting.read_text().strip() == value:
            return step
    return _CONTAINER_STEP


def _probe_steps() -> dict[str, str]:
    """Name of each boot step to its error or ''."""
    slot = Slot(min(os.sched_getaffinity(0)), None, probing=True)
    try:
        while select.select([slot.sock], [], [], 10)[0]:
            message = slot.sock.recv(4096)
            if not message:
                break
            if slot.booted(message):
                return slot.steps
    except SandboxError:
        return slot.steps
    finally:
        slot.kill()
        slot.bury()
    return {"boot": slot.log() or "the slot's process did not answer"}


def _probe_canaries() -> dict[str, str]:
    supervisor = Supervisor([min(os.sched_getaffinity(0))], recycle=1, places=None)
    supervisor.start()
    try:
        supervisor.opened.result()
    except BootError as error:
        return {"canary": str(error)}
    finally:
        supervisor.close()
        supervisor.join()
    return {"canary programs": ""}
