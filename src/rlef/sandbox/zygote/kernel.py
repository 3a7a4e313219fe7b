"""System calls that Python has no name for. Each raises ``OSError``; none is retried."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

MACHINE = os.uname().machine

# Numbers that differ; those above 424 are the same on every architecture.
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"clone": 56, "capset": 126, "pivot_root": 155, "execveat": 322},
    "aarch64": {"clone": 220, "capset": 91, "pivot_root": 41, "execveat": 281},
}
NUMBERS = {
    "close_range": 436,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    **_NUMBERS.get(MACHINE, {}),
}

CLONE_VM = 0x100
CLONE_PIDFD = 0x1000
CLONE_VFORK = 0x4000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
SIGCHLD = 17
SPAWN_FLAGS = CLONE_NEWPID | CLONE_PIDFD | SIGCHLD
BORROW_FLAGS = SPAWN_FLAGS | CLONE_VM | CLONE_VFORK
"""What ``spawn.c`` asks for."""

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000

PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

CAP_SYS_ADMIN = 21
CAP_LAST = 63

# PyDLL keeps the GIL: a child made by clone() must come back holding it, as after os.fork().
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _function in (_before_fork, _after_fork_parent, _after_fork_child):
    _function.argtypes, _function.restype = [], None

_long = ctypes.c_long
_pidfd = ctypes.c_int(-1)
_pidfd_at = ctypes.byref(_pidfd)
_null = _long(0)
spawn_flags = ctypes.c_ulong(SPAWN_FLAGS)
"""What a test is cloned with; changed only to measure what its namespace costs."""
_spawn_args = (_long(NUMBERS.get("clone", -1)), spawn_flags, _null, _pidfd_at, _null, _null)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(name: str, *args: object) -> int:
    """Call ``name`` by its number; integers are passed as longs."""
    if name not in NUMBERS:
        raise OSError(38, f"no system call table for {MACHINE}")
    wide = [_long(a) if isinstance(a, int) else a for a in args]
    return _check(int(_libc.syscall(_long(NUMBERS[name]), *wide)))


def _spawn_in_namespace() -> tuple[int, int]:
    """Fork into a new pid namespace.

    glibc caches the thread id, and a raw clone does not refresh it. Every process that
    spawns here is pid 1 of its own namespace, and so is its child: the cache stays right.
    """
    _before_fork()
    pid = int(_libc.syscall(*_spawn_args))
    if pid == 0:
        _after_fork_child()
        return 0, -1
    _after_fork_parent()
    return _check(pid), _pidfd.value


spawn: Callable[[], tuple[int, int]] = _spawn_in_namespace
"""Fork a template or a test: (pid, pidfd) in the parent, (0, -1) in the child. ``bare`` has another."""


def libc_function(name: str, count: int) -> Callable[..., int]:
    """A function of the C library that takes and returns words and fails with -1 and ``errno``."""
    function = _libc[name]
    function.argtypes, function.restype = [ctypes.c_long] * count, ctypes.c_long
    return lambda *args: _check(int(function(*args)))


def unshare(flags: int) -> None:
    """Leave the namespaces in ``flags``."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Put a file system, or with MS_BIND a directory, at ``target``."""
    _check(
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
        )
    )


def mount_setattr(target: str, attributes: int, *, below: bool) -> None:
    """Add attributes to a mount, and to all ``below`` it; locked ones stay as they are."""
    attr = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = AT_RECURSIVE if below else 0
    path = ctypes.c_char_p(target.encode())
    syscall("mount_setattr", AT_FDCWD, path, flags, attr, ctypes.sizeof(attr))


def pivot_root_here() -> None:
    """Make the current directory the root and let go of the old one."""
    dot = ctypes.c_char_p(b".")
    syscall("pivot_root", dot, dot)
    _check(_libc.umount2(b".", MNT_DETACH))


def prctl(option: int, value: int = 0, pointer: object = None) -> int:
    """Set an attribute of this process, given by one number or one pointer."""
    return _check(
        int(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), pointer or _null, _null, _null))
    )


def death_signal() -> int:
    """The signal that the kernel sends us when our parent dies."""
    number = ctypes.c_int(0)
    prctl(PR_GET_PDEATHSIG, ctypes.addressof(number))
    return number.value


def sethostname(name: str) -> None:
    """Name this UTS namespace."""
    _check(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))))


_CAP_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)


def _capabilities(mask: int) -> ctypes.Array[ctypes.c_uint32]:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    return (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)


def capset(mask: int) -> None:
    """Make effective and permitted capabilities ``mask``; none is inheritable."""
    syscall("capset", _CAP_HEADER, _capabilities(mask))


_nr_close = _long(NUMBERS["close_range"])
_last = _long(0xFFFFFFFF)
_capset_args = (_long(NUMBERS.get("capset", -1)), ctypes.byref(_CAP_HEADER), ctypes.byref(_capabilities(0)))


def close_from(first: int) -> None:
    """Close the descriptors from ``first`` on."""
    _check(_libc.syscall(_nr_close, _long(first), _last, _null))


def _seal_in_namespace(first: int = 3) -> None:
    """Close the descriptors and give up every capability."""
    _check(_libc.syscall(_nr_close, _long(first), _last, _null))
    _check(_libc.syscall(*_capset_args))


seal: Callable[..., None] = _seal_in_namespace
"""What a test does last for itself; it closes the descriptors from the given one on. ``bare`` has another."""


def execute(fd: int, arguments: list[str], environment: dict[str, str]) -> None:
    """Execute the file behind a descriptor; does not return. Raises ``OSError``."""
    pairs = [f"{name}={value}" for name, value in environment.items()]
    argv, envp = strings(arguments), strings(pairs)
    syscall("execveat", fd, ctypes.c_char_p(b""), argv, envp, AT_EMPTY_PATH)


def strings(texts: list[str]) -> ctypes.Array[ctypes.c_char_p]:
    """A null-terminated array of strings."""
    return (ctypes.c_char_p * (len(texts) + 1))(*[os.fsencode(text) for text in texts], None)
