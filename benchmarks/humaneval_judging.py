"""Judging 164 x 20 answers to HumanEval: rlef beside evalplus, on the same two cores.

    RLEF_DATA=FOLDER [RLEF_ANSWERS=RUN] python -m benchmarks.humaneval_judging [--quick]

Five of the 20 answers to a problem are its reference (each with a comment of its own, so that none is
judged twice), 15 are mutants of it; or the answers are the programs in an evaluation's episodes. Tests are
the arguments with which HumanEval's ``check`` calls the reference, and what that returns: the same for both.
Answers that take longer than 0.2 s or end at a limit are replaced by other mutants, or left out: there, both
would wait. evalplus works on them by its ``check_correctness`` in its pool of two processes, without
isolation; so it all runs in one bubblewrap jail, which costs it nothing a program. rlef runs each answer in
its sandbox. Both stop at the first test that fails.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import rlef.config
from benchmarks import peers
from benchmarks.humaneval_programs import RECORDED, Task, mutants, tasks
from benchmarks.jail import jailed
from benchmarks.machine import ALL, say
from benchmarks.module import main
from benchmarks.rounds import interleave
from benchmarks.rows import Question, Row, Unavailable
from rlef.judge import HiddenReport, Judge, Verdict
from rlef.problems.jsonl import json_lines
from rlef.problems.types import Limits, Problem, TestCase
from rlef.sandbox import Sandbox

_RATIO = Question("164 x 20 HumanEval answers: evalplus, 2 processes, over rlef", "times", ">= 10")
_SAME = Question("verdicts on them that are the same, in % (all but `find_zero`)", "%", ">= 100")
_USUAL = Question("  evalplus with the processes that it takes by itself (half the cores)", "times", ">= 10")
QUESTIONS = (_RATIO, _USUAL, _SAME)
ANSWERS, REFERENCES = 20, 5
_BLOCKS, _TRIES = 20, 4
_SECONDS = 180.0
"""For all of it, or three rounds more."""
_LIMITS = Limits(cpu_s=1.0)
_QUICK = Limits(cpu_s=0.2)
"""Answers that take longer are replaced."""
_AT_LIMITS = (Verdict.TIME_LIMIT, Verdict.MEMORY_LIMIT, Verdict.OUTPUT_LIMIT, Verdict.IDLE_LIMIT)
_BROKEN = "find_zero"
"""evalplus 0.3.1 counts no input of this problem, so it fails the reference too."""
Answer = tuple[int, str]
"""A problem's position and a program."""


class Evalplus:
    """evalplus in a jail, on some CPUs."""

    def __init__(self, cpus: Sequence[int]) -> None:
        folder = peers.folder("evalplus", "evalplus/evaluate.py")
        worker = Path(__file__).with_name("humaneval_judging_worker.py")
        sources = Path(rlef.config.__file__).parents[1]
        words = [str(worker), json.dumps(list(cpus)), str(folder), str(sources), str(RECORDED.parent)]
        self._process = subprocess.Popen(
            [*jailed([folder, worker, sources, RECORDED]), sys.executable, "-I", "-W", "ignore", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.verdicts: dict[Answer, bool] = {}

    def problems(self, found: Sequence[Task]) -> list[Problem]:
        """Tests of each task: what it is called with and returns."""
        self._send([task.row for task in found])
        return [_problem(task, self._answer()) for task in found]

    def judge(self, answers: Sequence[Answer], processes: int) -> float:
        """Milliseconds for all of them in a pool of so many processes; keeps the verdicts."""
        self._send([processes, answers])
        found = self._answer()
        self.verdicts.update(zip(answers, found["passed"], strict=True))
        return float(found["ms"])

    def _send(self, value: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"evalplus ended, exit code {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class Rlef:
    """rlef's judge with a slot for each CPU."""

    def __init__(self, slots: int) -> None:
        self._loop = asyncio.new_event_loop()
        config = rlef.config.Sandbox(slots=slots)
        self._sandbox = self._loop.run_until_complete(Sandbox.open(config))
        self.rung = str(self._sandbox.rung)
        self._judge = Judge(self._sandbox, cache=0)
        self.verdicts: dict[Answer, bool] = {}

    def reports(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> list[HiddenReport]:
        """Reports of the answers, all judged at a time."""

        async def every() -> list[HiddenReport]:
            work = (self._judge.hidden(problems[at], code) for at, code in answers)
            return list(await asyncio.gather(*work))

        return self._loop.run_until_complete(every())

    def judge(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> float:
        """Milliseconds for all of them; keeps the verdicts."""
        started = time.perf_counter()
        found = self.reports(problems, answers)
        took = time.perf_counter() - started
        self.verdicts.update(zip(answers, (report.passed for report in found), strict=True))
        return took * 1e3

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._sandbox.close())
        self._loop.close()


def _problem(task: Task, tests: Sequence[tuple[str, str]]) -> Problem:
    return Problem(
        id=task.problem.id,
        statement=task.problem.statement,
        public_tests=(),
        private_tests=tuple(TestCase(input=given, output=output) for given, output in tests),
        form="call",
        entry_point=task.problem.entry_point,
        limits=_LIMITS,
    )


def answers_of(ours: Rlef, found: Sequence[Task], problems: Sequence[Problem]) -> list[list[str]]:
    """20 answers to each problem, none of which takes long."""
    quick = [replace(problem, limits=_QUICK) for problem in problems]
    made = [[f"{task.reference}\n# answer {n}\n" for n in range(REFERENCES)] for task in found]
    more = [mutants(task.reference, task.problem.id) for task in found]
    for _ in range(_TRIES):
        wanted = [
            (at, code)
            for at, codes in enumerate(made)
            for code in itertools.islice(more[at], ANSWERS - len(codes))
        ]
        for (at, code), report in zip(wanted, ours.reports(quick, wanted), strict=True):
            if all(test.verdict not in _AT_LIMITS for test in report.tests):
                made[at].append(code)
    return made


def answers_in(run: Path, ours: Rlef, found: Sequence[Task], problems: Sequence[Problem]) -> list[list[str]]:
    """The programs that a model wrote in an evaluation on HumanEval, those that take long left out."""
    places = {task.problem.id.lower(): at for at, task in enumerate(found)}
    codes: list[Answer] = []
    for path in sorted(run.glob("episodes-*.jsonl")):
        for _, row in json_lines(path):
            assert isinstance(row, dict)
            at = places.get(row["problem_id"])
            codes += [(at, turn["code"]) for turn in row["turns"] if at is not None and turn["code"]]
    if not codes:
        raise Unavailable(
            f"{run} has no episodes with programs for HumanEval: RLEF_ANSWERS is the folder of a run"
        )
    quick = [replace(problem, limits=_QUICK) for problem in problems]
    made: list[list[str]] = [[] for _ in found]
    for (at, code), report in zip(codes, ours.reports(quick, codes), strict=True):
        if all(test.verdict not in _AT_LIMITS for test in report.tests):
            made[at].append(code)
    return made


def measure(quick: bool) -> list[Row]:
    started = time.monotonic()
    found = tasks()
    cpus = ALL[:2]
    os.sched_setaffinity(0, cpus)
    with Evalplus(cpus) as theirs, Rlef(len(cpus)) as ours:
        problems = theirs.problems(found)
        run = os.environ.get("RLEF_ANSWERS")
        made = answers_in(Path(run), ours, found, problems) if run else answers_of(ours, found, problems)
        most = max(map(len, made))
        every = [(at, codes[n]) for n in range(most) for at, codes in enumerate(made) if n < len(codes)]
        say(f"{len(every)} answers, made in {time.monotonic() - started:.0f} s")
        blocks = [every[n::_BLOCKS] for n in range(_BLOCKS)]
        # Each has its own turn of the blocks, so that all have the same one in a round.
        mine, pool, usual = (itertools.cycle(blocks) for _ in range(3))
        contestants = {
            "rlef": lambda: ours.judge(problems, next(mine)),
            "evalplus": lambda: theirs.judge(next(pool), len(cpus)),
            "evalplus, as it comes": lambda: theirs.judge(next(usual), max(1, len(cpus) // 2)),
        }
        left = _SECONDS - (time.monotonic() - started)
        times = interleave(contestants, rounds=2 if quick else _BLOCKS, seconds=left)
        rung = ours.rung
    details = {"answers": len(every), "ms_a_block": times.details()}
    return [
        _RATIO.answer(times.ratio("evalplus", "rlef"), rung=rung, **details),
        _USUAL.answer(times.ratio("evalplus, as it comes", "rlef"), rung=rung),
        _agreement(problems, ours.verdicts, theirs.verdicts),
    ]


def _agreement(problems: Sequence[Problem], mine: dict[Answer, bool], theirs: dict[Answer, bool]) -> Row:
    both = [one for one in mine if one in theirs and problems[one[0]].entry_point != _BROKEN]
    differ = [one for one in both if mine[one] != theirs[one]]
    share = 100 * (1 - len(differ) / len(both))
    return _SAME.answer(
        share,
        answers=len(both),
        passed=sum(mine[one] for one in both),
        differ=dict(Counter(problems[at].id for at, _ in differ)),
        rlef_accepts=sum(mine[one] for one in differ),
    )


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
