"""Figures sent to TensorBoard, trackio or wandb besides ``metrics.jsonl``, on request.

A tracker is a mirror: ``metrics.jsonl`` has everything, so one that fails in the middle of a
run is left out from there on, said once, and never costs the run. Nothing is imported
unless it is asked for.

A run keeps its curves when it is resumed. After a kill the steps since the last checkpoint
are done again: TensorBoard forgets the first time, wandb the second, trackio shows both. On a
CPU they are the same point.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rlef.config import Config
from rlef.errors import ConfigError
from rlef.runs import Run
from rlef.views.watcher import Figures, Watcher

PROJECT = "rlef"
"""Project on trackio and wandb; wandb's own ``WANDB_PROJECT`` goes before it."""


class Tracker(Protocol):
    """One open run of one of the packages."""

    def log(self, step: int, figures: Figures) -> None:
        """Take the figures of a step, which counts from 0."""
        ...

    def close(self, *, failed: bool) -> None:
        """Send what has not been sent. ``failed`` says that the job ended in an error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a tracker is told of a run before its first figures."""

    name: str
    id: str
    """Hexadecimal digits; the same after a resume, another after ``--overwrite``."""
    folder: Path
    settings: Mapping[str, Any]
    """The resolved configuration as plain data."""
    first: int
    """First step that will be logged; earlier ones were, before an interruption."""


class TensorBoard:
    """Event files in the run's ``tensorboard/``: ``tensorboard --logdir runs``."""

    def __init__(self, run: About) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # purge_step: steps that an earlier process logged and that come again are forgotten.
        folder = str(run.folder / "tensorboard")
        self._writer = SummaryWriter(folder, purge_step=run.first)

    def log(self, step: int, figures: Figures) -> None:
        """Write scalars, and to the file at once: a kill costs no step."""
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self._writer.close()


class Trackio:
    """A run of trackio, on this machine unless ``TRACKIO_SPACE_ID`` says otherwise."""

    def __init__(self, run: About) -> None:
        import trackio

        self._trackio = trackio
        with _quiet_stdout():
            self._run = trackio.init(
                project=PROJECT,
                name=f"{run.name}-{run.id}",
                config=dict(run.settings),
                resume="allow",
                embed=False,
            )

    def log(self, step: int, figures: Figures) -> None:
        """Queue the figures; trackio writes them from a thread of its own."""
        with _quiet_stdout():
            self._trackio.log(dict(figures), step=step)

    def close(self, *, failed: bool) -> None:
        """Wait until everything is written."""
        with _quiet_stdout():
            self._trackio.finish()


class Wandb:
    """A run of wandb, with its files in the run's ``wandb/``. ``WANDB_MODE=offline`` works too."""

    def __init__(self, run: About) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            id=run.id,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
            settings={"console": "off"},  # the terminal is ours
        )

    def log(self, step: int, figures: Figures) -> None:
        """Hand the figures to wandb's process, which leaves out a step that it has already."""
        self._run.log(dict(figures), step=step)

    def close(self, *, failed: bool) -> None:
        """Wait until everything is sent; a failed job shows as failed."""
        self._run.finish(exit_code=int(failed))


KINDS: dict[str, Callable[[About], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
}
"""Each name is also that of its package and of the extra that brings it."""


class Trackers:
    """The open trackers of a job, fed together."""

    def __init__(self, trackers: dict[str, Tracker], *, first: int, say: Callable[[str], None]) -> None:
        self._trackers, self._first, self._say = trackers, first, say

    def log(self, step: int, figures: Figures) -> None:
        """Send the figures of a step; of one before the first, which is there already, nothing."""
        if step >= self._first:
            self._each(lambda tracker: tracker.log(step, figures))

    def beside(self, watcher: Watcher) -> Watcher:
        """The watcher, with every step and every evaluation told here too."""

        def on_step(step: int, steps: int, figures: Figures) -> None:
            watcher.on_step(step, steps, figures)
            self.log(step, figures)

        def on_rows(step: int, rows: Iterable[Mapping[str, Any]]) -> None:
            self.log(step, row_figures(rows))

        return replace(watcher, on_step=on_step, on_rows=on_rows)

    def close(self, *, failed: bool = False) -> None:
        """Send what is left."""
        self._each(lambda tracker: tracker.close(failed=failed))
        self._trackers.clear()

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # the packages are not ours, nor is what they raise
                del self._trackers[name]
                self._say(f"{name} failed and is left out from here on: {_line(error)}")


def check_trackers(names: Iterable[str]) -> None:
    """Raise ``ConfigError`` if a tracker's package is missing. Imports none of them."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"track={name} needs the package {name}: pip install 'rlef[{name}]'")


@contextlib.contextmanager
def tracked(watcher: Watcher, run: Run, config: Config, *, first: int = 0) -> Iterator[Watcher]:
    """A watcher that also feeds the configured trackers, which are closed at the end of the block.

    ``first`` is the first step that is still to come. Raises ``ConfigError`` for a tracker
    that is missing or can't be started.
    """
    check_trackers(config.track)
    opened: dict[str, Tracker] = {}
    trackers = Trackers(opened, first=first, say=watcher.stage)
    failed = True
    try:
        about = _about(run, config, first)
        for name in dict.fromkeys(config.track):
            opened[name] = _start(name, about)
        yield trackers.beside(watcher)
        failed = False
    finally:
        trackers.close(failed=failed)


def row_figures(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Rows of an evaluation as scalars: ``evaluation/<condition>/<n>at<k>`` and its interval."""
    figures: dict[str, float] = {}
    for row in rows:
        name = f"evaluation/{row['condition']}/{row['n']}at{row['k']}"
        values = {name: row["solved"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        figures |= {key: float(value) for key, value in values.items() if value is not None}
    return figures


def _start(name: str, about: About) -> Tracker:
    try:
        return KINDS[name](about)
    except Exception as error:  # not logged in, no network, a package that does not import
        raise ConfigError(f"track={name} can't be started: {_line(error)}") from error


def _about(run: Run, config: Config, first: int) -> About:
    path = run.path / "provenance.json"  # written once, so its digest outlives a resume
    origin = path.read_bytes() if path.exists() else str(run.path.resolve()).encode()
    return About(
        name=run.path.resolve().name,
        id=hashlib.sha256(origin).hexdigest()[:8],
        folder=run.path,
        settings=config.model_dump(mode="json"),
        first=first,
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Send what a package prints to stderr: results alone go to stdout."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
