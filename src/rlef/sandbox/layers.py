"""The layers of isolation: which rung needs each, what it stops, and the step that gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rlef.errors import SandboxUnavailable
from rlef.sandbox.failures import BootError
from rlef.sandbox.profile import Profile
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
_CONTAINER = (
    "in a container, allow namespaces: docker run --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined (podman: nothing to do)"
)
_LANDLOCK = (
    "a kernel of 5.13 or later with landlock in the lsm= boot parameter; on Docker, version 20.10.10 or later"
)
_SECCOMP = "a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64"
_REPORT = "this is a bug or a strange kernel: please report it with the output of `rlef doctor`"
_LINUX = "a kernel of 5.9 or later, and no security module in the way"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known about a layer beforehand."""

    rung: Rung
    """The lowest rung that needs it."""
    stops: str
    step: str = _REPORT
    """What to do to get it."""


KINDS = {
    "unprivileged user": Kind(
        Rung.L1,
        "acting as root",
        "a container whose user map covers uid 65534, or run rlef as an ordinary user",
    ),
    "death with the trainer": Kind(Rung.L1, "programs that outlive a killed trainer", _LINUX),
    "no dumps": Kind(Rung.L1, "reading a slot's memory through /proc or a core dump", _LINUX),
    "limits": Kind(Rung.L1, "outrunning CPU, output, memory, threads and open files", _LINUX),
    "capabilities": Kind(Rung.L1, "using rights of root", _LINUX),
    "no new privileges": Kind(Rung.L1, "gaining rights through setuid programs", _LINUX),
    "landlock": Kind(Rung.L1, "opening files other than Python's library, once more on L2; TCP", _LANDLOCK),
    "seccomp": Kind(Rung.L1, "fork, exec, sockets, ptrace, keys, mounts and 300 other calls", _SECCOMP),
    "one thread": Kind(
        Rung.L1,
        "threads that were there before the locks",
        "a preloaded module starts threads: preload it with OPENBLAS_NUM_THREADS=1, or not at all",
    ),
    "library": Kind(
        Rung.L1,
        "imports that only root may read",
        "use an interpreter that every user may read, such as /usr/bin/python3",
    ),
    "own domain": Kind(Rung.L1, "signalling other tests, without namespaces", _LANDLOCK),
    "own filter": Kind(Rung.L1, "naming other processes, without namespaces", _SECCOMP),
    "user namespace": Kind(Rung.L2, "being someone: it gives the right to make the others", _CONTAINER),
    "mount namespace": Kind(Rung.L2, "seeing that files of the host exist", _CONTAINER),
    "network namespace": Kind(Rung.L2, "any network, once more", _CONTAINER),
    "ipc namespace": Kind(Rung.L2, "shared memory of others, once more", _CONTAINER),
    "uts namespace": Kind(Rung.L2, "knowing the host's name", _CONTAINER),
    "cgroup namespace": Kind(Rung.L2, "knowing the host's groups", _CONTAINER),
    "pid namespace": Kind(Rung.L2, "seeing, signalling and outliving other processes", _CONTAINER),
    "read-only root": Kind(
        Rung.L2, "files of the host, /proc, /tmp", f"a kernel of 5.12 or later; {_CONTAINER}"
    ),
    CGROUP: Kind(
        Rung.L3,
        "memory that counts for no process, and the host's loss if all else fails",
        "run as root, or under systemd: systemd-run --user --scope -p Delegate=yes; in Docker: "
        "--cgroupns=private with a writable /sys/fs/cgroup",
    ),
}
"""In the order in which they are shown."""
_OTHER = Kind(Rung.L1, "a jail that is not what it seems")


def kind(name: str) -> Kind:
    """What is known about a layer, or about a canary."""
    return KINDS.get(name, _OTHER)


def step(name: str) -> str:
    """What to do here to get a layer that is missing."""
    if kind(name).step == _CONTAINER:
        for path, value, order in _USER_NAMESPACE_STEPS:
            setting = Path("/proc/sys", path)
            if setting.exists() and setting.read_text().strip() == value:
                return order
    return kind(name).step


def unavailable(steps: Mapping[str, str], floor: str = "") -> SandboxUnavailable:
    """The one-line error for layers that are missing: ``steps`` maps a name to its reason."""
    missing = {name: reason for name, reason in steps.items() if reason}
    what = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    how = next((step(name) for name in missing), "see `rlef doctor`")
    needed = f" with sandbox.floor={floor}" if floor else ""
    return SandboxUnavailable(f"the sandbox{needed} is not to be had here: {what}. To mend it: {how}")


def explain(error: Exception) -> SandboxUnavailable:
    """The one-line error for a sandbox that could not be started."""
    if isinstance(error, BootError):
        return unavailable(error.steps) if any(error.steps.values()) else SandboxUnavailable(str(error))
    return SandboxUnavailable(f"the sandbox can't be started: {error}")


def refusal(profile: Profile, rung: Rung) -> SandboxUnavailable | None:
    """Why slots of a profile can't be had on a rung; None if they can."""
    if rung >= Rung.L2:
        return None
    for needed, what in (
        (profile.processes, "a pid namespace, which ends what a program started"),
        (profile.work_bytes, "a mount namespace, for a directory to write to"),
        (any(a != b for a, b in profile.visible), "a mount namespace, to show files in other places"),
    ):
        if needed:
            return SandboxUnavailable(
                f"a slot for {profile.name} needs {what}; isolation here is {rung}. "
                "`rlef doctor` says how to get L2"
            )
    return None
