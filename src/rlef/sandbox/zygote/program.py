"""The test process: the last preparations, the program, and an exit like the interpreter's own."""

from __future__ import annotations

import gc
import linecache
import mmap
import os
import resource
import signal
import struct
import sys
import threading
import time
import traceback
import types
from typing import Any

from . import kernel
from .protocol import Stage

NAME = "solution.py"
_STACK_BYTES = 64 * 2**20
_OPEN_FILES = 64
_SETUP, _COMPILING, _RUNNING, _REFUSED = (int(stage) for stage in Stage)
_BEFORE_NS = struct.Struct("=q")
BEFORE_NS_AT = 8
"""Where a test notes the CPU time that it spent before its first instruction of the program."""


def add_site_builtins() -> None:
    """What ``site`` would have added: exit, quit and help."""
    import _sitebuiltins
    import builtins

    end = "Ctrl-D (i.e. EOF)"
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, end))
    setattr(builtins, "help", _sitebuiltins._Helper())  # noqa: B010


def compile_source(source: bytes) -> types.CodeType | None:
    """Compile, or print the compiler's message to stderr and return None."""
    try:
        return compile(source, NAME, "exec", dont_inherit=True)
    except BaseException as error:
        _show_lines(source)
        text = "".join(traceback.format_exception_only(type(error), error))
        os.write(2, text.encode("utf-8", "backslashreplace"))
        return None


def _show_lines(source: bytes) -> None:
    """Give tracebacks the source text; without a time stamp the entry is never checked."""
    lines = [line + "\n" for line in source.decode("utf-8", "replace").split("\n")]
    linecache.cache[NAME] = (len(source), None, lines, NAME)


def redirect(fds: tuple[int, ...]) -> None:
    """Make ``fds`` stdin, stdout and stderr."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)


def limit(kind: int, value: int) -> None:
    """Set a soft and hard limit."""
    resource.setrlimit(kind, (value, value))


def seal(limits: Any) -> None:
    """Close every other descriptor, set the limits, drop the last capability."""
    kernel.close_from(3)
    seconds = -(-limits.cpu_ns // 10**9) + 1
    # Compilation counts on the same clock, and the parent stops each of the two exactly.
    limit(resource.RLIMIT_CPU, 2 * seconds)
    limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    limit(resource.RLIMIT_NPROC, limits.tasks)
    limit(resource.RLIMIT_STACK, _STACK_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_MEMLOCK, 0)
    limit(resource.RLIMIT_MSGQUEUE, 0)
    limit(resource.RLIMIT_AS, limits.address_bytes)
    kernel.capset(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Program:
    """One program in its own process, about to run or just done."""

    def __init__(self, code: types.CodeType, source: bytes) -> None:
        self.code = code
        module = types.ModuleType("__main__")
        self.scope = module.__dict__
        self.scope.update(__builtins__=sys.modules["builtins"], __file__=NAME, __cached__=None)
        sys.modules["__main__"] = module
        self._deletes = b"__del__" in source
        self._status = 0
        _show_lines(source)

    def failed(self, error: BaseException) -> None:
        """Report an exception that reached the top, as the interpreter does."""
        if isinstance(error, SystemExit):
            self._status = _exit_status(error.code)
            return
        self._status = 130 if isinstance(error, KeyboardInterrupt) else 1
        try:
            _print_traceback(error)
        except BaseException:
            # Out of memory, or stderr is gone: the name of the class is all there is to say.
            error.__traceback__ = None
            _say(type(error).__name__)

    def finish(self) -> None:
        """Join threads, run atexit, flush, drop the globals, flush what they held, exit."""
        import atexit

        try:
            threading._shutdown()  # type: ignore[attr-defined]
        except BaseException as error:
            self.failed(error)
        atexit._run_exitfuncs()
        lost = not (_flush(sys.stdout) & _flush(sys.stderr))
        for name in list(self.scope):
            if name != "__builtins__":
                self.scope[name] = None
        if self._deletes:
            gc.collect()
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        lost = not (_flush(sys.__stdout__) & _flush(sys.__stderr__)) or lost
        os._exit(120 if lost and not self._status else self._status)


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 0xFF
    _say(str(code))
    return 1


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr)
    except BaseException:
        _flush(sys.stderr)


def _print_traceback(error: BaseException) -> None:
    top = error.__traceback__
    error.__traceback__ = top.tb_next if top else None  # leave out the zygote's own frame
    if sys.excepthook is not sys.__excepthook__:
        sys.excepthook(type(error), error, error.__traceback__)
    else:
        # The interpreter, too, shows no more than the last thousand frames.
        traceback.print_exception(type(error), error, error.__traceback__, limit=-1000)


def _flush(stream: Any) -> bool:
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except BaseException:
        return False
    return True


def enter(limits: Any, fds: tuple[int, ...], source: bytes, code: Any, page: mmap.mmap) -> Program:
    """Turn the process just forked into a test. Everything after this is the program's."""
    redirect(fds)
    seal(limits)
    if code is None:
        page[0] = _COMPILING
        code = compile_source(source)
        if code is None:
            page[0] = _REFUSED
            os._exit(1)
    program = Program(code, source)
    _BEFORE_NS.pack_into(page, BEFORE_NS_AT, time.process_time_ns())
    page[0] = _RUNNING
    page.close()
    return program
