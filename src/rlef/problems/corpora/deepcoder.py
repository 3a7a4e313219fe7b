"""DeepCoder: ``agentica-org/DeepCoder-Preview-Dataset`` (subsets primeintellect, taco, lcbv5, codeforces).

Columns, as rllm's ``scripts/data/code_dataset.py`` and ``cookbooks/deepcoder`` read them: ``problem``,
``tests`` (JSON text, in the dialects ``cases``, ``lists`` or ``typed``), ``solutions`` (programs that are
right), ``starter_code`` (put below the problem, as there) and ``metadata`` (``func_name`` for
tests of the type ``functional``). Their prompt asks for a program that reads stdin where there is no
starter code, so rows of calls are written with some.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rlef.problems.corpora.dialects import every_test, read_tests, write_cases
from rlef.problems.corpora.form import Draft, Form, Row, accepted, aside, inner, references, stripped, text_of
from rlef.problems.types import Problem, TestCase


def read(row: Row) -> Draft:
    """A row as a problem. Raises ``Inexpressible``."""
    starter = text_of(row, "starter_code")
    called = inner(row, "metadata", "func_name")
    tested = read_tests(row.get("tests"), called if isinstance(called, str) else None)
    told = starter.strip() and starter != _starter(tested.form, tested.entry_point, tested.tests)
    below = f"\n\nStarter code:\n```python\n{starter}\n```\n" if told else ""
    more = stripped(row, "problem", "tests", "solutions", "starter_code", "metadata")
    return Draft(
        statement=text_of(row, "problem") + below,
        tested=tested,
        solutions=references(row.get("solutions")),
        family=str(inner(row, "metadata", "source") or "deepcoder"),
        difficulty=str(inner(row, "metadata", "difficulty") or ""),
        meta=more | aside(row, "metadata"),
    )


def write(problem: Problem, index: int) -> dict[str, Any]:
    """A problem as a row. Raises ``Inexpressible``."""
    return {
        "problem": problem.statement,
        "solutions": accepted(problem),
        "tests": json.dumps(write_cases(problem)),
        "starter_code": _starter(problem.form, problem.entry_point, every_test(problem)),
        "metadata": {"func_name": problem.entry_point},
    }


def _starter(form: str, name: str | None, tests: Sequence[TestCase]) -> str:
    """The head of the function that the tests call; empty for programs that read stdin."""
    if form != "call":
        return ""
    counts = {len(json.loads(test.input)) for test in tests}
    arguments = [f"arg{number}" for number in range(1, max(counts) + 1)] if len(counts) == 1 else ["*args"]
    return f"def {name}({', '.join(arguments)}):\n    pass"


FORM = Form(
    name="deepcoder",
    columns=("problem", "tests"),
    read=read,
    write=write,
    note=("metadata", "rlef"),
    hubs=("agentica-org/DeepCoder-Preview-Dataset",),
)
