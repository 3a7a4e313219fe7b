"""One sandbox for a test module, driven from ordinary functions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rlef.config
from rlef.errors import SandboxUnavailable
from rlef.sandbox import RunLimits, RunResult, Sandbox, languages, probe
from rlef.sandbox.languages.tools import tool

SUM = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"


async def fresh(slots: int = 1, **settings: int) -> Sandbox:
    """A sandbox. Skips the test where this machine lacks a layer, but not where one fails."""
    try:
        return await Sandbox.open(rlef.config.Sandbox(slots=slots, **settings))
    except SandboxUnavailable as error:
        if all(layer.available or "canary" not in layer.name for layer in probe().layers):
            pytest.skip(str(error))
        raise


class Bench:
    """A sandbox and the event loop it is used from."""

    def __init__(self, slots: int = 1) -> None:
        self.loop = asyncio.new_event_loop()
        try:
            self.sandbox = self.loop.run_until_complete(fresh(slots))
        except BaseException:
            self.loop.close()
            raise

    def all(
        self, source: str, stdins: list[bytes], language: str = "python", **limits: float
    ) -> list[RunResult]:
        async def collect() -> list[RunResult]:
            run = self.sandbox.run(source, stdins, RunLimits(**limits), language=language)  # type: ignore[arg-type]
            return [r async for r in run]

        return self.loop.run_until_complete(collect())

    def one(self, source: str, stdin: bytes = b"", language: str = "python", **limits: float) -> RunResult:
        (result,) = self.all(source, [stdin], language, **limits)
        return result

    def calls(
        self, source: str, function: str, arguments: list[bytes], *, chunk: int = 64, **limits: float
    ) -> list[RunResult]:
        async def collect() -> list[RunResult]:
            bounds = RunLimits(**limits)  # type: ignore[arg-type]
            return [r async for r in self.sandbox.call(source, function, arguments, bounds, chunk=chunk)]

        return self.loop.run_until_complete(collect())

    def close(self) -> None:
        self.loop.run_until_complete(self.sandbox.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@contextmanager
def opened(slots: int = 1) -> Iterator[Bench]:
    bench = Bench(slots)
    try:
        yield bench
    finally:
        bench.close()


def needs(language: str) -> None:
    """Skip where a language is not installed."""
    try:
        tool(languages.find(language))
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def descendants(pid: int) -> list[int]:
    """Live processes below ``pid``, zombies left out."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for word in _read(task / "children").split():
            if _read(Path(f"/proc/{word}/stat")).rpartition(")")[2].split()[:1] not in ([], ["Z"]):
                found += [int(word), *descendants(int(word))]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""
