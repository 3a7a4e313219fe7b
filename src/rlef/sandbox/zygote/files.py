"""The writable directory of a test: emptied and filled before it, read after it.

The names and contents going in come from the supervisor. What lies there afterwards was made
by the program: nothing is followed, nothing but regular files is read, and never more than
was asked for. If the directory can't be emptied the zygote ends, and the slot with it.

A bundle is one line of JSON, then the contents of its files, one after another.
"""

# ruff: noqa: PTH118, PTH208 (pathlib would sit in the memory of every fork)

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import Any

WORK = "/work"
STDIN = "/work/.stdin"
"""Where ``/dev/stdin`` leads in the jail of a command: a link to ``/proc`` would lead nowhere."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 2**20


def wipe() -> None:
    """Empty the directory. Raises ``OSError``."""
    fd = os.open(WORK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _empty(fd)
    finally:
        os.close(fd)


def _empty(top: int) -> None:
    """Remove all below ``top``. A tree of any depth: directories are moved up before they go."""
    number, token = 0, os.urandom(8).hex()  # a name that the program can't have taken
    while names := os.listdir(top):
        for name in names:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
                os.unlink(name, dir_fd=top)
                continue
            os.chmod(name, 0o700, dir_fd=top)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
            try:
                for child in os.listdir(below):
                    number += 1
                    os.rename(child, f"{token}{number}", src_dir_fd=below, dst_dir_fd=top)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=top)


def unpack(bundle: int) -> dict[str, Any]:
    """Write the files of a bundle; its header, with ``arguments`` and ``collect``."""
    with open(bundle, "rb", closefd=False) as source:
        header: dict[str, Any] = json.loads(source.readline())
        for name, size in header["files"]:
            target = os.open(os.path.join(WORK, name), _CREATE, 0o644)
            try:
                while size:
                    data = source.read(min(size, _CHUNK))
                    size -= os.write(target, data)
            finally:
                os.close(target)
    return header


def pack(bundle: int, collect: list[list[Any]]) -> None:
    """Write the files that were asked for, as far as they are there, as a bundle."""
    found: list[tuple[str, int, int]] = []
    try:
        for name, most in collect:
            with contextlib.suppress(OSError):
                source = os.open(os.path.join(WORK, name), _READ)
                status = os.fstat(source)
                if stat.S_ISREG(status.st_mode):
                    found.append((name, source, min(most, status.st_size)))
                else:
                    os.close(source)
        _write(bundle, json.dumps([[name, size] for name, _, size in found]).encode() + b"\n")
        for _, source, size in found:
            while size:
                data = os.read(source, min(size, _CHUNK))
                if not data:
                    return  # torn: the supervisor will say so
                size -= len(data)
                _write(bundle, data)
    finally:
        for _, source, _ in found:
            os.close(source)


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
