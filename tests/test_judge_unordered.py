"""`unordered` against all permutations, against a plain matching, and on what makes pairing hard or slow."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.judge import tokens, unordered
from rlef.judge.compare import matches

quick = settings(deadline=None, max_examples=300)


def lines_of(text):
    return [line for line in text.split("\n") if line.split()]


def same_by_tokens(want, got):
    return matches(want, got.encode(), "tokens")


def some_order_matches(want, got):
    """The meaning of `unordered`, by trying: is there an order in which the lines match by `tokens`?"""
    wants, gots = lines_of(want), lines_of(got)
    orders = itertools.permutations(gots) if len(wants) == len(gots) else []
    return any(all(map(same_by_tokens, wants, order)) for order in orders)


def plain_matching(want, got):
    """The same by Kuhn's algorithm on single lines, for more lines than can be permuted."""
    wants, gots = lines_of(want), lines_of(got)
    right = [[j for j, g in enumerate(gots) if same_by_tokens(w, g)] for w in wants]
    partner = {}

    def placed(i, seen):
        for j in right[i]:
            if j not in seen:
                seen.add(j)
                if j not in partner or placed(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    return len(wants) == len(gots) and all(placed(i, set()) for i in range(len(wants)))


# Steps of 0.7 millionths: a number is the same as its neighbours by `tokens`, and as no others.
chained = st.integers(-3, 4).map(lambda step: f"{1 + step * 7e-7:.7f}")
spelled = st.sampled_from(
    ["1", "+1", "01", "1.0", "1e0", "1.", "2", "-0", "0", "0.0", "-0.0", "x", "X", "nan", "1e999", "1e998"]
)
word = chained | spelled
line = st.lists(word, max_size=3).map(" ".join)
text = st.lists(line, max_size=5).map("\n".join)


@quick
@given(text, text)
def test_any_two_texts_match_only_if_some_order_of_the_lines_does(want, got):
    assert matches(want, got.encode(), "unordered") == some_order_matches(want, got)


@st.composite
def two_tables(draw, most):
    """Two tables with as many rows and columns, of decimals that are nearly the same."""
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, 2))
    few = st.sampled_from(draw(st.lists(chained, min_size=1, max_size=6)))
    table = st.lists(
        st.lists(few, min_size=columns, max_size=columns).map(" ".join), min_size=rows, max_size=rows
    )
    return "\n".join(draw(table)), "\n".join(draw(table))


@quick
@given(two_tables(6))
def test_near_decimals_match_only_if_some_order_of_the_lines_does(tables):
    want, got = tables
    assert matches(want, got.encode(), "unordered") == some_order_matches(want, got)


@quick
@given(two_tables(25))
def test_many_near_decimals_with_repeated_lines_agree_with_a_plain_matching(tables):
    want, got = tables
    assert matches(want, got.encode(), "unordered") == plain_matching(want, got)


@st.composite
def noisy_tables(draw):
    """A table, and its rows shuffled and a step off: the same but for the order, or nearly."""
    steps = st.tuples(st.integers(-2, 3), st.integers(-2, 3))
    few = draw(st.lists(steps, min_size=2, max_size=8))
    rows = draw(st.lists(st.sampled_from(few), min_size=8, max_size=40))
    off = st.tuples(*[st.sampled_from([-1, 0, 1])] * 2)
    noisy = [(a + x, b + y) for a, b in rows for x, y in [draw(off)]]
    if draw(st.booleans()):
        noisy[-1] = draw(steps)
    said = ("\n".join(f"{1 + a * 7e-7:.7f} {1 + b * 7e-7:.7f}" for a, b in table) for table in (rows, noisy))
    return tuple(said)


@settings(deadline=None, max_examples=1000)
@given(noisy_tables())
def test_pairs_are_changed_where_that_makes_room_and_no_line_is_used_twice(tables):
    want, got = tables
    assert matches(want, got.encode(), "unordered") == plain_matching(want, got)


@quick
@given(st.lists(line, max_size=30), st.randoms(use_true_random=False))
def test_shuffled_lines_match_and_a_lost_or_changed_line_does_not(lines, random):
    want, got = "\n".join(lines), random.sample(lines, len(lines))
    assert matches(want, "\n \n".join([*got, ""]).encode(), "unordered")
    for lost, found in (("", "y"), ("y", ""), ("y", "z"), ("0.5", "0.6"), ("5", "5.0"), ("0.5 y", "0.5")):
        changed = "\n".join([*got, found]).encode()
        assert not matches(f"{lost}\n{want}", changed, "unordered")


@pytest.mark.parametrize(
    "want, got, answer",
    [
        ("a\nb", "b\na", True),
        ("a b\nc", "c\n  a   b\r\n", True),
        ("a\na\nb", "a\nb\nb", False),  # a multiset, not a set
        ("a b", "b a", False),  # the words of a line keep their order
        ("a b", "a\nb", False),
        ("", "\n", True),
        ("1\n1.0", "1.0\n1", True),  # 1 is right for both, 1.0 for one
        ("1\n1.0", "1.0\n1.0", False),
        ("1\n1.0", "1\n2.0", False),
        ("1e999\n0.5 1.0\n0.5000001 2.0", "0.5000001 1.0\n0.5 2.0\n1e999", True),
        ("1 2.0\n1.0 2", "1 2.0\n1.0 2", True),
        ("1 2.0\n1.0 2", "1 2\n1 2.0", True),
        ("1.0\n1.0000008", "1.0\n0.9999995", True),  # not if the two 1.0 are paired
        ("1.0\n1.0000008", "0.9999995\n0.9999995", False),
        # Three lines have only 1.0, which is there twice, once paired with 1.0000007, which can go elsewhere.
        ("1.0000007\n0.9999993\n1.0\n1.0", "1.0\n1.0\n1.0000014\n1.0000014", False),
        ("0.5 1.0\n0.5000001 2.0", "0.5000001 1.0\n0.5 2.0", True),  # not in sorted order
        ("1e300 1.0\n1e300 2.0", "1.0000001e300 1.0\n1e300 2", True),
        ("-1000.0 x\n-1000.0 y", "-1000.0009 x\n-1000.0 y", True),
        ("0.5 1.0\n0.5 2.0", "nan 1.0\n0.5 2.0", False),
        ("0.5 1.0\n0.5 2.0", "0.5 x\n0.5 2.0", False),
    ],
)
def test_unordered_by_example(want, got, answer):
    assert matches(want, got.encode(), "unordered") is answer
    assert some_order_matches(want, got) is answer


finite = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-2, 2)
nearly = st.floats(-1.5e-6, 1.5e-6)


@settings(deadline=None, max_examples=2000)
@given(finite, nearly, st.booleans())
def test_what_is_the_same_lies_in_a_cell_within_reach(number, off, relative):
    # Otherwise the search would overlook a pair.
    want, got = (repr(n).encode() for n in (number, number * (1 + off) if relative else number + off))
    if tokens.tolerant(want) and tokens.same(want, got):
        for line, other in (((want,), (got,)), ((b"0.0", want), (b"0.0", got))):
            decimals = tuple(range(len(line)))
            (cell,) = unordered._cells(other, decimals, 0)
            assert cell in set(unordered._cells(line, decimals, unordered._MARGIN))


def timed(want, got):
    start = time.process_time()
    answer = matches(want, got.encode(), "unordered")
    return answer, time.process_time() - start


def test_ten_thousand_noisy_points_of_a_grid_are_paired_in_no_time():
    points = [(x / 100, y / 100) for x in range(100) for y in range(100)]
    want = "\n".join(f"{x} {y}" for x, y in points)
    noisy = [f"{x + (i * 7919 % 19 - 9) * 1e-7:.9f} {y:.3f}" for i, (x, y) in enumerate(points)]
    got = "\n".join(reversed(noisy))
    answer, seconds = timed(want, got)
    assert answer and seconds < 10
    answer, seconds = timed(want, got.replace("0.500", "0.501"))
    assert not answer and seconds < 10


def test_what_a_hostile_program_prints_is_judged_within_the_limit_of_looks():
    # Every printed line is right for every expected one but for the last words, which never are.
    want = "\n".join(f"0.5 0.{i:09} x" for i in range(2000))
    got = "\n".join(f"0.5 0.{i:010} y" for i in range(2000))
    answer, seconds = timed(want, got)
    assert not answer and seconds < 10
    # Here each pair may do until the last line, which no other can replace.
    want = "\n".join(f"0.0{i:08} 0.5" for i in range(2000))
    got = "\n".join([f"0.0{i:08}1 0.5" for i in range(1999)] + ["0.01 0.5"])
    answer, seconds = timed(want, got)
    assert not answer and seconds < 10


def test_a_search_that_is_too_long_says_no_and_never_yes(monkeypatch):
    want, got = "0.5 1.0\n0.5000001 2.0", b"0.5000001 1.0\n0.5 2.0"
    assert matches(want, got, "unordered")
    monkeypatch.setattr(unordered, "_LOOKS", (0, 1))
    assert not matches(want, got, "unordered")
    assert matches(want, want.encode(), "unordered")  # what is found in sorted order needs no search


def test_a_megabyte_in_one_line_or_in_short_ones_takes_seconds_at_most():
    long = "0.5 " * 2**18
    assert timed(long + "\n1.0", "1.0\n" + long.replace("5", "50"))[1] < 20
    assert timed(long + "\n1.0", "1.0\n" + long + "x")[1] < 20
    short = "0.5\n" * 2**18
    answer, seconds = timed(short + "0.25", "0.25\n" + short)
    assert answer and seconds < 20
    answer, seconds = timed(short + "0.25 1.0", "0.3 1.0\n" + short)
    assert not answer and seconds < 20
