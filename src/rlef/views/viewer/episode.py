"""One episode as the page shows it: what ``rlef.views.episodes`` says of it, and what only a viewer shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlef.views.diff import Piece, marked
from rlef.views.episodes import EpisodeView, TurnView, passes, view
from rlef.views.text import figure, visible
from rlef.views.viewer import facts

Json = Mapping[str, Any]
_FIGURES = ("reward", "value", "advantage")
SHADED_CHARS = 100_000
"""Longer answers have no shading, and are cut as other texts are; 8,000 tokens are about 30,000."""
_NUMBERS_SHOWN = 8
_STRING_SHOWN = 2000
_DEPTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A turn's text cut into its tokens, for the shading."""

    text: str
    """As it is shown, so that the pieces below add up to it."""
    lengths: str
    """UTF-16 units of each piece, which is how a browser counts; separated by commas."""
    logprobs: str
    advantages: str
    """One for each token, or empty where none were recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A number, and its bar: from where to where, of -1 to 1."""

    text: str
    left: float = 0.0
    width: float = 0.0
    sign: str = "zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPage:
    """A turn, and what the report leaves out."""

    view: TurnView
    tokens: Tokens | None
    lines: tuple[tuple[str, tuple[Piece, ...]], ...]
    """Of the program, as ``diff.marked`` has them."""
    changed: bool
    """Some line is not as it was in the last program."""
    same: str
    """What is to be said where there was a program before and no line is shown as changed."""
    said_more: bool
    """The answer holds more than its program."""
    wrote: int
    whole: str
    """The feedback before it was cut; empty where it was not."""
    read: int | None
    """Tokens between this turn and the next: the feedback as it was read; None if not known."""
    finish: str
    public: str
    """``1 of 2``."""
    hidden_tests: tuple[Json, ...]
    hidden_total: int
    bars: dict[str, Bar]
    """``reward``, ``value`` and ``advantage``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePage:
    """An episode, ready to be laid out."""

    view: EpisodeView
    turns: tuple[TurnPage, ...]
    columns: tuple[str, ...]
    """Which of ``bars`` some turn has."""
    hidden_shown: bool
    """True in the condition whose feedback tells what the hidden tests found."""
    facts: tuple[tuple[str, str], ...]


def episode_page(row: Json, *, shaded: int = SHADED_CHARS) -> EpisodePage:
    """A trace row, ready to be laid out, with the tokens of answers of up to ``shaded`` characters.

    Raises what a row that is no episode's makes Python raise.
    """
    shown = view(row, "")
    raw: Sequence[Json] = row["turns"]
    # One scale for all bars, so that a value can be held against the reward; small figures have small bars.
    scale = max([1.0, *(abs(_mean(turn.get(name)) or 0.0) for turn in raw for name in _FIGURES)])
    turns = tuple(
        _turn(one, raw[n], raw[n + 1] if n + 1 < len(raw) else None, _last_code(raw[:n]), scale, shaded)
        for n, one in enumerate(shown.turns)
    )
    columns = tuple(name for name in _FIGURES if any(_mean(turn.get(name)) is not None for turn in raw))
    return EpisodePage(
        view=shown,
        turns=turns,
        columns=columns,
        hidden_shown=row.get("condition") == "hidden_feedback",
        facts=tuple(_facts(row, turns)),
    )


def shortened(value: Any, depth: int = 0) -> Any:
    """Plain data with long lists of numbers and long texts cut, each with a note of how much is missing."""
    if isinstance(value, str):
        return value if len(value) <= _STRING_SHOWN else f"{value[:_STRING_SHOWN]}… {len(value):,} characters"
    if depth == _DEPTH and isinstance(value, list | Mapping):
        return f"… {len(value)} more inside"
    if isinstance(value, Mapping):
        return {str(name)[:_STRING_SHOWN]: shortened(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        if len(value) > _NUMBERS_SHOWN and set(map(type, value)) <= {int, float}:
            return [*value[:_NUMBERS_SHOWN], f"… {len(value) - _NUMBERS_SHOWN:,} more"]
        return [shortened(one, depth + 1) for one in value]
    return value


def _facts(row: Json, turns: Sequence[TurnPage]) -> Iterator[tuple[str, str]]:
    ids = row.get("ids") or []
    usage = [turn.get("usage") for turn in row["turns"] if isinstance(turn.get("usage"), Mapping)]
    found = [
        ("phase", row.get("phase")),
        ("condition", row.get("condition")),
        ("step", row.get("step")),
        ("sample", row.get("sample")),
        ("family", row.get("family")),
        ("stopped by", row.get("stop")),
        ("tokens", f"{len(ids):,}" if ids else None),
        ("read", f"{sum(int(one.get('read') or 0) for one in usage):,}" if usage else None),
        ("written", f"{sum(one.wrote for one in turns):,}"),
        ("draw", row.get("draw") or None),
        ("seed", row.get("seed")),
    ]
    for name, value in found:
        if value not in (None, ""):
            yield name, str(value).replace("_", " ") if name in ("condition", "stopped by") else str(value)


def _last_code(turns: Sequence[Json]) -> object:
    return next((turn["code"] for turn in reversed(turns) if turn.get("code")), None)


def _turn(
    shown: TurnView, turn: Json, after: Json | None, before: object, scale: float, shaded: int
) -> TurnPage:
    public, hidden = turn.get("public"), turn.get("hidden")
    ids = after is not None and int(after.get("start") or 0) > int(turn.get("end") or 0) > 0
    changed = any(kind != "same" for kind, _ in shown.lines)
    return TurnPage(
        view=shown,
        tokens=_tokens(turn, shaded),
        lines=tuple(marked(shown.lines)),
        changed=changed,
        same="" if changed or not before else _same(turn.get("code"), before),
        said_more=not turn.get("code") or _prose(str(turn.get("text", "")), str(turn["code"])),
        wrote=facts.wrote(turn),
        whole=str(turn.get("feedback", "")) if turn.get("feedback_read") else "",
        read=int(after["start"]) - int(turn["end"]) if after is not None and ids else None,
        finish=str(turn.get("finish", "")),
        public=f"{passes(public)} of {public['total']}" if public else "–",
        hidden_tests=tuple(_test(test) for test in hidden["tests"]) if hidden else (),
        hidden_total=int(hidden["total"]) if hidden else 0,
        bars={name: _bar(_mean(turn.get(name)), scale) for name in _FIGURES},
    )


def _same(code: object, before: object) -> str:
    if code == before:
        return "The same program as before."
    return "It differs from the one before in what is cut here, or in the line ends after it."


def _test(test: Json) -> Json:
    names = ("verdict", "input", "expected", "got", "error", "checker_message")
    return {name: str(test.get(name) or "") for name in names}


def _prose(text: str, code: str) -> bool:
    """True if a person would miss something who read the program only."""
    rest = text.replace(code.strip(), "", 1).replace("```", "").strip()
    return len(rest) > len("python") or code.strip() not in text


def _bar(value: float | None, scale: float) -> Bar:
    if value is None or value != value:
        return Bar(text=figure(value))
    share = value / scale
    share = max(-1.0, min(1.0, share)) if share == share else 0.0  # infinity over infinity
    sign = "more" if share > 0 else "less" if share < 0 else "zero"
    return Bar(text=figure(value, "+.2f"), left=min(share, 0.0), width=abs(share), sign=sign)


def _mean(value: Any) -> float | None:
    """A figure of a turn: one number, or one for each token."""
    if isinstance(value, list):
        numbers = [float(one) for one in value if isinstance(one, int | float)]
        return sum(numbers) / len(numbers) if numbers else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tokens(turn: Json, most: int) -> Tokens | None:
    """The tokens of a turn; None where they were not recorded or the text is too long to shade."""
    text, offsets, logprobs = str(turn.get("text", "")), turn.get("offsets"), turn.get("logprobs")
    if not isinstance(offsets, list) or not isinstance(logprobs, list):
        return None
    if not offsets or len(offsets) != len(logprobs) or len(text) > most:
        return None
    ends = [*(int(at) for at in offsets[1:]), len(text)]
    if int(offsets[0]) != 0 or any(a > b for a, b in itertools.pairwise(ends)):
        return None
    shown, lengths = _cut_up(text, [int(at) for at in offsets], ends)
    advantage = turn.get("advantage")
    each: list[Any] = advantage if isinstance(advantage, list) else [advantage] * len(lengths)
    usable = len(each) == len(lengths) and set(map(type, each)) <= {int, float}
    return Tokens(
        text=shown,
        lengths=",".join(map(str, lengths)),
        logprobs=",".join(f"{float(one):.3g}" for one in logprobs),
        advantages=",".join(f"{float(one):.3g}" for one in each) if usable else "",
    )


def _cut_up(text: str, starts: Sequence[int], ends: Sequence[int]) -> tuple[str, list[int]]:
    """A text as it is shown, and the UTF-16 units of each token's piece of it."""
    spans = list(zip(starts, ends, strict=True))
    if visible(text) == text and max(text, default="") <= "\uffff":  # nearly always, and much faster
        return text, [end - start for start, end in spans]
    # Piece by piece, so that no escape spans two of them; a lone \r is then written as an escape.
    pieces = [visible(text[start:end]) for start, end in spans]
    return "".join(pieces), [len(piece.encode("utf-16-le")) // 2 for piece in pieces]
