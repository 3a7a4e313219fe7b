"""Answers that are more than a JSON value: streams, errors, work that ends with its client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rlef.service.errors import Answer, Refused, stopping
from rlef.service.jobs import Job, Jobs

T = TypeVar("T")


class Events(StreamingResponse):
    """The events of a job, a line each. The client follows the job as long as it is connected."""

    def __init__(self, jobs: Jobs, job: Job, waiting: Callable[[], dict[str, Any]]) -> None:
        super().__init__(job.follow(waiting), media_type="application/x-ndjson")
        self._jobs, self._job = jobs, job
        jobs.join(job)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._jobs.leave(self._job)


class Presence:
    """Runs work for clients that wait for one answer, and drops it when they leave."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def unless_gone(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns or raises. Raises ``Refused`` if the client goes, or we do."""
        task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
        self._tasks.add(task)
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if task.cancelled():
                raise stopping()
            if not task.done():
                raise Refused(400, "gone", "the client went away")
            return task.result()
        finally:
            self._tasks.discard(task)
            task.cancel()
            gone.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    def cancel_all(self) -> None:
        """Stop all work; the clients are told that the service stops."""
        for task in self._tasks:
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def refused(request: Request, error: Exception) -> Response:
    """Answer for ``Refused``."""
    assert isinstance(error, Refused)
    return Answer(error.body(), error.status, error.headers())


async def no_route(request: Request, error: Exception) -> Response:
    """Answer for unknown paths and methods."""
    assert isinstance(error, HTTPException)
    code = {404: "no_such_path", 405: "no_such_method"}.get(error.status_code, "bad_request")
    message = "there are GET /health, PUT and GET /tests/{sha256}, POST /judge and POST /run_code"
    return Answer(Refused(error.status_code, code, message).body(), error.status_code, error.headers)


async def failed(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours; the log has the traceback."""
    return Answer(Refused(500, "internal", "the service failed; see its log").body(), 500)
