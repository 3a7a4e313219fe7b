"""What the feedback is worth: several turns beside the controls, turn by turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlef.views.bands import Band
from rlef.views.budgets import banded, condition_colour, points
from rlef.views.charts import CONDITION_NAMES, Panel
from rlef.views.text import figure, interval, p_value

Json = Mapping[str, Any]


def control_panels(evaluation: Json) -> list[Panel]:
    """How much of the solve rate hangs on the feedback, and who recovers, turn by turn."""
    panels: list[Panel] = []
    for model in dict.fromkeys(str(row["model"]) for row in evaluation.get("sensitivity", [])):
        rows = [row for row in evaluation["sensitivity"] if row["model"] == model]
        bands = _by_condition(rows, "control", "difference")
        caption = (
            "multi-turn less each control, solved in this turn or before, paired by problem. Bands: 95 % "
            "intervals over problems; a band above 0 is what the control lacks."
        )
        title = f"Feedback sensitivity, {model}"
        panels += banded(title, bands, caption=caption, x_label="turn", signed=True, axis="turn")
    for model in dict.fromkeys(str(row["model"]) for row in evaluation.get("recovery", [])):
        rows = [row for row in evaluation["recovery"] if row["model"] == model]
        bands = _by_condition(rows, "condition", "recovered")
        caption = "of the rollouts whose first turn failed, the share solved in this turn or before"
        panels += banded(f"Recovery, {model}", bands, caption=caption, x_label="turn", axis="turn")
    return panels


def sensitivity_rows(evaluation: Json) -> list[dict[str, Any]]:
    """Multi-turn less each control at the last turn, which has the whole budget."""
    rows = evaluation.get("sensitivity", [])
    last: dict[tuple[str, str], Json] = {}
    for row in rows:
        key = str(row["model"]), str(row["control"])
        if key not in last or row["turn"] > last[key]["turn"]:
            last[key] = row
    return [
        {
            "model": model,
            "control": CONDITION_NAMES.get(control, control),
            "turn": row["turn"],
            "difference": figure(row["difference"], "+.3f"),
            "interval": interval(row),
            "p": p_value(row["p_value"]),
            "problems": row["problems"],
        }
        for (model, control), row in last.items()
    ]


def _by_condition(rows: Sequence[Json], key: str, value: str) -> list[Band]:
    names = list(dict.fromkeys(str(row[key]) for row in rows))
    return [
        Band(
            CONDITION_NAMES.get(name, name),
            points([row for row in rows if row[key] == name], x="turn", value=value),
            condition_colour(name, names),
        )
        for name in names
    ]
