"""A run that is to be alone is alone, and waits and holds up others within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from rlef.errors import SandboxError, SandboxUnavailable
from rlef.sandbox import RunLimits, RunResult, Sandbox
from rlef.sandbox.place import paused
from rlef.sandbox.zygote.protocol import WINDOW
from sandbox_help import SUM, fresh

SPAN = """
import sys, time
end = time.monotonic() + float(sys.stdin.read())
print(time.monotonic())
while time.monotonic() < end: pass
print(time.monotonic())
"""
"""Prints when it began and ended on the clock that all processes share."""


class Log:
    """When each test of each named run began and ended."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.spans: dict[str, list[tuple[float, float]]] = {}

    async def run(self, name: str, seconds: Sequence[float], *, alone: bool = False) -> None:
        self.spans[name] = []
        stdins = [str(s).encode() for s in seconds]
        async for result in self.sandbox.run(SPAN, stdins, RunLimits(cpu_s=9), alone=alone):
            began, ended = map(float, result.stdout.split())
            self.spans[name].append((began, ended))

    def beside(self, name: str) -> list[str]:
        """Runs of which a test overlaps one of the run ``name``."""
        return [
            other
            for other, spans in self.spans.items()
            if other != name and any(a < d and c < b for a, b in self.spans[name] for c, d in spans)
        ]

    def order(self) -> list[str]:
        """Names by the beginning of their first tests."""
        return sorted(self.spans, key=lambda name: self.spans[name][0])


def used(work, slots: int = 3):
    """Give ``work`` a log over a fresh sandbox."""

    async def go():
        async with await fresh(slots=slots) as sandbox:
            return await work(Log(sandbox))

    return asyncio.run(go())


def test_nothing_runs_beside_a_run_that_is_alone() -> None:
    async def work(log: Log) -> None:
        jobs = [log.run(f"many {k}", [0.004] * 30) for k in range(4)]
        jobs += [log.run(f"alone {k}", [0.01] * 3, alone=True) for k in range(3)]
        jobs += [log.run(f"few {k}", [0.004] * 3) for k in range(9)]
        await asyncio.gather(*jobs)
        for k in range(3):
            assert log.beside(f"alone {k}") == []
        assert any(log.beside(f"many {k}") for k in range(4)), "others do run beside each other"

    used(work)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_run_of_many_tests_is_alone_to_its_end(slots: int) -> None:
    async def work(log: Log) -> None:
        await asyncio.gather(
            log.run("before", [0.001] * 3 * WINDOW),
            log.run("alone", [0.001] * 3 * WINDOW, alone=True),
            log.run("after", [0.001] * 3 * WINDOW),
        )
        assert log.beside("alone") == []
        assert [len(spans) for spans in log.spans.values()] == [3 * WINDOW] * 3

    used(work, slots)


def test_it_waits_for_a_window_of_tests_of_the_others_and_not_for_their_end() -> None:
    async def work(log: Log) -> None:
        long = asyncio.create_task(log.run("long", [0.005] * 100))
        await asyncio.sleep(0.05)
        await log.run("alone", [0.005], alone=True)
        before = len(log.spans["long"])
        await long
        assert before < 100 - WINDOW and len(log.spans["long"]) == 100
        assert log.beside("alone") == []

    used(work, slots=2)


def test_it_overtakes_nobody_and_nobody_overtakes_it() -> None:
    async def work(log: Log) -> None:
        jobs = [log.run(f"a{k}", [0.01]) for k in range(6)]
        jobs += [log.run("b", [0.01], alone=True)]
        jobs += [log.run(f"c{k}", [0.01]) for k in range(6)]
        await asyncio.gather(*jobs)
        assert [name[0] for name in log.order()] == ["a"] * 6 + ["b"] + ["c"] * 6

    used(work)


def test_runs_under_way_go_on_between_many_that_are_alone() -> None:
    async def work(log: Log) -> None:
        long = asyncio.create_task(log.run("long", [0.002] * 60))
        await asyncio.sleep(0.02)
        await asyncio.gather(*(log.run(f"alone {k}", [0.002], alone=True) for k in range(40)))
        await long
        alone = [log.spans[f"alone {k}"][0] for k in range(40)]
        between = [span for span in log.spans["long"] if min(alone) < span < max(alone)]
        assert len(between) > WINDOW, "not held up for ever"
        assert all(log.beside(f"alone {k}") == [] for k in range(40))

    used(work, slots=2)


def test_cancelled_while_it_waits_or_runs_it_lets_the_others_go_on() -> None:
    async def work(log: Log) -> None:
        long = asyncio.create_task(log.run("long", [0.005] * 60))
        await asyncio.sleep(0.03)
        waits = asyncio.create_task(log.run("waits", [0.01], alone=True))
        await asyncio.sleep(0.01)
        waits.cancel()
        runs = asyncio.create_task(log.run("runs", [30], alone=True))
        behind = asyncio.create_task(log.run("behind", [0.001]))
        boss = log.sandbox._supervisor
        while not boss._alone.running:
            await asyncio.sleep(0.01)
        runs.cancel()
        await asyncio.gather(long, behind)
        assert len(log.spans["long"]) == 60 and not log.spans["waits"] and not log.spans["runs"]

    used(work, slots=2)


def test_a_paused_run_can_be_cancelled_and_is_not_taken_for_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(log: Log) -> None:
        boss = log.sandbox._supervisor
        tasks = [asyncio.create_task(log.run(f"{k}", [0.003] * 40)) for k in range(2)]
        await asyncio.sleep(0.03)
        alone = asyncio.create_task(log.run("alone", [0.6], alone=True))
        while not boss._alone.running:
            await asyncio.sleep(0.01)
        waiting = [s for s in list(boss._slots) if paused(s)]
        assert len(waiting) == 2
        for one in waiting:
            one.deadline = 0.0  # long ago
        tasks[0].cancel()
        await alone
        await tasks[1]
        assert len(log.spans["1"]) == 40 and len(log.spans["0"]) < 40
        assert log.beside("alone") == []

    used(work)


def test_a_slot_that_dies_alone_is_a_sandbox_error_and_the_others_go_on() -> None:
    async def work(log: Log) -> None:
        boss = log.sandbox._supervisor
        long = asyncio.create_task(log.run("long", [0.003] * 40))
        await asyncio.sleep(0.02)
        alone = asyncio.create_task(log.run("alone", [30], alone=True))
        while not boss._alone.running:
            await asyncio.sleep(0.01)
        victim = next(s for s in list(boss._slots) if s.job and s.job.alone)
        assert victim.process
        victim.process.kill()
        with pytest.raises(SandboxError):
            await alone
        await long
        assert len(log.spans["long"]) == 40

    used(work, slots=2)


def test_a_slot_that_has_to_be_started_for_it_is_waited_for() -> None:
    async def go() -> None:
        async with await fresh(slots=2) as sandbox:
            log = Log(sandbox)
            long = asyncio.create_task(log.run("long", [0.003] * 60))

            async def with_files() -> list[RunResult]:
                source = "import time\nprint(time.monotonic(), open('a').read())"
                some = [{"a": b"x"}] * 2
                runs = sandbox.run(source, [b"", b""], RunLimits(), files=some, alone=True)
                return [result async for result in runs]

            results = await asyncio.wait_for(with_files(), 20)
            await long
            assert [result.stdout.split()[1] for result in results] == [b"x", b"x"]
            for result in results:
                at = float(result.stdout.split()[0])
                assert not [span for span in log.spans["long"] if span[0] < at < span[1]]

    asyncio.run(go())


def test_closing_while_one_is_alone_and_hundreds_wait_ends_them_all() -> None:
    async def go() -> None:
        sandbox = await fresh(slots=2)
        boss = sandbox._supervisor

        async def one(source: str, *, alone: bool = False) -> None:
            async for _ in sandbox.run(source, [b"1"], RunLimits(cpu_s=60), alone=alone):
                pass

        tasks = [asyncio.create_task(one("while True: pass", alone=True))]
        tasks += [asyncio.create_task(one(SUM, alone=k % 7 == 0)) for k in range(400)]
        while not boss._alone.running:
            await asyncio.sleep(0.01)
        assert len(boss._waiting) < 400, "the rest waits with its caller"
        await sandbox.close()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, SandboxError) and "closed" in str(error) for error in ended)

    asyncio.run(go())


def test_many_callers_do_not_queue_as_many_programs() -> None:
    """A bounded number is handed to the slots; who gives up leaves nothing behind."""

    async def go() -> None:
        async with await fresh(slots=1) as sandbox:
            boss = sandbox._supervisor

            async def one(k: int) -> bytes:
                async for result in sandbox.run(SUM, [b"%d 1" % k], RunLimits()):
                    return result.stdout
                return b""

            blocked = asyncio.create_task(one(0))
            tasks = [asyncio.create_task(one(k)) for k in range(3000)]
            await asyncio.sleep(0)
            for task in tasks[400:]:
                task.cancel()
            await asyncio.sleep(0)
            assert len(boss._waiting) + len(boss._commands) <= 256
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [int(line) for line in found[:400]] == [k + 1 for k in range(400)]
            assert all(isinstance(error, asyncio.CancelledError) for error in found[400:])
            await blocked
            assert sandbox._room._value == 256

    asyncio.run(go())


def test_callers_that_hold_one_run_while_they_wait_for_another_do_not_block_each_other() -> None:
    async def go() -> None:
        async with await fresh(slots=1) as sandbox:

            async def nested() -> bytes:
                async with contextlib.aclosing(sandbox.run(SUM, [b"1", b"2"], RunLimits())) as outer:
                    async for _ in outer:
                        async for result in sandbox.run(SUM, [b"3"], RunLimits()):
                            return result.stdout
                return b""

            found = await asyncio.wait_for(asyncio.gather(*(nested() for _ in range(300))), 60)
            assert found == [b"3\n"] * 300

    asyncio.run(go())


def test_programs_of_other_languages_leave_their_room_however_they_end() -> None:
    good = '#include <cstdio>\nint main() { puts("hi"); }\n'
    cases = [("cpp", good), ("cpp", "int main( {"), ("javascript", "console.log('hi')"), ("javascript", "(")]

    async def go() -> None:
        async with await fresh(slots=1) as sandbox:

            async def one(language: str, source: str) -> list[RunResult]:
                runs = sandbox.run(source, [b"", b""], RunLimits(memory_bytes=2**29), language=language)
                async with contextlib.aclosing(runs) as results:
                    return [result async for result in results]

            try:
                for language, source in cases:
                    found = await one(language, source)
                    assert len(found) == (2 if "hi" in source else 1)
            except SandboxUnavailable as reason:
                pytest.skip(str(reason))
            tasks = [asyncio.create_task(one("cpp", good + f"// {k}")) for k in range(6)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert sandbox._room._value == 256

    asyncio.run(go())
