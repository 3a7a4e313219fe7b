"""Results of called functions as plain data."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.judge import plain
from rlef.problems.plain import dumps

_keys = st.text(max_size=3).filter(lambda key: not key.startswith("$"))  # that would be a tag
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_a_value_equals_itself_after_the_journey(value):
    assert plain.equal(value, plain.parse(json.dumps(value)))


def kinds(value):
    """A value with its types made visible, so that ``==`` compares them too."""
    if isinstance(value, list):
        return [kinds(item) for item in value]
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return (type(value).__name__, value)


whole = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=1),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=400)
@given(whole, whole)
def test_without_floats_values_are_equal_if_types_and_values_are(left, right):
    assert plain.equal(left, right) == (kinds(left) == kinds(right))


@pytest.mark.parametrize(
    "want, got, answer",
    [
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        (1.0, True, False),
        (3, 3.0, True),  # as == has it in the data sets' assertions
        (3, 3.0000001, False),
        (3.0, 3, True),
        (0.1 + 0.2, 0.3, True),
        (1.0, 1.00001, False),
        (10**400, 10**400 + 1, False),
        (1.5, 10**400, False),
        ([1, 2], [1, 2, 3], False),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("1", 1, False),
        (None, 0, False),
        ([], {}, False),
        ([[]], [[]], True),
        ([1, (2,)], (1, (2,)), True),  # where JSON says a list, a tuple will do
        ((1, 2), [1, 2], False),
        ((1, [2]), (1, (2,)), True),
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 10**400, False),
        (1.0, math.inf, False),
        (0.0, -0.0, True),
        (2j, 2.0000001j, True),
        (2j, 2.1j, False),
        (2j, 2, False),
        (2 + 0j, 2, True),
        (2, 2 + 0j, True),
        (2j, True, False),
        (2j, complex("nan"), False),
        (b"a", b"a", True),
        (b"a", "a", False),
    ],
)
def test_equality_by_example(want, got, answer):
    assert plain.equal(want, got) is answer


@pytest.mark.parametrize(
    "want, got, answer",
    [
        ({1, 2}, {2, 1.0}, True),
        ({1, 2}, {1, 2, 3}, False),
        ({1}, {True}, False),
        ({1}, [1], False),
        ({1}, frozenset({1}), True),  # as == has it
        ({0.1 + 0.2}, {0.3}, False),  # no tolerance within sets
        (set(), set(), True),
        (set(), {}, False),
        ({frozenset({(1, 2)})}, {frozenset({(1, 2)})}, True),
        ({1: 0.1 + 0.2, "a": [1]}, {"a": (1,), 1.0: 0.3}, True),
        ({1: "a"}, {True: "a"}, False),
        ({1: "a"}, {"1": "a"}, False),
        ({(1, 2): 3}, {(1, 2): 4}, False),
        ({"a": 1}, {"a": 1, 2: 3}, False),
        ({}, {1: 2}, False),
        ({"$set": 1}, {"$set": 1}, True),
    ],
)
def test_equality_of_sets_and_of_keys_that_are_not_text(want, got, answer):
    texts = [dumps(want), dumps(got)]
    assert plain.equal(*map(plain.parse, texts)) is answer
    assert plain.equal(*([plain.parse(text)] for text in texts)) is answer


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "-Infinity",
        "",
        "1 2",
        "[1,]",
        "'a'",
        "[" * 100_000,
        "1" * 10_000,
        b"\xff",
        b"\x00",
    ],
)
def test_what_is_not_strict_json_is_not_plain(text):
    with pytest.raises(plain.NotPlain):
        plain.parse(text)


def test_deep_values_are_compared_without_recursion():
    deep = other = None
    for _ in range(50_000):
        deep, other = [deep], [other]
    assert plain.equal(deep, other)
    while deep:  # taken apart by hand: freeing a deep list is recursive in C
        deep, other = deep.pop(), other.pop()
