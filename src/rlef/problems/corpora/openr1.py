"""open-r1's ``open-r1/verifiable-coding-problems-python`` and what it was made of, PrimeIntellect's.

Columns, as the set and open-r1's ``rewards.py::code_reward`` have them: ``problem_statement`` (or
``problem``, ``prompt``), ``gold_standard_solution`` (in a fence, since it is graded as an answer),
``verification_info`` with ``language`` and ``test_cases`` in the dialect ``typed`` (PrimeIntellect's is
the text of Python constants), ``metadata`` (``difficulty``, ``time_limit``, ``memory_limit``),
``problem_id``, ``source``. Tests of functions are read, but not written: ``code_reward`` passes over
their type and runs every test on stdin.
"""

from __future__ import annotations

from typing import Any

from rlef.problems.asserts import Inexpressible
from rlef.problems.corpora.dialects import read_tests, unpacked, write_typed
from rlef.problems.corpora.form import (
    Draft,
    Form,
    Row,
    accepted,
    aside,
    fenced,
    inner,
    limits_of,
    own_name,
    references,
    stripped,
    text_of,
)
from rlef.problems.types import Problem

_STATEMENTS = ("problem_statement", "problem", "prompt")
_USED = (*_STATEMENTS, "gold_standard_solution", "verification_info", "metadata", "problem_id", "source")


def read(row: Row) -> Draft:
    """A row as a problem. Raises ``Inexpressible``, for languages other than Python too."""
    info = unpacked(row.get("verification_info"))
    language = info.get("language") if isinstance(info, dict) else None
    if language not in (None, "", "python", "python3"):
        raise Inexpressible(f"its language is {language!r}")
    statements = [text_of(row, key) for key in _STATEMENTS if isinstance(row.get(key), str)]
    return Draft(
        id=own_name(row.get("problem_id")),
        statement=next(filter(None, statements), ""),
        tested=read_tests(info.get("test_cases") if isinstance(info, dict) else None),
        solutions=references(row.get("gold_standard_solution")),
        limits=limits_of(inner(row, "metadata", "time_limit"), inner(row, "metadata", "memory_limit")),
        family=text_of(row, "source") or "open-r1",
        difficulty=str(inner(row, "metadata", "difficulty") or ""),
        meta=stripped(row, *_USED) | aside(row, "metadata"),
    )


def write(problem: Problem, index: int) -> dict[str, Any]:
    """A problem as a row. Raises ``Inexpressible``."""
    return {
        "problem_id": problem.id,
        "problem_statement": problem.statement,
        "gold_standard_solution": next(map(fenced, accepted(problem)), ""),
        "verification_info": {"language": "python", "test_cases": write_typed(problem)},
        "metadata": {"difficulty": problem.provenance.difficulty},
    }


FORM = Form(
    name="open-r1",
    columns=("verification_info",),
    read=read,
    write=write,
    note=("metadata", "rlef"),
    hubs=(
        "open-r1/verifiable-coding-problems-python",
        "open-r1/verifiable-coding-problems-python_decontaminated",
        "open-r1/verifiable-coding-problems-python_decontaminated-tested-shuffled",
        "PrimeIntellect/verifiable-coding-problems",
    ),
)
