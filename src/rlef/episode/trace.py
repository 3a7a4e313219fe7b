"""Episodes as JSON rows (``traces.jsonl``), without loss: what was learned from can be read again.

Token ids are stored whole, log-probabilities for the policy's own tokens only (the others
are 0 by definition), turns as their boundaries in the ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from rlef.episode.record import Episode, Turn, Usage
from rlef.errors import DataError
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict

ReportT = TypeVar("ReportT", PublicReport, HiddenReport)

_PLAIN = ("problem_id", "draw", "sample", "seed", "prompt", "stop", "family", "meta")
_TURN = ("start", "end", "text", "finish", "code", "invalid", "feedback", "reward")


def to_row(episode: Episode) -> dict[str, Any]:
    """An episode as plain JSON data."""
    row: dict[str, Any] = {name: getattr(episode, name) for name in _PLAIN}
    row["ids"] = list(episode.ids_T)
    row["turns"] = [_turn_row(episode, turn) for turn in episode.turns]
    return row


def from_row(row: Mapping[str, Any]) -> Episode:
    """The episode that ``to_row`` wrote; keys it does not know are ignored.

    Raises ``DataError`` if the row is not an episode's.
    """
    try:
        episode = Episode(ids_T=list(row["ids"]), **{name: row[name] for name in _PLAIN})
        episode.is_action_T = [False] * len(episode.ids_T)
        episode.logprobs_T = [0.0] * len(episode.ids_T)
        for record in row["turns"]:
            turn = _turn(record)
            length = turn.end - turn.start
            episode.is_action_T[turn.start : turn.end] = [True] * length
            episode.logprobs_T[turn.start : turn.end] = record["logprobs"]
            episode.turns.append(turn)
        episode.assert_whole()
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise DataError(f"not a trace of an episode: {type(error).__name__}: {error}") from None
    return episode


def _turn_row(episode: Episode, turn: Turn) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(turn, name) for name in _TURN}
    row["offsets"] = list(turn.offsets)
    row["logprobs"] = episode.logprobs_T[turn.start : turn.end]
    if turn.feedback_read:
        row["feedback_read"] = turn.feedback_read
    if turn.usage:
        row["usage"] = asdict(turn.usage)
    row["public"] = _report_row(turn.public)
    row["hidden"] = _report_row(turn.hidden)
    return row


def _turn(row: Mapping[str, Any]) -> Turn:
    return Turn(
        usage=Usage(**row["usage"]) if row.get("usage") else None,
        feedback_read=row.get("feedback_read", ""),
        offsets=tuple(row["offsets"]),
        public=_report(PublicReport, row["public"]),
        hidden=_report(HiddenReport, row["hidden"]),
        **{name: row[name] for name in _TURN},
    )


def _report_row(report: PublicReport | HiddenReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    tests = [asdict(test) | {"verdict": test.verdict.value} for test in report.tests]
    return {"tests": tests, "total": report.total, "rung": report.rung}


def _report(kind: type[ReportT], row: Mapping[str, Any] | None) -> ReportT | None:
    if row is None:
        return None
    tests = tuple(TestReport(**{**test, "verdict": Verdict(test["verdict"])}) for test in row["tests"])
    return kind(tests=tests, total=row["total"], rung=row["rung"])
