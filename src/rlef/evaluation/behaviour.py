"""What a policy does between its turns (RLEF paper, section 3.4.1, figures 3 and 4).

Everything here is read off the public tests, the ones whose feedback the policy saw,
except for the solve rates. Dropped episodes are counted and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rlef.episode.record import Episode, Turn

Flow = Literal["fixed", "closer", "unchanged", "identical", "broken"]
FLOWS: tuple[Flow, ...] = ("fixed", "closer", "unchanged", "identical", "broken")
INVALID = "invalid"
"""Stands in the place of a verdict where a turn held no valid code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStats:
    """The turns with one index, over all episodes that reached it."""

    turn: int
    """From 1."""
    reached: int
    """Episodes that took this turn."""
    solved: float
    """Share of *all* scored episodes that were solved in this turn or before."""
    public_passed: float
    """The same for the public tests."""
    invalid: float
    """Share of the turns that reached it without valid code."""
    verdicts: dict[str, int]
    """Public verdict, or ``invalid``, of each of these turns."""
    flow: dict[str, int]
    """What became of the turn before; empty on the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Statistics of a set of multi-turn episodes."""

    episodes: int
    """Scored episodes."""
    dropped: int
    turns: tuple[TurnStats, ...]
    invalid: float | None
    """Share of all turns without valid code; None where there are no turns."""
    solved_given_public: float | None
    """Share of episodes that passed every test among those that passed the public ones."""
    stops: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"turns": [asdict(turn) for turn in self.turns]}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Behaviour:
        """The inverse of ``to_json``."""
        turns = tuple(TurnStats(**turn) for turn in tree["turns"])
        return cls(**{**tree, "turns": turns})


def public_count(turn: Turn) -> int:
    """How many public tests the turn passed; 0 without a report."""
    return 0 if turn.public is None else len(turn.public.tests) - len(turn.public.failures)


def public_passed(turn: Turn) -> bool:
    """True if the turn has a program and it passed every public test."""
    return turn.public is not None and turn.public.passed


def ends_public(episode: Episode) -> bool:
    """True if the episode's last program passed every public test."""
    return bool(episode.turns) and public_passed(episode.turns[-1])


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


def describe(episodes: Sequence[Episode]) -> Behaviour:
    """Statistics by turn of multi-turn episodes."""
    scored = [episode for episode in episodes if not episode.dropped]
    turns = [turn for episode in scored for turn in episode.turns]
    passed = [episode for episode in scored if ends_public(episode)]
    most = max((len(episode.turns) for episode in scored), default=0)
    return Behaviour(
        episodes=len(scored),
        dropped=len(episodes) - len(scored),
        turns=tuple(_turn_stats(scored, number) for number in range(1, most + 1)),
        invalid=_share(sum(bool(turn.invalid) for turn in turns), len(turns)),
        solved_given_public=_share(sum(episode.solved for episode in passed), len(passed)),
        stops=dict(sorted(Counter(str(episode.stop) for episode in scored).items())),
    )


def _turn_stats(scored: Sequence[Episode], number: int) -> TurnStats:
    reached = [episode for episode in scored if len(episode.turns) >= number]
    here = [episode.turns[number - 1] for episode in reached]
    ended = [episode for episode in scored if len(episode.turns) <= number]
    flows = Counter(flow(e.turns[number - 2], e.turns[number - 1]) for e in reached) if number > 1 else {}
    return TurnStats(
        turn=number,
        reached=len(reached),
        solved=sum(episode.solved for episode in ended) / len(scored),
        public_passed=sum(ends_public(episode) for episode in ended) / len(scored),
        invalid=sum(bool(turn.invalid) for turn in here) / len(here),
        verdicts=dict(sorted(Counter(_verdict(turn) for turn in here).items())),
        flow={kind: flows.get(kind, 0) for kind in FLOWS} if number > 1 else {},
    )


def _verdict(turn: Turn) -> str:
    if turn.invalid or turn.public is None:
        return INVALID
    return str(turn.public.verdict)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
