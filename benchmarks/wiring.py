"""The parts of rlef that some rows need and that may not be there yet, each in one function.

A function raises ``Unavailable`` until its part exists. To wire one up, change it here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contestants import Rlef
from benchmarks.rounds import WrongOutput
from benchmarks.rows import Unavailable, one_line
from rlef.sandbox import RunLimits

Arguments = Sequence[Any]


def chunked_calls(rlef_: Rlef, source: str, function: str) -> Callable[[Sequence[Arguments]], list[Any]]:
    """Call ``function`` of ``source`` once with each of the arguments; returns what it returned.

    Arguments and values are plain JSON here.
    """
    call = getattr(rlef_.sandbox, "call", None)
    if call is None:
        raise Unavailable("not built yet: Sandbox.call")

    async def run(cases: Sequence[Arguments]) -> list[Any]:
        found, texts = [], [json.dumps(list(case)).encode() for case in cases]
        async for result in call(source, function, texts, RunLimits()):
            if not result.ok:
                raise WrongOutput(f"rlef: {one_line(result)}")
            found.append(json.loads(result.outward))
        return found

    return lambda cases: rlef_.loop.run_until_complete(run(cases))


def without_isolation() -> dict[str, Any]:
    """Settings of a sandbox with the same zygote and none of the layers that isolate."""
    raise Unavailable("not built yet: a zygote with every layer masked")
