"""What the list needs to know of an episode: read from its row, without its long arrays of numbers."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlef.views import episodes

Json = Mapping[str, Any]
DAMAGED = "damaged"
INVALID = "invalid"
FLOWS = ("fixed", "closer", "unchanged", "identical", "broken")
# Most of a row is numbers. A quote inside a JSON string is written with a backslash before it, so
# this can only be a key of that name and its numbers.
_NUMBERS = re.compile(rb'"(ids|offsets|logprobs)": ?\[([-+0-9.eE, ]*)\]')
_NO_NUMBERS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What a row that is no episode's may raise on its way through this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One line of the list, and what it can be found by."""

    problem_id: str = ""
    family: str = ""
    phase: str = ""
    condition: str = ""
    step: int | None = None
    sample: int = 0
    outcome: str = DAMAGED
    """``solved``, ``unsolved``, ``dropped`` (not the model's failure) or ``damaged`` (no episode's row)."""
    stop: str = ""
    verdicts: tuple[str, ...] = ()
    """Public verdict of each turn, or ``invalid``."""
    flows: tuple[str, ...] = ()
    """What each turn but the first made of the one before; see ``evaluation/outcome.py``."""
    reward: float = 0.0
    """Sum over the turns."""
    tokens: int = 0
    prompt: str = ""
    """The opening message, for the search."""
    said: str = ""
    """What the model wrote and what it was told, in lower case, for the search."""


def read_facts(line: bytes) -> Facts:
    """Facts of one line of a JSONL file; those of a damaged row if it is no episode's."""
    try:
        tokens = 0

        def cut(found: re.Match[bytes]) -> bytes:
            nonlocal tokens
            if found[1] == b"ids" and found[2]:
                tokens = max(tokens, found[2].count(b",") + 1)
            return b'"%b":[]' % found[1]

        row = json.loads(_NUMBERS.sub(cut, line))
        return _facts(row, tokens)
    except _NO_NUMBERS:
        return Facts(said=line[:20_000].decode("utf-8", "replace").lower())


def read_row(line: bytes) -> dict[str, Any] | None:
    """The row as it is; None if it is no JSON object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _facts(row: Json, tokens: int) -> Facts:
    turns: Sequence[Json] = row["turns"]
    step = row.get("step")
    return Facts(
        problem_id=sys.intern(str(row["problem_id"])),
        family=_word(row.get("family")),
        phase=_word(row.get("phase")),
        condition=_word(row.get("condition")),
        step=step if isinstance(step, int) and abs(step) < 2**53 else None,
        sample=int(row.get("sample") or 0),
        outcome=episodes.outcome(row),
        stop=_word(row.get("stop")),
        verdicts=tuple(_word(verdict(turn)) for turn in turns),
        flows=tuple(flow(old, new) for old, new in itertools.pairwise(turns)),
        reward=float(sum(float(turn.get("reward") or 0.0) for turn in turns)),
        tokens=tokens or sum(wrote(turn) for turn in turns),
        prompt=sys.intern(str(row.get("prompt", "")).lower()),
        said="\n".join(f"{turn.get('text', '')}\n{turn.get('feedback', '')}" for turn in turns).lower(),
    )


def verdict(turn: Json) -> str:
    """Public verdict of a turn, ``invalid`` if it held no valid code."""
    return INVALID if turn.get("invalid") else episodes.verdict(turn.get("public")) or INVALID


def flow(old: Json, new: Json) -> str:
    """What a turn made of the one before by the public tests, as ``evaluation/outcome.py::flow`` has it."""
    before, after = episodes.passes(old.get("public")), episodes.passes(new.get("public"))
    if _all(new.get("public")) and not _all(old.get("public")):
        return "fixed"
    if before != after:
        return "broken" if after < before else "closer"
    key = "text" if old.get("code") is None else "code"
    same = old.get(key) == new.get(key) and (old.get("code") is None) == (new.get("code") is None)
    return "identical" if same else "unchanged"


def wrote(turn: Json) -> int:
    """Tokens that the model wrote in a turn, by its place in the ids or by the endpoint's account."""
    usage = turn.get("usage")
    if isinstance(usage, Mapping):
        return int(usage.get("wrote") or 0)
    return int(turn.get("end") or 0) - int(turn.get("start") or 0)


def _all(report: Json | None) -> bool:
    return bool(report) and episodes.passes(report) == report["total"]  # type: ignore[index]


def _word(value: object) -> str:
    return sys.intern(str(value)[:200]) if value is not None else ""
