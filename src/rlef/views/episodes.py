"""Which recorded episodes a report shows in full, and what of them.

Traces may be large, so they are read once, row by row, and only candidates are kept.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlef.runs import TRACES, Run
from rlef.views.diff import compared
from rlef.views.text import figure

Json = Mapping[str, Any]
SHOWN = 6
DROPPED = {"judge_error": "the judge failed", "no_reply": "the model's server gave no reply"}
"""Ends that say nothing about the model, as ``episode.record.DROPPED`` has them, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """One turn as the page shows it."""

    number: int
    verdict: str
    """Public verdict, or ``invalid``."""
    invalid: str
    text: str
    lines: tuple[tuple[str, str], ...]
    """Lines of the program as ``same``, ``add`` or ``del`` against the turn before."""
    tests: tuple[Json, ...]
    hidden: str
    """Hidden verdict; empty where the hidden tests did not run."""
    hidden_detail: str
    feedback: str
    """As it was read: what was cut of it is not here."""
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """One episode as the page shows it."""

    reason: str
    """Why this one was chosen."""
    problem_id: str
    outcome: str
    """``solved``, ``unsolved`` or ``dropped``."""
    facts: str
    prompt: str
    turns: tuple[TurnView, ...]


@dataclass(slots=True)
class _Choice:
    """The rows with the highest scores for one reason; of equals the earlier one."""

    reason: str
    score: Callable[[Json], tuple[float, ...] | None]
    kept: list[tuple[tuple[float, ...], Json]] = field(default_factory=list)

    def offer(self, score: tuple[float, ...] | None, row: Json) -> None:
        if score is None or (len(self.kept) == SHOWN and score <= self.kept[-1][0]):
            return
        self.kept.append((score, row))
        self.kept.sort(key=lambda pair: pair[0], reverse=True)  # stable: the earlier of equals is first
        del self.kept[SHOWN:]


def choose(
    run: Run, notes: list[str], each: Callable[[Json], None] = lambda row: None
) -> tuple[list[EpisodeView], int]:
    """Up to six telling multi-turn episodes, and how many there were to choose from.

    ``each`` gets every whole row on the way: the files may be large and are read once.
    """
    choices = _choices()
    total = damaged = 0
    for row in _rows(run, notes):
        shown = _multi_turn(row)
        total += shown
        try:
            each(row)
            scores = [choice.score(row) for choice in choices] if shown else []
        except (KeyError, TypeError, ValueError, AttributeError):
            damaged += shown
            continue
        for choice, score in zip(choices, scores, strict=False):  # none for the others
            choice.offer(score, row)
    if damaged:
        notes.append(f"{damaged} of {total} recorded episodes are damaged and were left out")
    return [view(row, reason) for reason, row in _picked(choices)], total - damaged


def view(row: Json, reason: str) -> EpisodeView:
    """A trace row as the page shows it."""
    turns = row["turns"]
    place = [str(row["phase"])] if "phase" in row else []
    place += [f"step {row['step']}"] if "step" in row else []
    facts = [
        " ".join(place),
        f"family {row['family']}" if row.get("family") else "",
        f"stopped by {str(row.get('stop')).replace('_', ' ')}",
        f"{sum(wrote for _, wrote in usage(row)):,} tokens written",
        f"seed {row.get('seed')}",
        f"{why_dropped(row)}, so it was neither paid nor scored" if outcome(row) == "dropped" else "",
    ]
    return EpisodeView(
        reason=reason,
        problem_id=str(row["problem_id"]),
        outcome=outcome(row),
        facts=" · ".join(fact for fact in facts if fact),
        prompt=str(row.get("prompt", "")),
        turns=tuple(_turn(turns, index) for index in range(len(turns))),
    )


def why_dropped(row: Json) -> str:
    """Who failed, and the server's own words if it was that. Raises ``KeyError`` for other episodes."""
    meta = row.get("meta") if row["stop"] == "no_reply" else None
    words = meta.get("no_reply") if isinstance(meta, dict) else None
    return DROPPED[row["stop"]] + (f" ({words})" if words else "")


def outcome(row: Json) -> str:
    """``solved``, ``unsolved`` or ``dropped``."""
    if str(row.get("stop")) in DROPPED:
        return "dropped"
    last = row["turns"][-1] if row["turns"] else {}
    solved = verdict(last.get("public")) == "accepted" and verdict(last.get("hidden")) == "accepted"
    return "solved" if solved else "unsolved"


def usage(row: Json) -> list[tuple[int, int]]:
    """Tokens read and tokens written, for each turn: as an endpoint counted them, or as the ids lie."""
    found = []
    for turn in row["turns"]:
        told = turn.get("usage") or {"read": turn.get("start", 0), "wrote": _wrote(turn)}
        found.append((int(told.get("read") or 0), int(told.get("wrote") or 0)))
    return found


def _wrote(turn: Json) -> int:
    return int(turn.get("end", 0)) - int(turn.get("start", 0))


def _rows(run: Run, notes: list[str]) -> Iterator[Json]:
    """Recorded episodes in the order in which they were played."""
    before, after = "episodes-before.jsonl", "episodes-after.jsonl"
    others = sorted({path.name for path in run.path.glob("episodes-*.jsonl")} - {before, after})
    for name in (before, TRACES, *others, after):
        try:
            yield from run.rows(name)
        except ValueError as error:
            notes.append(f"{name} is damaged: {error}")


def _multi_turn(row: object) -> bool:
    """True for what is worth showing; a row that is no episode is kept, to be named as damaged."""
    return not isinstance(row, Mapping) or row.get("condition", "multi_turn") == "multi_turn"


def _choices() -> list[_Choice]:
    return [
        _Choice("best: solved, most reward", _best),
        _Choice("worst: unsolved, least reward", _worst),
        _Choice("first fixed", lambda row: (0.0,) if _flows(row, fixed=True) else None),
        _Choice("first broken", lambda row: (0.0,) if _flows(row, fixed=False) else None),
        _Choice("longest", lambda row: _measured(row, sum(wrote for _, wrote in usage(row)))),
        _Choice("dropped: not the model's fault", lambda row: (0.0,) if outcome(row) == "dropped" else None),
        _Choice("picked at random", _chance),
    ]


def _picked(choices: Sequence[_Choice]) -> list[tuple[str, Json]]:
    """The top of each choice; an episode that is at the top of several has all their reasons."""
    *telling, chance = choices
    shown: list[tuple[str, Json]] = []
    for choice in telling:
        for _, row in choice.kept[:1]:
            places = [i for i, (_, other) in enumerate(shown) if other is row]
            if places:
                shown[places[0]] = f"{shown[places[0]][0]}; {choice.reason}", row
            else:
                shown.append((choice.reason, row))
    rest = [row for _, row in chance.kept if not any(row is other for _, other in shown)]
    return (shown + [(chance.reason, row) for row in rest])[:SHOWN]


def _best(row: Json) -> tuple[float, ...] | None:
    # Of equals, the one that took more turns: it shows a repair.
    return _measured(row, _reward(row), len(row["turns"])) if outcome(row) == "solved" else None


def _worst(row: Json) -> tuple[float, ...] | None:
    return _measured(row, -_reward(row), len(row["turns"])) if outcome(row) == "unsolved" else None


def _measured(row: Json, *score: float) -> tuple[float, ...] | None:
    """Scored episodes only, those of the trained model first."""
    return None if outcome(row) == "dropped" else (float(row.get("phase") == "after"), *map(float, score))


def _chance(row: Json) -> tuple[float, ...]:
    name = f"{row.get('phase')}/{row.get('step')}/{row['problem_id']}/{row.get('sample')}"
    return (float(int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:6], "big")),)


def _reward(row: Json) -> float:
    return sum(float(turn.get("reward", 0.0)) for turn in row["turns"])


def _flows(row: Json, *, fixed: bool) -> bool:
    """True if some turn fixed (or broke) what the turn before had left."""
    if outcome(row) == "dropped" or (fixed and outcome(row) != "solved"):
        return False
    counts = [passes(turn.get("public")) for turn in row["turns"]]
    pairs = list(itertools.pairwise(counts))
    return any(new > old for old, new in pairs) if fixed else any(new < old for old, new in pairs)


def passes(report: Json | None) -> int:
    """How many of a report's tests were passed."""
    return sum(test["verdict"] == "accepted" for test in report["tests"]) if report else 0


def verdict(report: Json | None) -> str:
    """The first failure of a report, or ``accepted``; ``incomplete`` where tests did not run."""
    if not report:
        return ""
    verdicts = [str(test["verdict"]) for test in report["tests"]]
    if "judge_error" in verdicts:
        return "judge_error"
    failed = next((verdict for verdict in verdicts if verdict != "accepted"), "")
    return failed or ("accepted" if len(verdicts) == report["total"] else "incomplete")


def _turn(turns: list[Json], index: int) -> TurnView:
    turn = turns[index]
    before = next((t["code"] for t in reversed(turns[:index]) if t.get("code")), None)
    hidden = turn.get("hidden")
    figures = [(name, turn.get(name)) for name in ("reward", "value", "advantage")]
    return TurnView(
        number=index + 1,
        verdict="invalid" if turn.get("invalid") else verdict(turn.get("public")) or "invalid",
        invalid=str(turn.get("invalid", "")),
        text=str(turn.get("text", "")),
        lines=tuple(compared(before, turn["code"])) if turn.get("code") else (),
        tests=tuple(_test(test) for test in turn["public"]["tests"]) if turn.get("public") else (),
        hidden=verdict(hidden),
        hidden_detail=f"{passes(hidden)} of {hidden['total']} passed;" if hidden else "",
        feedback=str(turn.get("feedback_read") or turn.get("feedback", "")),
        figures=tuple((name, figure(value, "+.2f")) for name, value in figures if value is not None),
    )


def _test(test: Json) -> Json:
    names = ("verdict", "input", "expected", "got", "error", "checker_message")
    return {name: str(test.get(name, "")) for name in names}
