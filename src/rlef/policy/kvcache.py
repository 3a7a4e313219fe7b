"""Keys and values of many conversations, in rows that stay in place between turns.

Every layer holds one tensor of shape (rows, heads, tokens, head size) for the keys and
one for the values. New tokens are written into it, and attention reads it through a
view: nothing is concatenated or repeated. The engine keeps the rows being written in
front, so that a decoding step reads the slice ``[:live, :, :longest]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

_GRAIN = 64
"""Row lengths are multiples of this many tokens."""


@dataclass(slots=True)
class Access:
    """Where the next forward pass writes, and what its attention reads."""

    kind: Literal["fresh", "decode", "extend"] = "fresh"
    """``fresh``: rows that were empty read only what is written now. ``decode``: the rows
    in front read their past through a view. ``extend``: any rows, read through a copy."""
    rows_B: torch.Tensor | None = None
    """Rows written, int64."""
    positions_BT: torch.Tensor | None = None
    """Token index that each new token is written to, int64."""
    length: int = 0
    """Tokens that attention reads of each row; the mask hides those that are not there."""


class _SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values."""

    def __init__(self, access: Access, rows: int, size: list[int]) -> None:
        super().__init__()
        self._access, self._rows, self._size = access, rows, size

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        # Zeros and not what the memory held: a masked NaN is still a NaN.
        self.keys = key_states.new_zeros(self._shape(key_states))
        self.values = value_states.new_zeros(self._shape(value_states))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        access = self._access
        assert access.rows_B is not None and access.positions_BT is not None
        rows_B1 = access.rows_B[:, None]
        self.keys[rows_B1, :, access.positions_BT] = key_states.transpose(1, 2)
        self.values[rows_B1, :, access.positions_BT] = value_states.transpose(1, 2)
        if access.kind == "fresh":
            return key_states, value_states
        rows: torch.Tensor | slice = slice(len(access.rows_B)) if access.kind == "decode" else access.rows_B
        return self.keys[rows, :, : access.length], self.values[rows, :, : access.length]

    def grow(self) -> None:
        """Lengthen the rows to the common size, keeping what they hold."""
        if self.is_initialized:
            for name in ("keys", "values"):
                old = getattr(self, name)
                new = old.new_zeros(self._shape(old))
                new[:, :, : old.shape[2]] = old
                setattr(self, name, new)

    def copy(self, source: torch.Tensor, target: torch.Tensor, length: int) -> None:
        """Copy the first ``length`` tokens of rows ``source`` to rows ``target``, all at once."""
        for tensor in (self.keys, self.values):
            tensor[target, :, :length] = tensor[source, :, :length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        # Asked for fresh rows only: everything else brings a mask of its own.
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return -1

    def _shape(self, states: torch.Tensor) -> tuple[int, int, int, int]:
        return self._rows, states.shape[1], self._size[0], states.shape[3]


class SlotCache(Cache):  # type: ignore[misc]
    """A transformers cache whose rows are placed by the engine.

    ``rows`` is fixed. Rows start short and grow with the longest conversation, because
    room for ``rows`` contexts of full length would often not fit in memory.
    """

    def __init__(self, rows: int) -> None:
        self.access = Access()
        self._size = [0]
        super().__init__(layer_class_to_replicate=partial(_SlotLayer, self.access, rows, self._size))

    @property
    def tokens(self) -> int:
        """Tokens that a row has room for now."""
        return self._size[0]

    def reserve(self, tokens: int) -> None:
        """Make room for ``tokens`` tokens in every row."""
        if tokens > self._size[0]:
            wanted = max(tokens, self._size[0] * 3 // 2)
            self._size[0] = -(-wanted // _GRAIN) * _GRAIN
            for layer in self.layers:
                layer.grow()

    def copy(self, source: torch.Tensor, target: torch.Tensor, length: int) -> None:
        """Copy rows, all at once: with ``target`` a permutation of ``source``, rows are swapped."""
        for layer in self.layers:
            layer.copy(source, target, length)

    def clear(self) -> None:
        """Give the memory back. The next pass starts with empty rows."""
        self.layers.clear()
        self._size[0] = 0
