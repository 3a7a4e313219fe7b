"""What changed between two programs: told truly, whatever they are, and in bounded time."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlef.views import diff
from rlef.views.diff import compared, marked

programs = st.lists(st.text("ab ", max_size=3), max_size=12).map("\n".join)


def told(before, code):
    lines = list(compared(before, code))
    old = [line for kind, line in lines if kind != "add"]
    return old, [line for kind, line in lines if kind != "del"], lines


@given(programs, programs, st.sampled_from([0, 5, diff.PAIRS]))
def test_both_programs_can_be_read_off_the_comparison(before, code, pairs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "PAIRS", pairs)
        old, new, lines = told(before, code)
    assert old == before.rstrip("\n").split("\n") and new == code.rstrip("\n").split("\n")
    pieces = list(marked(lines))
    assert [(kind, "".join(text for _, text in parts)) for kind, parts in pieces] == lines
    assert not any(changed for kind, parts in pieces if kind == "same" for changed, _ in parts)


def test_a_first_program_has_nothing_changed():
    assert list(compared(None, "a\nb\n")) == [("same", "a"), ("same", "b")]


def test_of_a_rewritten_line_the_part_that_differs_is_marked():
    lines = list(compared('x = 1\nprint(",".join(x))\n', 'x = 1\nprint(";".join(x))\n'))
    (same,), removed, added = (parts for _, parts in marked(lines))
    assert same == (False, "x = 1")
    assert removed == ((False, 'print("'), (True, ","), (False, '".join(x))'))
    assert added == ((False, 'print("'), (True, ";"), (False, '".join(x))'))


def test_lines_with_little_in_common_have_no_part_marked():
    lines = list(compared("for i in range(9):", "while True:"))
    assert [parts for _, parts in marked(lines)] == [
        ((False, "for i in range(9):"),),
        ((False, "while True:"),),
    ]


def test_a_small_change_of_a_long_program_is_still_a_small_change():
    before = [f"line {n}" for n in range(1500)]
    code = [*before[:700], "new", *before[701:]]
    changed = [line for line in compared("\n".join(before), "\n".join(code)) if line[0] != "same"]
    assert changed == [("del", "line 700"), ("add", "new")]


def test_programs_that_repeat_their_lines_are_not_matched_line_by_line(monkeypatch):
    looked = []
    monkeypatch.setattr(diff.difflib, "SequenceMatcher", lambda **names: looked.append(names))
    before, code = "\n".join("xy" * 200), "\n".join("yxxy" * 100)
    old, new, lines = told(before, code)
    assert looked == [] and ("".join(old), "".join(new)) == ("xy" * 200, "yxxy" * 100)
    assert lines[0] == ("del", "x") and lines[-1] == ("same", "y")
    assert set(string.ascii_letters) > {line for _, line in lines}
