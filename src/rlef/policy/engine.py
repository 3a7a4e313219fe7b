"""Sampling turns of many conversations with a transformers model, in this process.

Theory of operation. A conversation takes a *seat* (its state, in arrays here) and a
*row* (its keys and values, in the cache) until it is released. Between turns it is
parked: nothing is computed for it, and its row stays. The last token of a conversation
is never in the cache; it is fed by the next step. So a step is always the same thing:

1. admit: queued turns join. All but the last of their new tokens are read in one or
   a few padded passes that compute no logits. Equal openings are read once.
2. arrange: rows being written are swapped to the front, where a view reaches them.
3. decode: one pass over the last tokens of all live rows, one draw for each.

Nothing here depends on time or on a global generator: the same calls give the same
tokens, bit for bit, and a turn's draws depend on its request's seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rlef.errors import ModelError
from rlef.policy.kvcache import SlotCache
from rlef.policy.sampling import sample, uniform_draws
from rlef.policy.types import Completion, TurnRequest

Ints = npt.NDArray[np.int64]

_GRAIN = 32
"""Attention reads a multiple of this many tokens, which keeps the shapes few."""
_PREFILL_TOKENS = 2048
"""Most padded tokens in one pass over new text."""


class CausalLMEngine:
    """An ``Engine`` for any transformers decoder with full attention, PEFT-wrapped or not.

    ``rows`` conversations may be open at a time, each of at most ``max_context`` tokens.
    ``end_ids`` end a turn; ``pad_id`` may be any id; ``decode`` gives a turn's text and
    offsets. The model is put in evaluation mode. Call ``refresh`` after changing its
    weights. Raises ``ModelError`` for a model or request that does not fit.
    """

    def __init__(
        self,
        model: Any,
        end_ids: Collection[int],
        *,
        rows: int,
        max_context: int,
        pad_id: int,
        decode: Callable[[Sequence[int]], tuple[str, tuple[int, ...]]],
    ) -> None:
        _check_model(model.config, max_context)
        self._model, self._decode, self._pad_id = model, decode, pad_id
        self._rows, self._max_context = rows, max_context
        self._end_ids = np.array(sorted(end_ids), dtype=np.int64)
        self._cache = SlotCache(rows)
        self._queue: list[TurnRequest] = []
        self._seat: dict[int, int] = {}  # conversation -> seat
        self._live: Ints = np.empty(0, dtype=np.int64)  # seats, in the order of their rows
        self._key = np.zeros(rows, dtype=object)
        self._row = np.full(rows, -1, dtype=np.int64)  # seat -> row, -1 for nobody's seat
        self._sitting = np.full(rows, -1, dtype=np.int64)  # row -> seat
        self._length = np.zeros(rows, dtype=np.int64)  # tokens in the cache
        self._last = np.zeros(rows, dtype=np.int64)  # the one token that is not there yet
        self._count = np.zeros(rows, dtype=np.int64)  # tokens written in this turn
        self._limit = np.zeros(rows, dtype=np.int64)
        self._temperature = np.zeros(rows)
        self._top_p = np.zeros(rows)
        self._draws = np.zeros((rows, 0))
        self._ids = np.zeros((rows, 0), dtype=np.int64)
        self._logprobs = np.zeros((rows, 0), dtype=np.float32)

    @property
    def capacity(self) -> int:
        """Most conversations that may be open."""
        return self._rows

    @property
    def live(self) -> int:
        """Conversations being written or queued to be."""
        return len(self._live) + len(self._queue)

    def submit(self, requests: Sequence[TurnRequest]) -> None:
        """Queue turns; all of them or, when one can't be taken, none.

        Raises ``ValueError`` for a conversation that is being written already or too many
        open ones, ``ModelError`` for one that would not fit in the context.
        """
        busy = {request.key for request in self._queue} | {self._key[seat] for seat in self._live}
        fresh = set()
        for request in requests:
            if request.key in busy:
                raise ValueError(f"conversation {request.key} is being written already")
            busy.add(request.key)
            if request.key not in self._seat:
                fresh.add(request.key)
            self._check_request(request)
        if len(self._seat) + len(fresh) > self._rows:
            raise ValueError(
                f"{len(self._seat)} of {self._rows} conversations are open, {len(fresh)} more can't be"
            )
        for request in requests:
            if request.key in fresh:
                self._open(request.key)
            self._queue.append(request)

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Completion]]:
        """Write one token for every live conversation; return the turns that ended."""
        if self._model.training:
            self._model.eval()
        admitted, self._queue = self._queue, []
        if admitted:
            self._admit(admitted)
        if not len(self._live):
            return []
        self._arrange()
        logits_BV = self._decode_pass()
        return self._record(logits_BV)

    def release(self, key: int) -> None:
        """Forget a conversation, being written or not. Raises ``KeyError`` for an unknown one."""
        seat = self._seat.pop(key)
        self._queue = [request for request in self._queue if request.key != key]
        self._live = self._live[self._live != seat]
        self._sitting[self._row[seat]] = -1
        self._row[seat] = -1

    def release_all(self) -> None:
        """Forget every conversation."""
        for key in list(self._seat):
            self.release(key)

    def refresh(self, model: Any | None = None) -> None:
        """Say that the weights have changed, and give the cache's memory back.

        ``model`` replaces the model by another one of the same kind. Raises ``ValueError``
        when conversations are open, since their caches were computed by the old weights.
        """
        if self._seat:
            raise ValueError(
                f"{len(self._seat)} conversations are open: release them before the weights change"
            )
        if model is not None:
            _check_model(model.config, self._max_context)
            self._model = model
        self._cache.clear()

    def _check_request(self, request: TurnRequest) -> None:
        seat = self._seat.get(request.key)
        if request.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")
        if seat is None and not request.observation:
            raise ValueError(f"conversation {request.key} starts with nothing to read")
        # One token of the turn before is not in the cache; the last one written never needs to be.
        held = 0 if seat is None else int(self._length[seat]) + 1
        total = held + len(request.observation) + request.max_new_tokens
        if total > self._max_context:
            raise ModelError(
                f"a conversation may reach {total} tokens but the context is {self._max_context}: "
                "lower the token limits or the number of turns"
            )

    def _open(self, key: int) -> None:
        seat = int(np.flatnonzero(self._row < 0)[0])
        row = int(np.flatnonzero(self._sitting < 0)[0])
        self._seat[key], self._key[seat] = seat, key
        self._row[seat], self._sitting[row] = row, seat
        self._length[seat] = 0

    # -- admission -------------------------------------------------------------

    def _admit(self, requests: Sequence[TurnRequest]) -> None:
        unread: dict[int, tuple[int, ...]] = {}
        self._widen(max(request.max_new_tokens for request in requests))
        for request in requests:
            seat = self._seat[request.key]
            tokens = request.observation
            if self._length[seat]:
                tokens = (int(self._last[seat]), *tokens)
            if tokens[:-1]:
                unread[seat] = tokens[:-1]
            self._last[seat] = tokens[-1]
            self._count[seat], self._limit[seat] = 0, request.max_new_tokens
            self._temperature[seat], self._top_p[seat] = request.temperature, request.top_p
            self._draws[seat, : request.max_new_tokens] = uniform_draws(request.seed, request.max_new_tokens)
        self._live = np.append(self._live, [self._seat[request.key] for request in requests])
        extended = {seat: unread.pop(seat) for seat in list(unread) if self._length[seat]}
        self._read(unread)
        self._read(extended)

    def _widen(self, width: int) -> None:
        missing = width - self._ids.shape[1]
        if missing > 0:
            self._draws = np.pad(self._draws, ((0, 0), (0, missing)))
            self._ids = np.pad(self._ids, ((0, 0), (0, missing)))
            self._logprobs = np.pad(self._logprobs, ((0, 0), (0, missing)))

    def _read(self, unread: dict[int, tuple[int, ...]]) -> None:
        """Bring new tokens into the cache. All seats are empty, or none is."""
        twins: dict[tuple[int, ...], list[int]] = {}
        for seat, tokens in unread.items():
            # Only conversations with nothing behind them are equal when their new tokens are.
            twins.setdefault(tokens if self._length[seat] == 0 else (seat,), []).append(seat)
        firsts = {seats[0]: unread[seats[0]] for seats in twins.values()}
        for seats in _groups(firsts):
            self._prefill(np.array(seats), [firsts[seat] for seat in seats])
        copies = [(seats[0], seat) for seats in twins.values() for seat in seats[1:]]
        if copies:
            source, target = np.array(copies).T
            self._length[target] = self._length[source]
            rows = self._tensor(self._row[source]), self._tensor(self._row[target])
            self._cache.copy(*rows, int(self._length[source].max()))

    def _prefill(self, seats: Ints, texts: Sequence[tuple[int, ...]]) -> None:
        width = max(map(len, texts))
        ids_BT = np.full((len(seats), width), self._pad_id, dtype=np.int64)
        for row, text in enumerate(texts):
            ids_BT[row, : len(text)] = text
        start_B = self._length[seats]
        positions_BT = start_B[:, None] + np.arange(width)
        access = self._cache.access
        # Padding is on the right: what it writes lies beyond the row's end and is overwritten
        # before anything reads it.
        self._cache.reserve(int(positions_BT.max()) + 1)
        access.rows_B, access.positions_BT = self._tensor(self._row[seats]), self._tensor(positions_BT)
        access.kind = "extend" if start_B.any() else "fresh"
        access.length = self._span(int(positions_BT.max()))
        # Rows that were empty need no mask: causal attention never looks at padding on the right.
        mask = self._mask(access.positions_BT, access.length) if access.kind == "extend" else None
        nowhere = torch.empty(0, dtype=torch.int64, device=access.rows_B.device)
        self._forward(self._tensor(ids_BT), access.positions_BT, mask, nowhere)
        self._length[seats] += [len(text) for text in texts]

    # -- decoding --------------------------------------------------------------

    def _arrange(self) -> None:
        """Swap rows so that the live ones are the first; leaves ``_live`` in their order."""
        count = len(self._live)
        rows = self._row[self._live]
        movers = rows[rows >= count]
        if len(movers):
            holes = np.setdiff1d(np.arange(count), rows)
            here, there = np.concatenate([movers, holes]), np.concatenate([holes, movers])
            sitting = self._sitting[here]
            self._sitting[there] = sitting
            taken = sitting >= 0  # a hole may be nobody's: nothing to move out of it
            self._row[sitting[taken]] = there[taken]
            length = int(self._length[sitting[taken]].max())
            self._cache.copy(self._tensor(here[taken]), self._tensor(there[taken]), length)
        self._live = self._sitting[:count].copy()

    def _decode_pass(self) -> torch.Tensor:
        """Feed every live row its last token. Returns the logits after it, shape (B, V)."""
        length_B = self._length[self._live]
        self._cache.reserve(self._span(int(length_B.max())))
        access = self._cache.access
        access.kind, access.length = "decode", self._span(int(length_B.max()))
        access.rows_B = self._tensor(np.arange(len(length_B)))
        access.positions_BT = self._tensor(length_B[:, None])
        mask = self._mask(access.positions_BT, access.length)
        ids_B1 = self._tensor(self._last[self._live][:, None])
        self._length[self._live] += 1
        return self._forward(ids_B1, access.positions_BT, mask, 1)[:, -1]

    def _record(self, logits_BV: torch.Tensor) -> list[tuple[int, Completion]]:
        live = self._live
        count_B = self._count[live]
        drawn, scored = sample(
            logits_BV, self._draws[live, count_B], self._temperature[live], self._top_p[live]
        )
        ids_B = drawn.cpu().numpy()
        self._last[live] = self._ids[live, count_B] = ids_B
        self._logprobs[live, count_B] = scored.cpu().numpy()
        self._count[live] = count_B + 1
        stopped_B = np.isin(ids_B, self._end_ids)
        ended_B = stopped_B | (count_B + 1 >= self._limit[live])
        self._live = live[~ended_B]
        return [
            (self._key[seat], self._completion(seat, bool(stopped)))
            for seat, stopped in zip(live[ended_B], stopped_B[ended_B], strict=True)
        ]

    def _completion(self, seat: int, stopped: bool) -> Completion:
        ids = tuple(self._ids[seat, : self._count[seat]].tolist())
        text, offsets = self._decode(ids)
        return Completion(
            ids=ids,
            logprobs=tuple(self._logprobs[seat, : len(ids)].tolist()),
            text=text,
            offsets=offsets,
            finish="stop" if stopped else "length",
        )

    # -- the model -------------------------------------------------------------

    def _forward(
        self,
        ids_BT: torch.Tensor,
        positions_BT: torch.Tensor,
        mask: torch.Tensor | None,
        logits_to_keep: int | torch.Tensor,
    ) -> torch.Tensor:
        output = self._model(
            input_ids=ids_BT,
            attention_mask=mask,
            position_ids=positions_BT,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=logits_to_keep,
            return_dict=True,
        )
        logits: torch.Tensor = output.logits
        return logits

    def _mask(self, positions_BT: torch.Tensor, length: int) -> torch.Tensor:
        """Additive mask, shape (B, 1, T, length): a token sees itself and what is before it."""
        hidden = torch.arange(length, device=positions_BT.device) > positions_BT[:, None, :, None]
        mask = torch.zeros(hidden.shape, dtype=self._weights.dtype, device=hidden.device)
        return mask.masked_fill_(hidden, -torch.inf)

    def _span(self, position: int) -> int:
        return -(-(position + 1) // _GRAIN) * _GRAIN

    def _tensor(self, array: Ints) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._weights.device)

    @property
    def _weights(self) -> torch.Tensor:
        weights: torch.Tensor = self._model.get_input_embeddings().weight
        return weights


def _groups(texts: dict[int, tuple[int, ...]]) -> Iterator[list[int]]:
    """Seats in groups to read together: of like length, and few enough tokens."""
    group: list[int] = []
    shortest = 0
    for seat in sorted(texts, key=lambda seat: len(texts[seat])):
        length = len(texts[seat])
        if group and ((len(group) + 1) * length > _PREFILL_TOKENS or length > 2 * shortest + 16):
            yield group
            group = []
        if not group:
            shortest = length
        group.append(seat)
    if group:
        yield group


def _check_model(config: Any, max_context: int) -> None:
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    longest = getattr(config, "max_position_embeddings", None)
    if kinds - {"full_attention", "sliding_attention"}:
        raise ModelError(
            f"the engine needs attention in every layer, {config.model_type} has {sorted(kinds)}"
        )
    if window is not None and window < max_context and kinds != {"full_attention"}:
        raise ModelError(
            f"the model attends to {window} tokens at most, so a context of {max_context} is too long"
        )
    if longest is not None and longest < max_context:
        raise ModelError(f"the model knows {longest} positions, so a context of {max_context} is too long")
    if config._attn_implementation not in ("sdpa", "eager"):
        raise ModelError(
            f"load the model with attn_implementation='sdpa', not {config._attn_implementation!r}"
        )
