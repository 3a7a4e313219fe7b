"""What a set of problems holds, in figures."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rlef.problems.checks import CODE
from rlef.problems.importers import Skipped
from rlef.problems.types import Problem


def figures(problems: Sequence[Problem], skipped: Sequence[Skipped] = ()) -> dict[str, Any]:
    """Figures of a set that holds a problem at least, as JSON values.

    ``{"least", "median", "most"}`` is of problems: tests of one, seconds, megabytes, characters.
    ``weak_tests`` run beside the candidate (`problems.checks`).
    """
    every = [test for problem in problems for test in problem.public_tests + problem.hidden_tests]
    return {
        "problems": len(problems),
        "public_tests": sum(len(p.public_tests) for p in problems),
        "hidden_tests": sum(len(p.hidden_tests) for p in problems),
        "solutions": sum(len(p.solutions) for p in problems),
        "families": _counted(p.provenance.family for p in problems),
        "difficulties": _counted(p.provenance.difficulty for p in problems),
        "splits": _counted(p.provenance.split for p in problems),
        "forms": _counted(p.form for p in problems),
        "comparisons": _counted(p.comparison for p in problems),
        "checkers": _counted(p.checker.language for p in problems if p.checker),
        "programs": _counted(
            f"{solution.language} {'right' if solution.verdict == 'accepted' else 'wrong'}"
            for p in problems
            for solution in p.solutions
        ),
        "public_of_one": _spread(len(p.public_tests) for p in problems),
        "hidden_of_one": _spread(len(p.hidden_tests) for p in problems),
        "weak_tests": sum(test.check == CODE for test in every),
        "cpu_s": _spread(p.limits.cpu_s for p in problems),
        "memory_mb": _spread(p.limits.memory_bytes / 2**20 for p in problems),
        "statement_chars": _spread(len(p.statement) for p in problems),
        "dates": _dates(problems),
        "skipped": sum(item.whole for item in skipped),
        "reasons": _counted(kind_of(item.reason) for item in skipped),
    }


def kind_of(reason: str) -> str:
    """A reason without the texts that it quotes, so that equal ones are counted together."""
    return re.sub(r"\d+", "n", reason.partition(": ")[0])


def _counted(names: Iterable[str]) -> dict[str, int]:
    """How often each name is there, the most frequent first; a dash for none."""
    return dict(Counter(name or "-" for name in names).most_common())


def _spread(values: Iterable[float]) -> dict[str, float]:
    found = sorted(values)
    return {"least": found[0], "median": statistics.median(found), "most": found[-1]}


def _dates(problems: Sequence[Problem]) -> dict[str, str]:
    days = sorted(p.provenance.date for p in problems if p.provenance.date)
    return {"first": days[0], "last": days[-1]} if days else {}
