import string

import pytest

from rlef.views.text import clipped, figure, interval, p_value, visible


def test_ordinary_text_stays_as_it_is():
    text = string.printable.translate({11: None, 12: None, 13: None}) + "naïve 日本語 🙂 −×"
    assert visible(text) == text


@pytest.mark.parametrize(
    ("harmful", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("\x9b", "\\x9b"),
        ("a\rb", "a\\x0db"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        ("\u2028", "\\u2028"),
    ],
)
def test_harmful_characters_are_written_out_not_removed(harmful, shown):
    assert visible(harmful) == shown
    visible(harmful).encode("utf-8")


def test_windows_line_ends_are_line_ends():
    assert visible("a\r\nb") == "a\nb"


def test_a_megabyte_in_one_line_keeps_both_ends_and_says_what_is_gone():
    text = "begin" + "x" * 1_000_000 + "end"
    cut = clipped(text)
    assert len(cut) < 3000 and cut.startswith("begin") and cut.endswith("end")
    assert "characters cut" in cut
    assert clipped("short\ntext") == "short\ntext"


def test_many_lines_are_cut_too_and_every_line_is():
    cut = clipped("\n".join(["y" * 3000] * 100))
    assert len(cut) < 21_000 and max(map(len, cut.split("\n"))) < 2100


def test_figures_for_people():
    assert [figure(0.126), figure(None), figure(float("nan")), figure(True), figure(-1.0, "+.2f")] == [
        "0.13", "–", "–", "–", "−1.00",
    ]  # fmt: skip
    assert interval({"low": 0.05, "high": 0.12}) == "0.05–0.12"
    assert interval({"low": -0.05, "high": 0.12, "difference": 0.1}) == "−0.05 to +0.12"
    assert interval({"low": None, "high": None}) == "–"
    assert (p_value(0.0004), p_value(0.0312), p_value(None)) == ("< 0.001", "0.031", "–")
