"""From episodes to packed token batches, and from flat answers back to episodes.

A network answers with flat arrays in row-major order: one number for each action token,
or for each value read. A row holds whole episodes one after another, so that order is the
episodes' order in the batch (``Packed.order``) and inside an episode the order of its
tokens. Columns per episode therefore line up by concatenation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from rlef.episode.record import Episode
from rlef.policy.batch import TokenBatch

Read = Literal["turn", "token"]
Which = Literal["all", "last"]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A token batch and which episodes it holds."""

    batch: TokenBatch
    order: tuple[int, ...]
    """Indices of the episodes, row by row and left to right."""
    actions: tuple[int, ...]
    """Action tokens of each of them, in the same order."""
    reads: tuple[int, ...]
    """Value reads of each of them, in the same order."""

    def gather(self, columns_E: Sequence[Array]) -> torch.Tensor:
        """Flat float32 tensor, aligned with what a network answers, of one array an episode.

        Arrays hold a number for each action token, or for each value read, of the episode.
        """
        flat = np.concatenate([columns_E[e] for e in self.order])
        assert len(flat) in (sum(self.actions), sum(self.reads)), "a column fits neither tokens nor reads"
        return torch.from_numpy(flat.astype(np.float32)).to(self.batch.ids_BT.device)

    def scatter(self, flat: torch.Tensor, counts: Sequence[int], into_E: list[Array]) -> None:
        """Put a network's flat answer back: ``into_E[e]`` becomes episode e's part of it.

        ``counts`` is ``actions`` or ``reads``.
        """
        assert len(flat) == sum(counts), "the network answered with another number of entries"
        parts = np.split(flat.detach().double().cpu().numpy(), list(accumulate(counts))[:-1])
        for e, part in zip(self.order, parts, strict=True):
            into_E[e] = part


def usable(episode: Episode) -> bool:
    """True if learning may see the episode: the judge did not fail, and the policy wrote something."""
    return not episode.dropped and bool(episode.turns)


def turn_lengths(episode: Episode) -> list[int]:
    """Action tokens of each turn."""
    return [turn.end - turn.start for turn in episode.turns]


def behaviour_logprobs(episode: Episode) -> Array:
    """Sampling log-probabilities of the episode's action tokens."""
    parts = [episode.logprobs_T[turn.start : turn.end] for turn in episode.turns]
    return np.fromiter(chain.from_iterable(parts), dtype=np.float64)


def pack(
    episodes_E: Sequence[Episode],
    *,
    max_tokens: int,
    read: Read = "turn",
    which: Which = "all",
    members: Sequence[int] | None = None,
    packed: bool = True,
    device: torch.device | str = "cpu",
) -> list[Packed]:
    """Every episode once, in batches of at most ``max_tokens`` padded tokens.

    An episode can't be split: one that is longer is a batch of its own. ``read`` marks where
    the value network is read, at the last prompt token of each turn or at the token before
    each action token. ``which="last"`` flags only the last turn's tokens as actions (and
    reads only there). ``members`` packs only these episodes, under their indices in
    ``episodes_E``. ``packed=False`` gives each episode a row. What follows the last turn is
    left out. Raises ``ValueError`` for an episode that ``usable`` refuses.
    """
    chosen = range(len(episodes_E)) if members is None else members
    for e in chosen:
        if not usable(episodes_E[e]):
            raise ValueError(f"an episode of {episodes_E[e].problem_id!r} has no turns, or its judge failed")
    batches = plan([episodes_E[e].turns[-1].end for e in chosen], max_tokens=max_tokens, packed=packed)
    return [
        _build(
            episodes_E, [[chosen[at] for at in row] for row in rows], read=read, which=which, device=device
        )
        for rows in batches
    ]


def plan(lengths_E: Sequence[int], *, max_tokens: int, packed: bool = True) -> list[list[list[int]]]:
    """Batches of rows of episode indices, first fit by decreasing length.

    Each batch is as wide as the longest episode left, so that a single long one does not
    widen every row (attention over a row costs the square of its width).
    """
    left = sorted(range(len(lengths_E)), key=lambda e: (-lengths_E[e], e))
    batches: list[list[list[int]]] = []
    while left:
        width = lengths_E[left[0]]
        height = max(1, max_tokens // width)
        rows: list[list[int]] = []
        room: list[int] = []
        later: list[int] = []
        for e in left:
            fits = (at for at, free in enumerate(room) if free >= lengths_E[e])
            at = next(fits, None) if packed else None
            if at is not None:
                rows[at].append(e)
                room[at] -= lengths_E[e]
            elif len(rows) < height:
                rows.append([e])
                room.append(width - lengths_E[e])
            else:
                later.append(e)
        batches.append(rows)
        left = later
    return batches


def _build(
    episodes_E: Sequence[Episode],
    rows: Sequence[Sequence[int]],
    *,
    read: Read,
    which: Which,
    device: torch.device | str,
) -> Packed:
    width = max(sum(episodes_E[e].turns[-1].end for e in row) for row in rows)
    shape = (len(rows), width)
    ids, segment, position = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    is_action, reads = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    order, actions, marks = [], [], []
    for b, row in enumerate(rows):
        at = 0
        for number, e in enumerate(row, start=1):
            length = episodes_E[e].turns[-1].end
            span = slice(at, at + length)
            ids[b, span] = episodes_E[e].ids_T[:length]
            segment[b, span] = number
            position[b, span] = np.arange(length)
            is_action[b, span], reads[b, span] = _flags(episodes_E[e], read=read, which=which)
            order.append(e)
            actions.append(int(is_action[b, span].sum()))
            marks.append(int(reads[b, span].sum()))
            at += length
    tensors = (torch.from_numpy(array).to(device) for array in (ids, segment, position, is_action, reads))
    names = ("ids_BT", "segment_BT", "position_BT", "is_action_BT", "read_value_BT")
    return Packed(
        batch=TokenBatch(**dict(zip(names, tensors, strict=True))),
        order=tuple(order),
        actions=tuple(actions),
        reads=tuple(marks),
    )


def _flags(
    episode: Episode, *, read: Read, which: Which
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which of the episode's tokens are actions, and at which the value is read."""
    action_T, read_T = (np.zeros(episode.turns[-1].end, dtype=np.bool_) for _ in range(2))
    for turn in episode.turns if which == "all" else episode.turns[-1:]:
        action_T[turn.start : turn.end] = True
        read_T[turn.start - 1 : turn.end - 1 if read == "token" else turn.start] = True
    return action_T, read_T
