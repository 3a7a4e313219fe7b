"""What an engine knows of each conversation: where it sits, what it holds, what it writes.

A conversation takes a *seat* (an index of the arrays here) and a *row* (of the key-value
cache) until it is released. Seats never change, rows do: those being written are kept
at the front. Nothing here touches the model or the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rlef.policy.sampling import uniform_draws
from rlef.policy.types import TurnRequest

Ints = npt.NDArray[np.int64]


class Seats:
    """The conversations that are open, at most ``rows``; ``live`` are those being written."""

    def __init__(self, rows: int) -> None:
        self.seat: dict[int, int] = {}
        """Conversation to seat."""
        self.live: Ints = np.empty(0, dtype=np.int64)
        """Seats being written, in the order of their rows once ``arrange`` was called."""
        self.key = np.zeros(rows, dtype=object)
        self.row: Ints = np.full(rows, -1, dtype=np.int64)
        """Seat to row; -1 for nobody's seat."""
        self.length: Ints = np.zeros(rows, dtype=np.int64)
        """Tokens in the cache."""
        self.last: Ints = np.zeros(rows, dtype=np.int64)
        """The one token that is not there yet."""
        self._sitting: Ints = np.full(rows, -1, dtype=np.int64)  # row -> seat
        self._count: Ints = np.zeros(rows, dtype=np.int64)  # tokens written in this turn
        self._limit: Ints = np.zeros(rows, dtype=np.int64)
        self._temperature = np.zeros(rows)
        self._top_p = np.zeros(rows)
        self._draws = np.zeros((rows, 0))
        self._ids: Ints = np.zeros((rows, 0), dtype=np.int64)
        self._logprobs = np.zeros((rows, 0), dtype=np.float32)

    def held(self, key: int) -> int:
        """Tokens of a conversation so far; 0 for an unknown one."""
        # One token of the turn before is not in the cache; the last one written never needs to be.
        return int(self.length[self.seat[key]]) + 1 if key in self.seat else 0

    def open(self, key: int) -> None:
        """Give a conversation a seat and a row."""
        seat = int(np.flatnonzero(self.row < 0)[0])
        row = int(np.flatnonzero(self._sitting < 0)[0])
        self.seat[key], self.key[seat] = seat, key
        self.row[seat], self._sitting[row] = row, seat
        self.length[seat] = 0

    def close(self, key: int) -> None:
        """Take seat and row back. Raises ``KeyError`` for an unknown conversation."""
        seat = self.seat.pop(key)
        self.live = self.live[self.live != seat]
        self._sitting[self.row[seat]] = -1
        self.row[seat] = -1

    def begin(self, requests: Sequence[TurnRequest]) -> dict[int, tuple[int, ...]]:
        """Start turns. Returns, for each seat that has any, the tokens to be read into the cache."""
        unread: dict[int, tuple[int, ...]] = {}
        self._widen(max(request.max_new_tokens for request in requests))
        for request in requests:
            seat = self.seat[request.key]
            tokens = request.observation
            if self.length[seat]:
                tokens = (int(self.last[seat]), *tokens)
            if tokens[:-1]:
                unread[seat] = tokens[:-1]
            self.last[seat] = tokens[-1]
            self._count[seat], self._limit[seat] = 0, request.max_new_tokens
            self._temperature[seat], self._top_p[seat] = request.temperature, request.top_p
            self._draws[seat, : request.max_new_tokens] = uniform_draws(request.seed, request.max_new_tokens)
        self.live = np.append(self.live, [self.seat[request.key] for request in requests])
        return unread

    def arrange(self) -> tuple[Ints, Ints, int] | None:
        """Swap rows so that the live ones are the first; leaves ``live`` in their order.

        Returns the rows to copy, where to, and how many of their tokens; None if all is well.
        """
        count = len(self.live)
        rows = self.row[self.live]
        movers = rows[rows >= count]
        moved = None
        if len(movers):
            holes = np.setdiff1d(np.arange(count), rows)
            here, there = np.concatenate([movers, holes]), np.concatenate([holes, movers])
            sitting = self._sitting[here]
            self._sitting[there] = sitting
            taken = sitting >= 0  # a hole may be nobody's: nothing to move out of it
            self.row[sitting[taken]] = there[taken]
            moved = here[taken], there[taken], int(self.length[sitting[taken]].max())
        self.live = self._sitting[:count].copy()
        return moved

    def next_draws(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Uniform draw, temperature and top-p of the next token of each live seat, ``(B,)`` each."""
        live = self.live
        return self._draws[live, self._count[live]], self._temperature[live], self._top_p[live]

    def write(
        self, ids_B: Ints, logprobs_B: npt.NDArray[np.float32], stopped_B: npt.NDArray[np.bool_]
    ) -> Ints:
        """Add a token to every live turn. Returns the seats whose turns ended, no longer live."""
        live = self.live
        count_B = self._count[live]
        self.last[live] = self._ids[live, count_B] = ids_B
        self._logprobs[live, count_B] = logprobs_B
        self._count[live] = count_B + 1
        ended_B = stopped_B | (count_B + 1 >= self._limit[live])
        self.live = live[~ended_B]
        return live[ended_B]

    def written(self, seat: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Ids of a seat's turn and their log-probabilities."""
        count = self._count[seat]
        return tuple(self._ids[seat, :count].tolist()), tuple(self._logprobs[seat, :count].tolist())

    def _widen(self, width: int) -> None:
        missing = width - self._ids.shape[1]
        if missing > 0:
            self._draws = np.pad(self._draws, ((0, 0), (0, missing)))
            self._ids = np.pad(self._ids, ((0, 0), (0, missing)))
            self._logprobs = np.pad(self._logprobs, ((0, 0), (0, missing)))
