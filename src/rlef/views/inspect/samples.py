"""One recorded episode as an inspect sample: its messages, its scores, and what was never shown."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rlef.views.episodes import outcome, passes, usage, verdict, why_dropped

Json = Mapping[str, Any]

SOLVED, PUBLIC = "solved", "public_tests"
SECRET = "never shown to the model"
TOLD = "in this condition they are among the tests whose feedback the model read"
_FINISH = {"stop": "stop", "length": "max_tokens"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def sample(row: Json, *, model: str, opening: Sequence[Json]) -> dict[str, Any]:
    """A row of ``episodes-*.jsonl`` as an ``EvalSample``.

    ``opening`` are the messages before the prompt (system message, demonstrations). A dropped episode
    has an error and no score, as it is scored nowhere.
    Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``AttributeError`` on a damaged row.
    """
    name = digest(row.get("phase"), row.get("condition"), row["problem_id"], row.get("sample"))
    first = [*opening, {"role": "user", "content": str(row.get("prompt", "")), "source": "input"}]
    said = _conversation(row, model)
    spent = counted(usage(row))
    dropped = outcome(row) == "dropped"
    found = {
        "id": str(row["problem_id"]),
        "epoch": int(row.get("sample", 0)) + 1,
        "input": _named(first, name),
        "target": "every test accepted",
        "messages": _named([*first, *said], name),
        "output": _output(row, model, spent),
        "scores": {} if dropped else {SOLVED: _solved(row), PUBLIC: _public(row)},
        "metadata": _facts(row),
        "model_usage": {model: spent},
        "uuid": name,
        "turn_count": len(row["turns"]),
    }
    if dropped:
        what = f"{why_dropped(row)}, so the episode was not scored"
        found["error"] = {"message": what, "traceback": what, "traceback_ansi": what}
    tidied: dict[str, Any] = tidy(found)
    return tidied


def counted(turns: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Tokens read and written, as a ``ModelUsage``."""
    read, wrote = sum(pair[0] for pair in turns), sum(pair[1] for pair in turns)
    return {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote}


def digest(*parts: object) -> str:
    """A name of 22 characters made of what is named: the same export twice gives the same names."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()[:22]


def tidy(value: Any) -> Any:
    """The value without what strict JSON readers refuse: lone surrogates as escapes, no NaN."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    if isinstance(value, Mapping):
        return {tidy(str(key)): tidy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(messages: Sequence[Json], name: str) -> list[dict[str, Any]]:
    return [{**message, "id": f"{name}-{index}"} for index, message in enumerate(messages)]


def _conversation(row: Json, model: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(row["turns"], start=1):
        facts = {name: turn.get(name) for name in ("finish", "invalid", "reward", "value", "advantage")}
        facts |= {"turn": number, "code": turn.get("code"), "public_tests": turn.get("public")}
        messages.append(
            {
                "role": "assistant",
                "content": str(turn.get("text", "")),
                "source": "generate",
                "model": model,
                "metadata": {name: value for name, value in facts.items() if value not in (None, "")},
            }
        )
        if turn.get("feedback"):
            cut = {"before_it_was_cut": turn["feedback"]} if turn.get("feedback_read") else {}
            messages.append(
                {
                    "role": "user",
                    "content": str(turn.get("feedback_read") or turn["feedback"]),
                    "metadata": {"after_turn": number, "what": "execution feedback"} | cut,
                }
            )
    return messages


def _output(row: Json, model: str, spent: Json) -> dict[str, Any]:
    if not row["turns"]:
        return {"model": model, "choices": [], "completion": ""}
    last = row["turns"][-1]
    text = str(last.get("text", ""))
    choice = {
        "message": {"role": "assistant", "content": text, "source": "generate", "model": model},
        "stop_reason": _FINISH.get(str(last.get("finish")), "unknown"),
    }
    return {"model": model, "choices": [choice], "completion": text, "usage": dict(spent)}


def _solved(row: Json) -> dict[str, Any]:
    """All tests, the hidden ones included: the figure that n@k is made of."""
    hidden = [
        {"turn": number, "verdict": verdict(turn["hidden"])} | turn["hidden"]
        for number, turn in enumerate(row["turns"], start=1)
        if turn.get("hidden")
    ]
    found = _score(outcome(row) == "solved", row)
    found["metadata"] = {"hidden_tests": {"shown": shown(row.get("condition")), "turns": hidden}}
    return found


def shown(condition: object) -> str:
    """Whether the model has read of hidden tests, in words. Under one condition they speak."""
    return TOLD if condition == "hidden_feedback" else SECRET


def _public(row: Json) -> dict[str, Any]:
    last = row["turns"][-1] if row["turns"] else {}
    return _score(verdict(last.get("public")) == "accepted", row)


def _score(right: bool, row: Json) -> dict[str, Any]:
    last = row["turns"][-1] if row["turns"] else {}
    found: dict[str, Any] = {
        "value": "C" if right else "I",
        "answer": last.get("code"),
        "explanation": "\n".join(
            f"- {_told(number, turn, row.get('condition'))}" for number, turn in enumerate(row["turns"], 1)
        ),
    }
    if last.get("invalid"):
        found["reason"] = "invalid_response_format"
    return found


def _told(number: int, turn: Json, condition: object) -> str:
    """One turn in words; names of verdicts come from a closed list, so nothing here is the model's."""
    if turn.get("invalid") or not turn.get("public"):
        told = "no valid code"
    else:
        public = turn["public"]
        told = f"{_words(verdict(public))}, {passes(public)} of {int(public['total'])} public tests passed"
    hidden = turn.get("hidden")
    if hidden:
        told += (
            f"; hidden tests ({shown(condition)}): {_words(verdict(hidden))}, "
            f"{passes(hidden)} of {int(hidden['total'])} passed"
        )
    return f"turn {number}: {told}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _facts(row: Json) -> dict[str, Any]:
    found = {name: row.get(name) for name in ("stop", "family", "phase", "condition", "draw", "meta")}
    # A viewer in a browser would round a seed of 63 bits.
    found |= {"outcome": outcome(row), "seed": str(row.get("seed"))}
    return {name: value for name, value in found.items() if value not in (None, "", {})}
