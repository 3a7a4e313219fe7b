"""What a benchmark answers: questions with targets, rows with values, a table, a file."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlef.runs import write_whole

_SIDES = {"<=": operator.le, ">=": operator.ge}
_WIDEST = 66


class Unavailable(Exception):
    """Something that a measurement needs is not here; the text says what, and how to get it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of ``results.json``."""

    what: str
    value: float | None
    """Null if it could not be measured; ``reason`` says why."""
    unit: str
    target: str = ""
    """``<= 1.2`` or ``>= 10``; empty for a row that is only told."""
    met: bool | None = None
    """Null without a target or a value."""
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What a row will be about, known before anything is measured."""

    what: str
    unit: str
    target: str = ""

    def answer(self, value: float, **details: Any) -> Row:
        """The row of a measured value."""
        side, _, bound = self.target.partition(" ")
        # The target holds for what was measured, not for what is printed.
        met = bool(_SIDES[side](value, float(bound))) if self.target else None
        value = float(f"{value:.4g}")
        return Row(what=self.what, value=value, unit=self.unit, target=self.target, met=met, details=details)

    def unknown(self, reason: str) -> Row:
        """The row of something that could not be measured."""
        return Row(what=self.what, value=None, unit=self.unit, target=self.target, reason=one_line(reason))


def one_line(text: object) -> str:
    """A text, or an error's, without line breaks."""
    return " ".join(str(text).split()) or type(text).__name__


def table(rows: Iterable[Row]) -> str:
    """The rows as text, a line each; what could not be measured gives its reason in the next."""
    lines = [f"{'':{_WIDEST}} {'value':>9} {'unit':9} {'target':>9}  met"]
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.4g}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        lines.append(f"{row.what:{_WIDEST}} {value:>9} {row.unit:9} {row.target:>9}  {met}".rstrip())
        if row.reason:
            lines.append(f"    {row.reason}")
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows as JSON, or leave the file as it was."""
    write_whole(path, json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> list[Row]:
    """What ``write`` wrote."""
    return [Row(**row) for row in json.loads(path.read_text())]
