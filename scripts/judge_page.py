"""Write docs/results/judge.md from what `make bench` measured.

python scripts/judge_page.py [benchmarks/results.json] [docs/results/judge.md]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_HEAD = """# The judge: what it costs, beside its peers

Made by `python scripts/judge_page.py` from `benchmarks/results.json`, which
`RLEF_PEERS=FOLDER make bench` writes.

{machine}. How each row is measured, and what is done for the peers: [benchmarks](../../benchmarks/README.md).
Ratios hold for tests that cost next to nothing by themselves: with T ms of work in a test, a ratio R over a
test of r ms becomes (T + R r) / (T + r).

| | measured | target | met |
|---|---|---|---|
"""
_TAIL = """
- **SandboxFusion** starts a Python of its own for each request, and how long that takes differs: with
  another interpreter on this machine its request took 22 to 25 ms, which would halve the ratio above.
- **verl with 10 tests** runs all tests in one process, without isolation between them.
- **Scaling**: supervisor and event loop are on the cores that are counted; the row below it says what
  two processes that have nothing in common get from this machine.
"""


def page(rows: list[dict[str, Any]]) -> str:
    machine = rows[0]["details"]
    words = (
        f"{rows[0]['value']:g} CPUs ({machine['cpu']}, {machine['machine']}), kernel {machine['kernel']}, "
        f"Python {machine['python']}, isolation {machine['rung']}, load {machine['load'][0]:g} at the end"
    )
    return _HEAD.format(machine=words) + "".join(map(line, rows[1:])) + _TAIL


def line(row: dict[str, Any]) -> str:
    value = f"not measured: {row['reason']}"
    if row["value"] is not None:
        value = f"{row['value']:.4g} {row['unit']}"
    met = "" if row["met"] is None else "yes" if row["met"] else "**no**"
    return f"| {row['what'].strip()} | {value} | {row['target']} | {met} |\n"


def main() -> None:
    paths = [*sys.argv[1:], *("benchmarks/results.json", "docs/results/judge.md")[len(sys.argv) - 1 :]]
    Path(paths[1]).write_text(page(json.loads(Path(paths[0]).read_text())))


if __name__ == "__main__":
    main()
