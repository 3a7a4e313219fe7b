"""Checks of returned values against Python's own verdict on the assertion that they stand for."""

# ruff: noqa: E501 (tables read better whole)

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.judge.views import holds
from rlef.problems import plain
from rlef.problems.asserts import asserted_tests
from rlef.problems.checks import split_check
from test_problems_plain import values

VALUES = [
    None, True, False, 0, 1, -2, 3.0, 0.33, 0.3300004, 1e400, -0.0, 2.5, 10**30, "", "abc", "12", "cab", " 7 ",
    b"", b"ab", [], [1], [3, 1, 2], [1, 2, 3], (3, 1, 2), (), [[2], [1]], ["b", "a"], [1, "a"], [0.1 + 0.2],
    {1, 2, 3}, set(), frozenset({1}), {"a": 1}, {}, {3: 1, 1: 2}, 2j, 1 + 0j, [None], [(1, 2), (0, 5)], {(1, 2): 3},
]  # fmt: skip

ASSERTS = [
    "f(1)", "not f(1)", "f(1) == 3", "3 == f(1)", "f(1) is None", "f(1) in [1, 3, 'abc']", "f(1) in ('', [], 2.5)",
    "abs(f(1) - 0.33) < 1e-6", "abs(0.33 - f(1)) < 1e-6", "abs(f(1) - 3) <= 0.5", "abs(f(1) - 2.5) <= 0.5",
    "abs(f(1) - 2.5) < 0.5", "math.fabs(f(1) - 1) < 2", "round(f(1), 2) == 0.33", "round(f(1), 0) == 3.0",
    "int(f(1)) == 12", "int(f(1)) == 2", "float(f(1)) == 12.0", "len(f(1)) == 3", "len(f(1)) == 0",
    "sorted(f(1)) == [1, 2, 3]", "sorted(f(1)) == ['a', 'b', 'c']", "sorted(f(1)) == []", "set(f(1)) == {1, 2, 3}",
    "set(f(1)) == set()", "set(f(1)) == set([1])", "list(f(1)) == [3, 1, 2]", "list(f(1)) == ['a']", "list(f(1)) == [3, 1]",
    "tuple(f(1)) == tuple([3, 1, 2])", "tuple(f(1)) == (1, 2, 3)", "f(1) == (3, 1, 2)", "f(1) == {1, 2, 3}",
    "f(1) == frozenset({1})", "f(1) == {3: 1, 1: 2}", "f(1) == {(1, 2): 3}", "f(1) == {'a': 1}", "f(1) == 3 * 4",
    "f(1) == 'ab' + 'c'", "f(1) == [(1, 2), (0, 5)]", "f(1) == float('inf')", "f(1) == 10**30", "f(1) == 2j",
    "math.isclose(f(1), 0.33)", "math.isclose(f(1), 0.33, rel_tol=1e-5)", "math.isclose(0.33, f(1), abs_tol=0.1)",
    "math.isclose(f(1), 3, rel_tol=0.0, abs_tol=0.5)", "bool(f(1)) == True", "bool(f(1)) == False", "f(1) == b'ab'",
]  # fmt: skip


def python_says(text, value):
    try:
        return bool(eval(text, {"f": lambda x: value, "math": math}))
    except (TypeError, ValueError, ArithmeticError):
        return False


def judge_says(text, value):
    name, tests = asserted_tests([f"assert {text}"], "", "def f(x): pass")
    ((_, test),) = tests.items()
    assert name == "f" and test.input == "[1]" and test.check != "code", text
    got = plain.parse(plain.dumps(value))
    return any(holds(test.check, plain.parse(want), got) for want in (test.output, *test.also))


def lenient(text, value):
    """Where the judge's comparison is known to be another: floats, bools and numbers, lists and tuples."""
    got = repr(value)
    return (
        ("0.33" in text and "0.33" in got)
        or (value is True or value is False)
        or isinstance(value, tuple)
        or value in ([0.1 + 0.2],)
    )


@pytest.mark.parametrize("text", ASSERTS)
def test_a_rewritten_assertion_holds_for_the_values_that_python_says(text):
    for value in VALUES:
        if python_says(text, value) != judge_says(text, value):
            assert lenient(text, value), (text, value)


@pytest.mark.parametrize(
    "text, value, verdict",
    [
        ("f(1) == 0.33", 0.3300004, True),  # the judge's tolerance
        ("round(f(1), 2) == 0.33", 0.3300004, True),
        ("abs(f(1) - 0.33) < 1e-9", 0.3300004, False),  # but none where the assertion has its own
        ("math.isclose(f(1), 0.33)", 0.3300004, False),
        ("f(1) == 1", True, False),
        ("f(1) == True", 1, False),
        ("f(1) == [3, 1, 2]", (3, 1, 2), True),
        ("f(1) == (3, 1, 2)", [3, 1, 2], False),
        ("tuple(f(1)) == (3, 1, 2)", [3, 1, 2], True),
    ],
)
def test_where_the_judge_is_known_to_differ_or_not_to(text, value, verdict):
    assert judge_says(text, value) is verdict


@settings(deadline=None, max_examples=200)
@given(values, st.sampled_from(ASSERTS))
def test_no_value_breaks_a_check(value, text):
    if "nan" not in repr(value):
        assert judge_says(text, value) in (True, False)


@pytest.mark.parametrize(
    "check",
    [
        "",
        "Equal",
        "round",
        "round:x",
        "round:1.5",
        "round:1:2",
        "below",
        "below:nan",
        "isclose:1",
        "eval",
        "code:1",
    ],
)
def test_no_other_check_is_known(check):
    with pytest.raises(ValueError):
        split_check(check)
