"""Learning curves of several runs in one chart: a line each, and a band over the seeds of a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from rlef.views.bands import Band, Point
from rlef.views.budgets import banded
from rlef.views.charts import CURVES, Panel
from rlef.views.sides import Side

Json = Mapping[str, Any]

POINTS = 60
"""Points of a line; longer ones are drawn through means of neighbours."""
SHOWN = (
    *("solved", "heldout/solved", "solved_first", "heldout/first", "reward", "fixed", "invalid"),
    *("kl", "clip_fraction", "entropy", "ev", "response_tokens"),
)
"""Metrics that get a chart; the others are in each run's own report."""


def curve_panels(sides: Sequence[Side]) -> list[Panel]:
    """A panel for each figure of training that any run has."""
    panels: list[Panel] = []
    for title, caption, _, keys in CURVES:
        for key, name in [pair for pair in keys if pair[0] in SHOWN]:
            bands = [band for side in sides if (band := _band(side, key)).points]
            panels += _panel(title if len(keys) == 1 else f"{title}: {name}", caption, bands, sides)
    return panels


def _panel(title: str, caption: str, bands: Sequence[Band], sides: Sequence[Side]) -> list[Panel]:
    notes = [f"{caption}."]
    if any(len(side.runs) > 1 for side in sides):
        notes.append("Bands: from the lowest to the highest seed, lines their mean.")
    return banded(title, bands, caption=" ".join(notes), x_label="step", axis="step")


def _band(side: Side, key: str) -> Band:
    runs = [steps for run in side.runs if (steps := dict(_steps(run.metrics, key)))]
    if not runs:
        return Band(side.title, (), side.colour)
    shared = [x for x in runs[0] if all(x in one for one in runs[1:])]
    points = [_point(x, [one[x] for one in runs]) for x in sorted(shared)]
    return Band(side.title, tuple(_thinned(points)), side.colour)


def _point(x: float, values: Sequence[float]) -> Point:
    if len(values) == 1:
        return Point(x, values[0])
    return Point(x, fmean(values), min(values), max(values))


def _thinned(points: Sequence[Point]) -> Iterator[Point]:
    size = -(-len(points) // POINTS) if points else 1
    for at in range(0, len(points), size):
        some = points[at : at + size]
        yield Point(
            some[len(some) // 2].x,
            fmean(point.value for point in some),
            fmean(point.low for point in some),
            fmean(point.high for point in some),
        )


def _steps(metrics: Sequence[Json], key: str) -> Iterator[tuple[float, float]]:
    for row in metrics:
        step, value = row.get("step"), row.get(key)
        if isinstance(step, int | float) and isinstance(value, int | float) and value == value:
            yield float(step), float(value)
