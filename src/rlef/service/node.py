"""One service as its client sees it: where it is, what it has, how it does."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import httpx2

from rlef.errors import ConfigError, DataError
from rlef.problems.types import Problem
from rlef.service import reading, wire
from rlef.service.reading import Reports, Unserved

TIMEOUT = httpx2.Timeout(60.0, connect=10.0, pool=None)
"""Seconds; the server says something at least every ``wire.BEAT_S``."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
_UPLOADS = 5
_KNOWN_SETS = 16384


class Node:
    """A service. ``http`` carries no token; `headers` does."""

    def __init__(self, url: str, token: str | None, http: httpx2.AsyncClient) -> None:
        self.url = url.rstrip("/")
        self.slots = 1
        self.load = 0
        """Programs that this client has there."""
        self.reason = ""
        """Why it did not answer last time; empty if it did."""
        self.next_try = 0.0
        """When to ask it again, on the monotonic clock."""
        self.doubted_until = 0.0
        """Until then others are preferred: its sandbox failed."""
        self._failures = 0
        self._probed = False
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._sets: OrderedDict[str, asyncio.Lock] = OrderedDict()
        self._has: set[str] = set()

    @property
    def shown(self) -> str:
        """The URL without the token that may be in it."""
        return self.url.partition("/t/")[0]

    def failed(self, reason: str) -> None:
        """It did not answer; leave it alone for a while, longer each time."""
        now = time.monotonic()
        again = not self.reason or now >= self.next_try  # else one of many that failed together
        self.reason, self._probed = reason, False
        if again:
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
            self._failures += 1
            self.next_try = now + pause * random.uniform(0.5, 1.0)

    def busy(self, retry_s: float) -> None:
        """It has enough to do; come again later, not all at once."""
        self.next_try = time.monotonic() + retry_s * random.uniform(0.5, 1.0)

    def answered(self) -> None:
        """It judged a program."""
        self.reason, self._failures = "", 0

    async def probe(self, language: str) -> None:
        """Ask how it does and whether it takes the token.

        Raises ``Unserved`` if it does not answer, ``ConfigError`` if it can't be used.
        """
        if self._probed:
            return
        health = _json(await self._send("GET", "/health"))
        try:
            self.slots, spoken = max(1, int(health["slots"])), list(health["languages"])
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"{self.shown} is not a judge of rlef") from None
        if language not in spoken:
            raise ConfigError(f"{self.shown} does not run {language}; it runs {', '.join(spoken)}")
        await self._send("GET", f"/tests/{'0' * 64}", also=(404,))
        self._has.clear()  # it may have been started again
        self._probed = True

    async def judge(
        self, order: dict[str, Any], problem: Problem, name: str, body: Callable[[], bytes]
    ) -> Reports:
        """The reports of a program. ``body`` makes the test set called ``name``.

        Raises ``Unserved``, ``DataError`` if the service says that problem or program can't be
        judged, ``ConfigError`` if it refuses the token.
        """
        for _ in range(_UPLOADS):
            await self._upload(name, body)
            found = await self._order(order, problem)
            if found is not None:
                return found
            self._has.discard(name)
        raise Unserved("it forgets its tests as fast as they are sent; give it more with --store-mb")

    async def _upload(self, name: str, body: Callable[[], bytes]) -> None:
        lock = self._sets.setdefault(name, asyncio.Lock())
        self._sets.move_to_end(name)
        if len(self._sets) > _KNOWN_SETS:
            self._has.discard(self._sets.popitem(last=False)[0])
        async with lock:  # one upload, however many programs are waiting for it
            if name not in self._has:
                await self._send("PUT", f"/tests/{name}", body())
                self._has.add(name)

    async def _order(self, order: dict[str, Any], problem: Problem) -> Reports | None:
        """The reports, or None if the service has not got the tests."""
        request = self._request("POST", "/judge", wire.dumps(order))
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code == 200:
                    return await reading.reports(response.aiter_lines(), problem)
                await response.aread()
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise Unserved(_why(error)) from None
        if _code(response) == "unknown_tests":
            return None
        self._check(response)
        raise Unserved(f"it answered {response.status_code}")

    async def _send(
        self, method: str, path: str, content: bytes | None = None, also: tuple[int, ...] = ()
    ) -> httpx2.Response:
        try:
            response = await self._http.send(self._request(method, path, content))
        except httpx2.HTTPError as error:
            raise Unserved(_why(error)) from None
        if not response.is_success and response.status_code not in also:
            self._check(response)
        return response

    def _request(self, method: str, path: str, content: bytes | None = None) -> httpx2.Request:
        return self._http.build_request(method, self.url + path, content=content, headers=self._headers)

    def _check(self, response: httpx2.Response) -> None:
        """Raise what a refusal means."""
        status, message = response.status_code, _message(response)
        if status == 401:
            raise ConfigError(f"{self.shown} refuses the token: give the right one, see docs/service.md")
        if status == 429:
            self.busy(float(response.headers.get("retry-after", "1")))
            raise Busy(message)
        if status in (400, 409, 413, 422):
            raise DataError(f"{self.shown}: {message}")
        raise Unserved(message)


class Busy(Unserved):
    """The service lives and has too much to do."""


def _why(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _json(response: httpx2.Response) -> Any:
    try:
        return wire.loads(response.content)
    except ValueError:
        return None


def _code(response: httpx2.Response) -> str:
    value = _json(response)
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _message(response: httpx2.Response) -> str:
    value = _json(response)
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("message")) if isinstance(error, dict) else f"it answered {response.status_code}"
