"""HumanEval's problems with all that their asserts test, its references, and mutants of these.

For `humaneval_judging` and `scripts/agreement.py`. The file is the user's: ``RLEF_DATA``.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.rows import Unavailable
from rlef.problems.asserts import checked_tests
from rlef.problems.jsonl import json_lines
from rlef.problems.types import Limits, Problem
from scripts.differential_mutants import mutate

FILE = "HumanEval.jsonl.gz"
RECORDED = Path(__file__).with_name("humaneval_recorded.py")
"""A module that both jailed workers import."""


@dataclass(frozen=True)
class Task:
    """A row of HumanEval's file, and its asserts as a problem: all of them hidden tests, and no others."""

    row: dict[str, Any]
    problem: Problem

    @property
    def reference(self) -> str:
        """The prompt and its canonical solution."""
        return f"{self.row['prompt']}{self.row['canonical_solution']}"


def tasks(cpu_s: float = 2.0) -> list[Task]:
    """All 164. Raises ``Unavailable`` if there is no file."""
    path = Path(os.environ.get("RLEF_DATA", "")) / FILE
    if not path.is_file():
        raise Unavailable(f"no {FILE}: set RLEF_DATA to the folder that holds it")
    found = []
    for where, row in json_lines(path):
        assert isinstance(row, dict)
        tests = checked_tests(row["test"], row["entry_point"], row["prompt"], where)
        problem = Problem(
            id=row["task_id"],
            statement=row["prompt"],
            public_tests=(),
            private_tests=tuple(tests.values()),
            form="call",
            entry_point=row["entry_point"],
            limits=Limits(cpu_s=cpu_s),
        )
        found.append(Task(row, problem))
    return found


def mutants(source: str, name: str, seed: int = 0) -> Iterator[str]:
    """Different programs a few mistakes away from ``source``, all of which compile; the same each time."""
    plain = ast.unparse(ast.parse(source))
    seen = {plain}
    draw = Random(f"{seed}/{name}")
    for _ in range(1000):
        text = mutate(source, draw)
        if text is None or not _compiles(text) or ast.unparse(ast.parse(text)) in seen:
            continue
        seen.add(ast.unparse(ast.parse(text)))
        yield text


def _compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "mutant", "exec", dont_inherit=True)  # compiled, never run
        except (SyntaxError, ValueError):
            return False
    return True
