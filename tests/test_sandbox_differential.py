"""Honest programs give the same in the sandbox as in a plain interpreter: a sample of
``scripts/differential.py``, which runs two thousand."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import differential
from differential import Difference, Summary, difference
from differential_mutants import mutate
from differential_plain import Outcome, Plain, refusal
from differential_programs import Program, data_folder, programs
from rlef.sandbox import RunResult, Status
from sandbox_help import fresh


def compared(chosen: list[Program]) -> Summary:
    async def run() -> Summary:
        async with await fresh(slots=2) as sandbox:
            return await differential.compare(chosen, sandbox, at_a_time=4)

    return asyncio.run(run())


def told(found: list[Difference]) -> list[tuple[object, ...]]:
    return [(d.program.name, d.what, d.sandbox.stderr[-300:], d.plain.stderr[-300:]) for d in found]


def check(chosen: list[Program]) -> None:
    summary = compared(chosen)
    assert told(summary.unexplained) == []
    assert summary.programs == Counter(program.source for program in chosen) - Counter(
        program.source for program, _ in summary.refused
    )
    assert len(summary.refused) <= 2
    assert summary.endings["exited"] > 10 and summary.endings["failed"] > 10


def test_programs_of_the_suites_and_their_mutants_end_as_in_a_plain_interpreter() -> None:
    check(programs(100, None))


def test_references_of_benchmarks_and_their_mutants_end_as_in_a_plain_interpreter() -> None:
    data = data_folder()
    if data is None:
        pytest.skip("no benchmarks: set RLEF_DATA to the folder that holds them")
    check([p for p in programs(160, data, seed=1) if p.source not in ("conventions", "basics", "endings")])


RESULT = RunResult(status=Status.EXITED, exit_code=1, stdout=b"1\n", stderr=b"KeyError: 'a'\n")
PLAIN = Outcome(
    exit_code=1, signal=0, stdout=b"1\n", stderr=b"KeyError: 'a'\n", cpu_s=0.1, peak_bytes=0, slept=False
)
OTHERS = {
    "stdout": replace(PLAIN, stdout=b"1"),
    "stderr": replace(PLAIN, stderr=b"KeyError: 'b'\n"),
    "ends with": replace(PLAIN, exit_code=2),
    "plainly with": replace(PLAIN, exit_code=0, signal=11),
}


def test_whatever_differs_is_told() -> None:
    assert difference(RESULT, PLAIN) == ""
    for what, plain in OTHERS.items():
        assert what in difference(RESULT, plain)
        assert not Difference(Program("", "", "", ()), b"", difference(RESULT, plain), RESULT, plain).reason
    for limit in (Status.CPU_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT, Status.IDLE_LIMIT):
        assert difference(replace(RESULT, status=limit), PLAIN) == f"only the sandbox says {limit}"
    # A program that the sandbox let run on past the plain side's wider limit.
    assert "(0, 24)" in difference(RESULT, replace(PLAIN, exit_code=0, signal=24))


ESCAPES = """
import os
from sys import modules
import sys as s
import sys; sys.modules
import random; random._os
import json; json.decoder.sys
import collections; collections._sys.modules
().__class__.__base__.__subclasses__()
(lambda: 0).__globals__
getattr([], 'x')
open('x')
eval('1')
exec('1')
__import__('os')
__builtins__
f = open
print(f'{().__class__}')
vars()
from random import _os
import enum; enum.bltns
import importlib
from . import x
import typing; typing.sys
import time
import random; random.SystemRandom()
id(3)
"""


def test_what_could_reach_out_or_differ_from_run_to_run_is_not_run_plainly(tmp_path: Path) -> None:
    for text in filter(None, ESCAPES.splitlines()):
        assert refusal(text), text
        with pytest.raises(ValueError, match="not to be run outside the sandbox"):
            Plain(cpu_s=1, memory_bytes=2**30, output_bytes=100).run(text, b"")
    assert not refusal("import sys, re\nre.compile('a')\nprint(sys.stdin.buffer.readline())")


def test_the_plain_side_is_stopped_at_its_limits() -> None:
    plain = Plain(cpu_s=1, memory_bytes=512 * 2**20, output_bytes=1000)
    loop = plain.run("while True: pass", b"")
    assert loop.signal and 0.3 < loop.cpu_s < 3
    assert b"MemoryError" in plain.run("x = bytearray(10 ** 9)", b"").stderr
    flood = plain.run("while True: print('x' * 100)", b"")
    assert flood.exit_code and len(flood.stdout) == 1001


def test_mutants_repeat_and_are_no_copies() -> None:
    first, again, other = (programs(80, None, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    mutants = [p for p in first if p.source == "mutants"]
    known = {p.code for p in first} - {p.code for p in mutants}
    assert len(mutants) == 20 and not {p.code for p in mutants} & known
    assert mutate("", Random(1)) is None
