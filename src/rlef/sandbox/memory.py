"""Files in memory: the only way in and out of a program."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def sealed_file(data: bytes, name: str) -> int:
    """A descriptor of ``data``, sealed and opened for reading only, at offset 0."""
    writable = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(writable, left) :]
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)


def output_file(name: str) -> int:
    """A descriptor of an empty file to write to."""
    return os.memfd_create(name, os.MFD_CLOEXEC)


def output_files(names: Sequence[str]) -> tuple[int, ...]:
    """One empty file for each name; all or none."""
    made: list[int] = []
    try:
        for name in names:
            made.append(output_file(name))
    except BaseException:
        close_all(made)
        raise
    return tuple(made)


def head(fd: int, most: int) -> bytes:
    """The first ``most`` bytes of a file."""
    return os.pread(fd, min(most, os.fstat(fd).st_size), 0)


def tail(fd: int, most: int) -> tuple[bytes, int]:
    """The last ``most`` bytes of a file, and its size."""
    size = os.fstat(fd).st_size
    return os.pread(fd, most, max(0, size - most)), size


def close_all(fds: tuple[int, ...] | list[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
