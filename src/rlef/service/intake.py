"""Bodies of strangers: bounded in size, in time and in what all of them hold together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from rlef.service.errors import Refused

_FIRST_S = 20.0
_BYTES_A_SECOND = 32 * 2**10
"""The slowest sender that is waited for: `_FIRST_S`, and a second for each so many bytes."""


class Intake:
    """Reads bodies; together they hold at most ``total`` bytes."""

    def __init__(self, total: int) -> None:
        self.total, self.held = total, 0

    @asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body of a request, which counts as held while the context lasts.

        Raises ``Refused``: 413 if it has more than ``limit`` bytes, 408 if it comes too
        slowly, 429 if other bodies take all the room.
        """
        if int(request.headers.get("content-length", "0")) > limit:
            raise _too_big(limit)
        chunks: list[bytes] = []
        try:
            await self._read(request, limit, chunks)
            yield b"".join(chunks)
        finally:
            self.held -= sum(map(len, chunks))

    async def _read(self, request: Request, limit: int, chunks: list[bytes]) -> None:
        size = 0
        try:
            async with asyncio.timeout(_FIRST_S) as clock:
                async for chunk in request.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    self.held += len(chunk)
                    if size > limit:
                        raise _too_big(limit)
                    if self.held > self.total:
                        raise Refused(429, "busy", "too many big requests at a time", retry_s=5)
                    clock.reschedule((clock.when() or 0.0) + len(chunk) / _BYTES_A_SECOND)
        except TimeoutError:
            raise Refused(408, "too_slow", "the body came too slowly") from None
        except ClientDisconnect:
            raise Refused(400, "gone", "the client went away") from None


def _too_big(limit: int) -> Refused:
    return Refused(413, "too_big", f"the body has more than {limit} bytes, the most that this service takes")
