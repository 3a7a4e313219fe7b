"""An engine that follows a script and a codec over bytes: no model, no torch, no files.

For tests, for trying an environment out, and for replaying recorded turns. Both keep the
contracts of ``policy.types`` exactly, so what works with them works with a model.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rlef.policy.types import Completion, Finish, TurnRequest

USER, ASSISTANT, END = 256, 257, 258
"""Ids above the bytes; no text can produce them."""

_MARK = b"[...]"


class ByteCodec:
    """A chat format with one token per UTF-8 byte and three tokens for its markers.

    ``USER text END ASSISTANT turn END USER text END ASSISTANT …``
    """

    fingerprint = "bytes-1"

    def opening(self, text: str, *, max_tokens: int) -> tuple[int, ...]:
        """Ids of a conversation's first message; over ``max_tokens`` it loses its left end."""
        room = max_tokens - 3
        data = text.encode("utf-8", "replace")
        if len(data) > room:
            data = _MARK + _whole_characters(data[len(data) - max(0, room - len(_MARK)) :])
        return (USER, *data, END, ASSISTANT)

    def reply(self, text: str, *, max_tokens: int, closed: bool) -> tuple[int, ...]:
        """Ids after a turn; text over ``max_tokens`` loses its right end."""
        room = max_tokens - 3 - (not closed)
        data = text.encode("utf-8", "replace")
        if len(data) > room:
            cut = data[: max(0, room - len(_MARK))].decode("utf-8", "ignore")
            data = cut.encode() + _MARK
        return (*(() if closed else (END,)), USER, *data, END, ASSISTANT)

    def turn(self, text: str) -> tuple[int, ...]:
        """Ids with which a policy writes ``text`` and closes its turn."""
        return (*text.encode("utf-8", "replace"), END)

    def decode(self, ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Text of a turn without markers, and the offset of each id in it."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, offsets = "", []
        for token in ids:
            offsets.append(len(text))
            text += decoder.decode(bytes([token])) if token < 256 else decoder.decode(b"", True)
        return text + decoder.decode(b"", True), tuple(offsets)

    def read(self, ids: Sequence[int]) -> str:
        """Ids for people: markers in angle brackets."""
        names = {USER: b"<user>", ASSISTANT: b"<assistant>", END: b"<end>"}
        return b"".join(names.get(token) or bytes([token]) for token in ids).decode("utf-8", "replace")


Script = Mapping[int, Sequence[str]] | Callable[[TurnRequest, int], str]
"""What is written: for each key its turns in order, or a function of request and turn index."""


@dataclass(slots=True)
class _Writing:
    key: int
    ids: tuple[int, ...]
    finish: Finish
    written: int = 0


@dataclass(slots=True)
class _Open:
    turns: int = 0
    ids: list[int] = field(default_factory=list)


class ScriptedEngine:
    """Writes scripted turns one token a step, whatever it reads. Every log-probability is -0.5.

    ``log`` holds every call in order: ``("submit", requests)``, ``("step", live keys)``,
    ``("release", key)``. Raises ``ValueError`` when a caller breaks the protocol.
    """

    def __init__(self, script: Script, *, capacity: int = 4) -> None:
        self.script = script
        self.capacity = capacity
        self.codec = ByteCodec()
        self.log: list[tuple[str, object]] = []
        self._open: dict[int, _Open] = {}
        self._queue: list[_Writing] = []
        self._writing: list[_Writing] = []

    @property
    def live(self) -> int:
        """Conversations that are being written now, the queued ones included."""
        return len(self._writing) + len(self._queue)

    @property
    def open(self) -> int:
        """Conversations submitted and not released."""
        return len(self._open)

    def context(self, key: int) -> list[int]:
        """All ids of an open conversation, read and written."""
        return list(self._open[key].ids)

    def submit(self, requests: Sequence[TurnRequest]) -> None:
        """Queue turns. Raises ``ValueError`` over capacity or for a key that is being written."""
        self.log.append(("submit", tuple(requests)))
        for request in requests:
            if any(row.key == request.key for row in self._writing + self._queue):
                raise ValueError(f"conversation {request.key} is being written")
            conversation = self._open.setdefault(request.key, _Open())
            if len(self._open) > self.capacity:
                raise ValueError(f"more than {self.capacity} conversations are open")
            conversation.ids += request.observation
            self._queue.append(self._plan(request, conversation.turns))
            conversation.turns += 1

    def step(self) -> list[tuple[int, Completion]]:
        """Write one token for every live conversation; return the turns that ended."""
        self._writing += self._queue
        self._queue = []
        self.log.append(("step", tuple(row.key for row in self._writing)))
        for row in self._writing:
            row.written += 1
        ended = [row for row in self._writing if row.written == len(row.ids)]
        self._writing = [row for row in self._writing if row.written < len(row.ids)]
        return [(row.key, self._completion(row)) for row in ended]

    def release(self, key: int) -> None:
        """Forget a conversation. Raises ``KeyError`` if it is not open."""
        self.log.append(("release", key))
        del self._open[key]
        self._writing = [row for row in self._writing if row.key != key]
        self._queue = [row for row in self._queue if row.key != key]

    def _plan(self, request: TurnRequest, turn: int) -> _Writing:
        text = self.script(request, turn) if callable(self.script) else self.script[request.key][turn]
        ids = self.codec.turn(text)
        if len(ids) > request.max_new_tokens:
            return _Writing(request.key, ids[: request.max_new_tokens], "length")
        return _Writing(request.key, ids, "stop")

    def _completion(self, row: _Writing) -> Completion:
        self._open[row.key].ids += row.ids
        text, offsets = self.codec.decode(row.ids)
        return Completion(
            ids=row.ids, logprobs=(-0.5,) * len(row.ids), text=text, offsets=offsets, finish=row.finish
        )


def _whole_characters(data: bytes) -> bytes:
    """``data`` without the tail of a character that was cut at its left end."""
    return data.lstrip(bytes(range(0x80, 0xC0)))
