"""HumanEval+ and MBPP+ as evalplus releases them: inputs, and a reference that knows the outputs.

HumanEval+: base tests speak, plus tests judge (RLEF paper, appendix C.4). MBPP+: the first base test is
the example in the statement and speaks, all others judge. Outputs are not in the files: the tests come
out with none, and `judge.filling` runs the reference in the sandbox to get them.

Where evalplus compares in a way of its own, so do we, but for mbpp/164, where it accepts everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rlef.problems import plain
from rlef.problems.asserts import Inexpressible
from rlef.problems.checks import CODE
from rlef.problems.importers import humaneval
from rlef.problems.importers.record import Entry, Form, Found, Options, Shares, list_of, meta_of, some
from rlef.problems.types import Limits, Problem, Provenance, Solution, TestCase

LIMITS = Limits(cpu_s=5.0, memory_bytes=2**30)
_META = ("contract", "assertion", "atol", "test", "source_file")
_EQUAL_WITHIN = 1e-6
"""What `judge.plain` allows anyway."""

_AS_SETS = {
    *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"),
    *("larg_nnum", "intersection_array", "find_dissimilar", "Diff"),
}
"""Functions of MBPP+ that may return their items in any order."""
NOT_NONE = {"check_str", "text_match_three", "text_starta_endb"}
"""Functions of MBPP+ of which it only counts whether they return something."""

_TUPLES: dict[str, tuple[int, ...]] = {
    "t*": (
        *(2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424),
        *(429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
    ),
    "l*": (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    "l-": (75, 413, 444, 753),
    "-t": (106, 750),
    "s": (115,),
    "fc": (124,),
    "t-": (250, 405, 446, 617, 720, 763, 808, 307),
    "T*": (259, 401, 445, 278),
    "k-": (722,),
    "c": (252,),
    "d*": (580, 615, 791),
}
"""MBPP+ problems whose arguments JSON can't say, by what becomes of each argument: a tuple, a list of
tuples, a tuple of tuples, tuples all the way down, a list of sets, a dictionary of tuples, a float, a
complex number, or nothing (``-``). ``*``: and so for the others."""


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _deep(value: Any) -> Any:
    return tuple(_deep(item) for item in value) if isinstance(value, list) else value


_MAKE: dict[str, Callable[[Any], Any]] = {
    "-": lambda value: value,
    "t": tuple,
    "l": lambda value: [tuple(item) for item in value],
    "T": lambda value: tuple(_tuple(item) for item in value),
    "d": _deep,
    # An empty list stands for what evalplus takes for an empty dictionary.
    "s": lambda value: [set(item) if isinstance(item, list) and item else {} for item in value],
    "k": lambda value: {key: tuple(item) for key, item in value.items()},
    "f": float,
    "c": complex,
}
_KINDS = {number: kinds for kinds, numbers in _TUPLES.items() for number in numbers}


def arguments_of(task: int, arguments: Sequence[Any]) -> list[Any]:
    """Arguments of an MBPP+ problem as its function takes them. Raises ``Inexpressible``."""
    kinds = _KINDS.get(task, "")
    if kinds.endswith("*"):
        kinds = kinds[0] * len(arguments)
    try:
        made = [_MAKE[kind](value) for kind, value in zip(kinds, arguments, strict=False)]
    except (TypeError, ValueError, AttributeError):
        raise Inexpressible("arguments are not of the kinds that this problem takes") from None
    return [*made, *arguments[len(made) :]]


# -- tests


def test_of(name: str, arguments: Sequence[Any], atol: float) -> TestCase:
    """The test of one call; without an output, unless it is one that only code can check."""
    try:
        given = plain.dumps(list(arguments))
    except plain.NotPlain as reason:
        raise Inexpressible(str(reason)) from None
    if name == "find_zero" and len(arguments) == 1:
        return _root_test(given, arguments[0], atol)
    check = "set" if name in _AS_SETS else f"within:{atol!r}" if atol > _EQUAL_WITHIN else "equal"
    return TestCase(input=given, output="", also=_also(name, arguments), check=check)


def _root_test(given: str, coefficients: Any, atol: float) -> TestCase:
    """HumanEval/32: a root is right if the polynomial is near zero there."""
    if not isinstance(coefficients, list) or not all(isinstance(c, int | float) for c in coefficients):
        raise Inexpressible("coefficients that are no numbers")
    terms = f"sum(c * math.pow(x, i) for i, c in enumerate({coefficients!r}))"
    code = f"import math\nx = find_zero({coefficients!r})\nassert abs({terms}) <= {atol!r}\n"
    return TestCase(input=code, output="", check=CODE)


def _also(name: str, arguments: Sequence[Any]) -> tuple[str, ...]:
    """Further answers that evalplus takes for right."""
    try:
        match name, arguments:
            case "sum_div", _:
                return ("0",)
            case "surface_Area", [int() | float() as base, int() | float() as height]:
                slant = math.sqrt((base / 2) ** 2 + height**2)
                return (plain.dumps(round(base**2 + 2 * base * slant)),)
            case "digit_distance_nums", [int() as one, int() as other]:
                left, right = str(one), str(other)
                size = max(len(left), len(right))
                pairs = zip(left.zfill(size), right.zfill(size), strict=True)
                return (plain.dumps(sum(abs(int(a) - int(b)) for a, b in pairs)),)
    except (ValueError, OverflowError):
        pass  # a sign among the digits, a number beyond every float: no further answer
    return ()


def _of_inputs(entry: Entry, key: str, task: int | None) -> dict[str, TestCase]:
    name = str(entry.row["entry_point"])
    atol = float(entry.row.get("atol") or 0)
    tests: dict[str, TestCase] = {}
    for arguments in list_of(entry.row, key, entry.where):
        if not isinstance(arguments, list):
            raise Inexpressible(f"{key} holds arguments that are no list")
        made = arguments if task is None else arguments_of(task, arguments)
        test = test_of(name, made, atol)
        tests.setdefault(test.input, test)
    return tests


def parted(base: dict[str, TestCase], plus: dict[str, TestCase]) -> Shares:
    """Base tests speak and plus tests judge; without plus tests the last base test judges."""
    private = [test for given, test in plus.items() if given not in base]
    public = list(base.values())
    if not private and len(public) > 1:
        private = [public.pop()]
    if not public or not private:
        raise Inexpressible("fewer than two different tests")
    return tuple(public), tuple(private)


# -- problems


def _humaneval(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row = entry.row
    name = str(row["entry_point"])
    statement = humaneval.statement_of(name, str(row["prompt"]))
    shares = parted(_of_inputs(entry, "base_input", None), _of_inputs(entry, "plus_input", None))
    yield problem_of(problem_id, entry, options, statement, name, shares, humaneval.reference_of(entry))


def _mbpp(problem_id: str, entry: Entry, options: Options) -> Iterator[Found]:
    row = entry.row
    task = int(str(row["task_id"]).rpartition("/")[2])
    name = str(row["entry_point"])
    tests = {**_of_inputs(entry, "base_input", task), **_of_inputs(entry, "plus_input", task)}
    first, *others = tests.values()
    shares = parted({first.input: first}, {test.input: test for test in others})
    if name in NOT_NONE:
        raise Inexpressible("returns objects that are no plain data; only whether it returns one counts")
    statement = str(row["prompt"]).strip().strip('"').strip() + "\n"
    reference = Solution(code=str(row["canonical_solution"]), note="reference")
    yield problem_of(problem_id, entry, options, statement, name, shares, reference)


def problem_of(
    problem_id: str,
    entry: Entry,
    options: Options,
    statement: str,
    name: str,
    shares: Shares,
    reference: Solution,
) -> Problem:
    """A problem of either set, in any form; ``name`` is its function's."""
    dataset = problem_id.partition("/")[0]
    kept = {key: value for key, value in meta_of(entry.row, _META).items() if value != 0}
    return Problem(
        id=problem_id,
        statement=statement,
        public_tests=shares[0],
        private_tests=shares[1],
        form="call",
        entry_point=name,
        limits=LIMITS,
        solutions=some([reference], options.solutions),
        provenance=Provenance(
            dataset=dataset, split=entry.split, family=dataset, license="Apache-2.0", meta=kept
        ),
    )


_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input")
HUMANEVAL_FORM = Form(
    fields=_FIELDS,
    name=lambda entry: f"humaneval+/{str(entry.row['task_id']).rpartition('/')[2]}",
    make=_humaneval,
)
MBPP_FORM = Form(
    fields=_FIELDS, name=lambda entry: f"mbpp+/{str(entry.row['task_id']).rpartition('/')[2]}", make=_mbpp
)
