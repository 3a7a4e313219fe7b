"""Comparison against oracles that go another way: Python integers, exact fractions, a regular expression."""

import asyncio
import re
from decimal import Decimal
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.judge.compare import answers, matches
from rlef.judge.judge import Judge
from rlef.judge.scripted import ScriptedSandbox
from rlef.problems.types import Comparison, Problem, TestCase

quick = settings(deadline=None, max_examples=150)
blank = st.text(" \t\n\r\v\f", min_size=1, max_size=3)
MODES = [mode for mode in get_args(Comparison) if mode != "checker"]
modes = st.sampled_from(MODES)
words = st.lists(st.text("abcXYZ.,:-", min_size=1, max_size=4), min_size=1, max_size=6)


def spaced(draw, tokens):
    """The tokens with random white space around and between them."""
    return draw(blank) + "".join(token + draw(blank) for token in tokens)


@quick
@given(st.data(), words)
def test_white_space_between_tokens_never_matters(data, tokens):
    assert matches(spaced(data.draw, tokens), spaced(data.draw, tokens).encode(), "tokens")


@quick
@given(words, words)
def test_words_match_only_if_they_are_the_same_words(left, right):
    # No strategy above writes a number, so equality of the lists is the whole truth.
    assert matches(" ".join(left), " ".join(right).encode(), "tokens") == (left == right)


@quick
@given(words, st.integers(0, 5))
def test_a_missing_or_an_extra_token_is_a_wrong_answer(tokens, where):
    shorter = tokens[: where % len(tokens)] + tokens[where % len(tokens) + 1 :]
    assert not matches(" ".join(tokens), " ".join(shorter).encode(), "tokens")
    assert not matches(" ".join(shorter), " ".join(tokens).encode(), "tokens")


def written(draw, number):
    """A whole number in some spelling: plus sign, leading zeros, minus zero."""
    sign = "-" if number < 0 else draw(st.sampled_from(["", "+"] + (["-"] if number == 0 else [])))
    return sign + "0" * draw(st.integers(0, 3)) + str(abs(number))


@quick
@given(st.data(), st.integers(-(10**30), 10**30), st.integers(-2, 2))
def test_whole_numbers_are_compared_exactly(data, number, off):
    got = written(data.draw, number + off).encode()
    assert matches(written(data.draw, number), got, "tokens") == (off == 0)


def test_twenty_digits_off_by_one_are_wrong_although_they_are_equal_as_floats():
    assert float(9007199254740993) == float(9007199254740992)
    assert not matches("9007199254740993", b"9007199254740992", "tokens")


decimals = st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False)


@quick
@given(decimals, st.sampled_from([Decimal(p) / 100 for p in (0, 50, 99, 101, 150, 10**6)]), st.booleans())
def test_decimals_match_within_a_millionth_absolute_or_relative(number, share, below):
    want = Fraction(number)
    bound = max(Fraction(1, 10**6), abs(want) / 10**6)
    got = want + (-1 if below else 1) * Fraction(share) * bound
    text = f"{Decimal(got.numerator) / Decimal(got.denominator):.12f}"
    error = abs(Fraction(text) - want)
    if abs(error - bound) < bound / 500:
        return  # too near the edge for float arithmetic to be asked
    assert matches(f"{number:.4f}", text.encode(), "tokens") == (error <= bound)


@pytest.mark.parametrize(
    "expected, got, answer",
    [
        ("0.5", ".5", True),
        ("3.0", "3", True),
        ("3", "3.0", False),  # where a whole number is asked, a decimal is another answer
        ("1e3", "1000", True),
        ("1000.0", "1e3", True),
        ("1.0", "1.0000009", True),
        ("1.0", "1.000002", False),
        ("1000000.0", "1000000.9", True),
        ("0.0", "-0.0", True),
        ("1.5", "nan", False),
        ("1.5", "inf", False),
        ("1e999", "1e998", False),
        ("1e999", "inf", False),
        ("1.5", "1_5e-1", False),
        ("1.5", "0x1p1", False),
        ("1.5", "١.٥", False),  # digits of another script are words
        ("Yes", "yes", False),  # letter case may be just what the problem is about
        ("nan", "inf", False),
        ("", "", True),
        ("", "x", False),
        ("x", "", False),
    ],
)
def test_tokens_by_example(expected, got, answer):
    assert matches(expected, got.encode(), "tokens") is answer


@given(st.sampled_from(["nan", "NaN", "-nan", "inf", "Infinity"]), st.floats())
def test_no_number_is_close_to_nan_or_infinity(word, number):
    if repr(number) != word:
        assert not matches(repr(number), word.encode(), "tokens")
        assert not matches(word, repr(number).encode(), "tokens")


@quick
@given(modes, st.binary(max_size=60), st.binary(max_size=60))
def test_comparison_is_total_reflexive_and_ordered_by_strictness(mode, left, right):
    assert matches(left, left, mode)
    assert matches(left, right, mode) in (True, False)
    if matches(left, right, "exact"):
        assert left == right
    if matches(left, right, "lines"):
        assert matches(left, right, "tokens")
        assert matches(left, right, "unordered")


texts = st.text("aA01. \n", max_size=4) | st.sampled_from(["1.0", "1", "a\nb", "b\na"])


@quick
@given(modes, st.lists(texts, min_size=1, max_size=4), texts)
def test_a_test_accepts_what_one_of_its_outputs_accepts_whatever_their_order(mode, accepted, got):
    one_does = any(matches(expected, got.encode(), mode) for expected in accepted)
    for outputs in (accepted, accepted[::-1]):
        test = TestCase(input="", output=outputs[0], also=tuple(outputs[1:]))
        assert answers(test, got.encode(), mode) == one_does


def test_outputs_are_accepted_whole_and_not_mixed_line_by_line():
    test = TestCase(input="", output="1\n2", also=("3\n4",))
    assert answers(test, b"3\n4\n", "tokens")
    assert not answers(test, b"1\n4\n", "tokens")
    assert not answers(test, b"1\n2\n3\n4\n", "unordered")


def lines_oracle(text):
    """Another way to say it: erase white space before line ends, then before the end."""
    return re.sub(rb"[ \t\r\v\f]+(?=\n|\Z)", b"", text + b"\n").rstrip(b"\n")


@quick
@given(st.text("a \t\n\r", max_size=12), st.text("a \t\n\r", max_size=12))
def test_lines_agree_with_a_regular_expression(left, right):
    left, right = left.encode(), right.encode()
    assert matches(left, right, "lines") == (lines_oracle(left) == lines_oracle(right))


def test_lines_keeps_what_tokens_forgives():
    assert matches("a b\n c", b"a b  \n c\n\n", "lines")
    assert not matches("a b", b"a  b", "lines")
    assert not matches("a\nb", b"a b", "lines")
    assert not matches("a", b"\na", "lines")


def test_exact_wants_every_byte():
    assert matches("a\n", b"a\n", "exact")
    assert not matches("a\n", b"a", "exact")
    assert matches(b"\xff", b"\xff", "exact")


def test_a_hostile_megabyte_is_compared_in_no_time():
    # Quadratic steps (int() of many digits, a backtracking pattern) would take minutes here.
    digits = b"1" * 2**20
    for expected in (digits, digits + b".", b"0." + digits, digits + b"x"):
        assert not matches(expected, digits[:-1], "tokens")
        assert matches(expected, expected, "tokens")
    assert matches(b"0" + digits, b"+" + digits, "tokens")


@pytest.mark.parametrize(
    "output, accepting",
    [
        ("A\nb", {"unordered"}),
        ("B a", {"deepmind"}),
        ("b A", {"tokens", "deepmind"}),
        ("b\nA", {"tokens", "unordered", "lines", "deepmind"}),
        ("b\nA\n", set(MODES)),
    ],
)
def test_the_comparison_of_the_problem_decides_and_reports_are_kept_for_each(output, accepting):
    judge = Judge(ScriptedSandbox(lambda source, stdin: b"b\nA\n"))
    tests = (TestCase(input="", output=output),)
    for mode in MODES:
        problem = Problem(id="p", statement="s", public_tests=tests, comparison=mode)
        assert asyncio.run(judge.public(problem, "any")).passed == (mode in accepting)
