"""Inputs of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload


class Inputs(Sequence[bytes]):
    """Inputs that are made when they are asked for, so that waiting programs hold no copies."""

    def __init__(self, count: int, make: Callable[[int], bytes]) -> None:
        self._places, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Inputs: ...

    def __getitem__(self, at: int | slice) -> bytes | Inputs:
        if isinstance(at, int):
            return self._make(self._places[at])
        some = Inputs(0, self._make)
        some._places = self._places[at]
        return some
