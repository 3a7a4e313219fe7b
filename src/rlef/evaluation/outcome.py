"""What scoring keeps of an episode: a few numbers a turn, none of its texts.

An evaluation plays hundreds of thousands of turns, and a turn holds a program, reports and
feedback. Each episode is reduced as it ends, or as it is read back from disk, and its texts
can go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlef.episode.record import DROPPED, Episode, Turn
from rlef.evaluation.edits import edit_size
from rlef.judge.types import PublicReport, Verdict

Flow = Literal["fixed", "closer", "unchanged", "identical", "broken"]
FLOWS: tuple[Flow, ...] = ("fixed", "closer", "unchanged", "identical", "broken")
INVALID = "invalid"
"""Stands in the place of a verdict where a turn held no valid code."""
MEASURED_SAMPLES = 20
"""Edits are measured in the first rollouts of a problem: as many as the paper's figure 4 has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """One turn, reduced."""

    verdict: str
    """Of the public tests: the first that is not ``accepted``; or ``invalid``."""
    passed: bool
    """All public tests passed."""
    solved: bool | None
    """Every test passed; None where the hidden tests were not run on a program that passed the
    public ones, so that it can't be known."""
    invalid: str = ""
    """``no_code``, ``syntax``, ``truncated``, or empty."""
    timed_out: bool = False
    """At least one public test met its time limit, of CPU time or of waiting."""
    tokens: int | None = None
    """Tokens that the model wrote; None where an endpoint did not count them."""
    characters: int = 0
    """Length of the whole response."""
    flow: Flow | None = None
    """What became of the turn before; None on the first."""
    edit: float | None = None
    """1 - chrF with the program before; None where either is missing or it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One episode, reduced."""

    problem_id: str
    sample: int
    family: str
    stop: str
    """Why it ended; see ``episode.record.DROPPED`` for what is counted and never scored."""
    turns: tuple[TurnOutcome, ...]

    @classmethod
    def of(cls, episode: Episode) -> Outcome:
        """Reduce an episode.

        Takes microseconds but for the size of edits: about 2 ms for each 1,000 characters, and
        only in the first 20 samples of a problem.
        """
        turns, measured = episode.turns, episode.sample < MEASURED_SAMPLES
        return cls(
            problem_id=episode.problem_id,
            sample=episode.sample,
            family=episode.family,
            stop=str(episode.stop),
            turns=tuple(
                _reduce(turn, turns[at - 1] if at else None, measured) for at, turn in enumerate(turns)
            ),
        )

    @property
    def dropped(self) -> bool:
        """True if the judge, or the model's server, failed."""
        return self.stop in DROPPED

    @property
    def passed(self) -> bool:
        """True if the last program passed the public tests."""
        return bool(self.turns) and self.turns[-1].passed

    @property
    def solved(self) -> bool:
        """True if the last program passed every test."""
        return bool(self.turns) and bool(self.turns[-1].solved)

    def at(self, limit: int) -> TurnOutcome | None:
        """The turn that would have been the last under a turn limit; None without turns."""
        return self.turns[min(limit, len(self.turns)) - 1] if self.turns else None

    @property
    def failed_first(self) -> bool:
        """True if the first turn did not pass the public tests."""
        return bool(self.turns) and not self.turns[0].passed


def public_count(turn: Turn) -> int:
    """How many public tests the turn passed; 0 without a report."""
    return 0 if turn.public is None else len(turn.public.tests) - len(turn.public.failures)


def public_passed(turn: Turn) -> bool:
    """True if the turn has a program and it passed every public test."""
    return turn.public is not None and turn.public.passed


def flow(before: Turn, after: Turn) -> Flow:
    """What a turn made of the one before, by the public tests.

    ``fixed``: they failed and all pass now. ``broken``: fewer pass than before. ``closer``:
    more pass, not all. ``identical``: the same program again (the same text, where there is
    no program). ``unchanged``: another program that passes as many.
    """
    old, new = public_count(before), public_count(after)
    if public_passed(after) and not public_passed(before):
        return "fixed"
    if new != old:
        return "broken" if new < old else "closer"
    same = before.code == after.code if before.code is not None else before.text == after.text
    return "identical" if same and (before.code is None) == (after.code is None) else "unchanged"


def _reduce(turn: Turn, before: Turn | None, measured: bool) -> TurnOutcome:
    programs = (before.code, turn.code) if before is not None and measured else (None, None)
    return TurnOutcome(
        verdict=_verdict(turn),
        passed=public_passed(turn),
        solved=_solved(turn),
        invalid=turn.invalid,
        timed_out=_timed_out(turn.public),
        tokens=turn.tokens or None,
        characters=len(turn.text),
        flow=None if before is None else flow(before, turn),
        edit=None if programs[0] is None or programs[1] is None else edit_size(programs[0], programs[1]),
    )


def _verdict(turn: Turn) -> str:
    if turn.invalid or turn.public is None:
        return INVALID
    return str(turn.public.verdict)


def _solved(turn: Turn) -> bool | None:
    if not public_passed(turn):
        return False
    return None if turn.hidden is None else turn.hidden.passed


def _timed_out(public: PublicReport | None) -> bool:
    limits = (Verdict.TIME_LIMIT, Verdict.IDLE_LIMIT)
    return public is not None and any(test.verdict in limits for test in public.tests)
