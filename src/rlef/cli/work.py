"""``train`` and ``evaluate``: commands that make run directories."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlef.config import Config
from rlef.errors import ConfigError, RunError
from rlef.runs import Run, default_name, runs_root
from rlef.settings import dump_config, load_config

if TYPE_CHECKING:
    from rlef.jobs.data import Sets

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
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check settings and data, print the settings, run nothing.")
]
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
    _only_resumed(
        resume, {"--config": config, "key=value": overrides, "--out": out, "--overwrite": overwrite}
    )
    settings = _settings(config, overrides or []) if resume is None else _settings_of(resume, "train")
    if dry_run:
        return _dry_run(settings, _training)
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
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="Data set: humaneval, verl:rows.parquet, problems.jsonl."),
    ] = None,
    out: Out = None,
    resume: Resume = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Measure a model under every condition, without training it.

    An endpoint's key is read from OPENAI_API_KEY.
    """
    given = {"--config": config, "key=value": overrides, "--model": model, "--base-url": base_url}
    _only_resumed(resume, {**given, "--data": data, "--out": out, "--overwrite": overwrite})
    if base_url and model is None:
        model = ""  # the only one that the server has
    values = {"model.path": model, "endpoint.url": base_url, "data.test": data, "data.train": data}
    extra = [
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None
    ]
    overrides = [*(overrides or []), *extra]
    settings = _settings(config, overrides) if resume is None else _settings_of(resume, "evaluate")
    if dry_run:
        return _dry_run(settings, _measuring)
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


def _only_resumed(resume: Path | None, others: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` if a run is to go on with anything but its own settings."""
    given = [name for name, value in others.items() if value]
    if resume and given:
        raise ConfigError(f"--resume goes on with the run's own settings; leave out {', '.join(given)}")


def _settings_of(resume: Path, command: str) -> Config:
    """The run's settings. Raises ``RunError`` for one that another command began: its files differ."""
    run = Run.open(resume)
    began = run.command()
    if began not in ("", command):
        raise RunError(f"{resume} was made by `rlef {began}`; `rlef {command}` can't go on with it")
    return load_config(run.path / "config.yaml")


def _settings(config: str | None, overrides: list[str]) -> Config:
    """The settings of a new run. Raises ``ConfigError`` if nothing says of what."""
    if not (config or overrides):
        raise ConfigError("of what? give --config (`rlef config` lists presets), or --resume RUN")
    return load_config(config, overrides)


def _dry_run(settings: Config, work: Callable[[Config, Sets], str]) -> int:
    """Check settings and data, print the settings, and say how much ``work`` it would be."""
    from rlef.jobs.data import Sets
    from rlef.views.text import visible
    from rlef.views.trackers import check_trackers

    check_trackers(settings.track)
    much = work(settings, Sets(settings, lambda line: typer.echo(visible(line), err=True)))
    typer.echo(dump_config(settings), nl=False)
    typer.echo(f"# {much}; nothing was run", err=True)
    return 0


def _training(settings: Config, sets: Sets) -> str:
    problems, each = len(sets.train()), settings.algorithm.problems
    rows = each * settings.algorithm.samples
    return (
        f"{settings.steps} steps of {rows} episodes ({settings.steps * rows} in all), "
        f"{settings.steps * each / problems:.1f} passes over {problems} problems"
    )


def _measuring(settings: Config, sets: Sets) -> str:
    problems, measured = len(sets.test()), settings.evaluation
    most = problems * measured.rollouts * measured.turns * len(measured.conditions)
    return (
        f"{problems} problems, {measured.rollouts} rollouts of {measured.turns} turns under "
        f"{len(measured.conditions)} conditions: at most {most} replies of the model"
    )


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
    """Say how to go on, whatever ended the work early; a scheduler's SIGTERM does as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if (run.path / "config.yaml").exists():
            typer.echo(f"stopped; go on with: rlef evaluate --resume {shlex.quote(str(run.path))}", err=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


class _Stop:
    """True once Ctrl-C was pressed, or SIGTERM came. The second one does not wait for the step to end."""

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
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
