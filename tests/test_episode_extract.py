"""Which part of an answer is the program."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.episode.extract import extract


@pytest.mark.parametrize(
    "text, code",
    [
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("```py\nprint(1)\n```", "print(1)\n"),
        ("```Python3 \r\nprint(1)\n```", "print(1)\n"),
        ("Sure! ```python\nprint(1)``` done", "print(1)"),
        ("```python\na\n```\n```python\nb\n```", "a\n"),
        ("```\nplain\n```\nbetter:\n```python\nb\n```", "b\n"),
        ("```text\nfirst of any kind\n```\n```\nsecond\n```", "first of any kind\n"),
        ("```c++\nint x;\n```", "int x;\n"),
        ("```python\n  indented\n\n```", "  indented\n\n"),
        ("```python\nx = '<|im_end|>'\n```", "x = '<|im_end|>'\n"),
        ("<think>\n```python\ndraft\n```\n</think>\n```python\nb\n```", "b\n"),
        ("```python\ndraft\n```\nno, wait</think>```\nb\n```", "b\n"),
        ("<think>for ever ```python\na\n```", "a\n"),
    ],
)
def test_the_first_python_fence_wins_else_the_first_of_any_kind(text, code):
    found = extract(text, "stop")
    assert (found.code, found.invalid) == (code, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "print(1)",
        "```python\nprint(1)",  # never closed
        "```python print(1)```",  # the fence's own line is no code
        "```python\n```",
        "```python\n  \n\t\n```",
        "``` ``` ```",
        "`print(1)`",
    ],
)
def test_an_answer_without_a_closed_block_of_code_has_none(text):
    found = extract(text, "stop")
    assert (found.code, found.invalid) == (None, "no_code")


def test_an_answer_that_was_cut_off_is_truncated_whatever_it_holds():
    found = extract("```python\nprint(1)\n```\nand", "length")
    assert (found.code, found.invalid) == (None, "truncated")


@settings(deadline=None)
@given(st.text("`python\n x", max_size=60))
def test_any_text_has_either_code_or_a_reason(text):
    found = extract(text, "stop")
    assert (found.code is None) == bool(found.invalid)
    assert found.code is None or (found.code in text and found.code.strip() and "```" not in found.code)


def test_source_that_would_crash_a_parser_is_only_text_here():
    code = "(" * 200_000 + ")" * 200_000
    assert extract(f"```python\n{code}\n```", "stop").code == code + "\n"


def test_thousands_of_open_fences_are_read_in_no_time():
    assert extract("```python " * 50_000, "stop").code is None
