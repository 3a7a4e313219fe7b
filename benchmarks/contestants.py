"""Who takes part: rlef, a bare fork, a fresh process, a worker that calls a peer's own code.

Each is a context manager. What it hands out returns milliseconds for one test and raises
``WrongOutput`` if the output is not the expected one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import rlef.config
from benchmarks.machine import FIRST, pinned
from benchmarks.rounds import Contestant, WrongOutput
from benchmarks.rows import Unavailable, one_line
from rlef.sandbox import RunLimits, Sandbox
from rlef.sandbox.host import interpreter

PROGRAM = "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n"
INPUT, OUTPUT = b"40 2\n", b"42\n"
TESTS = 60
"""Tests of a program in a run of rlef, where nothing else is said: about what CodeContests has."""
ROOT = Path(__file__).parents[1]

# As small as an interpreter can be: it forks and waits, its child runs the program or nothing.
_FORKER = """
import gc, os, sys, time
os.sched_setaffinity(0, {%d})
for name in sys.argv[2].split(): __import__(name)
code = compile(%r, "x", "exec") if sys.argv[1] == "run" else None
source, sink = os.memfd_create("in"), os.memfd_create("out")
os.write(source, %r)
gc.collect(); gc.freeze()
for line in sys.stdin:
    started = time.perf_counter_ns()
    for _ in range(int(line)):
        os.lseek(source, 0, 0); os.lseek(sink, 0, 0)
        pid = os.fork()
        if not pid:
            if code:
                os.dup2(source, 0); os.dup2(sink, 1)
                exec(code, {"__builtins__": __builtins__}); sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
    took = time.perf_counter_ns() - started
    print(took, os.pread(sink, 100, 0).decode().strip() if code else "", flush=True)
"""


class Rlef:
    """One slot, on the first CPU; the rest of rlef may run anywhere."""

    def __init__(self, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop()
        config = rlef.config.Sandbox(**{"slots": 1, **settings})
        try:
            self.sandbox = self.loop.run_until_complete(Sandbox.open(config))
        except BaseException:
            self.loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.sandbox.close())
        self.loop.close()

    @property
    def rung(self) -> str:
        """The isolation."""
        return str(self.sandbox.rung)

    def per_test(
        self,
        tests: int = TESTS,
        *,
        source: str = PROGRAM,
        stdin: bytes = INPUT,
        expected: bytes = OUTPUT,
        **run: Any,
    ) -> Contestant:
        """One program on ``tests`` inputs, through the whole public interface."""

        async def judge() -> None:
            async for result in self.sandbox.run(source, [stdin] * tests, RunLimits(), **run):
                if not result.ok or result.stdout != expected:
                    raise WrongOutput(f"rlef: {one_line(result)}")

        def contestant() -> float:
            started = time.perf_counter()
            self.loop.run_until_complete(judge())
            return (time.perf_counter() - started) * 1e3 / tests

        return contestant


class Forker:
    """A bare fork server without any isolation."""

    def __init__(self, what: str, modules: str = "", cpu: int = FIRST) -> None:
        self.expected = OUTPUT.decode().strip() if what == "run" else ""
        text = _FORKER % (cpu, PROGRAM, INPUT)
        command = [interpreter(), "-I", "-S", "-B", "-c", text, what, modules]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, count: int = 100) -> float:
        """Milliseconds a fork."""
        self.begin(count)
        return self.end(count)

    def begin(self, count: int) -> None:
        """Start on so many forks."""
        assert self.process.stdin
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    def end(self, count: int) -> float:
        """Wait for them; milliseconds a fork."""
        assert self.process.stdout
        took, _, output = self.process.stdout.readline().strip().partition(" ")
        if output != self.expected:
            raise WrongOutput(f"bare fork: {output!r}")
        return int(took) / count / 1e6

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def fresh(
    command: Sequence[str],
    stdin: bytes = INPUT,
    expected: bytes = OUTPUT,
    environment: Mapping[str, str] | None = None,
) -> Contestant:
    """A process a test, started in the leanest way that there is: spawned, with files in memory."""

    def contestant() -> float:
        source, sink = os.memfd_create("in"), os.memfd_create("out")
        try:
            os.write(source, stdin)
            os.lseek(source, 0, os.SEEK_SET)
            files = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, sink, 1)]
            with pinned():
                started = time.perf_counter()
                pid = os.posix_spawn(command[0], command, environment or {}, file_actions=files)
                status = os.waitpid(pid, 0)[1]
                took = time.perf_counter() - started
            if status or os.pread(sink, 2 * len(expected) + 1, 0) != expected:
                raise WrongOutput(f"{command[0]}: wait status {status}")
        finally:
            os.close(source)
            os.close(sink)
        return took * 1e3

    return contestant


def subprocess_run(command: Sequence[str], stdin: bytes = INPUT, expected: bytes = OUTPUT) -> Contestant:
    """A process a test as most people start it: ``subprocess.run`` with pipes."""

    def contestant() -> float:
        with pinned():
            started = time.perf_counter()
            done = subprocess.run(command, input=stdin, capture_output=True, env={})
            took = time.perf_counter() - started
        if done.returncode or done.stdout != expected:
            raise WrongOutput(f"{command[0]}: {one_line(done.stderr.decode(errors='replace'))}")
        return took * 1e3

    return contestant


class Worker:
    """A module of ours, in a process of its own on ``cpus``, that calls a peer as its users do.

    At the start it says ``{"ready": …}`` or ``{"unavailable": why}``. Each line that it is sent it answers
    with one, ``{"ms": …}`` for a call or ``{"wrong": why}``. It ends when its stdin does.
    """

    def __init__(self, module: str, *args: str, cpus: Sequence[int] = (FIRST,)) -> None:
        command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(sorted(cpus)), *args]
        self.name = module
        # A group of its own: Ctrl-C is for us, and the end of its stdin for the worker.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, process_group=0
        )
        try:
            self.ready = self._answer()
        except BaseException:
            self.__exit__()
            raise

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"{self.name} ended, exit code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return answer

    def ask(self, request: str) -> dict[str, Any]:
        """One request, one answer. Raises ``WrongOutput``."""
        assert self.process.stdin
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "wrong" in answer:
            raise WrongOutput(f"{self.name}: {answer['wrong']}")
        return answer

    def per_call(self, request: str) -> Contestant:
        """Milliseconds a call."""
        return lambda: float(self.ask(request)["ms"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()


def requests(cpus: str) -> Iterator[str]:
    """A worker's side of it: settle on ``cpus`` and take requests until there are no more."""
    os.sched_setaffinity(0, json.loads(cpus))
    for line in sys.stdin:
        yield line.strip()


def reply(**answer: Any) -> None:
    """Answer a request."""
    print(json.dumps(answer), flush=True)
