"""``train`` and ``evaluate``: commands that make run directories."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rlef.config import Config
from rlef.errors import ConfigError
from rlef.runs import Run, default_name, runs_root
from rlef.settings import dump_config, load_config

ConfigOption = Annotated[
    str | None, typer.Option("--config", "-c", help="Preset or YAML file; `rlef config` lists presets.")
]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings as key=value, e.g. algorithm.lr=1e-5.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Run directory; made under runs/ if not given.")
]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this run.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run directory if it exists.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, print the settings and stop.")]
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(train)
    app.command()(evaluate)


def train(
    overrides: Overrides = None,
    config: ConfigOption = None,
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Train a model, measure it before and after, and write a report."""
    settings = _settings(config, overrides, resume)
    if dry_run:
        return _dry_run(settings)
    from rlef.jobs.data import Sets
    from rlef.jobs.train import train_job
    from rlef.views.console import Console

    console = Console()
    sets = Sets(settings, console.stage)
    sets.train(), sets.test(), sets.valid()  # a mistake in the data shows before a directory is made
    run = Run.open(resume) if resume else _new_run(settings, out, overwrite, "train")
    console.run = run
    with _tidy(run), _interruptible() as stop:
        finished = train_job(settings, run, console.watcher(stop), command=_command(), sets=sets)
    if not finished:
        typer.echo(f"stopped; go on with: rlef train --resume {shlex.quote(str(run.path))}", err=True)
        return INTERRUPTED
    _show(run, console, as_json)
    return 0


def evaluate(
    overrides: Overrides = None,
    config: ConfigOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="tiny, smollm2, a folder, a hub id, an endpoint's name, or replay:RUN."
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="An OpenAI-compatible server: http://127.0.0.1:8000/v1."),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", "-d", help="Data set name or JSONL file.")] = None,
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Measure a model on the test split under every condition, without training it.

    An endpoint's key is read from OPENAI_API_KEY.
    """
    given = {"model.path": model, "endpoint.url": base_url, "data.test": data, "data.train": data}
    if base_url and model is None:
        given["model.path"] = ""  # the only one that the server has
    extra = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    settings = _settings(config, [*(overrides or []), *extra], resume)
    if dry_run:
        return _dry_run(settings)
    from rlef.jobs.data import Sets
    from rlef.jobs.evaluate import evaluate_job
    from rlef.views.console import Console

    console = Console()
    sets = Sets(settings, console.stage)
    sets.test()  # a mistake in the data shows before a directory is made
    run = Run.open(resume) if resume else _new_run(settings, out, overwrite, "evaluate")
    console.run = run
    with _tidy(run), _resumable(run):
        evaluate_job(settings, run, console.watcher(), sets, command=_command())
    _show(run, console, as_json)
    return 0


def _settings(config: str | None, overrides: list[str] | None, resume: Path | None) -> Config:
    if not resume:
        return load_config(config, overrides or [])
    if config or overrides:
        raise ConfigError("--resume takes the run's own settings; leave --config and key=value out")
    return load_config(Run.open(resume).path / "config.yaml")


def _dry_run(settings: Config) -> int:
    from rlef.jobs.data import Sets
    from rlef.views.text import visible
    from rlef.views.trackers import check_trackers

    check_trackers(settings.track)
    rows = settings.algorithm.problems * settings.algorithm.samples
    train_set = Sets(settings, lambda line: typer.echo(visible(line), err=True)).train()
    typer.echo(dump_config(settings), nl=False)
    typer.echo(
        f"# {settings.steps} steps of {rows} episodes ({settings.steps * rows} in all), "
        f"{settings.steps * settings.algorithm.problems / len(train_set):.1f} passes over "
        f"{len(train_set)} problems; nothing was run",
        err=True,
    )
    return 0


def _new_run(settings: Config, out: Path | None, overwrite: bool, command: str) -> Run:
    path = out or runs_root() / default_name(settings.name, settings.model.path)
    return Run.create(path, overwrite=overwrite, command=command)


def _command() -> str:
    return shlex.join(["rlef", *sys.argv[1:]])


def _show(run: Run, console: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(json.loads((run.path / "results.json").read_text())))
    else:
        console.results()
        typer.echo(f"\nreport: {run.path / 'report.html'}")


@contextmanager
def _tidy(run: Run) -> Iterator[None]:
    try:
        yield
    finally:
        run.tidy()


@contextmanager
def _resumable(run: Run) -> Iterator[None]:
    """Say how to go on, whatever ended the work early."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if (run.path / "config.yaml").exists():
            typer.echo(f"stopped; go on with: rlef evaluate --resume {shlex.quote(str(run.path))}", err=True)
        raise


class _Stop:
    """True once Ctrl-C was pressed. The second one does not wait for the step to end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def handle(self, signum: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        typer.echo("finishing the step, then saving; Ctrl-C again to stop at once", err=True)


@contextmanager
def _interruptible() -> Iterator[_Stop]:
    stop = _Stop()
    before = signal.signal(signal.SIGINT, stop.handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
