"""What was built once for all programs, kept on disk: a precompiled header, the spawner.

The directory must be such that no one but us and root can have put anything there: ours, a
real directory, not writable by others, and so is every directory above it. Otherwise it is
not used. A file is written beside its place and moved there, its digest after it; one whose
digest is missing or another is as good as none. No failure here is worse than building again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlef.errors import UserError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store whose content is what was put there."""

    path: Path
    about: dict[str, Any]
    """What was put beside it."""


def place() -> Path:
    """Where things are kept: RLEF_CACHE, /var/cache/rlef for root, else the user's cache directory."""
    if chosen := os.environ.get("RLEF_CACHE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/cache/rlef")
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rlef"


def fault(folder: Path) -> str:
    """Why a directory can't be trusted, in a few words; empty if it can."""
    for path in (folder, *folder.parents):
        try:
            found = path.lstat()
        except OSError as error:
            return f"{path}: {error.strerror}"
        if not stat.S_ISDIR(found.st_mode):
            return f"{path} is not a directory"
        if found.st_uid not in (0, os.geteuid()) or (path == folder and found.st_uid != os.geteuid()):
            return f"{path} belongs to someone else"
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if shared and (path == folder or not found.st_mode & stat.S_ISVTX):
            return f"others may write to {path}"
    return ""


def open_store(folder: Path | None = None) -> Store | str:
    """The store, or why there is none. Raises ``UserError`` for an RLEF_CACHE that can't serve."""
    folder = folder or place()
    try:
        folder = folder.parent.resolve() / folder.name  # /var may be a link; the last step may not
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        wrong = fault(folder)
    except OSError as error:
        wrong = f"{folder}: {error.strerror}"
    if wrong and os.environ.get("RLEF_CACHE"):
        raise UserError(f"RLEF_CACHE can't be used: {wrong}; name a directory that only you can write to")
    return wrong or Store(folder)


class Store:
    """Files by name. Any process may use the same store at the same time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trusted: dict[str, tuple[int, int, int]] = {}

    def get(self, name: str) -> Kept | None:
        """The file of this name, if its content is what was put there."""
        path = self.folder / name
        try:
            about = json.loads(self._read_small(f"{name}.json"))
            fd = os.open(path, _READ)
        except (OSError, ValueError):
            return None
        try:
            found = os.fstat(fd)
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                return None
            # Read once by each process: what it has seen and what only we can change is right.
            if self._trusted.get(name) != seen:
                if not isinstance(about, dict) or _digest(fd) != about.get("sha256"):
                    return None
                self._trusted[name] = seen
        except OSError:
            return None
        finally:
            os.close(fd)
        return Kept(path, about)

    def put(self, name: str, data: bytes, **about: Any) -> Kept | None:
        """Keep ``data``, and beside it ``about``; None if there is no room or no right."""
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            self._write(name, data)
            self._write(f"{name}.json", json.dumps({**about, "sha256": sha256}).encode())
        except OSError:
            return None
        return self.get(name)

    def drop_others(self, prefix: str, name: str) -> None:
        """Remove what begins with ``prefix`` but is not ``name``: versions that are no more."""
        for path in self.folder.glob(f"{prefix}*"):
            if path.name not in (name, f"{name}.json", f"{name}.lock"):
                with contextlib.suppress(OSError):
                    path.unlink()

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Let one process at a time build ``name``; without a right to lock, all may."""
        fd = -1
        try:
            with contextlib.suppress(OSError):
                fd = os.open(
                    self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
                )
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            if fd >= 0:
                os.close(fd)

    def _read_small(self, name: str) -> bytes:
        fd = os.open(self.folder / name, _READ)
        try:
            return os.read(fd, _CHUNK)
        finally:
            os.close(fd)

    def _write(self, name: str, data: bytes) -> None:
        draft = self.folder / f"{name}.{os.getpid()}-{threading.get_ident()}.new"
        fd = os.open(draft, _CREATE, 0o644)
        try:
            try:
                os.fchmod(fd, 0o644)  # whatever the umask: the jail's user must be able to read it
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            draft.rename(self.folder / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _digest(fd: int) -> str:
    digest = hashlib.sha256()
    while data := os.read(fd, _CHUNK):
        digest.update(data)
    return digest.hexdigest()
