"""The binding of ``hot.c``, the path of ordinary tests without an interpreter in it."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING, Any

from . import kernel, program
from .protocol import BATCH, RESULT, WINDOW

if TYPE_CHECKING:
    from .commands import Command
    from .serve import Run, Server

_CHILD, _OVER, _EMPTY, _SLOW = range(4)


class Tests(ctypes.Structure):
    """The same fields in the same order as ``struct tests``."""

    _fields_ = (
        ("ctl", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("index", ctypes.c_int32),
        ("total", ctypes.c_int32),
        ("waiting", ctypes.c_int32),
        ("held", ctypes.c_int32),
        ("fds", ctypes.c_int32 * 3 * WINDOW),
        ("pid", ctypes.c_int32),
        ("pidfd", ctypes.c_int32),
        ("started", ctypes.c_int64),
        ("look_ns", ctypes.c_int64),
        ("first_held", ctypes.c_int64),
        ("file_bytes", ctypes.c_uint64),
        ("address_bytes", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("page", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("results", ctypes.c_char * (BATCH * RESULT.size)),
    )


class Hot:
    """The library, loaded. Raises ``OSError`` if it can't be."""

    def __init__(self, path: str, page: mmap.mmap) -> None:
        library = ctypes.PyDLL(path, use_errno=True)
        self._tests, self._flush, self._shift = library.rlef_tests, library.rlef_flush, library.rlef_shift
        for function in (self._tests, self._flush, self._shift):
            function.argtypes = [ctypes.c_void_p]
        self.borrow = library.rlef_borrow
        """Starts a command; see ``spawn.c``."""
        self.borrow.argtypes = [ctypes.c_void_p] * 3
        # The exporter of the address must not outlive this line: the page could not be closed.
        self.page = ctypes.addressof(ctypes.c_char.from_buffer(page))

    def supervise(
        self, server: Server, run: Run, source: bytes, code: Any, command: Command | None = None
    ) -> None:
        """Run all tests, one after another. Raises ``Stopped``."""
        program.compensate_stack(2)
        tests = self._start(server, run)
        if command:
            tests.order = command.order_at
        at = ctypes.addressof(tests)
        try:
            self._loop(server, run, tests, at, source, code)
        finally:
            while tests.waiting:  # the run ended before its tests did
                self._shift(at)

    def _loop(self, server: Server, run: Run, tests: Tests, at: int, source: bytes, code: Any) -> None:
        while True:
            what = self._tests(at)
            if what == _CHILD:
                program.start(source, code, server.page)
            if what == _OVER:
                return
            if what == _EMPTY:
                server.take(run)
                self._refill(tests, run)
            elif what != _SLOW:
                raise OSError(ctypes.get_errno(), "a test can't be started")
            elif self._slow(server, run, tests):
                return

    def _start(self, server: Server, run: Run) -> Tests:
        tests = Tests(
            ctl=server.ctl.fileno(),
            number=run.number,
            total=run.total,
            look_ns=run.look_ns,
            file_bytes=run.file_bytes[0],
            address_bytes=run.address_bytes[0],
            flags=kernel.spawn_flags.value,
            page=self.page,
        )
        self._refill(tests, run)
        return tests

    def _refill(self, tests: Tests, run: Run) -> None:
        for fds in run.tests:
            tests.fds[tests.waiting][:] = fds
            tests.waiting += 1
        run.tests.clear()

    def _slow(self, server: Server, run: Run, tests: Tests) -> bool:
        """See the test under way to its end. True if no further one makes sense."""
        try:
            over = server.report(run, tests.index, tests.pid, tests.pidfd, tests.started)
        finally:
            self._shift(ctypes.addressof(tests))
        self._refill(tests, run)
        tests.index += 1
        return over


def load(path: str, page: mmap.mmap) -> Hot | None:
    """The library at ``path``; None if there is none or it can't be loaded."""
    if not path or not os.path.exists(path):  # noqa: PTH110
        return None
    return Hot(path, page)
