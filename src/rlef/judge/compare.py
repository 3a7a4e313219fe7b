"""Does this output answer that test? Five ways of holding bytes against expected bytes.

| mode        | what counts                                                                     |
|-------------|---------------------------------------------------------------------------------|
| `tokens`    | the words between ASCII white space, in order; numbers as in `judge.tokens`      |
| `unordered` | the lines in any order, each compared by `tokens` (`judge.unordered`)            |
| `lines`     | every byte, except white space at the end of a line and blank lines at the end   |
| `exact`     | every byte                                                                      |
| `deepmind`  | what CodeContests' own runner accepts, its faults included (`judge.deepmind`)    |

The sixth, `checker`, asks a program of the problem's: `judge.checker`.

A test may list further outputs (``TestCase.also``); the mode decides for each, and any will do.

``got`` comes from an untrusted program: no step takes longer than sorting its lines would, but
for the search in `judge.unordered`, which has a limit.
"""

from __future__ import annotations

from collections.abc import Callable

from rlef.judge import deepmind, tokens, unordered
from rlef.problems.types import Comparison, TestCase


def answers(test: TestCase, got: bytes, mode: Comparison) -> bool:
    """True if output ``got`` is one of those that ``test`` accepts."""
    return any(matches(expected, got, mode) for expected in (test.output, *test.also))


def matches(expected: str | bytes, got: bytes, mode: Comparison) -> bool:
    """True if output ``got`` answers a test that expects ``expected``.

    Raises ``ValueError`` for the mode ``checker``, which takes more than a look.
    """
    if mode == "checker":
        raise ValueError("whether an output is right is for the problem's checker to say")
    want = expected.encode("utf-8", "surrogatepass") if isinstance(expected, str) else expected
    return want == got or _MODES[mode](want, got)


def _tokens(want: bytes, got: bytes) -> bool:
    words, answer = want.split(), got.split()
    return len(words) == len(answer) and all(map(tokens.same, words, answer))


def _lines(want: bytes, got: bytes) -> bool:
    return _without_ends(want) == _without_ends(got)


def _without_ends(text: bytes) -> list[bytes]:
    lines = [line.rstrip() for line in text.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _exact(want: bytes, got: bytes) -> bool:
    return want == got


_MODES: dict[Comparison, Callable[[bytes, bytes], bool]] = {
    "tokens": _tokens,
    "unordered": unordered.same_lines,
    "lines": _lines,
    "exact": _exact,
    "deepmind": deepmind.outputs_match,
}
