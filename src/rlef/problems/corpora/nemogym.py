"""NeMo-Gym's rows for its server ``code_gen``: ``responses_create_params`` and ``verifier_metadata``.

As its ``resources_servers/code_gen`` has them: ``responses_create_params.input`` is a list of messages,
``verifier_metadata.unit_tests`` is the dialect ``lists`` (LiveCodeBench's reading of it: a result is
never wrapped), beside ``problem_id`` and ``difficulty``. Rows of its training set are named by ``hash_id``.
"""

from __future__ import annotations

from typing import Any

from rlef.problems.asserts import Inexpressible
from rlef.problems.corpora.dialects import read_tests, write_cases
from rlef.problems.corpora.form import (
    Draft,
    Form,
    Row,
    asked,
    conversation,
    inner,
    own_name,
    stripped,
    text_of,
    unasked,
)
from rlef.problems.types import Problem


def read(row: Row) -> Draft:
    """A row as a problem. Raises ``Inexpressible``."""
    system, statement = conversation(inner(row, "responses_create_params", "input"))
    tests = inner(row, "verifier_metadata", "unit_tests")
    if not isinstance(tests, dict) or not isinstance(tests.get("inputs"), list):
        raise Inexpressible("no unit_tests")
    inputs, outputs = tests["inputs"], tests.get("outputs")
    if not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise Inexpressible("inputs and outputs do not pair")
    called = tests.get("fn_name")
    kind: dict[str, Any] = {"testtype": "functional" if called else "stdin", "fn_name": called}
    tested = read_tests([kind | {"input": i, "output": o} for i, o in zip(inputs, outputs, strict=True)])
    return Draft(
        id=own_name(inner(row, "verifier_metadata", "problem_id") or row.get("hash_id")),
        statement=unasked(statement, tested),
        tested=tested,
        family=str(row.get("dataset") or "nemo-gym"),
        difficulty=str(inner(row, "verifier_metadata", "difficulty") or ""),
        source=text_of(row, "source"),
        meta=stripped(row, "responses_create_params", "verifier_metadata", "dataset", "hash_id", "source")
        | _rest(row, "responses_create_params", "input")
        | _rest(row, "verifier_metadata", "unit_tests", "problem_id", "difficulty", "rlef")
        | ({"system": system} if system else {}),
    )


def _rest(row: Row, key: str, *used: str) -> dict[str, Any]:
    """A column's value without what is ``used``, by the column's name; empty if nothing is left."""
    value = row[key] if isinstance(row[key], dict) else {}
    rest = stripped(value, *used)
    return {key: rest} if rest else {}


def write(problem: Problem, index: int) -> dict[str, Any]:
    """A problem as a row. Raises ``Inexpressible``."""
    cases = write_cases(problem)
    tests: dict[str, Any] = {key + "s": [case[key] for case in cases] for key in ("input", "output")}
    return {
        "responses_create_params": {
            "input": [{"role": "user", "content": asked(problem.statement, problem)}]
        },
        "verifier_metadata": {
            "problem_id": problem.id,
            "difficulty": problem.provenance.difficulty,
            "unit_tests": tests | ({"fn_name": problem.entry_point} if problem.form == "call" else {}),
        },
    }


FORM = Form(
    name="nemo-gym",
    columns=("responses_create_params", "verifier_metadata"),
    read=read,
    write=write,
    note=("verifier_metadata", "rlef"),
    hubs=("nvidia/nemotron-RL-coding-competitive_coding",),
)
