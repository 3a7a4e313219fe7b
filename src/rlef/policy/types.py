"""What a sampling engine is. No torch here: endpoints and scripted policies need none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Finish = Literal["stop", "length"]
"""``stop``: the model closed its turn. ``length``: it ran into its token limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One turn as the model wrote it. Ids are the truth; ``text`` is derived from them."""

    ids: tuple[int, ...]
    """Sampled token ids, the end-of-turn token included when ``finish`` is ``stop``."""
    logprobs: tuple[float, ...]
    """Log-probability of each id under the distribution it was sampled from."""
    text: str
    """The turn decoded, without the end-of-turn token."""
    offsets: tuple[int, ...]
    """For each id, the index in ``text`` at which its characters start (non-decreasing;
    ids that only complete a character of several bytes share an offset)."""
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """Ask an engine to read ``observation`` and write one turn of a conversation."""

    key: int
    """Names the conversation; its cache is kept under this key until ``release``."""
    observation: tuple[int, ...]
    """Ids to append before sampling: the whole prompt on the first turn, then only
    what came since (the previous turn is in the cache already)."""
    seed: int
    """Fixes this turn's draws whatever else is in the batch."""
    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


class Engine(Protocol):
    """Samples turns of many conversations at once, a token a step.

    Which rows share a batch depends only on the order of calls, never on time,
    so a driver that consumes verdicts in a fixed order is reproducible bit for bit.
    """

    @property
    def capacity(self) -> int:
        """Most conversations that may be open (submitted and not released)."""
        ...

    @property
    def live(self) -> int:
        """Conversations that are being written now."""
        ...

    def submit(self, requests: Sequence[TurnRequest]) -> None:
        """Queue turns. They join the batch at the next step."""
        ...

    def step(self) -> list[tuple[int, Completion]]:
        """Write one token for every live conversation; return the turns that ended."""
        ...

    def release(self, key: int) -> None:
        """Forget a conversation and free its cache."""
        ...


class ChatCodec(Protocol):
    """Turns messages into ids for one model, without ever re-encoding its own turns."""

    @property
    def fingerprint(self) -> str:
        """Digest of tokenizer and chat template, stored with every run."""
        ...

    def opening(self, text: str, *, max_tokens: int) -> tuple[int, ...]:
        """Ids of a conversation that starts with this user message, ready for a turn.

        ``text`` is encoded with special tokens split, so it can't forge a turn. Text
        over ``max_tokens`` loses its left end, behind a ``[...]`` marker.
        """
        ...

    def reply(self, text: str, *, max_tokens: int, closed: bool) -> tuple[int, ...]:
        """Ids that follow a model turn: its closing (unless ``closed``, when the model
        wrote the end-of-turn token itself), the user message, and the next turn's header.
        Text over ``max_tokens`` loses its right end, behind a ``[...]`` marker.
        """
        ...

    def decode(self, ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Text of a model turn and the offset of each id in it."""
        ...
