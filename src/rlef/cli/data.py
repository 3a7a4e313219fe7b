"""``data``: look at problems, check them, and write them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlef.cli import certify, similar
from rlef.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlef.problems.importers import Skipped
    from rlef.problems.types import Problem, ProblemSet, TestCase

DataName = Annotated[
    str, typer.Argument(help="Data set name, or a file: problems.jsonl, verl:train.parquet.")
]
Split = Annotated[str, typer.Option("--split", help="train, valid or test.")]
AnySplit = Annotated[
    str | None,
    typer.Option("--split", help="train, valid, test or all; else all of a file, test of a bundled set."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Families = Annotated[list[str] | None, typer.Option("--family", help="Only this family; may be repeated.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many problems.")]

data_app = typer.Typer(help="Look at, check and export problems.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    similar.register(data_app)
    certify.register(data_app)
    app.add_typer(data_app, name="data")


@data_app.command("list")
def list_(data: DataName, split: Split = "test", family: Families = None, limit: Limit = None) -> int:
    """List problem ids."""
    from rlef.problems.load import load

    for problem_id in load(data, split, families=family or (), limit=limit).ids():
        typer.echo(problem_id)
    return 0


@data_app.command()
def show(
    problem: Annotated[str, typer.Argument(help="Problem id: conventions/test/scale/0.")],
    data: Annotated[str | None, typer.Option("--data", "-d", help="Data set name or file.")] = None,
    split: Split = "test",
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Also what a policy must never see: hidden tests, solutions.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show one problem: statement, limits and public tests.

    Characters that are invisible or would act on the terminal are written as their escapes.
    """
    from rlef.cli.programs import find_set
    from rlef.problems.jsonl import problem_to_row

    found = find_set(data, split, problem).get(problem)
    if not as_json:
        typer.echo(_as_text(found, hidden))
        return 0
    row = problem_to_row(found)
    if not hidden:
        row = {key: value for key, value in row.items() if key not in _HIDDEN}
        for key in _HIDDEN_ORIGIN:
            row.get("provenance", {}).pop(key, None)
    typer.echo(json.dumps(row))
    return 0


_HIDDEN = ("private_tests", "generated_tests", "solutions")
_HIDDEN_ORIGIN = ("hidden", "meta")
"""Of the provenance. Columns that a set has besides may hold its tests: HumanEval+'s ``test`` does."""


@data_app.command()
def stats(data: DataName, split: AnySplit = None, as_json: AsJson = False) -> int:
    """Count problems, tests and limits, and what was left out."""
    from rlef.problems.load import load, usual_split
    from rlef.problems.stats import figures

    whole = load(data, split or usual_split(data))
    found = figures(list(whole), getattr(whole, "skipped", ()))
    typer.echo(json.dumps(found) if as_json else "\n".join(_lines(found)))
    return 0


@data_app.command()
def export(
    data: DataName,
    out: Annotated[Path, typer.Argument(help="A .jsonl, .jsonl.gz or .parquet file to write.")],
    form: Annotated[
        str, typer.Option("--form", help="rlef, or one of the forms in docs/corpora.md.")
    ] = "rlef",
    bare: Annotated[
        bool, typer.Option("--bare", help="Without rlef's notes in the rows, which others pass over.")
    ] = False,
    split: AnySplit = None,
    family: Families = None,
    limit: Limit = None,
) -> int:
    """Write problems in rlef's form, or in another trainer's.

    What that form can't hold is said.
    """
    from rlef.problems.corpora import export_rows, form_named
    from rlef.problems.corpora.files import new_file, write_own, write_rows
    from rlef.problems.load import load, usual_split

    new_file(out)
    chosen = None if form == "rlef" else form_named(form)
    whole = load(data, split or usual_split(data), families=family or (), limit=limit)
    tell_left_out(whole)
    problems = list(whole)
    if chosen:
        written = export_rows(chosen, problems, bare=bare)
        if not written.rows:
            reason = written.skipped[0].reason
            raise DataError(f"the form {form!r} can say none of the {len(problems)} problems: {reason}")
        write_rows(out, written.rows)
        _tell_losses(form, written.noted, written.skipped, bare)
    else:
        write_own(out, problems)
    typer.echo(f"{len(written.rows) if chosen else len(problems)} problems in {out}", err=True)
    return 0


def tell_left_out(problems: ProblemSet) -> None:
    """What the reader of a set left out of it, by kind of reason, on stderr."""
    from collections import Counter

    from rlef.problems.stats import kind_of
    from rlef.views.text import visible

    skipped = [item for item in getattr(problems, "skipped", ()) if item.whole]
    counts = Counter(kind_of(item.reason) for item in skipped)
    firsts = {kind_of(item.reason): item for item in reversed(skipped)}
    if skipped:
        typer.echo(visible(f"{problems.name}: {len(skipped)} rows are left out:"), err=True)
    for kind, count in counts.most_common():
        first = firsts[kind]
        typer.echo(visible(f"{count:6}  {first.reason} ({first.id}{' and others' * (count > 1)})"), err=True)


def _tell_losses(form: str, noted: dict[str, int], skipped: Sequence[Skipped], bare: bool) -> None:
    from rlef.views.text import visible

    for item in skipped:
        typer.echo(visible(f"left out: {item.id}: {item.reason}"), err=True)
    what = ", ".join(f"{name} ({count})" for name, count in sorted(noted.items()))
    if bare:
        typer.echo(f"lost: ids, which tests are public{', ' if what else ''}{what}", err=True)
    elif what:
        typer.echo(f"{form} has no place for {what}: rlef's note in each row keeps it", err=True)


# -- as text

_MOST_NAMES = 12
"""Names of one kind that are listed; the others are counted."""


def _lines(figures: dict[str, Any]) -> list[str]:
    """Figures in lines; those that say nothing are left out."""
    from rlef.views.text import visible

    told = {"public_of_one": "public of one", "hidden_of_one": "hidden of one", "cpu_s": "CPU seconds"}
    told |= {"memory_mb": "memory, MB", "statement_chars": "statement"}
    lines = []
    for key, value in figures.items():
        says_nothing = not value or (isinstance(value, dict) and value.keys() == {"-"})
        if key == "reasons":
            lines += [visible(line) for line in _reasons(value)]
        elif not says_nothing or key in ("problems", "public_tests", "hidden_tests", "solutions"):
            lines.append(f"{told.get(key, key.replace('_', ' ')):16}{visible(_line(key, value))}")
    return lines


def _reasons(counts: dict[str, int]) -> list[str]:
    """Why problems, or tests of theirs, were left out: a line a reason."""
    named = list(counts.items())[:_MOST_NAMES]
    lines = ["left out, problems or tests of theirs:"] if named else []
    lines += [f"    {count:6} {reason}" for reason, count in named]
    return lines + ([f"    and {len(counts) - len(named)} more reasons"] if len(counts) > len(named) else [])


def _line(key: str, value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "median" in value:
        least, median, most = (f"{value[name]:g}" for name in ("least", "median", "most"))
        unit = " characters" if key == "statement_chars" else ""
        return f"{least}{unit}" if least == most else f"{least} to {most}{unit}, median {median}"
    if key == "dates":
        return f"{value['first']} to {value['last']}"
    names = [f"{name} {count}" for name, count in list(value.items())[:_MOST_NAMES]]
    rest = len(value) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def _as_text(problem: Problem, hidden: bool) -> str:
    from rlef.views.text import visible

    mb = problem.limits.memory_bytes / 2**20
    parts = [problem.id, "", visible(problem.statement)]
    parts += _tests("public test", problem.public_tests)
    if problem.checker:
        parts += ["", f"a checker in {problem.checker.language} decides which outputs are right"]
    parts += ["", f"limits: {problem.limits.cpu_s:g} s of CPU time, {mb:g} MB"]
    if hidden:
        parts += _tests("hidden test", problem.hidden_tests)
        for solution in problem.solutions:
            parts += [
                "",
                f"known solution in {solution.language}, {solution.verdict}: {solution.note}",
                solution.code,
            ]
    parts += ["", f"hidden tests: {len(problem.hidden_tests)}, known solutions: {len(problem.solutions)}"]
    return "\n".join(visible(part) for part in parts)


def _tests(name: str, tests: Sequence[TestCase]) -> list[str]:
    parts = []
    for number, test in enumerate(tests, 1):
        how = "" if test.check == "equal" else f" ({test.check})"
        parts += ["", f"{name} {number}{how}", "  input:    " + test.input.rstrip("\n")]
        parts += ["  expected: " + test.output.rstrip("\n")]
        parts += ["        or: " + output.rstrip("\n") for output in test.also]
    return parts
