"""Close calls over a real sandbox in which far more programs run than there are CPUs."""

import asyncio

from rlef.judge import Judge, Verdict
from rlef.problems.types import Limits, Problem, TestCase
from sandbox_help import fresh

LIMIT = 0.1
SPIN = """
import sys, time
end = float(sys.stdin.read())
while time.process_time() < end: pass
print("done")
"""
"""Takes this much CPU time, however long that takes."""


class Recorder:
    """A sandbox, and the results of the runs that were alone by source."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.slots = sandbox.slots
        self.alone = {}

    async def call(self, source, function, arguments, limits, **options):
        async for result in self.sandbox.call(source, function, arguments, limits, **options):
            if options.get("alone"):
                self.alone[source] = result
            yield result

    async def run(self, source, stdins, limits, *, alone=False):
        async for result in self.sandbox.run(source, stdins, limits, alone=alone):
            if alone:
                self.alone[source] = result
            yield result


def spinning(share):
    test = TestCase(input=str(share * LIMIT), output="done")
    return Problem(id="", statement="", public_tests=(test,), limits=Limits(cpu_s=LIMIT))


def test_eight_programs_a_cpu_below_and_above_their_limit_all_get_their_verdict():
    async def go():
        async with await fresh(slots=16) as sandbox:
            recorder = Recorder(sandbox)
            judge = Judge(recorder)
            shares = [0.8, 0.8, 1.1, 1.5] * 12
            codes = [SPIN + f"# {k}" for k in range(len(shares))]
            runs = [judge.public(spinning(share), code) for share, code in zip(shares, codes, strict=True)]
            for share, code, report in zip(shares, codes, await asyncio.gather(*runs), strict=True):
                right = Verdict.ACCEPTED if share < 1 else Verdict.TIME_LIMIT
                assert report.verdict is right, share
                if share == 1.1:
                    assert report.tests[0].cpu_s == recorder.alone[code].cpu_s
                if share == 1.5:
                    assert code not in recorder.alone, "stopped at the end of the grace"

    asyncio.run(go())


FUNCTION = """
import time
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"
"""


def calling(shares):
    tests = tuple(TestCase(input=f"[{share * LIMIT}]", output='"done"') for share in shares)
    return Problem(
        id="", statement="", form="call", entry_point="spin", public_tests=tests, limits=Limits(cpu_s=LIMIT)
    )


def test_calls_that_share_a_process_have_no_part_in_each_others_grace():
    """However they are put together, a call has its own limit: no more and no less."""
    late, fine = Verdict.TIME_LIMIT, Verdict.ACCEPTED
    rows = [
        ([0.0, 0.6, 0.0, 0.6, 0.0], [fine] * 5),  # together above the limit, each below
        ([0.0, 1.1, 0.0], [fine, late, fine]),
        ([1.1, 0.0, 1.1], [late, fine, late]),
        ([1.5, 0.0, 0.5], [late, fine, fine]),
        ([0.0] * 20 + [1.15], [fine] * 20 + [late]),
    ]

    async def go():
        async with await fresh(slots=4) as sandbox:
            recorder = Recorder(sandbox)
            judge = Judge(recorder)
            codes = [FUNCTION + f"# {k}" for k in range(len(rows))]
            runs = [
                judge.public(calling(shares), code) for (shares, _), code in zip(rows, codes, strict=True)
            ]
            for (shares, verdicts), report in zip(rows, await asyncio.gather(*runs), strict=True):
                assert [test.verdict for test in report.tests] == verdicts, shares
            assert [code in recorder.alone for code in codes[1:4]] == [True, True, False]

    asyncio.run(go())
