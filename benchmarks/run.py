"""All benchmarks, one after another, each in a process of its own.

    make bench                                     everything: about 5 minutes
    python -m benchmarks.run --quick               does it all work: under 2 minutes
    python -m benchmarks.run --only verl scaling   some of it; prints, writes nothing

Prints a table and writes ``results.json``: a list of rows, the first of which is the machine. What could not
be measured is a row without a value and with a reason. The exit code is 1 if a benchmark
crashed, not if a target is missed. Ctrl-C (or SIGTERM) ends everything and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.contestants import ROOT
from benchmarks.machine import ALL, facts, say
from benchmarks.module import NOT_REACHED
from benchmarks.rows import Question, Row, one_line, read, table, write
from rlef.sandbox.doctor import probe

MODULES = (
    "sandbox_fork",
    "exec_jails",
    "sandboxfusion",
    "verl",
    "function_calls",
    "numpy_programs",
    "cpp",
    "javascript",
    "oversubscription",
    "isolation_cost",
    "slot_memory",
    "scaling",
    "humaneval",
    "humaneval_judging",
    "viewer",
)
LONGEST_S = {False: 240.0, True: 120.0}
"""Seconds after which a module is stopped; the first is for full runs."""
_GRACE_S = 10.0


def command(name: str) -> list[str]:
    """What starts a module."""
    return [sys.executable, "-m", f"benchmarks.{name}"]


def run_module(name: str, quick: bool, scratch: Path) -> tuple[list[Row], bool]:
    """The rows of one module, and whether it came to its end."""
    file, log = scratch / f"{name}.json", scratch / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command(name), "--rows", str(file), *["--quick"] * quick],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdout=output,
            stderr=output,
            process_group=0,
        )
        try:
            code: int | None = process.wait(LONGEST_S[quick])
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(process)
    reason = _why(code, log, quick)
    rows = read(file) if file.exists() else [Question(name, "").unknown(reason)]
    if code != 0:
        rows = [replace(row, reason=reason) if row.reason == NOT_REACHED else row for row in rows]
    return rows, code == 0


def _why(code: int | None, log: Path, quick: bool) -> str:
    if code is None:
        return f"it took longer than {LONGEST_S[quick]:.0f} s and was stopped"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"it ended with exit code {code}: {one_line(lines[-1] if lines else 'no message')}"


def end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of a module behind: ask it to clean up, then kill its group."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def machine_row(quick: bool) -> Row:
    """The machine as a row: how many CPUs, and everything else in its details."""
    found = facts()
    return Question("this machine", "CPUs").answer(len(ALL), **found, rung=probe().rung, quick=quick)


def run(names: Sequence[str], quick: bool) -> tuple[list[Row], bool]:
    """All rows, and whether every module came to its end."""
    rows, good = [machine_row(quick)], True
    with tempfile.TemporaryDirectory(prefix="rlef-bench-", ignore_cleanup_errors=True) as scratch:
        for name in names:
            started = time.monotonic()
            found, ended = run_module(name, quick, Path(scratch))
            rows, good = [*rows, *found], good and ended
            say(f"{name}: {time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f}")
    return rows, good


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, in results_quick.json")
    parser.add_argument("--only", nargs="+", choices=MODULES, metavar="NAME", help="these; writes no file")
    parser.add_argument("--out", type=Path, help="where the rows go")
    arguments = parser.parse_args()
    out = arguments.out
    if not arguments.only:
        out = out or ROOT / "benchmarks" / ("results_quick.json" if arguments.quick else "results.json")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        rows, good = run(arguments.only or MODULES, arguments.quick)
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        sys.exit(130)
    print(" ".join(f"{key} {value}" for key, value in rows[0].details.items()))
    print(table(rows[1:]))
    if out:
        write(out, rows)
        print(f"{len(rows)} rows are in {out}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
