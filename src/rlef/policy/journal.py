"""Replies are written down as they come, so that none is paid for twice.

A request is known by all that it says (`ChatRequest.digest`). An evaluation that was cut off asks
again for the same things in the same words; what was answered before is answered from here, and
only requests that were on their way are sent once more. The first attempts of one rollout under
several conditions are one request, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rlef.errors import RunError
from rlef.policy.chat import ChatModel, ChatRequest, ContextFullError, Reply
from rlef.runs import Appender

REPLIES = "replies.jsonl"


@dataclass(slots=True, kw_only=True)
class Spent:
    """What a journal's replies cost, over all sittings."""

    requests: int = 0
    read: int = 0
    """Tokens."""
    wrote: int = 0
    """Tokens."""
    seconds: float = 0.0
    """From the beginning of a sitting to its last reply, added up over the sittings."""
    too_long: int = 0
    """Requests that did not fit into the model's context."""
    reused: int = 0
    """Requests of this sitting that were answered from the journal."""


class Journal:
    """A chat model that remembers. Use as a context manager.

    ``model`` is asked for what is not in the file ``path`` yet. Texts stay in the file: of a reply, memory
    holds its place, some 200 bytes. Raises ``RunError`` for a file that is no journal.
    """

    def __init__(self, path: Path, model: ChatModel) -> None:
        self.model = model
        self.spent = Spent()
        self._places: dict[str, int] = {}
        self._asked: dict[str, asyncio.Future[Reply]] = {}
        self._path = path
        self._file = Appender(path)
        self._read = path.open("rb")
        try:
            self._recall()
        except RunError:
            self.__exit__()
            raise
        self._began = time.monotonic() - self.spent.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._read.close()
        self._file.close()

    @property
    def concurrency(self) -> int:
        """The model's."""
        return self.model.concurrency

    async def reply(self, request: ChatRequest) -> Reply:
        """The reply in the journal, or the model's, which is written down before it is used."""
        name = request.digest()
        if name in self._places:
            self.spent.reused += 1
            self._read.seek(self._places[name])
            return _unless_full(_reply(json.loads(self._read.readline())))
        if name in self._asked:  # the same request is on its way
            return await asyncio.shield(self._asked[name])
        future = self._asked[name] = asyncio.get_running_loop().create_future()
        try:
            found = await self._ask(name, request)
        except BaseException as error:
            future.set_exception(error)
            with contextlib.suppress(BaseException):
                future.exception()  # if nobody else waits, nobody need be told
            raise
        finally:
            del self._asked[name]
        future.set_result(found)
        return found

    async def _ask(self, name: str, request: ChatRequest) -> Reply:
        found: Reply | None
        try:
            found = await self.model.reply(request)
        except ContextFullError:
            found = None
        row = {"request": name, **_row(found), "at": round(time.monotonic() - self._began, 3)}
        self._add(row, found, self._file.write(row))
        return _unless_full(found)

    def _recall(self) -> None:
        place = 0
        for number, line in enumerate(self._read, 1):
            try:
                row = json.loads(line)
                self._add(row, _reply(row), place)
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                raise RunError(
                    f"{self._path}:{number} is no reply; take the line out, it is asked again"
                ) from None
            place += len(line)

    def _add(self, row: Mapping[str, Any], found: Reply | None, place: int) -> None:
        self._places[str(row["request"])] = place
        self.spent.requests += 1
        self.spent.read += found.read if found else 0
        self.spent.wrote += found.wrote if found else 0
        self.spent.too_long += found is None
        self.spent.seconds = float(row.get("at", 0))  # goes on from sitting to sitting


def _unless_full(found: Reply | None) -> Reply:
    if found is None:
        raise ContextFullError
    return found


def _row(found: Reply | None) -> dict[str, Any]:
    if found is None:
        return {"context_full": True}
    return {"text": found.text, "finish": found.finish, "read": found.read, "wrote": found.wrote}


def _reply(row: dict[str, Any]) -> Reply | None:
    if row.get("context_full"):
        return None
    text, finish = row["text"], row["finish"]
    if not isinstance(text, str) or finish not in ("stop", "length"):
        raise ValueError("no reply")
    return Reply(text=text, finish=finish, read=int(row["read"]), wrote=int(row["wrote"]))
