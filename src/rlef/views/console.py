"""What a person sees in the terminal: progress on stderr, the table on stdout.

A terminal gets one moving bar under the lines; anything else (a file, a pipe, CI) gets the
same lines plain. Names that come from outside are escaped before they reach a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rlef.runs import Run
from rlef.views.charts import CONDITION_NAMES, by_condition
from rlef.views.rundata import read_run
from rlef.views.scope import scope
from rlef.views.text import figure, interval, p_value, span, visible
from rlef.views.watcher import ProgressLike, Watcher

Json = Mapping[str, Any]

COLUMNS = (
    "dataset",
    "split",
    "condition",
    "model",
    "n@k",
    "solved",
    "95 % CI",
    "problems",
    "rollouts",
    "dropped",
)
TEXT_COLUMNS = 4
QUARTERS = 4
"""Progress lines of an evaluation's condition where there is no terminal."""


class Console:
    """The terminal of one run.

    ``err`` and ``out`` default to the process's own streams.
    """

    def __init__(
        self, run: Run | None = None, *, err: TextIO | None = None, out: TextIO | None = None
    ) -> None:
        self.run = run
        self.err, self.out = err or sys.stderr, out or sys.stdout
        self._rich = RichConsole(file=self.err, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None

    def watcher(self, stop: Callable[[], bool] = lambda: False) -> Watcher:
        """The calls of a job, shown here; ``stop`` is passed on."""
        return Watcher(
            stage=self.stage,
            on_step=self.on_step,
            on_warm=self.on_warm,
            on_progress=self.on_progress,
            stop=stop,
        )

    def stage(self, text: str) -> None:
        """A new part of the job begins."""
        self.close()
        self._line(f"── {text}")

    def on_step(self, step: int, steps: int, figures: Json) -> None:
        """One line with ten figures, and another when held-out figures were taken."""
        self._line(step_line(step + 1, steps, figures))
        if "heldout/solved" in figures:
            first = figure(figures.get("heldout/first"))
            self._line(f"      held-out solved {figure(figures['heldout/solved'])}  1st-turn {first}")
        self._advance("training", step + 1, steps)

    def on_warm(self, step: int, steps: int, figures: Json) -> None:
        """A line for every tenth of the warm start."""
        if (step + 1) % max(1, steps // 10) == 0 or step + 1 == steps:
            self._line(
                f"warm start {step + 1:>{len(str(steps))}}/{steps}  loss {figure(figures.get('loss'), '.3f')}"
            )
        self._advance("warm start", step + 1, steps)

    def on_progress(self, progress: ProgressLike) -> None:
        """Where an evaluation stands: a bar, or a line for each quarter."""
        name = f"{progress.model} · {CONDITION_NAMES.get(progress.condition, progress.condition)}"
        ended = progress.done == progress.total
        if ended or (not self._rich.is_terminal and progress.done % -(-progress.total // QUARTERS) == 0):
            dropped = f"  dropped {progress.dropped}" if progress.dropped else ""
            share = figure(progress.solved / max(1, progress.done - progress.dropped))
            left = "" if ended or progress.seconds_left is None else f"  {span(progress.seconds_left)} to go"
            self._line(f"{name}  {progress.done}/{progress.total} episodes  solved {share}{dropped}{left}")
        self._advance(name, progress.done, progress.total)
        if ended:
            self.close()

    def results(self) -> None:
        """The table of the run on stdout; under it the ceiling, the differences, and what was left out."""
        assert self.run is not None, "results belong to a run"
        found = [
            _read(self.run, name) for name in ("results.json", "results_ceiling.json", "evaluation.json")
        ]
        rows, ceiling, evaluation = found
        self.close()
        print(results_table(rows or [], ceiling, (evaluation or {}).get("differences", [])), file=self.out)
        for line in scope(read_run(self.run)):
            print(f"note: {visible(line)}", file=self.out)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _line(self, text: str) -> None:
        self._rich.print(visible(text), overflow="ignore", crop=False)

    def _advance(self, name: str, done: int, total: int) -> None:
        if not self._rich.is_terminal:
            return
        if self._task is None or self._task[0] != name:
            self.close()
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._rich,
                transient=True,
            )
            self._bar.start()
            self._task = name, self._bar.add_task(visible(name), total=total)
        assert self._bar is not None
        self._bar.update(self._task[1], completed=done)
        if done >= total:
            self.close()


def step_line(step: int, total: int, figures: Json) -> str:
    """Ten figures of a step (``step`` counts from 1); a dash for what was not measured."""
    explained = figures.get("ev", figures.get("explained_variance"))
    parts = [
        f"step {step:>{len(str(total))}}/{total}",
        f"reward {figure(figures.get('reward'), '+.2f')}",
        f"solved {figure(figures.get('solved'))}",
        f"1st-turn {figure(figures.get('solved_first'))}",
        f"fixed {figure(figures.get('fixed'))}",
        f"invalid {figure(figures.get('invalid'))}",
        f"kl {figure(figures.get('kl'), '.3f')}",
        f"clip {figure(figures.get('clip_fraction'))}",
        f"ev {figure(explained)}",
        _times(figures),
    ]
    return "  ".join(parts)


def results_table(rows: Sequence[Json], ceiling: Json | None = None, differences: Sequence[Json] = ()) -> str:
    """The table as plain text: a grid that Markdown reads too, then ceiling and differences."""
    if not rows:
        return "no results"
    cells = [tuple(visible(cell) for cell in _cells(row)) for row in by_condition(rows)]
    widths = [max(len(line[i]) for line in [COLUMNS, *cells]) for i in range(len(COLUMNS))]
    rule = ["-" * width if i < TEXT_COLUMNS else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [_grid(COLUMNS, widths), _grid(rule, widths), *(_grid(line, widths) for line in cells)]
    if ceiling and "ceiling" in ceiling:
        lines.append(
            f"\nno-feedback ceiling {figure(ceiling['ceiling'], '.3f')}: the most that "
            f"{ceiling.get('budget')} attempts can solve unaided ({ceiling.get('problems')} problems)"
        )
    if differences:
        lines += ["", *(_difference(row) for row in differences)]
    return "\n".join(lines)


def _cells(row: Json) -> tuple[str, ...]:
    return (
        str(row["dataset"]),
        str(row["split"]),
        str(row["condition"]),
        str(row["model"]),
        f"{row['n']}@{row['k']}",
        figure(row["solved"], ".3f"),
        interval(row),
        *(str(row[name]) for name in ("problems", "rollouts", "dropped")),
    )


def _grid(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if i < TEXT_COLUMNS else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _difference(row: Json) -> str:
    if row["a_condition"] == row["b_condition"]:
        what = f"{row['a_condition']}: {row['b_model']} → {row['a_model']}"
    else:
        what = f"{row['a_model']}: {row['a_condition']} − {row['b_condition']}"
    change = figure(row["difference"], "+.3f")
    return visible(f"{what:<44} {change}  (95 % CI {interval(row)}, p {p_value(row['p_value'])})")


def _times(figures: Json) -> str:
    parts = [
        f"{name} {figure(figures[key], '.0f')}"
        for name in ("sample", "judge", "update")
        if (key := f"time/{name}") in figures
    ]
    return f"{figure(figures.get('time/step'), '.0f')} s" + (f" ({' · '.join(parts)})" if parts else "")


def _read(run: Run, name: str) -> Any:
    path = run.path / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
