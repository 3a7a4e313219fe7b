"""Compiled programs in memory, the ones used last. Sealed, so that any slot can be handed one."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from rlef.sandbox import memory

_BYTES_MOST = 256 * 2**20
_COUNT_MOST = 128


class Binaries:
    """Binaries by key. Safe for threads."""

    def __init__(self, bytes_most: int = _BYTES_MOST, count_most: int = _COUNT_MOST) -> None:
        self._bytes_most, self._count_most = bytes_most, count_most
        self._lock = threading.Lock()
        self._files: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._bytes = 0

    def lease(self, key: str) -> int | None:
        """A descriptor of the binary, which the caller closes; None if it is not there."""
        with self._lock:
            if key not in self._files:
                return None
            self._files.move_to_end(key)
            return os.dup(self._files[key][0])

    def keep(self, key: str, binary: bytes) -> int:
        """Keep a binary, and lease it. Those used longest ago go to make room."""
        fd = memory.sealed_file(binary, "program")
        with self._lock:
            if key in self._files:
                self._forget(key)
            self._files[key] = (os.dup(fd), len(binary))
            self._bytes += len(binary)
            while len(self._files) > 1 and (
                self._bytes > self._bytes_most or len(self._files) > self._count_most
            ):
                self._forget(next(iter(self._files)))
        return fd

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            for key in list(self._files):
                self._forget(key)

    def _forget(self, key: str) -> None:
        fd, size = self._files.pop(key)
        os.close(fd)
        self._bytes -= size
