"""How many test runs the order of hidden tests saves on programs that are nearly right.

    python benchmarks/kill_rate.py [--problems 25] [--mutants 200] [--draws 12] [--json]

Problems are of the bundled suite `basics`, each with the tests of several draws. Programs are
mutants of its reference, a constant, an operator or a statement changed, so most are wrong only
here and there. Those that pass the public tests run once on every hidden test, in the sandbox;
the orders are then played through with what came out.

    fixed       as the problem has them
    kill rate   what `Judge(order="kill_rate")` does, learning from the programs as they come
    foreseen    what a judge would choose that knew these very programs: each next test stops most
                of those that are left
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import rlef.config
from rlef.judge import Judge, TestReport, Verdict
from rlef.judge.schedule import KillHistory
from rlef.problems.load import load
from rlef.problems.types import Problem
from rlef.sandbox import Sandbox

SWAPS: dict[type[ast.AST], list[type[ast.AST]]] = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Mod: [ast.FloorDiv],
    ast.FloorDiv: [ast.Mod],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt],
    ast.Eq: [ast.NotEq, ast.GtE],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}


def mutants(source: str, draw: random.Random, count: int) -> list[str]:
    """Different programs, one or two edits away from the source."""
    found: dict[str, None] = {}
    for _ in range(20 * count):
        tree = ast.parse(source)
        for _ in range(draw.choice([1, 2, 2])):
            edits = list(_edits(tree))
            draw.choice(edits)()
        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        found.setdefault(text)
        if len(found) == count:
            break
    return list(found)


def _edits(tree: ast.AST) -> Iterator[object]:
    """Calls that each change the tree in one place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            for value in (node.value + 1, node.value - 1, 0, -node.value):
                yield lambda node=node, value=value: setattr(node, "value", value)
        for name, child in ast.iter_fields(node):
            for swap in SWAPS.get(type(child), []):
                yield lambda node=node, name=name, swap=swap: setattr(node, name, swap())
            if name == "ops":
                for swap in SWAPS.get(type(child[0]), []):
                    yield lambda node=node, swap=swap: node.ops.__setitem__(0, swap())
            if name == "body" and isinstance(child, list) and len(child) > 1:
                for at in range(len(child)):
                    yield lambda child=child, at=at: child.__setitem__(at, ast.Pass())


def problems(count: int, draws: int) -> list[Problem]:
    """One problem of each kind, the harder kinds first, with the tests of several draws."""
    suite = load("basics", "train")
    first: dict[str, str] = {}
    for name in suite.ids():
        first.setdefault(name.split("/")[2], name)
    found = []
    for name in list(first.values())[-count:]:
        tests = [test for draw in range(draws) for test in suite.get(name, draw).hidden_tests]
        problem = suite.get(name)
        public = problem.public_tests[:1]  # as few as real sets have, so that wrong programs get past them
        tests = [test for test in dict.fromkeys(tests) if test not in public]
        found.append(replace(problem, public_tests=public, private_tests=tuple(tests), generated_tests=()))
    return found


async def outcomes(judge: Judge, problem: Problem, programs: Sequence[str]) -> list[tuple[TestReport, ...]]:
    """Reports on every hidden test, of the programs that pass the public ones."""
    everything = replace(problem, public_tests=problem.hidden_tests)
    public = await asyncio.gather(*(judge.public(problem, code) for code in programs))
    passed = [code for code, report in zip(programs, public, strict=True) if report.passed]
    found = await asyncio.gather(*(judge.public(everything, code) for code in passed))
    return [report.tests for report in found]


def runs_until_failure(reports: Sequence[TestReport], order: Sequence[int]) -> int:
    for count, at in enumerate(order, 1):
        if reports[at].verdict is not Verdict.ACCEPTED:
            return count
    return len(order)


def foreseen(rows: Sequence[tuple[TestReport, ...]], tests: int) -> list[int]:
    order: list[int] = []
    left = list(rows)
    while len(order) < tests:
        rest = [at for at in range(tests) if at not in order]
        order.append(max(rest, key=lambda at: sum(row[at].verdict is not Verdict.ACCEPTED for row in left)))
        left = [row for row in left if row[order[-1]].verdict is Verdict.ACCEPTED]
    return order


def play(problem: Problem, rows: Sequence[tuple[TestReport, ...]], draw: random.Random) -> dict[str, int]:
    """Test runs of the wrong programs under each order; they come in a random order."""
    tests, history = problem.hidden_tests, KillHistory()
    rows = draw.sample(rows, len(rows))
    orders = {"fixed": list(range(len(tests))), "foreseen": foreseen(rows, len(tests))}
    total = dict.fromkeys(["fixed", "kill rate", "foreseen"], 0)
    for row in rows:
        if all(report.verdict is Verdict.ACCEPTED for report in row):
            history.learn(tests, row)
            continue
        order = history.order(tests)
        count = runs_until_failure(row, order)
        history.learn(tests, [row[at] for at in order[:count]])
        total["kill rate"] += count
        for name, fixed in orders.items():
            total[name] += runs_until_failure(row, fixed)
    return total


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    draw = random.Random(arguments.seed)
    total, wrong, right, tests = dict.fromkeys(["fixed", "kill rate", "foreseen"], 0), 0, 0, 0
    async with await Sandbox.open(rlef.config.Sandbox()) as sandbox:
        judge = Judge(sandbox)
        for problem in problems(arguments.problems, arguments.draws):
            programs = mutants(problem.solutions[0].code, draw, arguments.mutants)
            quick = replace(problem, limits=replace(problem.limits, cpu_s=0.2))
            rows = await outcomes(judge, quick, programs)
            failing = sum(any(report.verdict is not Verdict.ACCEPTED for report in row) for row in rows)
            wrong, right = wrong + failing, right + len(rows) - failing
            tests += len(problem.hidden_tests)
            for name, count in play(problem, rows, draw).items():
                total[name] += count
    return {
        "hidden tests a problem": tests / arguments.problems,
        "programs that pass the public tests": wrong + right,
        "of these wrong": wrong,
        **{f"test runs a wrong program, {name}": round(total[name] / wrong, 2) for name in total},
        "saved": round(1 - total["kill rate"] / total["fixed"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--problems", type=int, default=25)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments))
    print(json.dumps(found) if arguments.json else "\n".join(f"{k:45}{v}" for k, v in found.items()))


if __name__ == "__main__":
    main()
