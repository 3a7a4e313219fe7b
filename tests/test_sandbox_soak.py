"""Programs with known verdicts while faults are put into the sandbox: a small ``scripts/soak.py``."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

import soak
from rlef.judge import Verdict
from sandbox_help import descendants, fresh
from soak_faults import SEAMS, Faults
from soak_programs import ACTS, case


def soaked(programs: int, *, inject: bool, every_s: float = 0.1) -> soak.Result:
    async def run() -> soak.Result:
        async with await fresh(slots=2) as sandbox:
            return await soak.soak(
                sandbox, programs, warm_up=60, inject=inject, seed=programs, every_s=every_s
            )

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_without_faults_every_verdict_is_right_and_nothing_is_given_up() -> None:
    result = soaked(250, inject=False)
    assert (result.wrong, result.given_up, result.faults, result.programs) == ([], Counter(), Counter(), 250)
    assert result.grown == []
    kinds = {verdict.value for _, verdict in ACTS.values()} | {"compile_error", "files"}
    assert set(result.verdicts) == kinds


def test_whatever_fails_around_it_no_verdict_is_wrong_and_nothing_is_left() -> None:
    result = soaked(500, inject=True)
    assert result.wrong == []
    assert result.grown == []
    assert result.faults.total() > 5
    # The judge tries again, so few are lost; how few depends on how long a slot takes to start here.
    assert result.verdicts["judge_error"] < 0.5 * result.verdicts.total()
    assert descendants(os.getpid()) == []


def test_a_wrong_verdict_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail: if adding were expected to fail, all that add would be wrong."""
    monkeypatch.setitem(ACTS, "add", (800, Verdict.RUNTIME_ERROR))
    assert len(soaked(60, inject=False).wrong) > 10


def test_known_programs_repeat_and_hold_every_ending() -> None:
    cases = [case(number, 3) for number in range(2000)]
    assert cases == [case(number, 3) for number in range(2000)]
    assert len({known.code for known in cases}) == 2000
    assert {v for known in cases for v in known.verdicts} == {v for _, v in ACTS.values()} | {
        Verdict.COMPILE_ERROR
    }


def test_a_fault_hits_the_supervisors_thread_alone_and_once() -> None:
    for name, (place, attribute) in SEAMS.items():
        faults = Faults(0)
        faults._armed = {name: 12}
        failed: list[object] = []

        def call(place: object = place, attribute: str = attribute, failed: list[object] = failed) -> None:
            try:
                getattr(place, attribute)(no_such_argument=1)
            except OSError as error:
                failed.append(error.errno)
            except TypeError:  # passed through
                failed.append("called")

        original = getattr(place, attribute)
        with faults.installed():
            call()
            for _ in range(2):
                thread = threading.Thread(target=call, name="rlef-sandbox")
                thread.start()
                thread.join()
        assert failed == ["called", 12, "called"], name
        assert getattr(place, attribute) is original
        assert faults.counts.total() == 1
