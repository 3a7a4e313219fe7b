"""Figures over the sample budget: several turns against independent samples, and pass@k."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlef.views.bands import Band, Point, band_chart, told
from rlef.views.charts import CONDITION_NAMES, Panel

Json = Mapping[str, Any]

LIMIT_COLOURS = {1: 4, 3: 0, 5: 2, 10: 3}
CONDITION_COLOURS = {"multi_turn": 0, "single_turn": 5, "no_feedback": 1, "random_feedback": 2}
INDEPENDENT = "independent samples"


def budget_panels(rows: Sequence[Json]) -> list[Panel]:
    """For each model and n: n@k of every turn limit and of independent samples, over k.

    ``rows`` are the ``budgets`` of an evaluation, those of ``multi_turn`` and
    ``single_turn``. A model that was measured in one of the two has no panel.
    """
    shown = [row for row in rows if row.get("condition") in ("multi_turn", "single_turn")]
    pairs = dict.fromkeys((str(row["model"]), int(row["n"])) for row in shown)
    panels: list[Panel] = []
    for model, n in pairs:
        here = [row for row in shown if (str(row["model"]), row["n"]) == (model, n)]
        if {row["condition"] for row in here} == {"multi_turn", "single_turn"}:
            panels += _budget(model, n, here)
    return panels


def pass_panels(rows: Sequence[Json]) -> list[Panel]:
    """pass@k of each model's final programs, a line for each condition."""
    panels: list[Panel] = []
    for model in dict.fromkeys(str(row["model"]) for row in rows):
        here = [row for row in rows if str(row["model"]) == model]
        names = list(dict.fromkeys(str(row["condition"]) for row in here))
        bands = [
            Band(
                CONDITION_NAMES.get(name, name).replace(", same budget", ""),
                points([row for row in here if row["condition"] == name]),
                condition_colour(name, names),
            )
            for name in names
        ]
        caption = (
            "one of k final programs is right, none of them selected. k counts rollouts: "
            "one of several turns costs more than one of a single turn."
        )
        panels += banded(f"pass@k, {model}", bands, caption=caption, x_label="rollouts k", log=True)
    return panels


def banded(
    title: str,
    bands: Sequence[Band],
    *,
    caption: str,
    x_label: str,
    log: bool = False,
    signed: bool = False,
    axis: str = "k",
) -> list[Panel]:
    """A band chart with its legend and its numbers; ``axis`` heads the first column.

    None where no band has a point.
    """
    xs = sorted({point.x for band in bands for point in band.points})
    columns = [{point.x: point for point in band.points} for band in bands]
    if not xs:
        return []
    panel = Panel(
        title=title,
        caption=caption,
        svg=band_chart(title, bands, x_label=x_label, log=log, signed=signed),
        legend=tuple((band.name, f"s{band.colour}") for band in bands),
        header=(axis, *(band.name for band in bands)),
        rows=tuple(
            (f"{x:g}", *(told(column[x], signed) if x in column else "–" for column in columns)) for x in xs
        ),
    )
    return [panel]


def points(rows: Sequence[Json], x: str = "k", value: str = "solved") -> tuple[Point, ...]:
    """Rows as points in order of ``x``; those without a value are left out."""
    found = [
        Point(float(row[x]), float(row[value]), _end(row.get("low")), _end(row.get("high")))
        for row in rows
        if row.get(value) is not None
    ]
    return tuple(sorted(found, key=lambda point: point.x))


def condition_colour(name: str, names: Sequence[str]) -> int:
    """The colour of a condition: the same on the whole page."""
    free = [colour for colour in (3, 4) if colour not in CONDITION_COLOURS.values()]
    others = [other for other in names if other not in CONDITION_COLOURS]
    return CONDITION_COLOURS.get(name, free[others.index(name) % len(free)] if name in others else 4)


def _budget(model: str, n: int, rows: Sequence[Json]) -> list[Panel]:
    limits = sorted({int(row["turns"]) for row in rows if row["condition"] == "multi_turn"})
    bands = [
        Band(
            f"{limit} turns" if limit > 1 else "1 turn",
            points([row for row in rows if row["condition"] == "multi_turn" and row["turns"] == limit]),
            LIMIT_COLOURS.get(limit, 1),
        )
        for limit in limits
    ]
    single = points([row for row in rows if row["condition"] == "single_turn"])
    bands = [Band(INDEPENDENT, single, 5), *bands]
    caption = (
        f"{n} submitted of k samples, chosen by the public tests; every turn of a rollout is a "
        "sample, used or not. Bands: 95 % intervals over problems."
    )
    return banded(
        f"{n}@k over the sample budget, {model}", bands, caption=caption, x_label="samples k", log=True
    )


def _end(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
