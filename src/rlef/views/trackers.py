"""Figures sent to TensorBoard, trackio or wandb besides ``metrics.jsonl``, on request.

A tracker is a mirror: ``metrics.jsonl`` has everything, so one that fails in the middle of a
run is left out from there on, said once, and never costs the run. Nothing is imported
unless it is asked for.

A run keeps its curves when it is resumed. After a kill the steps since the last checkpoint
are done again: TensorBoard forgets the first time, trackio and wandb show both, at the same
place, and on a CPU they are the same point.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rlef.errors import ConfigError
from rlef.runs import Run

PROJECT = "rlef"
"""Project on trackio and wandb; wandb's own ``WANDB_PROJECT`` goes before it."""

Figures = Mapping[str, float]


class Tracker(Protocol):
    """One open run of one of the packages."""

    def log(self, step: int, figures: Figures) -> None:
        """Take the figures of a step, which counts from 0."""
        ...

    def close(self, *, failed: bool) -> None:
        """Send what has not been sent. ``failed`` says that the job ended in an error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
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

    def __init__(self, run: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # purge_step: steps that an earlier process logged and that come again are forgotten.
        folder = str(run.folder / "tensorboard")
        self._writer = SummaryWriter(folder, purge_step=run.first)  # type: ignore[no-untyped-call]

    def log(self, step: int, figures: Figures) -> None:
        """Write scalars, and to the file at once: a kill costs no step."""
        for name, figure in figures.items():
            self._writer.add_scalar(name, figure, step)  # type: ignore[no-untyped-call]
        self._writer.flush()  # type: ignore[no-untyped-call]

    def close(self, *, failed: bool) -> None:
        """Close the file."""
        self._writer.close()  # type: ignore[no-untyped-call]


class Trackio:
    """A run of trackio, on this machine unless ``TRACKIO_SPACE_ID`` says otherwise."""

    def __init__(self, run: Tracked) -> None:
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

    def __init__(self, run: Tracked) -> None:
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
        # wandb's own step must never fall, which it does when steps are done again after a kill.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, figures: Figures) -> None:
        """Hand the figures to wandb's process."""
        self._run.log({"step": step, **figures})

    def close(self, *, failed: bool) -> None:
        """Wait until everything is sent; a failed job shows as failed."""
        self._run.finish(exit_code=int(failed))


KINDS: dict[str, Callable[[Tracked], Tracker]] = {
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
def open_trackers(
    names: Sequence[str],
    run: Run,
    settings: Mapping[str, Any],
    *,
    first: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Trackers]:
    """The trackers of a run, closed at the end of the block.

    ``first`` is the first step that will be logged. ``say`` is told in one line of a tracker
    that fails later. Raises ``ConfigError`` for one that is missing or can't be started.
    """
    check_trackers(names)
    tracked = Tracked(
        name=run.path.resolve().name, id=_identity(run), folder=run.path, settings=settings, first=first
    )
    trackers = Trackers({}, first=first, say=say)
    failed = True
    try:
        for name in dict.fromkeys(names):
            trackers._trackers[name] = _start(name, tracked)
        yield trackers
        failed = False
    finally:
        trackers.close(failed=failed)


def evaluation_figures(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Rows of an evaluation as scalars: ``evaluation/<condition>/<n>at<k>`` and its interval."""
    figures = {}
    for row in rows:
        name = f"evaluation/{row['condition']}/{row['n']}at{row['k']}"
        values = {name: row["solved"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        figures |= {key: float(value) for key, value in values.items() if value is not None}
    return figures


def _start(name: str, tracked: Tracked) -> Tracker:
    try:
        return KINDS[name](tracked)
    except Exception as error:  # not logged in, no network, a package that does not import
        raise ConfigError(f"track={name} can't be started: {_line(error)}") from error


def _identity(run: Run) -> str:
    """From the run's name and when it was started, which a resume leaves as they are."""
    path = run.path / "provenance.json"
    started = json.loads(path.read_text())["started"] if path.exists() else ""
    return hashlib.sha256(f"{run.path.resolve().name}/{started}".encode()).hexdigest()[:8]


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Send what a package prints to stderr: results alone go to stdout."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
