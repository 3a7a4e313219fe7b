"""Tests that are no Python: one execution of a command each.

The command is JSON: ``arguments`` (argv), ``environment``, ``stack_bytes`` (-1 for no limit) and
the ``path`` of the executable, empty if that is the second descriptor of the run. There are
two ways to start it that come to the same: ``spawn.c``, where the machine has a C compiler,
and a fork of this interpreter, which costs about a millisecond more.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import resource
import signal
from typing import Any, NoReturn

from . import files, hot, kernel, program
from .protocol import Stage

_SETUP, _RUNNING = int(Stage.SETUP), int(Stage.RUNNING)
_IGNORED = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)
"""By this interpreter; ``execve`` would hand that on."""
_Fds = tuple[int, ...]


class _Limit(ctypes.Structure):
    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


class _Order(ctypes.Structure):
    """``struct order`` of ``spawn.c``."""

    _fields_ = (
        ("arguments", ctypes.c_void_p),
        ("environment", ctypes.c_void_p),
        ("path", ctypes.c_char_p),
        ("directory", ctypes.c_char_p),
        ("cpu", _Limit),
        ("file", _Limit),
        ("address", _Limit),
        ("stack", _Limit),
        ("flags", ctypes.c_uint64),
        ("page", ctypes.c_void_p),
        ("executable", ctypes.c_int32),
        ("setup", ctypes.c_ubyte),
        ("running", ctypes.c_ubyte),
    )


class Command:
    """The command of one run, ready to be started for each of its tests."""

    def __init__(self, run: Any, source: bytes, page: mmap.mmap, fast: hot.Hot | None) -> None:
        order = json.loads(source)
        self.arguments: list[str] = order["arguments"]
        self.environment: dict[str, str] = order["environment"]
        self.path: str = order["path"]
        self.run, self.page, self.fast = run, page, fast
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        wanted = order["stack_bytes"]
        self.stack = min(wanted, hard) if min(wanted, hard) >= 0 else max(wanted, hard)
        self.directory = files.WORK if run.has_files else ""
        if fast:
            self.order = _Order(flags=kernel.BORROW_FLAGS, page=fast.page, setup=_SETUP, running=_RUNNING)
            self.order_at = ctypes.addressof(self.order)
            self._fill(self.order)

    def _fill(self, order: _Order) -> None:
        self.environment_strings = kernel.strings([f"{k}={v}" for k, v in self.environment.items()])
        order.environment = ctypes.addressof(self.environment_strings)
        self._set_arguments([])
        order.path, order.directory = os.fsencode(self.path), os.fsencode(self.directory)
        order.executable = -1 if self.path else self.run.heads[1]
        for name, (soft, hard) in (
            ("cpu", self.run.cpu_seconds),
            ("file", self.run.file_bytes),
            ("address", self.run.address_bytes),
            ("stack", (self.stack, self.stack)),
        ):
            setattr(order, name, _Limit(soft & (2**64 - 1), hard & (2**64 - 1)))

    def start(self, fds: _Fds, more: list[str]) -> tuple[int, int]:
        """Start the command on one test's descriptors, with ``more`` arguments: pid and pidfd."""
        if self.fast is None:
            pid, pidfd = kernel.spawn()
            if not pid:
                self._become(fds, more)
            return pid, pidfd
        self._set_arguments(more)
        descriptors, its_pidfd = (ctypes.c_int32 * 3)(*fds[:3]), ctypes.c_int(-1)
        at = ctypes.addressof
        pid = self.fast.borrow(self.order_at, at(descriptors), at(its_pidfd))
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid, its_pidfd.value

    def _set_arguments(self, more: list[str]) -> None:
        self.argument_strings = kernel.strings(self.arguments + more)
        self.order.arguments = ctypes.addressof(self.argument_strings)

    def _become(self, fds: _Fds, more: list[str]) -> NoReturn:
        """Turn the process just forked into the command."""
        if self.directory:
            os.chdir(self.directory)
        program.seal(self.run, fds, *([] if self.path else [self.run.heads[1]]))
        resource.setrlimit(resource.RLIMIT_STACK, (self.stack, self.stack))
        # Refused unless further processes are granted, which this function calls a ValueError.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, self.run.cpu_seconds)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        self.page[0] = _RUNNING
        try:
            if self.path:
                os.execve(self.path, self.arguments + more, self.environment)
            kernel.execute(3, self.arguments + more, self.environment)
        except OSError as error:
            self.page[0] = _SETUP
            os._exit(error.errno or 1)
        os._exit(1)
