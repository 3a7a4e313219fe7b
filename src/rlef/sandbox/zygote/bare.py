"""Rungs L1 and L0: what a slot and its tests do for themselves where there are no namespaces.

In a pid namespace a program is alone, and dies with its pid 1. Without one it could see and
signal whatever its user may, and outlive its parent. So each child asks to die with its
parent, enters a Landlock domain of its own, and loads a second filter that knows its pid.

The file system is the host's; Landlock refuses to open what is not the library. It knows
directories and what is below them, no exceptions: so where packages are installed inside the
library's directory, that directory can't be listed, and ``Library`` finds modules by what it
listed before.
"""

# ruff: noqa: PTH123, PTH208 (pathlib would sit in the memory of every fork)

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType

from . import bpf, kernel, landlock, seccomp
from .steps import refused, status_fields

PACKAGES = ("site-packages", "dist-packages")
"""Directories in the library's own that are not shown."""
_HIGH = 100
"""Where the ruleset's descriptor is, out of the way of a test's own."""
_TASKS = 4096
"""Threads and processes of the user, above those it had when the slot started. RLIMIT_NPROC counts all
of them, the trainer's too if that is not root; so it can only keep the host's table from filling."""
_PENDING_SIGNALS = 1024
_STANDIN = 0x3ABCDE
"""For the pid in the filter, until it is known."""
_rules = -1
_tasks = resource.RLIM_INFINITY
_filter: seccomp.Filter | None = None
_places: list[tuple[int, int]] = []


def prepare() -> None:
    """Have ``kernel.spawn`` and ``kernel.seal`` do without namespaces. While /proc can be read."""
    global _tasks
    kernel.spawn, kernel.seal = spawn, seal
    _tasks = tasks_of(os.getuid()) + _TASKS


def make_domain() -> None:
    """Let each test enter a Landlock domain of its own."""
    global _rules
    rules = landlock.scope()
    _rules = fcntl.fcntl(rules, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(rules)


def make_filter() -> None:
    """Let each test load a filter of its own."""
    global _filter
    if kernel.MACHINE not in seccomp.ARCHES:
        raise OSError(errno.ENOSYS, f"no system call table for {kernel.MACHINE}")
    code = bpf.assemble(seccomp.own_policy(kernel.MACHINE, _STANDIN))
    standins = _names(_STANDIN)
    _places[:] = [
        (8 * at + 4, standins.index(step[3])) for at, step in enumerate(code) if step[3] in standins
    ]
    _filter = seccomp.Filter(code)


def _names(pid: int) -> list[int]:
    """What the kernel takes for a process: its number and those of its clocks."""
    return [pid, *[seccomp.clock_of(pid, kind) for kind in range(3)]]


def tasks_of(uid: int) -> int:
    """Threads of all processes of a user."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status") as file:
                    fields = status_fields(file.read())
            except OSError:  # it has just ended
                continue
            if int(fields["Uid"].split()[0]) == uid:
                count += int(fields["Threads"])
    return count


def spawn() -> tuple[int, int]:
    """Fork a child that dies with us: (pid, pidfd) in the parent, (0, -1) in the child."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid, os.pidfd_open(pid)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    return 0, -1


def seal(first: int = 3) -> None:
    """Close a test's own jail, and its descriptors from ``first`` on."""
    for kind, value in ((resource.RLIMIT_NPROC, _tasks), (resource.RLIMIT_SIGPENDING, _PENDING_SIGNALS)):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    _enter_domain()
    kernel.close_from(first)
    _load_filter()


def _enter_domain() -> None:
    if _rules >= 0:
        landlock.enter(_rules)


def _load_filter() -> None:
    if _filter:
        values = _names(os.getpid())
        for at, name in _places:
            struct.pack_into("=I", _filter.code, at, values[name])
        _filter.load()


def forget(*, domain: bool, filter: bool) -> None:
    """Do without what can't be had (L0)."""
    global _rules, _filter
    _rules = -1 if domain else _rules
    _filter = None if filter else _filter


def domain_holds() -> bool:
    """True if a child that entered its domain can't signal us."""

    def holds(parent: int) -> bool:
        _enter_domain()
        return refused(os.kill, parent, 0)

    return _rehearse(holds)


def filter_holds() -> bool:
    """True if a child that loaded its filter dies with us, can ask about itself, and not about us."""

    def holds(parent: int) -> bool:
        dies = kernel.death_signal() == signal.SIGKILL
        _load_filter()
        os.getpgid(os.getpid())
        os.kill(os.getpid(), 0)
        return dies and refused(os.getpgid, parent)

    return _rehearse(holds)


def _rehearse(act: Callable[[int], bool]) -> bool:
    """What ``act`` says in a child, given our pid. False if the child ends otherwise."""
    us = os.getpid()
    pid, pidfd = spawn()
    if not pid:
        held = False
        try:
            held = act(us)
        finally:
            os._exit(42 if held else 1)
    os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42


class _Extension(ExtensionFileLoader):
    """Loads by the path as it is given: the import system would make it absolute."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, path)
        self._near = path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return super().create_module(ModuleSpec(spec.name, self, origin=self._near))


class Library(FileFinder):
    """Finds modules in a directory that may be out of sight later on."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            (_Extension, EXTENSION_SUFFIXES),
            (SourceFileLoader, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )
        self.path = path  # FileFinder makes it absolute, but "." may be the only way there
        self._listed = False

    def _fill_cache(self) -> None:
        if not self._listed:
            super()._fill_cache()  # type: ignore[misc]
            self._listed = True

    def invalidate_caches(self) -> None:
        """Never: it could not be listed again."""


def find_library(stdlib: str) -> list[str]:
    """Have imports go through ``Library``; the entries of the library that may be shown.

    The current directory is the library, as it was before we became someone who may not be allowed
    to walk there. It stays so if that is the only way, else it becomes the root. Raises ``OSError``.
    """
    entries = sorted(os.listdir("."))
    os.close(os.open("os.py", os.O_RDONLY))
    hidden = not os.access(f"{stdlib}/os.py", os.R_OK)
    base = "." if hidden else stdlib

    def hook(path: str) -> Library:
        if path not in (stdlib, ".") and not path.startswith((f"{stdlib}/", "./")):
            raise ImportError(path)
        return Library(path.replace(stdlib, base, 1))

    sys.path_hooks.insert(0, hook)
    for path in [path for path in sys.path_importer_cache if f"{path}/".startswith(f"{stdlib}/")]:
        finder = sys.path_importer_cache[path] = hook(path)
        finder._fill_cache()
    if not hidden:
        os.chdir("/")
    if not set(entries) & set(PACKAGES):
        return [base]
    return [f"{base}/{name}" for name in entries if name not in PACKAGES]
