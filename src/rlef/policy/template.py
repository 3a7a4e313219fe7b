"""Does a chat template let a conversation grow by appending? And if so, from which pieces.

A conversation's tokens are never rendered twice: every turn appends to the ids so far.
That is faithful only to a template that renders a longer conversation as an extension
of the shorter one, from the same pieces at every turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from rlef.errors import ModelError

_USER, _AGAIN, _ASSISTANT = "firstUserText", "secondUserText", "assistantText"
_USERS = ("Print the sum.", " edges \n", "two\n\n  lines: {x}", "\ttabs\t")
_ASSISTANTS = (
    "plain",
    "```python\nprint(1)\n```\n",
    " edges \n\n",
    "<think>\nlet me see\n</think>\n\nshown",
)
_TRIMS: tuple[Callable[[str], str], ...] = (lambda text: text, str.strip, str.lstrip, str.rstrip)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a template puts around the messages.

    ``before`` user ``header`` turn ``after`` user ``header`` turn ``after`` and so on.
    """

    before: str
    """Up to the first user message, the system message included."""
    header: str
    """From the end of a user message to the start of the model's turn."""
    after: str
    """From the end of the model's turn to the next user message."""
    trims_user: bool
    """The template strips blanks around user messages."""


def audit(tokenizer: Any, system: str | None) -> Pieces:
    """Take a tokenizer's chat template apart and check that it extends what came before.

    Raises ``ModelError`` with the reason for a template that can't be rendered, drops or
    rewrites earlier turns, or frames a turn differently once it is not the last.
    """
    try:
        return _take_apart(lambda texts: _render(tokenizer, system, texts))
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"this chat template can't be used for several turns: {reason}") from None


def _render(tokenizer: Any, system: str | None, texts: Sequence[str]) -> str:
    messages = [] if system is None else [{"role": "system", "content": system}]
    for index, text in enumerate(texts):
        messages.append({"role": "assistant" if index % 2 else "user", "content": text})
    # Llama 3's template writes today's date unless it is given one; this is its own default.
    rendered: str = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
    )
    return rendered


def _take_apart(render: Callable[[Sequence[str]], str]) -> Pieces:
    before, header = _split(render([_USER]), _USER)
    longer = render([_USER, _ASSISTANT, _AGAIN])
    start, rest = _split(longer, _ASSISTANT)
    if start != before + _USER + header:
        raise ValueError("it changes what comes before a turn once the turn is written")
    after, again = _split(rest, _AGAIN)
    if again != header:
        raise ValueError("it frames the second turn differently from the first")
    edged = render([_USERS[1]])
    trims = edged == before + _USERS[1].strip() + header
    if not trims and edged != before + _USERS[1] + header:
        raise ValueError("it rewrites user messages")
    pieces = Pieces(before, header, after, trims)
    _probe(render, pieces)
    return pieces


def _split(text: str, marker: str) -> tuple[str, str]:
    parts = text.split(marker)
    if len(parts) != 2:
        raise ValueError(f"it shows a message {len(parts) - 1} times instead of once")
    return parts[0], parts[1]


def _probe(render: Callable[[Sequence[str]], str], pieces: Pieces) -> None:
    for shift, turn in enumerate(_ASSISTANTS):
        users = _USERS[shift:] + _USERS[:shift]
        conversation = [users[0], turn, users[1], turn, users[2]]
        shown = render(conversation)
        # Blanks trimmed around the model's turns are harmless: its turns are never rendered.
        if all(shown != _assemble(pieces, conversation, trim) for trim in _TRIMS):
            if "<think>" in turn:
                raise ValueError("it drops the thinking of earlier turns")
            raise ValueError("it rewrites earlier turns or frames each turn differently")


def _assemble(pieces: Pieces, conversation: Sequence[str], trim: Callable[[str], str]) -> str:
    text = pieces.before
    for index, message in enumerate(conversation):
        if index % 2:
            text += trim(message) + pieces.after
        else:
            text += (message.strip() if pieces.trims_user else message) + pieces.header
    return text
