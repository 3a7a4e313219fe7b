"""Several runs side by side on one self-contained page: one table, paired differences, every problem.

What is computed (pairing, intervals, p-values) comes from ``evaluation.compare`` as plain data;
this page only shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rlef.runs import write_whole
from rlef.views.bands import Band, Point
from rlef.views.budgets import banded, points
from rlef.views.charts import CONDITION_NAMES, Panel
from rlef.views.curves import curve_panels
from rlef.views.matrix import matrix, rules
from rlef.views.report import environment
from rlef.views.scope import scope
from rlef.views.sides import Side, differing, read_sides
from rlef.views.svg import Mark, dot_plot
from rlef.views.text import figure, interval, p_value

COMPARISON = "compare.html"
Json = Mapping[str, Any]


def write_comparison(
    paths: Sequence[Path], out: Path, compared: Json | None, why_not: str = "", *, model: str | None = None
) -> Path:
    """Write the page about these runs (or folders of runs with several seeds) and return its path.

    ``model`` names the rows to show, as ``read_sides`` has it. ``compared`` is
    ``Comparison.to_json()``; where the runs can't be paired it is None and ``why_not`` says why.
    Raises ``RunError`` for a path that is no run.
    """
    return write_whole(out, render(paths, compared, why_not, model=model))


def render(
    paths: Sequence[Path], compared: Json | None, why_not: str = "", *, model: str | None = None
) -> str:
    """The page as text. The same files give the same page, byte for byte."""
    sides = read_sides(paths, model)
    conditions = list(dict.fromkeys(str(row["condition"]) for side in sides for _, row in side.results()))
    shown = "multi_turn" if "multi_turn" in conditions else next(iter(conditions), "")
    solved = matrix({side.title: side.rates(shown) for side in sides})
    page = environment().get_template("compare.html.j2")
    return page.render(
        sides=sides,
        about=[_about(side) for side in sides],
        settings=differing(sides),
        plot=_plot(sides, conditions),
        rows=list(_rows(sides, conditions)),
        pairs=[_pair(row, sides) for row in (compared or {}).get("differences", [])],
        why_not=why_not,
        budgets=_budgets(sides),
        curves=curve_panels(sides),
        matrix=solved,
        matrix_condition=CONDITION_NAMES.get(shown, shown),
        rules=Markup(rules(solved)) if solved else "",
    )


def _about(side: Side) -> dict[str, Any]:
    first = side.runs[0]
    seeds = [str(run.settings.get("seed")) for run in side.runs if run.settings.get("seed") is not None]
    return {
        "title": side.title,
        "colour": f"s{side.colour}",
        "paths": [run.path for run in side.runs],
        "model": " ".join(filter(None, (str(first.provenance.get("model") or ""), _state(side)))),
        "seeds": ", ".join(seeds),
        "scope": list(dict.fromkeys(line for run in side.runs for line in scope(run))),
        "notes": [note for run in side.runs for note in run.notes],
    }


def _state(side: Side) -> str:
    return f"({side.model} training)" if side.model in ("before", "after") else ""


def _rows(sides: Sequence[Side], conditions: Sequence[str]) -> Iterator[dict[str, Any]]:
    for condition in conditions:
        first = True
        for side in sides:
            for run, row in side.results():
                if row["condition"] == condition:
                    several = f", {run.name}" if len(side.runs) > 1 else ""
                    yield {
                        "first": first,
                        "condition": CONDITION_NAMES.get(condition, condition),
                        "side": f"{side.title}{several}",
                        "data": f"{row.get('dataset')}/{row.get('split')}",
                        "budget": f"{row['n']}@{row['k']}",
                        "solved": figure(row["solved"], ".3f"),
                        "interval": interval(row),
                        **{name: row.get(name, "–") for name in ("problems", "rollouts", "dropped")},
                    }
                    first = False


def _plot(sides: Sequence[Side], conditions: Sequence[str]) -> Panel | None:
    marks = []
    for condition in conditions:
        for side in sides:
            found = [row for _, row in side.results() if row["condition"] == condition]
            for row in found[:1] if len(side.runs) == 1 else found:
                if row.get("solved") is not None:
                    name = CONDITION_NAMES.get(condition, condition)
                    values = row["solved"], row["low"], row["high"]
                    marks.append(Mark(name, side.title, side.colour, *values))
    if not marks:
        return None
    title = "Solve rate with 95 % intervals"
    return Panel(title=title, svg=dot_plot(title, marks), legend=_legend(sides))


def _legend(sides: Sequence[Side]) -> tuple[tuple[str, str], ...]:
    return tuple((side.title, f"s{side.colour}") for side in sides)


def _pair(row: Json, sides: Sequence[Side]) -> dict[str, Any]:
    """A row of ``Comparison.differences`` as text; names as the page has them."""
    titles = {side.name: side.title for side in sides}
    return {
        "condition": CONDITION_NAMES.get(row["condition"], row["condition"]),
        "a": titles.get(row["a"], row["a"]),
        "b": titles.get(row["b"], row["b"]),
        "budget": f"{row['n']}@{row['k']}",
        "difference": figure(row["difference"], "+.3f"),
        "interval": interval(row),
        "p": p_value(row["p_value"]),
        "problems": row["problems"],
        "higher": f"{row['higher_a']} : {row['higher_b']}",
        "only": f"{len(row['only_a'])} : {len(row['only_b'])}",
        "verdict": row["verdict"],
    }


def _budgets(sides: Sequence[Side]) -> list[Panel]:
    """n@k over k: the turn limit that was played, and independent samples, a line for each column."""
    rows = {
        side.letter: [
            [row for row in run.evaluation.get("budgets", []) if row.get("model") == side.model]
            for run in side.runs
        ]
        for side in sides
    }
    ns = sorted({int(row["n"]) for runs in rows.values() for some in runs for row in some})
    panels: list[Panel] = []
    for n in ns:
        for condition, what in (("multi_turn", "several turns"), ("single_turn", "independent samples")):
            bands = [_budget_band(side, rows[side.letter], n, condition) for side in sides]
            bands = [band for band in bands if band.points]
            panels += _budget_panel(f"{n}@k over the sample budget, {what}", bands, sides)
    return panels


def _budget_panel(title: str, bands: Sequence[Band], sides: Sequence[Side]) -> list[Panel]:
    several = any(len(side.runs) > 1 for side in sides)
    caption = "Bands: 95 % intervals over problems" + (
        "; of a group, from the lowest to the highest run." if several else "."
    )
    return banded(title, bands, caption=caption, x_label="samples k", log=True)


def _budget_band(side: Side, runs: Sequence[Sequence[Json]], n: int, condition: str) -> Band:
    lines = []
    for rows in runs:
        here = [row for row in rows if row["n"] == n and row["condition"] == condition]
        most = max((int(row["turns"]) for row in here), default=0)
        lines.append({point.x: point for point in points([row for row in here if row["turns"] == most])})
    shared = [x for x in lines[0] if all(x in line for line in lines[1:])]
    if len(lines) == 1:
        return Band(side.title, tuple(lines[0].values()), side.colour)
    several = [(x, [line[x].value for line in lines]) for x in shared]
    found = [Point(x, sum(values) / len(values), min(values), max(values)) for x, values in several]
    return Band(side.title, tuple(found), side.colour)
