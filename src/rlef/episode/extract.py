"""Finding the program in a model's turn. Text in, text out: nothing here parses the program.

Parsing is left to the sandbox on purpose. ``compile`` on hostile source (very deep nesting,
huge constants) can exhaust or crash the interpreter it runs in, and that must not be the
trainer's. A program that does not compile is recognised by its ``compile_error`` verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Invalid = Literal["", "no_code", "syntax", "truncated"]
"""Why a turn holds no valid code; empty if it does (RLEF paper, section 2.2)."""

_PYTHON = re.compile(r"```(?:python|py)3?[ \t]*\r?\n(.*?)```", re.DOTALL | re.IGNORECASE)
_ANY = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The program of a turn, or why there is none."""

    code: str | None
    invalid: Invalid = ""


def extract(text: str, finish: str) -> Extraction:
    """The first closed Python fence, else the first closed fence of any kind.

    What a reasoning model thinks aloud, up to its last ``</think>``, is no part of its answer.
    A turn that ran into its length limit (``finish`` is ``length``) is ``truncated``
    whatever it holds; a fence that is empty or never closed is no code.
    """
    if finish == "length":
        return Extraction(None, "truncated")
    answer = text.rpartition("</think>")[2]
    found = _PYTHON.search(answer) or _ANY.search(answer)
    if found is None or not found[1].strip():
        return Extraction(None, "no_code")
    return Extraction(found[1])
