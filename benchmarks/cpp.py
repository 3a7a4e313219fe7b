"""C++: compiling a program that includes everything, and running a test of one already compiled.

    python -m benchmarks.cpp [--quick]

Beside it: a plain ``g++ -O2 -static`` of the same program, and a spawn of that binary.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from secrets import token_hex

from benchmarks.contestants import INPUT, OUTPUT, Rlef, fresh
from benchmarks.machine import pinned
from benchmarks.module import main
from benchmarks.peers import program
from benchmarks.rounds import Contestant, interleave, repeated
from benchmarks.rows import Question, Row

_COMPILE = Question("C++: compile of a bits/stdc++.h program, warm", "s", "<= 0.4")
_RUN = Question("C++: a test of a compiled program", "ms", "<= 0.6")
_PLAIN = Question("  beside it: plain g++ -O2 -static of the same", "s")
_SPAWN = Question("  beside it: bare posix_spawn of the static binary", "ms")
QUESTIONS = (_COMPILE, _RUN, _PLAIN, _SPAWN)
_SOURCE = """#include <bits/stdc++.h>
int main() {
    std::vector<long long> all;
    for (long long x; std::cin >> x;) all.push_back(x);
    std::cout << std::accumulate(all.begin(), all.end(), 0LL) << "\\n";
}
"""


def plain_compile(gcc: str, folder: Path) -> Contestant:
    """The compiler as it comes; milliseconds."""

    def contestant() -> float:
        (folder / "a.cpp").write_text(_SOURCE)
        with pinned():
            started = time.perf_counter()
            subprocess.run([gcc, "-O2", "-static", "a.cpp", "-o", "a"], cwd=folder, check=True)
            return (time.perf_counter() - started) * 1e3

    return contestant


def measure(quick: bool) -> list[Row]:
    gcc = program("g++", "install it from your distribution")
    with Rlef() as rlef, tempfile.TemporaryDirectory(prefix="rlef-bench-") as scratch:
        compiler = plain_compile(gcc, Path(scratch))
        compiler()
        compiling = interleave(
            {
                # A source that was never seen, so that it is not in the cache of binaries.
                "rlef": lambda: rlef.per_test(1, source=f"{_SOURCE}// {token_hex()}\n", language="cpp")(),
                "plain": compiler,
            },
            rounds=2 if quick else 10,
            seconds=40,
        )
        running = interleave(
            {
                "rlef": rlef.per_test(source=_SOURCE, language="cpp"),
                "spawn": repeated(fresh([f"{scratch}/a"], INPUT, OUTPUT), 60),
            },
            rounds=5 if quick else 60,
            seconds=20,
        )
    return [
        _COMPILE.answer(compiling.median("rlef") / 1e3, rung=rlef.rung, ms=compiling.details()),
        _RUN.answer(running.median("rlef"), rung=rlef.rung, ms=running.details()),
        _PLAIN.answer(compiling.median("plain") / 1e3),
        _SPAWN.answer(running.median("spawn")),
    ]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
