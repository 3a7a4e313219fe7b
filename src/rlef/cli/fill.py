"""``data fill``: run the references of a benchmark for the outputs that its tests lack."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlef.config import Sandbox
from rlef.errors import DataError

if TYPE_CHECKING:
    from rlef.judge.filling import Filled
    from rlef.problems.types import Problem


def register(app: typer.Typer) -> None:
    """Add the command to ``data``, which `cli.data` has registered."""
    from rlef.cli.data import data_app

    data_app.command()(fill)


def fill(
    data: Annotated[str, typer.Argument(help="A benchmark: humaneval+, mbpp+:FILE.")],
    out: Annotated[Path, typer.Argument(help="A .jsonl, .jsonl.gz or .parquet file to write.")],
) -> int:
    """Run references in the sandbox for the outputs that tests lack; write the problems."""
    from rlef.problems.corpora.files import new_file, write_own
    from rlef.problems.load import unfilled

    new_file(out)
    problems, skipped = unfilled(data)
    for one in skipped:
        _tell(one.id, one.reason)
    results = asyncio.run(_filled(problems))
    whole = [result.problem for result in results if result.problem]
    for problem, result in zip(problems, results, strict=True):
        for reason in result.lost:
            _tell(problem.id, reason)
    if not whole:
        raise DataError(f"none of the {len(problems)} problems of {data} could be filled; nothing is written")
    write_own(out, whole)
    left = len(problems) - len(whole) + sum(one.whole for one in skipped)
    typer.echo(f"{len(whole)} problems in {out}, {left} left out", err=True)
    return 0


def _tell(name: str, reason: str) -> None:
    from rlef.views.text import visible

    typer.echo(visible(f"{name}: {reason}"), err=True)


async def _filled(problems: list[Problem]) -> list[Filled]:
    from rlef.judge.filling import filled
    from rlef.sandbox import Sandbox as Jail

    async with await Jail.open(Sandbox()) as sandbox:
        waiting = asyncio.Semaphore(2 * sandbox.slots)

        async def one(problem: Problem) -> Filled:
            async with waiting:
                return await filled(sandbox, problem)

        return await asyncio.gather(*map(one, problems))
