"""``data dedupe`` and ``data decontaminate``: problems that are there twice, or known from a benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlef.errors import DataError

if TYPE_CHECKING:
    from rlef.problems.similar.contamination import Contamination
    from rlef.problems.similar.duplicates import Group
    from rlef.problems.types import Problem

_Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write what is left: .jsonl, .jsonl.gz, .parquet.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MOST_COMMON = 5
"""Runs of boilerplate that are named."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(dedupe)
    app.command()(decontaminate)


def dedupe(
    data: Annotated[str, typer.Argument(help="Data set name or file.")],
    near: Annotated[
        float, typer.Option("--near", help="Least similarity of statements, 0 to 1; 1 for the same words.")
    ] = 0.8,
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test or all; else all of a file, test of a bundled set."),
    ] = None,
    out: _Out = None,
    as_json: _AsJson = False,
) -> int:
    """List groups of problems with nearly equal statements, or equal tests; the first of each stays."""
    from rlef.problems.similar.duplicates import duplicates

    if not 0 < near <= 1:
        raise DataError(f"--near {near:g} must be above 0 and at most 1")
    problems = _problems(data, split, out)
    groups = duplicates(problems, near)
    _print_groups(groups, as_json)
    gone = {problem_id for group in groups for problem_id in group.ids[1:]}
    typer.echo(f"{len(problems)} problems, {len(groups)} groups, {len(gone)} duplicates", err=True)
    _write_left(out, problems, gone)
    return 0


def decontaminate(
    train: Annotated[str, typer.Argument(help="Data set name or file to train on.")],
    against: Annotated[str, typer.Option("--against", help="Benchmarks that it must not know: SET[,SET].")],
    ngram: Annotated[int, typer.Option("--ngram", min=2, help="Words in a run that counts: 13, or 8.")] = 13,
    common: Annotated[
        int, typer.Option("--common", min=1, help="A run in more problems than this is boilerplate.")
    ] = 10,
    split: Annotated[str, typer.Option("--split", help="Split of the training set.")] = "train",
    against_split: Annotated[str, typer.Option("--against-split", help="Split of the benchmarks.")] = "test",
    out: _Out = None,
    as_json: _AsJson = False,
) -> int:
    """List training problems that share words, tests or a program with a benchmark; write the others."""
    from rlef.problems.load import load
    from rlef.problems.similar.contamination import contamination

    names = [name for name in against.split(",") if name]
    if not names:
        raise DataError("--against names no benchmark: give SET[,SET]")
    problems = _problems(train, split, out)
    benchmarks = {name: list(load(name, against_split)) for name in names}
    found = contamination(problems, benchmarks, ngram=ngram, common=common)
    _print_hits(found, as_json)
    gone = {hit.id for hit in found.hits}
    sizes = ", ".join(f"{name} ({len(of_name)})" for name, of_name in benchmarks.items())
    typer.echo(f"{len(problems)} problems, {len(gone)} known from {sizes}", err=True)
    _write_left(out, problems, gone)
    return 0


def _problems(data: str, split: str | None, out: Path | None) -> list[Problem]:
    from rlef.cli.data import tell_left_out
    from rlef.problems.corpora.files import new_file
    from rlef.problems.load import load, usual_split

    if out:
        new_file(out)
    problems = load(data, split or usual_split(data))
    tell_left_out(problems)
    return list(problems)


def _write_left(out: Path | None, problems: Sequence[Problem], gone: set[str]) -> None:
    from rlef.problems.corpora.files import write_own

    if out:
        left = [problem for problem in problems if problem.id not in gone]
        write_own(out, left)
        typer.echo(f"{len(left)} problems in {out}", err=True)


def _print_groups(groups: Sequence[Group], as_json: bool) -> None:
    for group in groups:
        if as_json:
            typer.echo(json.dumps(asdict(group)))
            continue
        typer.echo(_visible(group.ids[0]))
        for pair in sorted(group.pairs, key=lambda pair: group.ids.index(pair.second)):
            how = f"near {pair.similarity:.2f}" if pair.kind == "near" else f"same {pair.kind}"
            typer.echo(_visible(f"    {how:16}{pair.second} and {pair.first}"))


def _print_hits(found: Contamination, as_json: bool) -> None:
    for hit in found.hits:
        if as_json:
            typer.echo(json.dumps(asdict(hit)))
            continue
        what = f": {hit.what}" if hit.what else ""
        typer.echo(_visible(f"{hit.id} knows {hit.other} of {hit.benchmark} by its {hit.reason}{what}"))
    for run in list(found.common)[:_MOST_COMMON]:
        typer.echo(_visible(f"boilerplate of {found.common[run]} problems: {run}"), err=True)
    if len(found.common) > _MOST_COMMON:
        typer.echo(f"and {len(found.common) - _MOST_COMMON} more runs of boilerplate", err=True)


def _visible(text: str) -> str:
    from rlef.views.text import visible

    return visible(text)
