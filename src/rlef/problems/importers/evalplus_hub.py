"""HumanEval+ and MBPP+ as the hub has them: a column ``test`` with lists of inputs and results in code.

The column is written by evalplus' ``tools/*/to_original_fmt.py``.

The lists are constants and are read, not run. Where ``test`` holds a reference function in place of
results, the tests come out without outputs, as from evalplus' own files (`importers.evalplus`).
The column does not part base inputs from plus inputs, so: of HumanEval+ the docstring's examples
speak, of MBPP+ the first assert of ``test_list``; all else judges.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rlef.problems import plain
from rlef.problems.asserts import Inexpressible, asserted_tests, docstring_examples
from rlef.problems.checks import CODE
from rlef.problems.importers import humaneval, mbpp
from rlef.problems.importers.evalplus import NOT_NONE, problem_of, test_of
from rlef.problems.importers.record import Entry, Form, Found, Options, Skipped, share_out, texts_of
from rlef.problems.literals import value_of
from rlef.problems.types import Solution, TestCase

Keyed = dict[tuple[str, str], TestCase]


class _Names(ast.NodeTransformer):
    """``inf`` and ``nan``, which the lists hold, as calls that `literals` knows."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = {"inf": "inf", "nan": "nan"}.get(node.id)
        return ast.Call(ast.Name("float", ast.Load()), [ast.Constant(known)], []) if known else node


def coded_tests(source: str, name: str) -> Keyed:
    """The tests in a ``test`` column, for the function ``name``. Raises ``Inexpressible``."""
    try:
        tree = ast.parse(source)
        inputs, results, atol = _lists(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Inexpressible(f"test is not lists of constants ({error})") from None
    if not isinstance(inputs, list) or (results is not None and len(results) != len(inputs)):
        raise Inexpressible("test does not hold as many results as inputs")
    tests: Keyed = {}
    for at, arguments in enumerate(inputs):
        test = test_of(name, arguments, atol)
        if results is not None and test.check != CODE:
            test = replace(test, output=_dumped(results[at], test.check))
        tests.setdefault((test.input, test.check), test)
    return tests


def _lists(tree: ast.Module) -> tuple[Any, Any, float]:
    """Inputs, results (None where a reference function stands for them), and the tolerance."""
    found: dict[str, Any] = {}
    atol = 0.0
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id="inputs" | "results" as target)], value=value):
                found[target] = value_of(_Names().visit(value))
            case (
                ast.Call(
                    func=ast.Name(id="assertion"), args=[_, _, ast.Constant(value=int() | float() as given)]
                )
                | ast.Assert(test=ast.Compare(comparators=[ast.Constant(value=float() as given)]))
            ):
                atol = float(given)
    if "inputs" not in found:
        raise ValueError("no inputs")
    return found["inputs"], found.get("results"), atol


def _dumped(value: Any, check: str) -> str:
    try:
        return plain.dumps(set(value) if check == "set" else value)
    except (plain.NotPlain, TypeError) as reason:
        raise Inexpressible(f"a result that is no plain data ({reason})") from None


def _humaneval(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row = entry.row
    name, prompt = str(row["entry_point"]), str(row["prompt"])
    tests = coded_tests(str(row["test"]), name)
    known = {key: test for key, test in tests.items() if test.output}
    examples, lost = docstring_examples(prompt, name, known)
    shares = share_out(examples, tests)
    for reason in lost:
        yield Skipped(id=problem_id, reason=reason, whole=False)
    statement = humaneval.statement_of(name, prompt)
    yield problem_of(problem_id, entry, options, statement, name, shares, humaneval.reference_of(entry))


def _mbpp(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row = entry.row
    asserts = texts_of(row, "test_list", entry.where)
    code = str(row["code"]).replace("\r\n", "\n")
    name, base = asserted_tests(asserts, mbpp.setup_of(entry), code)
    if name in NOT_NONE:
        raise Inexpressible("returns objects that are no plain data; only whether it returns one counts")
    plus = coded_tests(str(row["test"]), name)
    # The first assert speaks; its input stands among the others, whose way of comparing counts.
    first = next(iter(base.values()))
    example = next((test for test in plus.values() if test.input == first.input), first)
    shares = share_out({(example.input, example.check): example}, plus or base)
    statement = mbpp.statement_of(str(row["prompt"]), asserts[0])
    reference = Solution(code=code, note="reference")
    yield problem_of(problem_id, entry, options, statement, name, shares, reference)


HUMANEVAL_FORM = Form(
    fields=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
    name=lambda entry: f"humaneval+/{str(entry.row['task_id']).rpartition('/')[2]}",
    make=_humaneval,
)
MBPP_FORM = Form(
    fields=("task_id", "code", "prompt", "test_list", "test"),
    name=lambda entry: f"mbpp+/{entry.row['task_id']}",
    make=_mbpp,
)
