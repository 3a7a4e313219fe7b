"""``report`` and ``export``: what is made of runs that are there."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from rlef.errors import RunError
from rlef.runs import Run, write_whole

RunPath = Annotated[Path, typer.Argument(help="A run directory.")]

export_app = typer.Typer(help="Write a run for other tools.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(report)
    app.add_typer(export_app, name="export")


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="A run directory; or several, or folders of runs with several seeds, to compare."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File to write; report.html in the run, or compare.html here, if not given."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Of several runs: whose rows; `after`, or the first, if not given."
        ),
    ] = None,
) -> int:
    """Write report.html of a run again, or compare several runs.

    The run need not have finished.
    """
    from rlef.views.report import REPORT, render

    if out is not None and out.is_dir():
        raise RunError(f"{out} is a folder; name a file: --out {out / REPORT}")
    if len(runs) > 1 or (not (runs[0] / "config.yaml").is_file() and any(runs[0].glob("*/config.yaml"))):
        return _side_by_side(runs, out, model)
    run = Run.open(runs[0])
    typer.echo(write_whole(out or run.path / REPORT, render(run)))
    return 0


def _side_by_side(paths: list[Path], out: Path | None, model: str | None) -> int:
    from rlef.errors import DataError
    from rlef.evaluation.compare import compare
    from rlef.views.compare import COMPARISON, write_comparison

    compared, why_not = None, ""
    try:
        compared = compare(paths, model=model).to_json()
    except DataError as error:  # side by side they can be looked at all the same
        why_not = f"Not paired: {error}."
        typer.echo(f"note: {why_not}", err=True)
    page = write_comparison(paths, out or Path(COMPARISON), compared, why_not, model=model)
    typer.echo(page)
    return 0


@export_app.command()
def inspect(
    run: RunPath,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the logs; `inspect` in the run if not given."),
    ] = None,
) -> int:
    """Write the episodes of an evaluation as logs that `inspect view` opens.

    One log for each model and condition. Hidden tests are in the scores' metadata, marked as
    never shown to the model.
    """
    from rlef.views.inspect import export

    folder = out or run / "inspect"
    done = export(Run.open(run), folder)
    for path in done.paths:
        typer.echo(path)
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(
        f"{done.episodes} episodes; look at them with: inspect view --log-dir {shlex.quote(str(folder))}",
        err=True,
    )
    return 0
