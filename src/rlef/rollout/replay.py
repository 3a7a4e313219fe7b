"""A recorded run as a model: it says again what was said, to whoever plays the same game.

A turn is known by its conversation so far and its seed. A transcript answers only what was asked:
with other prompts, other feedback or another seed there is nothing to say, and that is an error, not
an empty answer. To judge recorded programs again, whatever was said around them, there is
``rlef judge --rescore``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from rlef.errors import ModelError
from rlef.policy.chat import ChatRequest, ContextFullError, NoReplyError, Reply
from rlef.rollout.spec import chat_seed
from rlef.runs import Run


class Replay:
    """The turns of ``run``'s evaluation episodes, as a chat model.

    ``skip`` is how many messages stand before every conversation. Raises ``ModelError`` if there
    are no episodes.
    """

    concurrency = 64

    def __init__(self, run: Run, skip: int = 0) -> None:
        self.run, self.skip = run, skip
        self._said: dict[bytes, Reply] = {}
        self._ended: dict[bytes, Exception] = {}
        for path in sorted(run.path.glob("episodes-*.jsonl")):
            for row in run.rows(path.name):
                self._learn(row)
        if not self._said and not self._ended:
            raise ModelError(f"{run.path} holds no episodes of an evaluation to replay")

    async def reply(self, request: ChatRequest) -> Reply:
        """What was said at this point.

        Raises ``ContextFullError`` where the recorded conversation had grown too long,
        ``NoReplyError`` where there was no reply, and ``ModelError`` if this was never asked.
        """
        texts = [message.content for message in request.messages[self.skip :]]
        key = _key(texts, request.seed)
        if key in self._said:
            return self._said[key]
        if end := self._ended.get(_key(texts[:-1], request.seed)):
            raise type(end)(*end.args)
        raise ModelError(
            f"{self.run.path} was never asked this (turn {len(texts) // 2 + 1} of an episode); "
            "replay with the run's own settings, data and seed"
        )

    def _learn(self, row: dict[str, Any]) -> None:
        try:
            for key, reply in _turns(row):
                if isinstance(reply, Exception):
                    self._ended[key] = reply
                else:
                    self._said[key] = reply
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.run.path} has a row that is no episode ({error!r})") from None


def _turns(row: dict[str, Any]) -> Iterator[tuple[bytes, Reply | Exception]]:
    """What was said at each point, and where there was no reply, why."""
    texts = [str(row["prompt"])]
    for index, turn in enumerate(row["turns"]):
        usage = turn.get("usage") or {"read": turn["start"], "wrote": turn["end"] - turn["start"]}
        reply = Reply(
            text=turn["text"],
            finish="length" if turn["finish"] == "length" else "stop",
            read=int(usage["read"]),
            wrote=int(usage["wrote"]),
        )
        yield _key(texts, chat_seed(row["seed"], index)), reply
        texts += [turn["text"], turn["feedback"]]
    end: Exception
    match row["stop"]:
        case "context_full":
            end = ContextFullError()
        case "no_reply":
            end = NoReplyError(row["meta"]["no_reply"])
        case _:
            return
    yield _key(texts[:-1], chat_seed(row["seed"], len(row["turns"]))), end  # the last message is not recorded


def _key(texts: Sequence[str], seed: int) -> bytes:
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data) + data)
    return digest.digest()
