"""The zygote's and the template's work: spawn a test, watch its clocks, report its end.

The zygote takes one run at a time. For a run with few tests it forks each test itself and
the test compiles the source; with more tests a template process compiles once and forks
the tests. Neither ever executes the program, and with few tests the source is not even
parsed outside a sealed process.

CPU time is read from the test's own clock, and only when it could have run out: the first
look comes after ``cpu_ns`` of wall time, the next after what was left. Wall time is an idle
guard: a test that is starved by its neighbours, not asleep, gets more of it.
"""

from __future__ import annotations

import _socket
import array
import contextlib
import mmap
import os
import resource
import select
import signal
import sys
import time
from collections import deque
from typing import Any, NoReturn

from . import calls, commands, files, hot, kernel, program
from .protocol import HEAD_MOST, MORE, RESULT, RUN, STOP, TEST_MOST, WINDOW, Kind, Mode, Reason, Stage

_SETUP, _COMPILING, _RUNNING, _REFUSED, _ = (int(stage) for stage in Stage)
_NONE, _CPU, _IDLE = (int(reason) for reason in Reason)
_RUN, _MORE, _STOP = int(Kind.RUN), int(Kind.MORE), int(Kind.STOP)
_RESULT, _FAILED, _STOPPED = int(Kind.RESULT), int(Kind.FAILED), int(Kind.STOPPED)
_HERE, _APART, _CALL, _EXEC, _CALL_APART = (int(mode) for mode in Mode)
_CALLS = (_CALL, _CALL_APART)
_TEMPLATE_AT = 16
"""Where the template's stage is in the shared page; the test's is at 0."""
_FD_BYTES = _socket.CMSG_SPACE(4 * (HEAD_MOST + TEST_MOST * WINDOW))
_EXTENSIONS = 4
_IDLE_SHARE = 64
"""A test that had less than one part in this many of a CPU was asleep, not starved."""
_Fds = tuple[int, ...]


class Stopped(Exception):
    """The supervisor wants the rest of this run no more."""


class Run:
    """One program and its limits, as the RUN message gives them."""

    def __init__(self, data: bytes, fds: list[int]) -> None:
        (
            _,
            self.number,
            self.total,
            attached,
            self.cpu_ns,
            self.wall_ns,
            address_bytes,
            file_bytes,
            self.mode,
            heads,
            self.descriptors,
        ) = RUN.unpack(data)
        amounts = self.total, attached, self.cpu_ns, self.wall_ns, address_bytes, file_bytes, heads
        known = self.mode in set(Mode) and self.descriptors in ((5,) if self.mode in _CALLS else (3, 5))
        if not known or min(amounts) < 1 or attached > self.total:
            raise RuntimeError("a run's numbers make no sense")
        self.has_files = self.descriptors > 3 and self.mode not in _CALLS
        # For the further processes of a compiler, whose clocks nobody watches.
        seconds = -(-self.cpu_ns // 10**9) + 1
        self.look_ns = min(self.cpu_ns, self.wall_ns)  # before that no limit can be reached
        self.cpu_seconds = (seconds, seconds)
        self.file_bytes = (file_bytes, file_bytes)
        self.address_bytes = (address_bytes, address_bytes)
        self.heads = fds[:heads]
        self.tests: deque[_Fds] = deque()
        self.add(fds[heads:], attached)

    def add(self, fds: list[int], attached: int) -> None:
        """Take descriptors of further tests."""
        each = self.descriptors
        if len(fds) != each * attached:
            raise RuntimeError(f"{len(fds)} descriptors came for {attached} tests")
        self.tests.extend(tuple(fds[at : at + each]) for at in range(0, len(fds), each))

    def source(self) -> bytes:
        """The program's text, or the command."""
        return os.pread(self.heads[0], os.fstat(self.heads[0]).st_size, 0)

    def close(self) -> None:
        """Let go of every descriptor that is left."""
        close_all([*self.heads, *(fd for fds in self.tests for fd in fds)])
        self.tests.clear()


def close_all(fds: _Fds | list[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


class Server:
    """Serves runs from the control socket."""

    def __init__(self, ctl: _socket.socket, page: mmap.mmap, fast: hot.Hot | None) -> None:
        self.ctl = ctl
        self.page = page
        self.fast = fast
        self.poller = select.poll()
        self.poller.register(ctl.fileno(), select.POLLIN)

    def serve(self) -> NoReturn:
        """Serve until the supervisor hangs up."""
        while True:
            data, fds = self.receive()
            if data[0] == _RUN:
                self.accept(Run(data, fds))
                continue
            if data[0] == _STOP:
                self.confirm(data)
            elif data[0] != _MORE:
                raise RuntimeError("a message came that is of no known kind")
            close_all(fds)  # it was about a run that is over

    def accept(self, run: Run) -> None:
        """Run one program, here or in a template."""
        if run.mode in (_APART, _CALL_APART):
            self.host(run)
        else:
            with contextlib.suppress(Stopped):
                self.supervise(run, run.source(), None)
            run.close()
        if run.has_files:
            files.wipe()

    def confirm(self, data: bytes) -> None:
        """Answer a STOP."""
        os.write(self.ctl.fileno(), STOP.pack(_STOPPED, STOP.unpack(data)[1]))

    def receive(self) -> tuple[bytes, list[int]]:
        """One message with its descriptors; the end of the supervisor is the end of us."""
        data, ancillary, flags, _ = self.ctl.recvmsg(4096, _FD_BYTES, _socket.MSG_CMSG_CLOEXEC)
        if not data:
            os._exit(0)
        if flags & (_socket.MSG_CTRUNC | _socket.MSG_TRUNC):
            raise RuntimeError("a message or its descriptors were cut off")
        fds = array.array("i")
        for _, _, payload in ancillary:
            fds.frombytes(payload)
        return data, fds.tolist()

    def take(self, run: Run) -> None:
        """Read one message in the middle of a run. Raises ``Stopped``."""
        data, fds = self.receive()
        if data[0] == _STOP:
            self.confirm(data)
            raise Stopped
        _, number, attached = MORE.unpack(data)
        if data[0] != _MORE or number != run.number:
            raise RuntimeError("a message came that is about no test of this run")
        run.add(fds, attached)

    def supervise(self, run: Run, source: bytes, code: object) -> None:
        """Run all tests, one after another. Raises ``Stopped``."""
        command = commands.Command(run, source, self.page, self.fast) if run.mode == _EXEC else None
        if self.fast and run.descriptors == 3:
            self.fast.supervise(self, run, source, code, command)
            return
        program.compensate_stack(3)
        for index in range(run.total):
            while not run.tests:
                self.take(run)
            fds = run.tests.popleft()
            bundle = self.unpack(fds[3]) if run.has_files else None
            self.page[0] = _SETUP
            started = time.monotonic_ns()
            if command:
                pid, pidfd = command.start(fds, bundle["arguments"] if bundle else [])
            else:
                pid, pidfd = kernel.spawn()
                if not pid:
                    self.become(run, fds, source, code, bundle)
            try:
                if self.report(run, index, pid, pidfd, started, fds, bundle):
                    return
            finally:
                close_all(fds)

    def unpack(self, bundle: int) -> dict[str, Any]:
        """Make the working directory ready for a test."""
        files.wipe()
        return files.unpack(bundle)

    def become(
        self, run: Run, fds: _Fds, source: bytes, code: object, bundle: dict[str, Any] | None
    ) -> NoReturn:
        """Turn the process just forked into a test."""
        if bundle is not None:
            os.chdir(files.WORK)
            sys.path.insert(0, files.WORK)  # as for any program: what lies beside it can be imported
            sys.argv += bundle["arguments"]
        if run.mode in _CALLS:
            calls.run(run, fds, source, code, self.page)
        program.run(run, fds, source, code, self.page)

    def report(
        self,
        run: Run,
        index: int,
        pid: int,
        pidfd: int,
        started: int,
        fds: _Fds = (),
        bundle: dict[str, Any] | None = None,
    ) -> bool:
        """See one test to its end and tell. True if no further test of the run makes sense."""
        # Asleep at once: until the child has ended, each page that we write has to be copied.
        self.poller.register(pidfd, select.POLLIN)
        try:
            reason = self.watch(run, pid, pidfd, started)
        finally:
            self.poller.unregister(pidfd)
            os.close(pidfd)
            os.kill(pid, signal.SIGKILL)  # does nothing to one that has ended
            _, status, usage = os.wait4(pid, 0)
        stage = self.page[0]
        if bundle is not None and stage == _RUNNING:
            files.pack(fds[4], bundle["collect"])
        kind = _FAILED if stage == _SETUP else _RESULT
        self.tell(kind, run, index, stage, reason, status, started, usage)
        return stage != _RUNNING

    def tell(
        self,
        kind: int,
        run: Run,
        index: int,
        stage: int,
        reason: int,
        status: int,
        started: int,
        usage: resource.struct_rusage,
    ) -> None:
        """Send one RESULT or FAILED."""
        wall_ns = time.monotonic_ns() - started
        cpu_ns = int((usage.ru_utime + usage.ru_stime) * 1e9)
        peak = usage.ru_maxrss * 1024
        numbers = (kind, run.number, index, stage, reason, status, cpu_ns, wall_ns, peak)
        os.write(self.ctl.fileno(), RESULT.pack(*numbers))

    def watch(self, run: Run, pid: int, pidfd: int, started: int) -> int:
        """Wait for the end of a test or of its limits. Raises ``Stopped``."""
        guard = Guard(run, pid, started)
        wait_ns = max(0, started + run.look_ns - time.monotonic_ns())
        while True:
            ready = [fd for fd, _ in self.poller.poll(wait_ns / 1e6)]
            if pidfd in ready:
                return _NONE
            if ready:
                self.take(run)
            wait_ns, reason = guard.left()
            if reason:
                return reason

    def host(self, run: Run) -> None:
        """Have a template compile the program and run its tests."""
        self.page[_TEMPLATE_AT] = _SETUP
        started = time.monotonic_ns()
        pid, pidfd = kernel.spawn()
        if not pid:
            self.be_template(run)
        run.close()
        reason = self.await_template(run, pid, pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        if status:
            self.tell(_FAILED, run, 0, self.page[_TEMPLATE_AT], reason, status, started, usage)

    def await_template(self, run: Run, pid: int, pidfd: int) -> int:
        """Wait for the template's end; while it compiles the run's limits hold for it."""
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        guard = Guard(run, pid, time.monotonic_ns())
        wait_ns = run.look_ns
        while not poller.poll(wait_ns / 1e6):
            if self.page[_TEMPLATE_AT] == _RUNNING:
                poller.poll()
                break
            wait_ns, reason = guard.left()
            if reason:
                os.kill(pid, signal.SIGKILL)
                return reason
        return _NONE

    def be_template(self, run: Run) -> NoReturn:
        """Compile the program and run the tests, then exit."""
        try:
            self.page[_TEMPLATE_AT] = _COMPILING
            os.dup2(run.tests[0][2], 2)  # the compiler's warnings go to the first test's stderr
            resource.setrlimit(resource.RLIMIT_FSIZE, run.file_bytes)
            resource.setrlimit(resource.RLIMIT_AS, run.address_bytes)
            started = time.monotonic_ns()
            source = run.source()
            code = program.compile_source(source)
            if code is None:
                usage = resource.getrusage(resource.RUSAGE_SELF)
                self.tell(_RESULT, run, 0, _REFUSED, _NONE, 1 << 8, started, usage)
            else:
                self.page[_TEMPLATE_AT] = _RUNNING
                self.supervise(run, source, code)
        except Stopped:
            pass
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(4)
        os._exit(0)


class Guard:
    """The clocks of one process against its limits."""

    def __init__(self, run: Run, pid: int, started: int) -> None:
        self.clock = (~pid << 3) | 2  # the kernel's name for the CPU clock of a process
        self.cpu_ns, self.wall_ns = run.cpu_ns, run.wall_ns
        self.wall_end = started + run.wall_ns
        self.extensions = _EXTENSIONS

    def left(self) -> tuple[int, int]:
        """Nanoseconds that the process has at least, and the reason if it has none."""
        try:
            used = time.clock_gettime_ns(self.clock)
        except OSError:
            return 1_000_000, _NONE  # it has just ended; the next poll says so
        cpu_left = self.cpu_ns - used
        if cpu_left <= 0:
            return 0, _CPU
        wall_left = self.wall_end - time.monotonic_ns()
        if wall_left <= 0:
            if used < self.wall_ns // _IDLE_SHARE or not self.extensions:
                return 0, _IDLE
            self.extensions -= 1
            self.wall_end += self.wall_ns
            wall_left = self.wall_ns
        return min(cpu_left, wall_left), _NONE
