"""From one core to two: trainer, supervisor and slots on one core, and on two.

    python -m benchmarks.scaling [--quick]

Everything of rlef's is held on the cores that are counted, the supervisor too. ``details`` has
also two slots against one slot where the supervisor always has both cores. Beside it two bare
forkers that know nothing of each other, one on each core: what the machine itself gives.
"""

from __future__ import annotations

import contextlib
import statistics

from benchmarks.contestants import Forker, Worker
from benchmarks.machine import ALL
from benchmarks.module import main
from benchmarks.rounds import Contestant, interleave
from benchmarks.rows import Question, Row, Unavailable

_RATIO = Question("tests a second on two cores over one", "times", ">= 1.9")
_SUPERVISOR = Question("  CPU of the supervisor and the event loop, a test", "ms")
_RATES = Question("  tests a second on two cores", "tests/s")
_BARE = Question("  beside it: bare forks that run the program, two cores over one", "times")
_FORKS = 200
QUESTIONS = (_RATIO, _BARE, _SUPERVISOR, _RATES)


def measure(quick: bool) -> list[Row]:
    if len(ALL) < 2:
        raise Unavailable("this machine gives us one core")
    programs = 4 if quick else 16
    supervisor: list[float] = []
    with contextlib.ExitStack() as stack:

        def contestant(cpus: int, slots: int) -> Contestant:
            worker = stack.enter_context(Worker("scaling_worker", str(slots), cpus=ALL[:cpus]))

            def ask() -> float:
                answer = worker.ask(str(programs))
                if (cpus, slots) == (2, 2):
                    supervisor.append(answer["supervisor_ms"])
                return float(answer["ms"])

            return ask

        forkers = [stack.enter_context(Forker("run", cpu=cpu)) for cpu in ALL[:2]]

        def bare(count: int) -> Contestant:
            def fork() -> float:
                for forker in forkers[:count]:
                    forker.begin(_FORKS)
                return max(forker.end(_FORKS) for forker in forkers[:count]) / count

            return fork

        contestants = {
            "bare forks, 1 core": bare(1),
            "bare forks, 2 cores": bare(2),
            "rlef, 1 core": contestant(1, 1),
            "rlef, 2 cores": contestant(2, 2),
            "rlef, 1 slot, 2 cores": contestant(2, 1),
        }
        times = interleave(contestants, rounds=3 if quick else 20, seconds=60)
    ratios = {"2 slots over 1, both on 2 cores": times.ratio("rlef, 1 slot, 2 cores", "rlef, 2 cores")}
    return [
        _RATIO.answer(times.ratio("rlef, 1 core", "rlef, 2 cores"), ratios=ratios, ms=times.details()),
        _BARE.answer(times.ratio("bare forks, 1 core", "bare forks, 2 cores")),
        _SUPERVISOR.answer(statistics.median(supervisor)),
        _RATES.answer(1e3 / times.median("rlef, 2 cores")),
    ]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
