"""What an OpenAI-compatible server's answers say, whatever shape they have."""

from __future__ import annotations

import json
from typing import Any

from rlef.policy.chat import Reply

SHOWN = 300
"""Characters of a server's own words in an error line."""
_KEPT = 10 * SHOWN
"""What is kept until a key in them is replaced: half of one would not be found."""


class UnreadableError(Exception):
    """An answer that is not what was asked for, although its status says so."""


def parsed(text: str) -> Any:
    """The JSON of an answer. Raises ``UnreadableError``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError(repr(text[:_KEPT]) if text else "an empty page") from None


def models_of(found: Any) -> dict[str, int]:
    """Names of a server's models and their context in tokens, 0 where it does not say (vLLM does).

    None from a list in a form of its own.
    """
    rows = found.get("data") if isinstance(found, dict) else None
    return {
        str(row["id"]): _count(row.get("max_model_len"))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and "id" in row
    }


def reply_of(found: Any) -> Reply:
    """The first choice of a chat completion. Raises ``UnreadableError`` where there is none."""
    match found:
        case {"choices": [{"message": {**message}} as choice, *_]}:
            usage = found.get("usage")
            usage = usage if isinstance(usage, dict) else {}
            return Reply(
                # Halves of surrogate pairs can be said in JSON and can't be sent back.
                text=_text(message.get("content")).encode("utf-8", "replace").decode("utf-8"),
                finish="length" if choice.get("finish_reason") == "length" else "stop",
                read=_count(usage.get("prompt_tokens")),
                wrote=_count(usage.get("completion_tokens")),
            )
    raise UnreadableError(json.dumps(found)[:_KEPT])


def _text(content: object) -> str:
    """What was said, without what was thought: a list holds both in parts, ``None`` is nothing."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(str(part.get("text", "")) for part in parts)
    if content is not None and not isinstance(content, str):
        raise UnreadableError(json.dumps(content)[:_KEPT])
    return content or ""


def _count(number: object) -> int:
    return int(number) if isinstance(number, int | float) and 0 < number < 2**53 else 0
