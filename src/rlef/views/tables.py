"""The report's tables: rows of results, differences and families as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rlef.views import charts
from rlef.views.rundata import RunData
from rlef.views.text import figure, interval, p_value

Json = Mapping[str, Any]


def headline(data: RunData) -> dict[str, Any] | None:
    """The solve rate in one sentence: before → after, or one model beside independent samples."""
    rows: dict[str, Json] = {}
    for each in data.results:
        if each.get("condition") == "multi_turn":
            rows.setdefault(each["model"], each)  # the first budget: the differences are about it
    row = rows.get("after") or next(iter(rows.values()), None) or next(iter(data.results), None)
    if row is None:
        return None
    before = rows.get("before") if row is not rows.get("before") else None
    return {
        "budget": f"{row['n']}@{row['k']}",
        "before": figure(before["solved"]) if before else None,
        "after": figure(row["solved"]),
        "interval": interval(row),
        "evaluated": data.evaluated,
        "condition": charts.CONDITION_NAMES.get(row["condition"], row["condition"]),
        "change": _change(data, "after", "multi_turn", "before", "multi_turn") if before else "",
        "beside": _beside(data, row) if data.evaluated else None,
        "ceiling": figure(data.ceiling.get("ceiling")) if data.ceiling else "",
    }


def _beside(data: RunData, row: Json) -> dict[str, str] | None:
    """Independent samples of the same model and budget."""
    wanted = (row["model"], "single_turn", row["n"], row["k"])
    names = ("model", "condition", "n", "k")
    for other in data.results:
        if tuple(other.get(name) for name in names) == wanted and other is not row:
            change = _change(data, row["model"], row["condition"], row["model"], "single_turn")
            return {"solved": figure(other["solved"]), "interval": interval(other), "change": change}
    return None


def _change(data: RunData, *wanted: str) -> str:
    for row in data.evaluation.get("differences", []):
        if (row["a_model"], row["a_condition"], row["b_model"], row["b_condition"]) == wanted:
            p = f", p {p_value(row['p_value'])}" if data.evaluated else ""
            return f"{figure(row['difference'], '+.2f')}, 95 % interval {interval(row)}{p}"
    return ""


def result_rows(results: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """The results table; the first row of a condition is marked."""
    last = None
    for row in charts.by_condition(results):
        group = (row.get("dataset"), row.get("split"), row["condition"])
        yield {
            "first": group != last,
            "dataset": row.get("dataset"),
            "split": row.get("split"),
            "condition": charts.CONDITION_NAMES.get(row["condition"], row["condition"]),
            "model": row["model"],
            "budget": f"{row['n']}@{row['k']}",
            "solved": figure(row["solved"], ".3f"),
            "interval": interval(row),
            **{name: row.get(name, "–") for name in ("problems", "rollouts", "dropped")},
        }
        last = group


def ceiling_row(ceiling: Json) -> dict[str, Any] | None:
    """The no-feedback ceiling, as a row under the results."""
    if "ceiling" not in ceiling:
        return None
    names = ("dataset", "split", "budget", "problems", "how")
    return {name: ceiling.get(name, "–") for name in names} | {"value": figure(ceiling["ceiling"], ".3f")}


def difference_row(row: Json) -> dict[str, Any]:
    """A paired difference in words and figures."""
    a, b = (charts.CONDITION_NAMES.get(row[f"{side}_condition"], row[f"{side}_condition"]) for side in "ab")
    same = row["a_condition"] == row["b_condition"]
    what = f"{a}: {row['b_model']} → {row['a_model']}" if same else f"{row['a_model']}: {a}, less {b}"
    return {
        "what": what,
        "difference": figure(row["difference"], "+.3f"),
        "interval": interval(row),
        "p": p_value(row["p_value"]),
        "problems": row["problems"],
    }


def families_table(data: RunData) -> dict[str, Any] | None:
    """Solve rates by family of problems; None where there are not two of them."""
    rows = [row for row in data.evaluation.get("by_family", []) if row["condition"] == "multi_turn"]
    names = sorted({row["family"] for row in rows})
    if len(names) < 2:
        return None
    models = list(dict.fromkeys(row["model"] for row in rows))
    cells = {(row["family"], row["model"]): row for row in rows}
    tops = data.ceiling.get("by_family", {})
    return {
        "models": models,
        "rows": [
            {
                "family": name,
                "problems": max(cell["problems"] for (family, _), cell in cells.items() if family == name),
                "solved": [figure(cells.get((name, model), {}).get("solved")) for model in models],
                "ceiling": figure(tops.get(name)),
            }
            for name in names
        ],
    }
