"""Programs that are being judged, apart from the connections that wait for them.

A request id that comes again joins the program that runs, or gets the finished result: so a client
that lost its connection may simply ask again. A program that nobody waits for is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from rlef.errors import RlefError
from rlef.service import wire
from rlef.service.desk import Ticket
from rlef.service.errors import Refused, stopping
from rlef.service.wire import Tell

_KEPT_JOBS = 4096
_KEPT_BYTES = 128 * 2**20
_log = logging.getLogger(__name__)

Work = Callable[[Tell], Coroutine[Any, Any, bool]]
"""Judges a program and tells its events; true if another caller may get the same answer."""


class Job:
    """One program; its events, for all who follow it."""

    def __init__(self, request_id: str | None, content: object) -> None:
        self.request_id = request_id
        self.content = content
        """What was asked for: the same request id must mean the same program."""
        self.followers = 0
        self.lines: list[bytes] = []
        self.size = 0
        self.done = False
        self.task: asyncio.Task[bool] | None = None
        self._news = asyncio.Event()

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event."""
        line = wire.dumps(event) + b"\n"
        self.lines.append(line)
        self.size += len(line)
        self._wake()

    def end(self) -> None:
        """No event will come any more."""
        self.done = True
        self._wake()

    async def follow(self, waiting: Callable[[], dict[str, Any]]) -> AsyncIterator[bytes]:
        """All lines from the first one; ``waiting`` makes the event for a long silence."""
        read = 0
        while True:
            news = self._news
            if read < len(self.lines):
                fresh, read = b"".join(self.lines[read:]), len(self.lines)
                yield fresh
            elif self.done:
                return
            else:
                try:
                    async with asyncio.timeout(wire.BEAT_S):
                        await news.wait()
                except TimeoutError:
                    yield wire.dumps(waiting()) + b"\n"

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Jobs:
    """Jobs that run, and the newest of those that are done."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}
        self._finished: OrderedDict[str, Job] = OrderedDict()
        self._all: set[Job] = set()
        self._bytes = 0

    def find(self, request_id: str | None, content: object) -> Job | None:
        """The job of this id. Raises ``Refused`` if the id stands for another program."""
        if request_id is None:
            return None
        job = self._running.get(request_id) or self._finished.get(request_id)
        if job is not None and job.content != content:
            raise Refused(409, "id_taken", "this request id was used for another program; choose a new one")
        return job

    def start(self, request_id: str | None, content: object, work: Work, ticket: Ticket) -> Job:
        """Start ``work``; the ticket is closed when it ends, however it ends."""
        job = Job(request_id, content)
        self._all.add(job)
        if request_id is not None:
            self._running[request_id] = job
        job.task = asyncio.create_task(work(job.tell))
        job.task.add_done_callback(lambda task: self._over(job, task, ticket))
        return job

    def join(self, job: Job) -> None:
        """One more follower."""
        job.followers += 1

    def leave(self, job: Job) -> None:
        """One follower less. A job that nobody follows is cancelled, and its id is free again."""
        job.followers -= 1
        if not job.followers and not job.done and job.task:
            self._forget(job)
            job.task.cancel()

    def cancel_all(self) -> None:
        """Stop every job; followers are told that the service stops."""
        for job in self._all:
            if job.task:
                job.task.cancel()

    def _over(self, job: Job, task: asyncio.Task[bool], ticket: Ticket) -> None:
        self._all.discard(job)
        error = None if task.cancelled() else task.exception()
        ticket.close(finished=not task.cancelled() and error is None)
        known = self._forget(job)
        if task.cancelled():
            job.tell({"event": "error", **stopping().body()})
        elif isinstance(error, RlefError):
            job.tell({"event": "error", **Refused(400, "unusable_tests", str(error)).body()})
        elif error is not None:
            _log.error("a job failed", exc_info=error)
            job.tell({"event": "error", **Refused(500, "internal", "the service failed; see its log").body()})
        elif known and task.result():
            self._keep(job)
        job.end()

    def _forget(self, job: Job) -> bool:
        """Take a job out of those that run; true if its id was its own."""
        if job.request_id is None or self._running.get(job.request_id) is not job:
            return False
        del self._running[job.request_id]
        return True

    def _keep(self, job: Job) -> None:
        assert job.request_id is not None
        self._finished[job.request_id] = job
        self._bytes += job.size
        while len(self._finished) > _KEPT_JOBS or self._bytes > _KEPT_BYTES:
            self._bytes -= self._finished.popitem(last=False)[1].size
