"""What a form of an RL corpus is: how a row is read, and how a problem is written as one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlef.problems.asserts import Inexpressible
from rlef.problems.corpora.dialects import Tested
from rlef.problems.tables import parse_json
from rlef.problems.types import Checker, Comparison, Limits, Problem, Solution

Row = Mapping[str, Any]

LIMITS = Limits(cpu_s=6.0, memory_bytes=2**30)
"""Where a row names none: LiveCodeBench's 6 s a test, verl's 1,024 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a row says of a problem, before its tests are shared out."""

    statement: str
    tested: Tested
    id: str = ""
    """The set's own name for the problem; empty if it has none."""
    public: int | None = None
    """How many of the first tests the set itself calls examples, if it does."""
    solutions: tuple[Solution, ...] = ()
    limits: Limits = LIMITS
    comparison: Comparison = "tokens"
    checker: Checker | None = None
    family: str = ""
    difficulty: str = ""
    source: str = ""
    date: str = ""
    tags: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    """What else the row says, as JSON values."""
    files: tuple[str, str] = ("", "")
    """Names of the files from which a program reads and to which it writes, in place of streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way of writing problems as rows."""

    name: str
    columns: tuple[str, ...]
    """Columns without which a row is not in this form."""
    read: Callable[[Row], Draft]
    """Raises ``Inexpressible`` with the reason if the row is no problem that can be judged."""
    write: Callable[[Problem, int], dict[str, Any]] | None = None
    """The row of a problem with this index. Raises ``Inexpressible``."""
    note: tuple[str, ...] = ("rlef",)
    """Where rlef's remarks stand in a row: the keys on the way to them."""
    hubs: tuple[str, ...] = ()
    """Data sets of the hub in this form."""


def asked(statement: str, tested_by: Problem) -> str:
    """The statement and, below it, what is to be written: trainers give this text to the model as it is."""
    return statement + _request(tested_by.form, tested_by.entry_point)


def unasked(text: str, tested: Tested) -> str:
    """The statement without what `asked` put below it."""
    return text.removesuffix(_request(tested.form, tested.entry_point))


def _request(form: str, entry_point: str | None) -> str:
    if form == "call":
        what = f"defines `{entry_point}` as described above"
    else:
        what = "reads standard input and writes standard output"
    return f"\n\nWrite a Python 3 program that {what}. Put it in one ```python block."


def conversation(messages: object) -> tuple[str, str]:
    """System message and what the user asks. Raises ``Inexpressible`` for anything but one question."""
    if isinstance(messages, str):
        return "", messages
    said = messages if isinstance(messages, list) else []
    texts: list[tuple[str, str]] = []
    for item in said:
        match item:
            case {"role": str(role), "content": str(text)}:
                texts.append((role, text))
            case _:
                raise Inexpressible("a prompt that is no list of messages")
    asked_by_user = [text for role, text in texts if role != "system"]
    if [role for role, _ in texts if role != "system"] != ["user"]:
        raise Inexpressible("a prompt that is not one question of the user's")
    return "\n\n".join(text for role, text in texts if role == "system"), asked_by_user[0]


def text_of(row: Row, key: str) -> str:
    """A column's text; empty where it is null. Raises ``Inexpressible`` for anything else."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise Inexpressible(f"{key} is no text")
    return value or ""


def inner(row: Row, *keys: str) -> Any:
    """What stands at the end of a way of keys through dictionaries or their JSON texts, or None."""
    value: Any = row
    for key in keys:
        if isinstance(value, str):
            try:
                value = parse_json(value)
            except ValueError:
                return None
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def references(codes: object) -> tuple[Solution, ...]:
    """Accepted programs: of a text, a list of texts, or the text of such a list; fences are taken off."""
    if isinstance(codes, str) and codes.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            codes = parse_json(codes)
    texts = codes if isinstance(codes, list) else [codes]
    kept = dict.fromkeys(_unfenced(text) for text in texts if isinstance(text, str) and text.strip())
    return tuple(Solution(code=code, note="reference") for code in kept)


_FENCE = re.compile(r"\s*```(?:python|py|python3)?\n(.*?)\n?```\s*", re.DOTALL)


def fenced(code: str) -> str:
    """The program as a model answers with it: in a fence."""
    return f"```python\n{code.removesuffix(chr(10))}\n```"


def _unfenced(text: str) -> str:
    found = _FENCE.fullmatch(text)
    return found[1] + "\n" if found else text


def accepted(problem: Problem) -> list[str]:
    """The problem's right Python programs."""
    right = (item for item in problem.solutions if item.verdict == "accepted" and item.language == "python")
    return [solution.code for solution in right]


def own_name(value: object) -> str:
    """The name that a set gives a problem, which may be a number; empty if it is something else."""
    return str(value) if isinstance(value, str | int) and value is not True and value is not False else ""


def name_of(row_parts: object) -> str:
    """Twelve digits that name a problem by its content, for sets that give it no name."""
    text = json.dumps(row_parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def aside(row: Row, key: str) -> dict[str, Any]:
    """The column and its value, if it says something and is none that rlef put its note in."""
    return {} if not row.get(key) or inner(row, key, "rlef") else {key: row[key]}


def stripped(row: Row, *used: str) -> dict[str, Any]:
    """The columns that are not ``used`` and say something."""
    return {key: value for key, value in row.items() if key not in used and value not in (None, "", [], {})}


_SECONDS = re.compile(r"([0-9.]+) ?(s|sec|seconds?)?", re.IGNORECASE)
_BYTES = re.compile(r"([0-9.]+) ?(m|mb|megabytes?|mib)", re.IGNORECASE)


def limits_of(seconds: object, memory: object) -> Limits:
    """Limits from words such as ``2.0 seconds`` and ``256 megabytes``; `LIMITS` where there are none."""
    cpu_s, size = _amount(_SECONDS, seconds), _amount(_BYTES, memory)
    return Limits(cpu_s=cpu_s or LIMITS.cpu_s, memory_bytes=int(size * 2**20) or LIMITS.memory_bytes)


def _amount(form: re.Pattern[str], text: object) -> float:
    found = form.fullmatch(text.strip()) if isinstance(text, str) else None
    try:
        return finite(float(found[1])) if found else 0.0
    except ValueError:
        return 0.0


def finite(value: object) -> float:
    """A number above 0, or 0 for anything else."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and 0 < value < 1e15 else 0.0  # type: ignore[operator,return-value]
