"""What a function call costs when a program's calls share a child: many calls, one chunk.

python -m benchmarks.function_calls [--quick]

Addition, so that nothing but the way there and back is measured. Beside it the same calls of a program that
may keep state, which get a process each; a fork for each call by a small interpreter; and
``exec`` and a loop in one process, which is the least that there is. The last two isolate nothing.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Self

from benchmarks.contestants import Rlef
from benchmarks.machine import FIRST
from benchmarks.module import main
from benchmarks.rounds import Contestant, WrongOutput, interleave
from benchmarks.rows import Question, Row, one_line
from rlef.sandbox import RunLimits
from rlef.sandbox.host import interpreter

_CALL = Question("a function call, chunked", "ms", "<= 0.05")
_RATIO = Question("  a stdio test over a chunked call", "times")
_ALONE = Question("  a call in a process of its own over a chunked call", "times")
_FORK = Question("  a bare fork for each call over a chunked call", "times")
_EXEC = Question("  a chunked call over exec in one process, no isolation", "times")
QUESTIONS = (_CALL, _RATIO, _ALONE, _FORK, _EXEC)
_CALLS = 200
_SOURCE = "def add(a, b):\n    return a + b\n"
_KEEPING = "seen = {}\n\ndef add(a, b):\n    seen[a] = b\n    return a + b\n"
_ARGUMENTS = [b"[%d, %d]" % (k, 2 * k) for k in range(_CALLS)]
_EXPECTED = [3 * k for k in range(_CALLS)]

# Calls the function for each line of arguments that it is sent, in a fork each or in a loop.
_BARE = """
import gc, json, os, sys, time
os.sched_setaffinity(0, {%d})
code = compile(%r, "x", "exec")
channel = os.memfd_create("x")
gc.collect(); gc.freeze()

def call(text):
    scope = {}
    exec(code, scope)
    return json.dumps(scope["add"](*json.loads(text)))

def forked(text):
    pid = os.fork()
    if not pid:
        os.pwrite(channel, call(text).encode(), 0)
        os._exit(0)
    os.waitpid(pid, 0)
    found = os.pread(channel, 99, 0)
    os.ftruncate(channel, 0)
    return found

def looped(texts):
    scope = {}
    exec(code, scope)
    return [json.dumps(scope["add"](*json.loads(text))) for text in texts]

for line in sys.stdin:
    texts = json.loads(line)
    started = time.perf_counter_ns()
    found = looped(texts) if sys.argv[1] == "loop" else [forked(text) for text in texts]
    took = time.perf_counter_ns() - started
    print(json.dumps([took, [int(text) for text in found]]), flush=True)
"""


def per_call(rlef: Rlef, source: str) -> Contestant:
    """One program, one function, many arguments."""

    async def run() -> None:
        found = []
        async for result in rlef.sandbox.call(source, "add", _ARGUMENTS, RunLimits()):
            if not result.ok:
                raise WrongOutput(f"rlef: {one_line(result)}")
            found.append(int(result.outward))
        if found != _EXPECTED:
            raise WrongOutput("rlef: a call returned something else")

    def contestant() -> float:
        started = time.perf_counter()
        rlef.loop.run_until_complete(run())
        return (time.perf_counter() - started) * 1e3 / _CALLS

    return contestant


class Bare:
    """The same calls by an interpreter as small as can be, without any isolation."""

    def __init__(self, how: str) -> None:
        command = [interpreter(), "-I", "-S", "-B", "-c", _BARE % (FIRST, _SOURCE), how]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self) -> float:
        """Milliseconds a call."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([text.decode() for text in _ARGUMENTS]) + "\n")
        self.process.stdin.flush()
        took, found = json.loads(self.process.stdout.readline())
        if found != _EXPECTED:
            raise WrongOutput("a call returned something else")
        return int(took) / _CALLS / 1e6

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def measure(quick: bool) -> list[Row]:
    with Rlef() as rlef, Bare("fork") as forked, Bare("loop") as looped:
        contestants = {
            "rlef, calls": per_call(rlef, _SOURCE),
            "rlef, tests": rlef.per_test(),
            "rlef, alone": per_call(rlef, _KEEPING),
            "fork": forked,
            "exec": looped,
        }
        times = interleave(contestants, rounds=5 if quick else 60, seconds=25)
    value = times.median("rlef, calls")
    return [
        _CALL.answer(value, rung=rlef.rung, ms=times.details()),
        *(
            question.answer(times.ratio(slow, fast), rung=rlef.rung)
            for question, slow, fast in (
                (_RATIO, "rlef, tests", "rlef, calls"),
                (_ALONE, "rlef, alone", "rlef, calls"),
                (_FORK, "fork", "rlef, calls"),
                (_EXEC, "rlef, calls", "exec"),
            )
        ),
    ]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
