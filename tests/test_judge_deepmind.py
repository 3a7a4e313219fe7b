"""`deepmind` against the runner's own tests and a reading of its rule that goes character by character."""

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.judge.compare import matches

quick = settings(deadline=None, max_examples=400)

OWN_TESTS = [
    ("abc def", "abc def", True),
    ("abc deg", "abc def", False),
    ("abc def", "abc def 123", False),
    ("abc DEF", "abc def", True),
    ("abc 123", "abc 123.000001", True),
    ("abc 123", "abc 123.1", False),
]
"""The table in CodeContests' ``execution/tester_sandboxer_test.cc``, OutputsMatchTest."""

RULES = [
    ("YES", "yes", True),
    ("Ä", "ä", False),  # ASCII letters only
    ("a b\nc", "a\r\n\tb\vc", True),
    ("a\fb", "a b", False),  # a form feed is no white space
    ("\f5\f", "5.0", True),  # but is none of a number
    ("\fx", "x", False),
    ("007", "+7", True),
    ("1E3", "1000", True),
    ("-0", "0", True),
    ("5", "5.", True),
    ("5", ".5e1", True),
    ("0", ".", False),
    ("0", ".e1", False),
    ("1", "1e", False),
    ("5", "+-5", False),
    ("5", "--5", False),
    ("16", "0x10", False),
    ("15", "1_5", False),
    ("5", "5\0", False),
    ("1.5", "١.٥", False),
    ("0", "0.000009", True),
    ("0", "0.00001", False),  # less than, not at most
    ("0.00001", "0", False),
    ("1000000000", "1000000000.0001", False),  # no relative tolerance
    ("9007199254740993", "9007199254740992", True),  # doubles
    ("12345678901234567890", "12345678901234567891", True),
    ("12345678901234567890", "12345678901234577891", False),
    ("4294967296", "0", False),  # no wrap at 32 bits
    ("nan x 1", "nan x 1", True),
    ("nan x 1", "NAN x 1", True),
    ("nan x 1", "nan x 1.0", False),  # nan is near nothing, itself included
    ("nan(1) 1", "nan(1) 1.0", False),
    ("nan( 1", "nan( 1.0", True),  # a word
    ("nan(-) 1", "nan(-) 1.0", True),
    ("inf x 1", "inf x 1", True),
    ("inf x 1", "inf x 1.0", False),
    ("infinity 1", "infinity 1.0", False),
    ("-infin 1", "-infin 1.0", True),  # a word
    ("inf", "infinity", False),
    ("1e999", "2e999", False),
    ("1e999", "1e999", True),
    ("1e-999", "0", True),
    ("0e999", "0", True),
    ("", " \n", True),
    ("", "0", False),
]


@pytest.mark.parametrize("expected, got, answer", OWN_TESTS + RULES)
def test_deepmind_by_example_in_both_directions(expected, got, answer):
    assert matches(expected, got.encode(), "deepmind") is answer
    assert matches(got, expected.encode(), "deepmind") is answer
    assert by_the_book(expected.encode(), got.encode()) is answer


def by_the_book(a, b):
    """The rule as the C++ goes about it: split, fold, then numbers by a machine that reads bytes."""
    a, b = split(a), split(b)
    return a == b or (len(a) == len(b) and all(value_matches(x, y) for x, y in zip(a, b, strict=True)))


def split(text):
    words, word = [], []
    for byte in [*text, ord(" ")]:
        if byte in b" \n\t\r\v":
            words += [bytes(word)] if word else []
            word = []
        else:
            word.append(byte + 32 if ord("A") <= byte <= ord("Z") else byte)
    return words


def value_matches(x, y):
    a, b = read(x), read(y)
    if a is None or b is None:
        return x == y
    if not (isinstance(a, Fraction) and isinstance(b, Fraction)):
        return False
    try:
        a, b = a.numerator / a.denominator, b.numerator / b.denominator  # rounds as IEEE 754 has it
    except OverflowError:  # at least one is infinite
        return False
    return abs(a - b) < 1e-5


def read(word):
    """An exact number, "no number near anything", or None for a word that is no number."""
    text = list(word.decode("latin-1"))
    while text and text[0] == "\f":
        text.pop(0)
    while text and text[-1] == "\f":
        text.pop()
    negative = text[:1] == ["-"]
    if text[:1] in (["+"], ["-"]):
        text.pop(0)
    rest = "".join(text)
    if rest in ("inf", "infinity", "nan"):
        return rest
    if rest.startswith("nan(") and rest.endswith(")") and all(c in IN_NAN for c in rest[4:-1]):
        return "nan"
    mantissa, mark, exponent = rest.partition("e")
    whole, _, part = mantissa.partition(".")
    power = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    if (
        not (whole or part)
        or any(c not in "0123456789" for c in whole + part + power)
        or (mark and not power)
    ):
        return None
    shift = min(int(power or "0"), 2000) * (-1 if exponent[:1] == "-" else 1) - len(part)
    return Fraction(int(whole + part)) * Fraction(10) ** shift * (-1 if negative else 1)


IN_NAN = "0123456789abcdefghijklmnopqrstuvwxyz_"
near = st.builds(
    "{}{}".format, st.integers(-3, 3), st.sampled_from(["", ".", ".00000", ".00001", ".000009", "e0"])
)
number_like = st.text("0123456789.eE+-\f", max_size=7) | st.floats().map(repr) | st.integers().map(str)
words = (
    near
    | number_like
    | st.sampled_from(["nan", "NaN(_a)", "nan(", "Inf", "+infinity", "infi", "X", "x", "é"])
)
gaps = st.text(" \n\t\r\v", min_size=1, max_size=2) | st.just("\f")


@st.composite
def outputs(draw):
    """Two outputs of equally many words, most of them alike."""
    parts = [[], []]
    for word in draw(st.lists(words, max_size=4)):
        other = draw(st.sampled_from([word, word, word.upper(), draw(words), draw(near)]))
        parts[0] += [word, draw(gaps)]
        parts[1] += [other, draw(gaps)]
    return ["".join(part).encode() for part in parts]


@settings(deadline=None, max_examples=1500)
@given(outputs())
def test_deepmind_goes_by_the_book(pair):
    assert matches(*pair, "deepmind") == by_the_book(*pair)


@quick
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_deepmind_goes_by_the_book_on_any_bytes(left, right):
    assert matches(left, right, "deepmind") == by_the_book(left, right)
    assert matches(left, left.swapcase(), "deepmind") == by_the_book(left, left.swapcase())


@quick
@given(st.floats(-100, 100), st.floats(-2e-5, 2e-5))
def test_numbers_match_if_they_are_less_than_a_hundred_thousandth_apart(number, off):
    other = number + off
    assert matches(f"a {number!r}", f"a {other!r}".encode(), "deepmind") == (math.fabs(number - other) < 1e-5)


def test_a_hostile_megabyte_is_compared_in_no_time():
    start = time.process_time()
    digits = b"1" * 2**20
    for expected in (digits, digits + b".", b"0." + digits, digits + b"x", b"nan(" + digits, b"1e" + digits):
        assert not matches(expected, digits[:-1] + b" x", "deepmind")
        assert matches(expected + b" 1", expected + b"\n1", "deepmind")
    assert not matches(digits + b" 1", digits + b" 1.0", "deepmind")  # both infinite
    assert matches(b"0." + digits, b"0.1111", "deepmind") is False
    assert matches(b"0." + digits, b"0.1111111", "deepmind")
    assert matches(b"1 " * 2**19, b"1.0\f " * 2**19, "deepmind")
    assert time.process_time() - start < 20
