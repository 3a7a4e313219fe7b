"""The trainer's side of one slot: its process, its socket, its cgroup, the run it holds.

Not thread-safe: only the supervisor's thread touches a slot.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from rlef.errors import SandboxError
from rlef.sandbox import cgroups, memory, replies
from rlef.sandbox.failures import BootError
from rlef.sandbox.host import interpreter, jail_uid, parent
from rlef.sandbox.job import Job, wall_limit
from rlef.sandbox.layers import CGROUP
from rlef.sandbox.profile import PYTHON, Profile
from rlef.sandbox.replies import Report
from rlef.sandbox.status import Ending, classify, file_limit
from rlef.sandbox.types import Rung, RunResult
from rlef.sandbox.zygote import protocol
from rlef.sandbox.zygote.protocol import Kind, Mode, Reason, Stage

_MAIN = Path(__file__).with_name("zygote") / "__main__.py"
_BOOT_S = 30.0
_APART_FROM = 4096
"""Bytes compiled again and again above which compiling once, in a template, is faster: a template
costs about 2 ms, compiling 1 kB about 0.6 ms."""
_EMPTY_SOURCE = 250
"""Bytes of source that take as long to compile as getting the compiler going."""
_BIG_STACK = 256 * 2**20
"""Address space on top of the limit, so that a program may reserve a big thread stack."""
_THREAD_NUMBERS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_numbers = itertools.count(1)


MASK: tuple[str, ...] = ()
"""What tests take away from every slot; see ``zygote.steps``."""


class Phase(Enum):
    """What a slot is doing."""

    BOOTING = auto()
    IDLE = auto()
    BUSY = auto()
    STOPPING = auto()


class Slot:
    """One zygote, pinned to ``cpu``.

    Raises ``OSError`` if it can't even be started, ``BootError`` if it can't be put into its cgroup.
    """

    def __init__(
        self,
        cpu: int,
        places: cgroups.Places | None,
        *,
        rung: Rung = Rung.L2,
        profile: Profile = PYTHON,
        library: str = "",
        probing: bool = False,
    ) -> None:
        self.profile, self._library = profile, library
        self.rung = rung
        """The rung that this slot's runs are isolated on."""
        self.phase = Phase.BOOTING
        self.job: Job | None = None
        self.runs = 0
        self.proofs = 0
        self.proven = False
        self.steps: dict[str, str] = {}
        self._run = 0
        self._zygote = -1
        self._base = (0, 0)
        self._log = -1
        self._stale_kills = False  # counted in the group, but no concern of the next run
        self.process: subprocess.Popen[bytes] | None = None
        self.group: cgroups.Group | None = None
        self.deadline = time.monotonic() + _BOOT_S
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._log = memory.output_file("rlef-slot")
                self.process = self._start(theirs.fileno())
            if places:
                self._join_group(places, self.process.pid)
            self.sock.send(json.dumps(self._spec(cpu, probing)).encode())
        except (OSError, BootError):
            self.kill()
            self.bury()
            raise

    def _join_group(self, places: cgroups.Places, pid: int) -> None:
        try:
            self.group = cgroups.Group(places, next(_numbers))
            if f"silent {CGROUP}" not in MASK:
                self.group.attach(pid)
            problem = self.group.problem(pid)
        except OSError as error:
            problem = f"{error.strerror or error} ({error.filename})"
        if problem:
            raise BootError("no cgroup", {CGROUP: problem})

    def _spec(self, cpu: int, probing: bool) -> dict[str, object]:
        """What ``zygote.boot`` wants to know."""
        profile = self.profile
        return {
            "cpu": cpu,
            "rung": self.rung,
            "mask": MASK,
            "parent": os.getpid(),
            "uid": jail_uid(),
            "probing": probing,
            # Neither the C part nor what it saves knows how to do without namespaces.
            "native": self._library if self.rung >= Rung.L2 else "",
            "visible": profile.visible,
            "import_paths": profile.import_paths,
            "work_bytes": profile.work_bytes,
            "grants": profile.grants(),
        }

    def _start(self, fd: int) -> subprocess.Popen[bytes]:
        profile = self.profile
        words = [str(fd), " ".join(profile.preload), ":".join(profile.import_paths)]
        # -I would ignore PYTHONHASHSEED; with an environment of our making these do the same.
        binary = os.path.realpath(profile.interpreter) if profile.interpreter else interpreter()
        command = [binary, "-P", "-s", "-S", "-B", str(_MAIN), *words]
        # Symbols bound at the start need not be looked up, and their pages copied, in every test.
        environment = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}
        if profile.preload:  # numerical libraries start a thread for each core, at import
            environment |= dict.fromkeys(_THREAD_NUMBERS, "1")
        if libraries := os.environ.get("LD_LIBRARY_PATH"):
            environment["LD_LIBRARY_PATH"] = libraries
        return subprocess.Popen(
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            pass_fds=[fd],
            start_new_session=True,
        )

    def booted(self, message: bytes) -> bool:
        """Digest a boot message; True when the zygote is ready. Raises ``SandboxError``."""
        boot = replies.boot(message)
        if boot.word == "zygote":
            self._watch(boot.numbers[0])
            return False
        self.steps = boot.steps
        if boot.word == "missing":
            raise SandboxError("a layer of isolation is missing")
        self._base = (boot.numbers[0], boot.numbers[1])
        return True

    def _watch(self, pid: int) -> None:
        """Keep hold of pid 1 of the slot, which `kill` will kill: the launcher's child, nobody else."""
        try:
            held = os.pidfd_open(pid)
        except ProcessLookupError:
            return  # it has ended, and its end of the socket tells so
        if self._zygote >= 0 or not self.process or parent(pid) not in (self.process.pid, -1):
            os.close(held)
            raise SandboxError("a slot names a process that is not its own")
        self._zygote = held

    def begin(self, job: Job) -> None:
        """Start a run. Raises ``OSError``."""
        self.job, self.phase = job, Phase.BUSY
        self._run += 1
        self.runs += 1
        limits = job.limits
        if self.group:
            if self._stale_kills:
                self.group.forget_kills()
                self._stale_kills = False
            self.group.limit(limits.memory_bytes + limits.output_bytes + limits.stderr_bytes)
        count = min(len(job.stdins), protocol.WINDOW)
        factor = 4 if self.group else 1
        mode = job.mode
        again = (len(job.stdins) - 1) * (len(job.source) + _EMPTY_SOURCE)
        if again > _APART_FROM and mode in (None, Mode.CALL):
            mode = Mode.APART if mode is None else Mode.CALL_APART
        heads = 2 if job.executable >= 0 else 1
        head = protocol.RUN.pack(
            Kind.RUN,
            self._run,
            len(job.stdins),
            count,
            int(limits.cpu_s * 1e9),
            int(wall_limit(limits) * 1e9),
            self._base[0] + factor * limits.memory_bytes + _BIG_STACK + job.reserved_bytes,
            max(file_limit(limits), job.outward_bytes),
            Mode.HERE if mode is None else mode,
            heads,
            3 if job.inward is None else 5,
        )
        source = memory.sealed_file(job.source, "source")
        try:
            self._send_tests(head, [source, job.executable][:heads], count)
        finally:
            os.close(source)

    def refill(self) -> None:
        """Send further tests when half of the window is free. Raises ``OSError``."""
        job = self.job
        assert job is not None
        if job.sent == len(job.stdins) or job.sent - job.received > protocol.WINDOW // 2:
            return
        count = min(len(job.stdins) - job.sent, protocol.WINDOW - (job.sent - job.received))
        self._send_tests(protocol.MORE.pack(Kind.MORE, self._run, count), [], count)

    def _send_tests(self, head: bytes, fds: list[int], count: int) -> None:
        job = self.job
        assert job is not None
        inputs: list[int] = []
        try:
            for index in range(job.sent, job.sent + count):
                fds = [*fds, *self._test_files(job, index, inputs)]
            socket.send_fds(self.sock, [head], fds)
            job.sent += count
        finally:
            memory.close_all(inputs)
        patience = 10 * wall_limit(job.limits) + _BOOT_S
        self.deadline = time.monotonic() + patience

    def _test_files(self, job: Job, index: int, inputs: list[int]) -> list[int]:
        """Descriptors of one test; those that can be closed once sent are added to ``inputs``."""
        stdin = memory.sealed_file(job.stdins[index], "stdin")
        inputs.append(stdin)
        inward = [] if job.inward is None else [memory.sealed_file(job.inward[index], "inward")]
        inputs += inward
        names = ("stdout", "stderr") if job.inward is None else ("stdout", "stderr", "outward")
        outputs = memory.output_files(names)
        job.outputs.append(outputs)
        return [stdin, *outputs[:2], *inward, *outputs[2:]]

    def stop(self) -> None:
        """Ask the zygote to drop the run. Raises ``OSError``."""
        self.phase, self._stale_kills = Phase.STOPPING, True
        self.deadline = time.monotonic() + _BOOT_S
        self.sock.send(protocol.STOP.pack(Kind.STOP, self._run))

    def stopped(self, message: bytes) -> bool:
        """True if the message answers our latest STOP."""
        run = replies.stopped(message)
        if run is None:
            replies.reports(message)  # of tests that ended before the STOP arrived
        return run == self._run

    def results(self, message: bytes) -> Iterator[tuple[RunResult, bool]]:
        """Results of tests and whether each is the run's last; those of an old run are left out.

        Raises ``SandboxError`` if the slot failed rather than the program.
        """
        for report in replies.reports(message):
            if report.run > self._run:
                raise SandboxError("a slot tells of a run to come")
            if report.run == self._run and self.job is not None:
                yield self._result(report, self.job)

    def _result(self, report: Report, job: Job) -> tuple[RunResult, bool]:
        if report.kind == Kind.FAILED and report.stage != Stage.COMPILING:
            raise SandboxError(f"a slot failed in a run: {self.log() or _unstarted(job, report.wait_status)}")
        if not job.outputs or (report.kind == Kind.RESULT and report.index != job.received):
            raise SandboxError("a slot tells of a test that it has not got")
        alone = report.stage is Stage.ALONE
        if alone and job.mode not in (Mode.CALL, Mode.CALL_APART):
            raise SandboxError("a slot tells of calls that nobody asked for")
        out, err, *back = files = job.outputs.popleft()
        job.received += 1
        try:
            stdout = memory.head(out, job.limits.output_bytes + 1)
            stderr, stderr_size = memory.tail(err, max(job.limits.stderr_bytes, 64))
            outward = memory.head(back[0], job.outward_bytes) if back else b""
        finally:
            memory.close_all(files)
        ending = Ending(
            stage=report.stage,
            reason=report.reason,
            wait_status=report.wait_status,
            cpu_s=report.cpu_ns / 1e9,
            wall_s=report.wall_ns / 1e9,
            peak_bytes=report.peak_bytes,
            stdout=stdout,
            stderr=stderr,
            stderr_size=stderr_size,
            out_of_memory=self._ran_out(report),
        )
        self.deadline = time.monotonic() + 10 * wall_limit(job.limits) + _BOOT_S
        last = report.stage != Stage.RUNNING or job.received == len(job.stdins)
        base = self._base[1]
        if job.mode is Mode.EXEC:
            # Its peak counts from that of the process that became it, and it needs none of that.
            base = max(0, base - job.limits.memory_bytes)
        result = classify(ending, job.limits, self.rung, base)
        return (replace(result, outward=outward, keeps_state=alone) if outward or alone else result), last

    def _ran_out(self, report: Report) -> bool:
        """Whether the group's memory ran out in this test.

        The next test may be running by now, so the counter is asked about tests that were killed
        alone. A compiler's child may be killed in its stead.
        """
        killed = os.WIFSIGNALED(report.wait_status) and os.WTERMSIG(report.wait_status) == signal.SIGKILL
        doubtful = killed and report.reason is Reason.NONE
        if not self.group or not (doubtful or (report.wait_status and self.profile.processes)):
            return False
        self._stale_kills = True
        return self.group.killed()

    def end(self) -> None:
        """Forget the run and free its descriptors."""
        if self.job:
            memory.close_all([fd for files in self.job.outputs for fd in files])
            self.job.outputs.clear()
        self.job, self.phase = None, Phase.IDLE

    def log(self) -> str:
        """The last line that the zygote wrote to its stderr: empty if all is well."""
        lines = memory.tail(self._log, 4096)[0].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """Kill every process of the slot. Returns at once."""
        self.sock.close()
        if self._zygote >= 0:
            # pid 1 of the slot: the kernel kills the rest, and the launcher reaps and ends.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._zygote, signal.SIGKILL)
        elif self.process:
            self.process.kill()
        if self.group:
            self.group.kill()

    def bury(self) -> None:
        """Wait for the processes that ``kill`` killed and free everything."""
        if self.process:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.end()
        memory.close_all([fd for fd in (self._zygote, self._log) if fd >= 0])
        self._zygote = self._log = -1
        if self.group:
            with contextlib.suppress(OSError):
                self.group.remove()


def _unstarted(job: Job, status: int) -> str:
    if job.mode is Mode.EXEC and os.WIFEXITED(status):
        return f"the command can't be executed ({os.strerror(os.WEXITSTATUS(status))})"
    return "no message"
