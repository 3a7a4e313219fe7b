"""What a model that takes messages and gives text is: an endpoint, a transcript, a script.

No tokens here, so no training: such models are evaluated. No torch either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from rlef.policy.types import Finish

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """Ask for the next message of a conversation."""

    messages: tuple[Message, ...]
    seed: int
    """31 bits. Fixes the draws where the server honours it."""
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0

    def digest(self) -> str:
        """Names the request by all that it says: the same one again is answered from the journal."""
        text = json.dumps(asdict(self), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    text: str
    finish: Finish
    read: int = 0
    """Tokens of the conversation, as the server counted them; 0 where it does not say."""
    wrote: int = 0


class ContextFullError(Exception):
    """The conversation does not fit into the model's context. Ends the episode, not the run."""


class NoReplyError(Exception):
    """The server fails at this conversation whenever it is asked, and answers others.

    Ends the episode, which is dropped, and not the run.
    """


class ChatModel(Protocol):
    """Answers many conversations at once."""

    @property
    def concurrency(self) -> int:
        """Most requests that are worth having on their way."""
        ...

    async def reply(self, request: ChatRequest) -> Reply:
        """The next message.

        Raises ``ContextFullError`` where the conversation is too long, ``NoReplyError`` where only this
        one can't be answered, ``UserError`` for what the user can mend, and ``EndpointError`` when the
        server can't be had.
        """
        ...
