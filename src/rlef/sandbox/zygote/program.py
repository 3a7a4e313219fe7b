"""The test process: the last preparations, the program, and an exit like the interpreter's own.

What a child does costs most by the pages that it touches first: each is a fault and a copy.
So whatever can be is made ready in the zygote, and the path from fork to program is short.
"""

from __future__ import annotations

import _thread
import atexit
import fcntl
import gc
import io
import linecache
import mmap
import os
import resource
import sys
import threading
import traceback
import types
from collections.abc import Collection
from typing import Any, NoReturn

from . import kernel
from .protocol import Stage

NAME = "solution.py"
_STACK_BYTES = 64 * 2**20
_OPEN_FILES = 128
_TASKS = 128
_SETUP, _COMPILING, RUNNING, _REFUSED, ALONE = (int(stage) for stage in Stage)
_RECURSION_LIMIT = 1000
_OUT_OF_THE_WAY = 100
"""A descriptor above those that a test begins with."""

_MAY_BE_MISSPELT = ("NameError: ", "AttributeError: ")
_SUGGESTION = ". Did you mean: "
_NO_LINE_ENDS = {
    **dict.fromkeys((0x0B, 0x0C, 0x1C, 0x1D, 0x1E), " "),
    **{0x85: "\xa0", 0x2028: "\u2027", 0x2029: "\u2027"},
}
"""What ``str.splitlines`` takes for line ends, to something harmless that is as long in UTF-8."""

_main = types.ModuleType("__main__")
scope = _main.__dict__
_source = b""


def add_site_builtins() -> None:
    """What ``site`` would have added: exit, quit and help."""
    import _sitebuiltins
    import builtins

    end = "Ctrl-D (i.e. EOF)"
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, end))
    setattr(builtins, "help", _sitebuiltins._Helper())  # noqa: B010


def become_main() -> None:
    """Make the module ready in which programs will run, and tracebacks their lines."""
    scope.update(__builtins__=sys.modules["builtins"], __file__=NAME, __cached__=None)
    sys.modules["__main__"] = _main
    # An entry of one item is called for the text when a traceback first asks.
    linecache.cache[NAME] = (lambda: "\n".join(_source_lines()),)


def _source_lines() -> list[str]:
    """The program's lines as tracebacks quote them.

    The library would split them at more characters than the compiler does, and before Python
    3.12 white space at the end of a line moves the marks below it.
    """
    lines = _source.splitlines()  # bytes: at line ends only
    return [line.decode("utf-8", "replace").rstrip().translate(_NO_LINE_ENDS) for line in lines]


def compensate_stack(below: int) -> None:
    """Let programs recurse as deep as under a plain interpreter, although we stand below them.

    ``below`` counts the frames between the caller's and the program's.
    """
    # exec() counts before Python 3.12.
    depth, frame = below + (2 if sys.version_info < (3, 12) else 1), sys._getframe(1)
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(_RECURSION_LIMIT + depth)


def set_common_limits(grants: Collection[str] = ()) -> None:
    """Limits that are the same for every program, set once and inherited."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_STACK, _STACK_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, _TASKS),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Programs in C recurse on the main thread's stack: commands.py says how deep.
        keep = kind == resource.RLIMIT_STACK and "execute" in grants
        resource.setrlimit(kind, (value, hard if keep else value))


def compile_source(source: bytes) -> types.CodeType | None:
    """Compile, or print the compiler's message to stderr and return None."""
    global _source
    _source = source
    try:
        return compile(source, NAME, "exec", dont_inherit=True)
    except BaseException as error:
        if isinstance(error, SyntaxError) and error.text is None and error.lineno:
            # The compiler's later stages would read the line from the file, and there is none.
            error.text = "".join(_source_lines()[error.lineno - 1 : error.lineno])
        text = "".join(traceback.format_exception_only(type(error), error))
        os.write(2, text.encode("utf-8", "backslashreplace"))
        return None


def compile_or_refuse(source: bytes, page: mmap.mmap) -> types.CodeType:
    """Compile in a sealed test, which ends if the compiler refuses."""
    page[0] = _COMPILING
    code = compile_source(source)
    if code is None:
        page[0] = _REFUSED
        os._exit(1)
    return code


def let_go(page: mmap.mmap, stage: int) -> None:
    """Tell the stage; from here on nothing is shared."""
    page[0] = stage
    page.close()


def seal(limits: Any, fds: tuple[int, ...], *keep: int) -> None:
    """Descriptors, capabilities and limits of a test; those of ``keep`` become 3 and the following."""
    for place, fd in enumerate(fds[:3]):
        os.dup2(fd, place)
    if keep:
        # Out of each other's way first: none of them may be where another has to go.
        apart = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for fd in keep]
        for place, fd in enumerate(apart, 3):
            os.dup2(fd, place, inheritable=False)
    kernel.seal(3 + len(keep))
    setrlimit = resource.setrlimit
    setrlimit(resource.RLIMIT_FSIZE, limits.file_bytes)
    setrlimit(resource.RLIMIT_AS, limits.address_bytes)


def run(limits: Any, fds: tuple[int, ...], source: bytes, code: Any, page: mmap.mmap) -> NoReturn:
    """Turn the process just forked into a test: seal it, then hand it to the program."""
    seal(limits, fds)
    start(source, code, page)


def start(source: bytes, code: Any, page: mmap.mmap) -> NoReturn:
    """Run the program in a process that is sealed, and exit."""
    if code is None:
        code = compile_or_refuse(source, page)
    let_go(page, RUNNING)
    status = 0
    try:
        exec(code, scope)
    except BaseException as error:
        status = failed(error)
    finish(status)


def failed(error: BaseException, own: int = 1) -> int:
    """Report an exception that reached the top, as the interpreter does; the exit status.

    ``own`` is how many frames at the bottom of its stack are the sandbox's.
    """
    if isinstance(error, SystemExit):
        return _exit_status(error.code)
    try:
        _print_traceback(error, own)
    except BaseException:
        # Out of memory, or stderr is gone: the name of the class is all there is to say.
        error.__traceback__ = None
        _say(type(error).__name__)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def finish(status: int) -> NoReturn:
    """Join threads, run atexit, flush, drop the globals, flush what they held, exit."""
    if _thread._count():
        try:
            threading._shutdown()  # type: ignore[attr-defined]
        except BaseException as error:
            failed(error)
    atexit._run_exitfuncs()
    lost = not _flush(sys.stdout) or not _flush(sys.stderr)
    if b"__del__" in _source or sys.stdout is not sys.__stdout__ or b"open(" in _source:
        lost = _drop_globals() or lost
    os._exit(120 if lost and not status else status)


def _drop_globals() -> bool:
    """Finalise what the program's globals hold, open files above all. True if output was lost."""
    for name in list(scope):
        if name != "__builtins__":
            scope[name] = None
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    gc.collect()
    return not _flush(sys.__stdout__) or not _flush(sys.__stderr__)


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 0xFF
    _say(str(code))
    return 1


def _say(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
    except BaseException:
        _flush(sys.stderr)


def _print_traceback(error: BaseException, own: int) -> None:
    for _ in range(own):
        top = error.__traceback__
        error.__traceback__ = top.tb_next if top else None
    if sys.excepthook is not sys.__excepthook__:
        sys.excepthook(type(error), error, error.__traceback__)
        return
    # The interpreter, too, shows no more than the last thousand frames.
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-1000)
    if sys.version_info < (3, 12) and any(line.startswith(_MAY_BE_MISSPELT) for line in lines):
        lines = _with_suggestions(error, lines)
    for line in lines:
        sys.stderr.write(line)


def _with_suggestions(error: BaseException, lines: list[str]) -> list[str]:
    """Messages with the interpreter's ``Did you mean: 'input'?`` at their end.

    Before Python 3.12 only the interpreter's own printer has it, and that one finds no source.
    """
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        sys.__excepthook__(type(error), error, error.__traceback__)
        text = sys.stderr.getvalue()
    finally:
        sys.stderr = stderr
    parts = [line.partition(_SUGGESTION) for line in text.splitlines()]
    longer = {said + "\n": said + sep + rest + "\n" for said, sep, rest in parts if sep}
    return [longer.get(line, line) for line in lines]


def _flush(stream: Any) -> bool:
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except BaseException:
        return False
    return True
