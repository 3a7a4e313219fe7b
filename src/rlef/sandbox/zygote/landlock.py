"""Landlock: a second, independent lock on files, TCP and signals."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Sequence

from . import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, REFER, TRUNCATE = (
    1 << 4,
    1 << 5,
    1 << 7,
    1 << 8,
    1 << 13,
    1 << 14,
)
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
"""Rights that mean something on a file; the others are those of directories."""
_NEWER = {REFER: 2, TRUNCATE: 3}
"""Rights that exist from an ABI version on."""
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI version to the number of file rights that it knows."""
_RULE_PATH_BENEATH = 1
_VERSION_FLAG = 1
_SCOPES = 0b11  # abstract unix sockets and signals stay inside the domain
_SCOPES_SINCE = 6


def version() -> int:
    """ABI version of the running kernel. Raises ``OSError`` where Landlock is off."""
    return kernel.syscall("landlock_create_ruleset", 0, 0, _VERSION_FLAG)


def ruleset(abi: int) -> bytes:
    """The ruleset attribute that handles, and so denies, all that ``abi`` knows."""
    rights = (1 << max(count for since, count in _FS_RIGHTS.items() if since <= abi)) - 1
    fields = [rights]
    if abi >= 4:
        fields.append(0b11)  # bind and connect TCP
    if scopes(abi):
        fields.append(_SCOPES)
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(allowed: Sequence[tuple[str, int]], abi: int) -> None:
    """Deny everything but ``allowed``: pairs of a path and the rights on and below it.

    ``abi`` is at most the kernel's version.
    """
    attributes = ruleset(abi)
    unknown = sum(right for right, since in _NEWER.items() if abi < since)
    rules = kernel.syscall("landlock_create_ruleset", ctypes.c_char_p(attributes), len(attributes), 0)
    try:
        for path, rights in allowed:
            _allow(rules, path, rights & ~unknown)
        enter(rules)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = ctypes.c_char_p(struct.pack("=Qi", rights, place))
        kernel.syscall("landlock_add_rule", rules, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def scopes(abi: int) -> bool:
    """True if ``abi`` knows to keep signals and sockets inside a domain."""
    return abi >= _SCOPES_SINCE


def scope() -> int:
    """Descriptor of a ruleset that does that and no more."""
    attributes = struct.pack("=3Q", 0, 0, _SCOPES)
    return kernel.syscall("landlock_create_ruleset", ctypes.c_char_p(attributes), len(attributes), 0)


def enter(rules: int) -> None:
    """Put this process into a domain of its own, below the one it is in."""
    kernel.syscall("landlock_restrict_self", rules, 0)
