"""Room for a bounded number of programs in flight."""

from __future__ import annotations

import asyncio


class Room:
    """One program's place, left once, by whoever knows first that it is no longer needed."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    @classmethod
    async def taken(cls, semaphore: asyncio.Semaphore) -> Room:
        """Wait for a place and take it."""
        await semaphore.acquire()
        return cls(semaphore)

    def leave(self) -> None:
        """Give the place to the next. Safe to call again."""
        if self._semaphore:
            self._semaphore.release()
        self._semaphore = None
