"""Programs that are being judged, apart from the connections that wait for them.

A program that comes again joins the one that runs, or gets the finished result: so a client that lost
its connection may simply ask again, under the same request id, and equal programs run once. A
program that nobody waits for is cancelled.
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
_ID_BYTES = 512
"""About what a request id costs."""
_log = logging.getLogger(__name__)

Work = Callable[[Tell], Coroutine[Any, Any, bool]]
"""Judges a program and tells its events; true if another caller may get the same answer."""


class Job:
    """One program; its events, for all who follow it."""

    def __init__(self, content: str) -> None:
        self.content = content
        """Fingerprint of what was asked for."""
        self.ids: list[str] = []
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
    """Jobs that run, and the newest of those that are done.

    Equal programs are one job, whatever their ids: a finished one is a few lines, while a judge's
    own memory would hold on to programs and tests.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Job] = {}
        self._by_content: dict[str, Job] = {}
        self._finished: OrderedDict[str, Job] = OrderedDict()
        """By content, those first that were asked for longest ago."""
        self._running: set[Job] = set()
        self._bytes = 0

    def find(self, request_id: str | None, content: str) -> Job | None:
        """The job for this program. Raises ``Refused`` if the id stands for another one."""
        job = self._by_id.get(request_id) if request_id is not None else None
        if job is not None and job.content != content:
            raise Refused(409, "id_taken", "this request id was used for another program; choose a new one")
        job = self._by_content.get(content)
        if job is not None:
            self._name(job, request_id)
            if content in self._finished:
                self._finished.move_to_end(content)
        return job

    def start(self, request_id: str | None, content: str, work: Work, ticket: Ticket) -> Job:
        """Start ``work``; the ticket is closed when it ends, however it ends."""
        job = Job(content)
        self._running.add(job)
        self._by_content[content] = job
        self._name(job, request_id)
        job.task = asyncio.create_task(work(job.tell))
        job.task.add_done_callback(lambda task: self._over(job, task, ticket))
        return job

    def join(self, job: Job) -> None:
        """One more follower."""
        job.followers += 1

    def leave(self, job: Job) -> None:
        """One follower less. A job that nobody follows is cancelled, and its ids are free again."""
        job.followers -= 1
        if not job.followers and not job.done and job.task:
            self._forget(job)
            job.task.cancel()

    def cancel_all(self) -> None:
        """Stop every job; followers are told that the service stops."""
        for job in self._running:
            if job.task:
                job.task.cancel()

    def _over(self, job: Job, task: asyncio.Task[bool], ticket: Ticket) -> None:
        self._running.discard(job)
        error = None if task.cancelled() else task.exception()
        ticket.close(finished=not task.cancelled() and error is None)
        if task.cancelled():
            job.tell({"event": "error", **stopping().body()})
        elif isinstance(error, RlefError):
            job.tell({"event": "error", **Refused(400, "unusable_tests", str(error)).body()})
        elif error is not None:
            _log.error("a job failed", exc_info=error)
            job.tell({"event": "error", **Refused(500, "internal", "the service failed; see its log").body()})
        job.end()
        if self._by_content.get(job.content) is not job:
            return  # forgotten already
        if task.cancelled() or error is not None or not task.result():
            self._forget(job)
        else:
            self._finished[job.content] = job
            self._count(job.size)

    def _name(self, job: Job, request_id: str | None) -> None:
        if request_id is not None and request_id not in self._by_id:
            self._by_id[request_id] = job
            job.ids.append(request_id)
            job.size += _ID_BYTES
            if job.content in self._finished:
                self._count(_ID_BYTES)

    def _count(self, more: int) -> None:
        self._bytes += more
        while self._finished and (len(self._finished) > _KEPT_JOBS or self._bytes > _KEPT_BYTES):
            _, oldest = self._finished.popitem(last=False)
            self._bytes -= oldest.size
            self._forget(oldest)

    def _forget(self, job: Job) -> None:
        if self._by_content.get(job.content) is job:
            del self._by_content[job.content]
            for one in job.ids:
                del self._by_id[one]
