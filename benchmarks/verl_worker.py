"""Calls verl's ``prime_code`` as its reward manager does, for ``verl.py``. See ``contestants.Worker``.

    python -m benchmarks.verl_worker CPUS FOLDER torch|bare

A request is a number of tests; the answer is the milliseconds of one call on a program with so many.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from benchmarks import peers
from benchmarks.contestants import INPUT, OUTPUT, PROGRAM, reply, requests


def main(cpus: str, folder: str, kind: str) -> None:
    if kind == "torch":
        importlib.import_module("torch")
    init = Path(folder, "verl/utils/reward_score/prime_code/__init__.py")
    try:
        prime_code = peers.package("prime_code", init)
    except ImportError as error:
        reply(unavailable=f"verl's prime_code can't be imported: {error}")
        return
    reply(ready=kind)
    for line in requests(cpus):
        tests = int(line)
        cases = {"inputs": [INPUT.decode()] * tests, "outputs": [OUTPUT.decode()] * tests}
        started = time.perf_counter()
        passed, _ = prime_code.compute_score(PROGRAM, cases)
        took = time.perf_counter() - started
        if passed is not True:
            reply(wrong=f"score {passed}")
        else:
            reply(ms=took * 1e3)


if __name__ == "__main__":
    main(*sys.argv[1:])
