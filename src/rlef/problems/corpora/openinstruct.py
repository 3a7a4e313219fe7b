"""open-instruct's rows for verifiable rewards: ``messages``, ``ground_truth``, ``dataset``.

As its ``ground_truth_utils.py`` and ``scripts/data/rlvr_code`` have them: ``dataset`` names the
verifier, ``code`` (a list of asserts, or its JSON text) or ``code_stdio`` (a list of ``input`` and
``output``). Either may be wrapped in a list of one. Tests that it keeps as compressed pickles are not
read. Where a statement was rewritten, ``rewritten_solution`` is the program that was tested with it, and
``reference_solution`` may be one for the statement as it was.
"""

from __future__ import annotations

import json
from typing import Any

from rlef.problems.asserts import Inexpressible
from rlef.problems.corpora.dialects import every_test, read_tests, unpacked, write_asserts
from rlef.problems.corpora.form import (
    Draft,
    Form,
    Row,
    accepted,
    asked,
    conversation,
    references,
    stripped,
    unasked,
)
from rlef.problems.types import Problem

_USED = ("messages", "ground_truth", "dataset", "rlef")


def read(row: Row) -> Draft:
    """A row as a problem. Raises ``Inexpressible``, for rows of other verifiers too."""
    verifiers = row.get("dataset")
    verifier = verifiers[0] if isinstance(verifiers, list) and len(verifiers) == 1 else verifiers
    if verifier not in ("code", "code_stdio"):
        raise Inexpressible(f"not a programming problem: dataset {verifier!r}")
    system, statement = conversation(row.get("messages"))
    tests = unpacked(row.get("ground_truth"))
    if isinstance(tests, list) and len(tests) == 1 and str(tests[0]).lstrip().startswith("["):
        tests = unpacked(tests[0])
    tested = read_tests(tests)
    solution = "rewritten_solution" if row.get("rewritten_solution") else "reference_solution"
    return Draft(
        statement=unasked(statement, tested),
        tested=tested,
        solutions=references(row.get(solution)),
        family="open-instruct",
        meta=stripped(row, *_USED, solution) | ({"system": system} if system else {}),
    )


def write(problem: Problem, index: int) -> dict[str, Any]:
    """A problem as a row. Raises ``Inexpressible``."""
    if problem.form == "call":
        tests: list[Any] = write_asserts(problem)
    elif any(test.also for test in every_test(problem)):
        raise Inexpressible("several outputs are right, the form knows one")
    else:
        tests = [{"input": test.input, "output": test.output} for test in every_test(problem)]
    return {
        "messages": [{"role": "user", "content": asked(problem.statement, problem)}],
        "ground_truth": json.dumps(tests),
        "dataset": "code" if problem.form == "call" else "code_stdio",
        "reference_solution": next(iter(accepted(problem)), ""),
    }


FORM = Form(name="open-instruct", columns=("messages", "ground_truth", "dataset"), read=read, write=write)
