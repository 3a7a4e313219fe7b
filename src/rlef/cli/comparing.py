"""``compare``: runs against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rlef.evaluation.compare import Comparison, PairRow, SideRow


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run directories, or folders of runs that differ in their seeds alone."),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Whose rows; `after`, or the only ones, if not given."),
    ] = None,
    condition: Annotated[
        list[str] | None, typer.Option("--condition", help="Only this condition; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compare measured runs, paired by problem.

    Each with the first: difference, interval, p-value.
    """
    from rlef.evaluation.compare import compare as compare_runs

    found = compare_runs(runs, model=model, conditions=condition)
    typer.echo(json.dumps(found.to_json(), allow_nan=False) if as_json else _as_text(found))
    return 0


def _as_text(found: Comparison) -> str:
    from rlef.views.text import visible

    lines = [f"{row.side:<28} {_rate(row)}" for row in found.sides]
    lines += ["", *(line for row in found.differences for line in _pair(row))]
    if found.settings:
        lines += ["", "settings that differ:"]
        lines += [
            f"  {key}: {' | '.join(str(value) for value in values)}" for key, values in found.settings.items()
        ]
    return "\n".join(visible(line) for line in lines)


def _rate(row: SideRow) -> str:
    runs = "1 run" if row.runs == 1 else f"{row.runs} runs"
    runs += " of one model" if row.models < row.runs else ""
    return (
        f"{row.condition:<16} {row.n}@{row.k}  {row.solved:.3f} ({row.low:.3f} to {row.high:.3f})  "
        f"{row.problems} problems of {row.dataset}/{row.split}, {runs}"
    )


def _pair(row: PairRow) -> list[str]:
    lines = [
        f"{row.condition}: {row.verdict}",
        f"  {row.problems} problems: {row.a} alone solved {len(row.only_a)}, {row.b} alone {len(row.only_b)}"
        f"; higher on {row.higher_a} and {row.higher_b}",
    ]
    if row.left_out:
        lines.append(f"  left out: {row.left_out} problems that only one side has a figure for")
    return lines
