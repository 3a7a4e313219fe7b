"""evalplus judging answers with its own pool of processes, for ``humaneval_judging``. Runs in a jail.

    python -I humaneval_judging_worker.py CPUS PEERS SOURCES FOLDER

FOLDER holds ``humaneval_recorded.py``. The first line of stdin is a list of HumanEval's rows; the answer to
each is what its ``check`` calls the reference with, and what that returns, as rlef's plain data. Every
further line is a number of processes and a list of pairs of row and program; its answer is the
milliseconds, and which of the programs pass.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any

_NOT_NEEDED = ("appdirs", "datasets", "evalplus.codegen", "tempdir", "termcolor", "tqdm", "wget")
"""What evalplus imports to download data, to ask models and to print: empty where it is not installed."""


def evalplus(folder: str) -> ModuleType:
    """``evalplus.evaluate``, whose ``check_correctness`` is what its pool works on."""
    sys.path.insert(0, folder)
    for name in _NOT_NEEDED:
        if "." not in name and importlib.util.find_spec(name):
            continue
        module = sys.modules[name] = ModuleType(name)
        setattr(module, "__getattr__", lambda _: lambda *words: "/tmp")  # noqa: B010
    return importlib.import_module("evalplus.evaluate")


def prepare(module: ModuleType, rows: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Problems and expected outputs as evalplus has them, outputs by its own code."""
    problems, truths = [], []
    recorded = importlib.import_module("humaneval_recorded")
    for row in rows:
        inputs = recorded.recorded(row)
        source = row["prompt"] + row["canonical_solution"]
        outputs, took = module.trusted_exec(source, inputs, row["entry_point"], record_time=True)
        problems.append({**row, "base_input": inputs, "plus_input": [], "atol": 0})
        truths.append({"base": outputs, "base_time": took, "plus": [], "plus_time": []})
    return problems, truths


def main(cpus: str, folder: str, sources: str, beside: str) -> None:
    os.sched_setaffinity(0, json.loads(cpus))
    module = evalplus(folder)
    sys.path[:0] = [sources, beside]
    plain = importlib.import_module("rlef.problems.plain")
    problems, truths = prepare(module, json.loads(sys.stdin.readline()))
    for problem, truth in zip(problems, truths, strict=True):
        pairs = zip(problem["base_input"], truth["base"], strict=True)
        print(json.dumps([[plain.dumps(given), plain.dumps(output)] for given, output in pairs]), flush=True)
    pools: dict[int, ProcessPoolExecutor] = {}
    for line in sys.stdin:
        processes, asked = json.loads(line)
        pool = pools.setdefault(processes, ProcessPoolExecutor(max_workers=processes))
        started = time.perf_counter()
        work = [
            pool.submit(
                module.check_correctness, "humaneval", n, problems[at], code, truths[at],
                base_only=True, fast_check=True, identifier=n,
            )
            for n, (at, code) in enumerate(asked)
        ]  # fmt: skip
        passed = [future.result()["base"][0] == "pass" for future in work]
        took = time.perf_counter() - started
        print(json.dumps({"ms": took * 1e3, "passed": passed}), flush=True)
    for pool in pools.values():
        pool.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
