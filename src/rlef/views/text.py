"""Text from models and programs, made fit to be shown: escaped, never stripped.

Whatever a program prints may hold terminal escapes, halves of surrogate pairs, characters
that turn the reading direction, or a megabyte in one line. All of it must be visible
for what it is and do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Controls but tab and newline; C1 controls; zero-width and direction marks, which hide or
# reorder code; line separators; lone surrogates, which UTF-8 can't hold; byte order mark.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)

LINE_CHARS = 2000
TEXT_CHARS = 20_000


def visible(text: str) -> str:
    r"""The text with every invisible or harmful character written as its escape: ``\x1b``."""
    return _HIDDEN.sub(_escape, text.replace("\r\n", "\n"))


def clipped(text: str, *, line_chars: int = LINE_CHARS, text_chars: int = TEXT_CHARS) -> str:
    """The text without the middle of overlong lines and of the whole, each cut with a note."""
    lines = [_cut(line, line_chars) for line in _cut(text, 2 * text_chars).split("\n")]
    return _cut("\n".join(lines), text_chars)


def figure(value: object, form: str = ".2f") -> str:
    """A number for people, with a real minus and no minus zero; a dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return "–"
    sign, rest = ("+", form[1:]) if form.startswith("+") else ("", form)
    return format(float(value), f"{sign}z{rest}").replace("-", "−")


def interval(row: Mapping[str, Any]) -> str:
    """``0.05–0.12`` from the keys ``low`` and ``high``; with signs, ``+0.01 to +0.12``."""
    low, high = row.get("low"), row.get("high")
    if low is None or high is None:
        return "–"
    if "difference" in row:
        return f"{figure(low, '+.2f')} to {figure(high, '+.2f')}"
    return f"{figure(low)}–{figure(high)}"


def p_value(value: object) -> str:
    """``0.03``, or ``< 0.001`` where the resampling can't say more."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def span(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3 h 5 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail]} […{len(text) - most:,} characters cut…] {text[-tail:]}"
