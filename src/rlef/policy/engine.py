"""Sampling turns of many conversations with a transformers model, in this process.

Theory of operation. A conversation takes a *seat* (its state, in ``seats.py``) and a
*row* (its keys and values, in ``kvcache.py``) until it is released. Between turns it is
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
import torch

from rlef.errors import ModelError
from rlef.policy.kvcache import SlotCache
from rlef.policy.sampling import sample
from rlef.policy.seats import Ints, Seats
from rlef.policy.types import Completion, TurnRequest

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
        self._seats = Seats(rows)

    @property
    def capacity(self) -> int:
        """Most conversations that may be open."""
        return self._rows

    @property
    def live(self) -> int:
        """Conversations being written or queued to be."""
        return len(self._seats.live) + len(self._queue)

    def submit(self, requests: Sequence[TurnRequest]) -> None:
        """Queue turns; all of them or, when one can't be taken, none.

        Raises ``ValueError`` for a conversation that is being written already or too many
        open ones, ``ModelError`` for one that would not fit in the context.
        """
        seats = self._seats
        busy = {request.key for request in self._queue} | {seats.key[seat] for seat in seats.live}
        fresh = set()
        for request in requests:
            if request.key in busy:
                raise ValueError(f"conversation {request.key} is being written already")
            busy.add(request.key)
            if request.key not in seats.seat:
                fresh.add(request.key)
            self._check_request(request)
        if len(seats.seat) + len(fresh) > self._rows:
            raise ValueError(
                f"{len(seats.seat)} of {self._rows} conversations are open, {len(fresh)} more can't be"
            )
        for request in requests:
            if request.key in fresh:
                seats.open(request.key)
            self._queue.append(request)

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Completion]]:
        """Write one token for every live conversation; return the turns that ended."""
        if self._model.training:
            self._model.eval()
        admitted, self._queue = self._queue, []
        if admitted:
            self._admit(admitted)
        if not len(self._seats.live):
            return []
        moved = self._seats.arrange()
        if moved is not None:
            here, there, length = moved
            self._cache.copy(self._tensor(here), self._tensor(there), length)
        logits_BV = self._decode_pass()
        return self._record(logits_BV)

    def release(self, key: int) -> None:
        """Forget a conversation, being written or not. Raises ``KeyError`` for an unknown one."""
        self._seats.close(key)
        self._queue = [request for request in self._queue if request.key != key]

    def release_all(self) -> None:
        """Forget every conversation."""
        for key in list(self._seats.seat):
            self.release(key)

    def refresh(self, model: Any | None = None) -> None:
        """Say that the weights have changed, and give the cache's memory back.

        ``model`` replaces the model by another one of the same kind. Raises ``ValueError``
        when conversations are open, since their caches were computed by the old weights.
        """
        if self._seats.seat:
            raise ValueError(
                f"{len(self._seats.seat)} conversations are open: release them before the weights change"
            )
        if model is not None:
            _check_model(model.config, self._max_context)
            self._model = model
        self._cache.clear()

    def _check_request(self, request: TurnRequest) -> None:
        if request.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")
        if request.key not in self._seats.seat and not request.observation:
            raise ValueError(f"conversation {request.key} starts with nothing to read")
        total = self._seats.held(request.key) + len(request.observation) + request.max_new_tokens
        if total > self._max_context:
            raise ModelError(
                f"a conversation may reach {total} tokens but the context is {self._max_context}: "
                "lower the token limits or the number of turns"
            )

    # -- admission -------------------------------------------------------------

    def _admit(self, requests: Sequence[TurnRequest]) -> None:
        unread = self._seats.begin(requests)
        extended = {seat: unread.pop(seat) for seat in list(unread) if self._seats.length[seat]}
        self._read(unread)
        self._read(extended)

    def _read(self, unread: dict[int, tuple[int, ...]]) -> None:
        """Bring new tokens into the cache. All seats are empty, or none is."""
        length, row = self._seats.length, self._seats.row
        twins: dict[tuple[int, ...], list[int]] = {}
        for seat, tokens in unread.items():
            # Only conversations with nothing behind them are equal when their new tokens are.
            twins.setdefault(tokens if length[seat] == 0 else (seat,), []).append(seat)
        firsts = {seats[0]: unread[seats[0]] for seats in twins.values()}
        for seats in _groups(firsts):
            self._prefill(np.array(seats), [firsts[seat] for seat in seats])
        copies = [(seats[0], seat) for seats in twins.values() for seat in seats[1:]]
        if copies:
            source, target = np.array(copies).T
            length[target] = length[source]
            rows = self._tensor(row[source]), self._tensor(row[target])
            self._cache.copy(*rows, int(length[source].max()))

    def _prefill(self, seats: Ints, texts: Sequence[tuple[int, ...]]) -> None:
        width = max(map(len, texts))
        ids_BT = np.full((len(seats), width), self._pad_id, dtype=np.int64)
        for row, text in enumerate(texts):
            ids_BT[row, : len(text)] = text
        start_B = self._seats.length[seats]
        positions_BT = start_B[:, None] + np.arange(width)
        access = self._cache.access
        # Padding is on the right: what it writes lies beyond the row's end and is overwritten
        # before anything reads it.
        self._cache.reserve(int(positions_BT.max()) + 1)
        access.rows_B, access.positions_BT = self._tensor(self._seats.row[seats]), self._tensor(positions_BT)
        access.kind = "extend" if start_B.any() else "fresh"
        access.length = self._span(int(positions_BT.max()))
        # Rows that were empty need no mask: causal attention never looks at padding on the right.
        mask = self._mask(access.positions_BT, access.length) if access.kind == "extend" else None
        nowhere = torch.empty(0, dtype=torch.int64, device=access.rows_B.device)
        self._forward(self._tensor(ids_BT), access.positions_BT, mask, nowhere)
        self._seats.length[seats] += [len(text) for text in texts]

    # -- decoding --------------------------------------------------------------

    def _decode_pass(self) -> torch.Tensor:
        """Feed every live row its last token. Returns the logits after it, shape (B, V)."""
        seats = self._seats
        length_B = seats.length[seats.live]
        self._cache.reserve(self._span(int(length_B.max())))
        access = self._cache.access
        access.kind, access.length = "decode", self._span(int(length_B.max()))
        access.rows_B = self._tensor(np.arange(len(length_B)))
        access.positions_BT = self._tensor(length_B[:, None])
        mask = self._mask(access.positions_BT, access.length)
        ids_B1 = self._tensor(seats.last[seats.live][:, None])
        seats.length[seats.live] += 1
        return self._forward(ids_B1, access.positions_BT, mask, 1)[:, -1]

    def _record(self, logits_BV: torch.Tensor) -> list[tuple[int, Completion]]:
        drawn, scored = sample(logits_BV, *self._seats.next_draws())
        ids_B = drawn.cpu().numpy()
        stopped_B = np.isin(ids_B, self._end_ids)
        ended = self._seats.write(ids_B, scored.cpu().numpy(), stopped_B)
        return [(self._seats.key[seat], self._completion(seat)) for seat in ended]

    def _completion(self, seat: int) -> Completion:
        ids, logprobs = self._seats.written(seat)
        text, offsets = self._decode(ids)
        return Completion(
            ids=ids,
            logprobs=logprobs,
            text=text,
            offsets=offsets,
            finish="stop" if ids[-1] in self._end_ids else "length",
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
