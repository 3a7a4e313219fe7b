"""The ways in which RL corpora write tests, read and written.

| dialect | shape                                                   | written by                      |
|---------|---------------------------------------------------------|---------------------------------|
| lists   | ``{"inputs": […], "outputs": […][, "fn_name"]}``        | APPS, TACO, Eurus, NeMo-Gym     |
| cases   | ``[{input, output, testtype, metadata: {func_name}}]``  | LiveCodeBench, DeepCoder, SkyRL |
| typed   | ``[{type, fn_name, input, output}]``                    | PrimeIntellect, open-r1         |
| asserts | ``["assert f(1) == 2"]``, also under ``assert_case``    | open-instruct, verl             |

Arguments of a call are a list, or JSON texts on a line each, as LiveCodeBench's graders read them
(``json.loads`` of every line). ``lists`` and ``typed`` come from APPS, whose graders accept the first
item of an expected list in its place, and whose sets wrap every result in a list of one. So if all
results of a problem are lists of one item, the item is the expected result and the list will do too;
of longer lists the whole is expected, which is stricter. A dictionary whose keys are numbers as
text stands for one with numbers, as in those graders.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlef.problems import plain
from rlef.problems.asserts import Inexpressible, asserted_tests
from rlef.problems.corpora.rendering import as_assert
from rlef.problems.literals import value_of
from rlef.problems.tables import parse_json
from rlef.problems.types import Form, Problem, TestCase


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The tests in a row, in its order, and how they are run."""

    form: Form
    tests: tuple[TestCase, ...]
    entry_point: str | None = None


def read_tests(value: object, name: str | None = None) -> Tested:
    """Tests in any of the dialects, as data or as the text of such data.

    ``name``: the function, where the row names it elsewhere. Raises ``Inexpressible`` with the reason.
    """
    value = unpacked(value)
    if isinstance(value, dict) and isinstance(value.get("assert_case"), list):
        value = value["assert_case"]
    if isinstance(value, dict):
        return _of_lists(value, name)
    if not isinstance(value, list) or not value:
        raise Inexpressible("no tests")
    if all(isinstance(item, str) for item in value):
        return _of_asserts(value)
    if all(isinstance(item, dict) and "input" in item and "output" in item for item in value):
        return _of_cases(value, name)
    raise Inexpressible("its tests are in a form that is not known")


def unpacked(value: object) -> object:
    """The data in a text of JSON or of Python constants; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        pass
    try:
        return value_of(ast.parse(value.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Inexpressible("neither JSON nor Python constants (encoded tests are not decoded)") from None


def write_lists(problem: Problem) -> dict[str, Any]:
    """The tests as ``lists``. Raises ``Inexpressible`` if the dialect can't say them."""
    pairs = _pairs(problem, wraps=True)
    found: dict[str, Any] = {"inputs": [given for given, _ in pairs], "outputs": [want for _, want in pairs]}
    return found | ({"fn_name": problem.entry_point} if problem.form == "call" else {})


def write_cases(problem: Problem) -> list[dict[str, Any]]:
    """The tests as ``cases``. Raises ``Inexpressible`` if the dialect can't say them."""
    kind = "functional" if problem.form == "call" else "stdin"
    more = {"testtype": kind, "metadata": {"func_name": problem.entry_point}}
    return [{"input": given, "output": want} | more for given, want in _pairs(problem)]


def write_typed(problem: Problem) -> list[dict[str, Any]]:
    """The tests as ``typed``. Raises ``Inexpressible`` for calls: open-r1 runs every test on stdin."""
    if problem.form == "call":
        raise Inexpressible("it calls a function, and open-r1's reward runs every test on stdin")
    head = {"type": "stdin_stdout", "fn_name": None}
    return [head | {"input": given, "output": want} for given, want in _pairs(problem)]


def write_asserts(problem: Problem) -> list[str]:
    """The tests of calls as ``asserts``. Raises ``Inexpressible`` for what no assert says."""
    return [as_assert(problem.entry_point or "", test) for test in every_test(problem)]


def every_test(problem: Problem) -> tuple[TestCase, ...]:
    """All tests, the public ones first."""
    return problem.public_tests + problem.hidden_tests


# -- reading


def _of_asserts(texts: list[str]) -> Tested:
    name, tests = asserted_tests(texts, "", "")
    if asserted_tests(texts[::-1], "", "")[1] != tests:  # of two about one call the later counts
        raise Inexpressible("two asserts of the same call expect other results")
    return Tested(form="call", tests=tuple(tests.values()), entry_point=name)


def _of_lists(value: dict[str, Any], name: str | None) -> Tested:
    inputs, outputs = value.get("inputs"), value.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise Inexpressible("its tests are in a form that is not known")
    if len(inputs) != len(outputs):
        raise Inexpressible(f"{len(inputs)} inputs, but {len(outputs)} outputs")
    if not inputs:
        raise Inexpressible("no tests")
    called = _name(value.get("fn_name")) or _name(_inside(value.get("metadata"), "func_name")) or name
    pairs = list(zip(inputs, outputs, strict=True))
    return _of_calls(pairs, called, wraps=True) if called else _of_streams(pairs)


def _of_cases(cases: list[dict[str, Any]], name: str | None) -> Tested:
    kinds = {str(case.get("testtype") or case.get("type") or "stdin") for case in cases}
    names = {
        _name(case.get("fn_name")) or _name(_inside(case.get("metadata"), "func_name")) for case in cases
    }
    if len(kinds) > 1 or len(names) > 1:
        raise Inexpressible("tests of several kinds, or of several functions")
    kind, called = kinds.pop(), names.pop() or name
    pairs = [(case["input"], case["output"]) for case in cases]
    if kind in ("stdin", "stdin_stdout"):
        return _of_streams(pairs)
    if kind not in ("functional", "function_call"):
        raise Inexpressible(f"tests of the kind {kind!r}")
    if not called:
        raise Inexpressible("its tests call a function that is not named")
    return _of_calls(pairs, called, wraps="type" in cases[0])


def _of_streams(pairs: Sequence[tuple[Any, Any]]) -> Tested:
    tests = tuple(TestCase(input=_stream(given), output=_stream(want)) for given, want in pairs)
    return Tested(form="stdin", tests=tests)


def _stream(value: Any) -> str:
    """A stream; some sets give it as its lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise Inexpressible("an input or output that is no text")
    return value


def _of_calls(pairs: Sequence[tuple[Any, Any]], name: str, wraps: bool) -> Tested:
    calls = [_call(given, want) for given, want in pairs]
    if wraps:
        calls = [(_numbered(arguments), _numbered(result)) for arguments, result in calls]
        wraps = all(isinstance(result, list) and len(result) == 1 for _, result in calls)
    tests = []
    for arguments, result in calls:
        output, also = (result[0], (_plain(result),)) if wraps else (result, ())
        tests.append(TestCase(input=_plain(arguments), output=_plain(output), also=also))
    return Tested(form="call", tests=tuple(tests), entry_point=name)


def _call(given: Any, want: Any) -> tuple[list[Any], Any]:
    """Arguments and result. Texts are JSON: a line an argument."""
    if isinstance(given, list):
        return given, want
    if not isinstance(given, str):
        raise Inexpressible("arguments that are neither a list nor text")
    return [_json(line) for line in given.rstrip("\n").split("\n")], _json(want) if isinstance(
        want, str
    ) else want


def _numbered(value: Any) -> Any:
    """A list of one dictionary, or a dictionary, with the numbers that JSON made texts of."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return [_numbered(value[0])]
    return _with_numbers(value) if isinstance(value, dict) else value


def _with_numbers(value: dict[str, Any]) -> dict[Any, Any]:
    try:  # as the graders do
        return {int(key) if isinstance(key, str) else key: item for key, item in value.items()}
    except ValueError:
        return value


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        raise Inexpressible("an argument or a result that is not JSON") from None


def _plain(value: Any) -> str:
    try:
        return plain.dumps(value)
    except (plain.NotPlain, RecursionError) as reason:
        raise Inexpressible(str(reason)) from None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _inside(value: Any, key: str) -> Any:
    """A value in a dictionary, which may be the text of one."""
    try:
        value = unpacked(value or {})
    except Inexpressible:
        return None
    return value.get(key) if isinstance(value, dict) else None


# -- writing


def _pairs(problem: Problem, wraps: bool = False) -> list[tuple[str, str]]:
    """Input and output of every test as texts; arguments as JSON, one a line."""
    if problem.form == "stdin":
        if any(test.also for test in every_test(problem)):
            raise Inexpressible("several outputs are right, the form knows one")
        return [(test.input, test.output) for test in every_test(problem)]
    return [_call_texts(test, wraps) for test in every_test(problem)]


def _call_texts(test: TestCase, wraps: bool) -> tuple[str, str]:
    if test.check != "equal":
        raise Inexpressible(f"the form has no check {test.check.split(':')[0]!r}")
    arguments, result = _value(test.input), _value(test.output)
    if wraps and test.also == (_plain([result]),):
        result = [result]
    elif test.also:
        raise Inexpressible("several results are right, the form knows one")
    if not arguments:
        raise Inexpressible("the form has no call without arguments")
    if wraps and any(_cut(value) for value in (arguments, result)):
        raise Inexpressible("a first dictionary without words for keys, after which the graders stop reading")
    try:
        return "\n".join(json.dumps(argument) for argument in arguments), json.dumps(result)
    except ValueError:
        raise Inexpressible("a number of more digits than others read") from None


def _cut(value: Any) -> bool:
    """True if APPS's graders, which make numbers of a first dictionary's keys, drop what follows it."""
    first = value[0] if isinstance(value, list) and len(value) > 1 else None
    return isinstance(first, dict) and (not first or _with_numbers(first) is not first)


def _value(text: str) -> Any:
    if not text:
        raise Inexpressible("a test has no result yet")
    return _as_json(plain.parse(text))


def _as_json(value: Any) -> Any:
    """A parsed value as JSON has it; numbers that are keys become texts, which reading back may undo."""
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, plain.Pairs) and all(type(key) is int for key, _ in value.by_key.values()):
        return {str(key): _as_json(item) for key, item in value.by_key.values()}
    if value is not None and not isinstance(value, bool | int | float | str):
        raise Inexpressible(f"the form is JSON, which has no {type(value).__name__.lower()}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Inexpressible("the form is JSON, which has no such number")
    return value
