"""Who is served, who waits, who is sent away.

A fixed number of programs is with the judge at a time, in the order in which they came. The queue
behind them is bounded in programs and in bytes: what does not fit is refused with the
depth of the queue, so that the client waits or goes elsewhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType

from rlef.service.errors import Refused, stopping

_BLEND = 0.05
"""Weight of the newest program in the mean time that a program takes."""
_LONGEST_RETRY_S = 30


class Desk:
    """Admission to ``places`` programs at a time, with room for ``queue`` more."""

    def __init__(self, places: int, queue: int, queue_bytes: int) -> None:
        self.queue = queue
        self.queued = self.running = self.bytes = 0
        self.counts = dict.fromkeys(("started", "finished", "cancelled", "refused"), 0)
        """Programs since the start of the service."""
        self.stopped = False
        self.free = asyncio.Semaphore(places)
        self._places, self._queue_bytes = places, queue_bytes
        self._mean_s = 0.05

    def admit(self, size: int, *, even_if_full: bool = False) -> Ticket:
        """A ticket for a request of ``size`` bytes. Raises ``Refused`` if it can't wait here.

        ``even_if_full`` is for clients that don't know how to come again: they wait, as long as
        there is memory for them.
        """
        if self.stopped:
            raise stopping()
        full = self.queued >= self.queue and not even_if_full
        if full or (self.bytes and self.bytes + size > self._queue_bytes):
            self.counts["refused"] += 1
            raise Refused(
                429,
                "busy",
                f"{self.queued} programs wait already; try again later or ask another service",
                retry_s=self.retry_s(),
                queued=self.queued,
                queue=self.queue,
            )
        return Ticket(self, size)

    def retry_s(self) -> int:
        """Whole seconds after which a place may be free."""
        expected = math.ceil(self.queued * self._mean_s / self._places)
        return max(1, min(_LONGEST_RETRY_S, expected))

    def took(self, seconds: float) -> None:
        """A program took this long."""
        self._mean_s += _BLEND * (seconds - self._mean_s)


class Ticket:
    """The right of one program to wait, then to hold a place. Close it in every case.

    As a context manager it closes itself, and counts as finished if nothing was raised.
    """

    def __init__(self, desk: Desk, size: int) -> None:
        self._desk, self._size = desk, size
        self._start: float | None = None
        self._closed = False
        desk.queued += 1
        desk.bytes += size

    async def enter(self, patience_s: float | None = None) -> None:
        """Wait for a place. Raises ``TimeoutError`` if none is free within ``patience_s``."""
        async with asyncio.timeout(patience_s):
            await self._desk.free.acquire()
        self._start = time.monotonic()
        self._desk.queued -= 1
        self._desk.running += 1
        self._desk.counts["started"] += 1

    def close(self, *, finished: bool) -> None:
        """Give place and room back. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._desk.bytes -= self._size
        if self._start is None:
            self._desk.queued -= 1
            return
        self._desk.running -= 1
        self._desk.free.release()
        self._desk.counts["finished" if finished else "cancelled"] += 1
        self._desk.took(time.monotonic() - self._start)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(finished=kind is None)
