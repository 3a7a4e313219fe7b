"""The token record of an episode: the one truth that sampling and learning share.

Dimensions used across rlef: ``_E`` episodes, ``_K`` turns of an episode, ``_T``
tokens of an episode, ``_B`` rows of a batch, ``_V`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rlef.judge.types import HiddenReport, PublicReport

StopReason = Literal["public_passed", "turn_limit", "judge_error", "context_full", "no_reply"]
DROPPED = ("judge_error", "no_reply")
"""Ends that say nothing about the model: such an episode is counted, and neither paid nor scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one turn as the model's server counted them; 0 where it does not say."""

    read: int = 0
    """The whole conversation before the turn."""
    wrote: int = 0


@dataclass(slots=True, kw_only=True)
class Turn:
    """One model turn: tokens ``ids_T[start:end]`` of the episode, and what came of it.

    A turn from a model that gives text alone (an endpoint) has no tokens: ``start`` and
    ``end`` are 0, ``offsets`` is empty, and ``usage`` says what was counted elsewhere.
    """

    start: int
    """Index of the turn's first token; ``start - 1`` is the last prompt token, at
    which the turn's value is read."""
    end: int
    """One past the turn's last token."""
    text: str
    offsets: tuple[int, ...]
    finish: str
    code: str | None = None
    """The extracted program; None when the turn holds no valid code."""
    invalid: str = ""
    """Why the code is invalid: ``no_code``, ``syntax``, ``truncated``; empty if valid."""
    public: PublicReport | None = None
    hidden: HiddenReport | None = None
    feedback: str = ""
    """The user message that followed, before the codec cuts it to ``feedback_tokens`` (the
    ids show what was read); empty on the last turn."""
    feedback_read: str = ""
    """Where the message is as long as may be read: what was read of it, decoded from the ids, with the
    marks of the chat template around it. Empty where ``feedback`` was read whole."""
    reward: float = 0.0
    """Environment reward of the turn, before any KL term."""
    usage: Usage | None = None

    @property
    def tokens(self) -> int:
        """How many tokens the model wrote; 0 if nobody counted them."""
        return self.usage.wrote if self.usage else self.end - self.start


@dataclass(slots=True, kw_only=True)
class Episode:
    """A multi-turn attempt at one problem, as parallel arrays over tokens."""

    problem_id: str
    draw: int = 0
    """Which fresh draw of the problem's tests was used."""
    sample: int = 0
    """Index among the episodes of the same problem and step."""
    seed: int = 0
    prompt: str = ""
    """The opening message as text, for people; the ids are the truth."""
    ids_T: list[int] = field(default_factory=list)
    is_action_T: list[bool] = field(default_factory=list)
    """True where the policy wrote the token, False where the environment did."""
    logprobs_T: list[float] = field(default_factory=list)
    """Sampling log-probabilities; 0.0 where the environment wrote the token."""
    turns: list[Turn] = field(default_factory=list)
    stop: StopReason | None = None
    family: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def append_observation(self, ids: Sequence[int]) -> None:
        """Add tokens that the environment wrote."""
        self.ids_T += ids
        self.is_action_T += [False] * len(ids)
        self.logprobs_T += [0.0] * len(ids)
        self.assert_whole()

    def append_turn(
        self,
        ids: Sequence[int],
        logprobs: Sequence[float],
        *,
        text: str,
        offsets: tuple[int, ...],
        finish: str,
    ) -> Turn:
        """Add a model turn and return its record. Raises ``ValueError`` on ragged input."""
        if len(ids) != len(logprobs) or len(ids) != len(offsets):
            raise ValueError(f"{len(ids)} ids, {len(logprobs)} log-probabilities, {len(offsets)} offsets")
        start = len(self.ids_T)
        self.ids_T += ids
        self.is_action_T += [True] * len(ids)
        self.logprobs_T += logprobs
        turn = Turn(start=start, end=start + len(ids), text=text, offsets=offsets, finish=finish)
        self.turns.append(turn)
        self.assert_whole()
        return turn

    def append_reply(self, text: str, *, finish: str, usage: Usage) -> Turn:
        """Add a turn that came as text, and return its record."""
        turn = Turn(start=0, end=0, text=text, offsets=(), finish=finish, usage=usage)
        self.turns.append(turn)
        self.assert_whole()
        return turn

    def assert_whole(self) -> None:
        """Check that arrays and turn boundaries agree. An invariant, never bad input."""
        if not self.ids_T and all(turn.usage for turn in self.turns):
            assert not any(turn.end or turn.offsets for turn in self.turns)
            return
        assert len(self.ids_T) == len(self.is_action_T) == len(self.logprobs_T)
        at = 0
        for turn in self.turns:
            assert at < turn.start < turn.end <= len(self.ids_T), "a turn follows an observation"
            assert not any(self.is_action_T[at : turn.start]) and all(self.is_action_T[turn.start : turn.end])
            at = turn.end
        assert not any(self.is_action_T[at:])
        assert all(p <= 0.0 for p in self.logprobs_T), "log-probabilities are at most 0"

    @property
    def solved(self) -> bool:
        """True if the last program passed every public and every hidden test."""
        last = self.turns[-1] if self.turns else None
        return bool(last and last.public and last.public.passed and last.hidden and last.hidden.passed)

    @property
    def dropped(self) -> bool:
        """True if the judge, or the model's server, failed; see ``DROPPED``."""
        return self.stop in DROPPED
