"""Figures of what a policy does between its turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rlef.views.bars import histogram
from rlef.views.budgets import condition_colour
from rlef.views.charts import CONDITION_NAMES, Panel, colour_of, series_table
from rlef.views.svg import Series, line_chart, stacked_bars
from rlef.views.text import figure

Json = Mapping[str, Any]

FLOWS = ("fixed", "closer", "unchanged", "identical", "broken")
VERDICTS = (
    "accepted",
    "wrong_answer",
    "runtime_error",
    "compile_error",
    "time_limit",
    "idle_limit",
    "memory_limit",
    "output_limit",
    "invalid",
)


def turn_panels(per_turn: Mapping[str, Mapping[str, Json]]) -> list[Panel]:
    """The multi-turn episodes turn by turn, a panel for each measure that the run has.

    One shows, for the last model, what is left without its feedback.
    """
    found = {model: some["multi_turn"] for model, some in per_turn.items() if "multi_turn" in some}
    if not any(stats["turns"] for stats in found.values()):
        return []
    models = list(found)
    colours = [colour_of(model, models) for model in models]
    last = models[-1]
    read = {CONDITION_NAMES.get(name, name): stats for name, stats in per_turn[last].items()}
    reading = [condition_colour(name, list(per_turn[last])) for name in per_turn[last]]
    by_reading = _solved_by_turn(f"By what is read, {last}", read, reading) if len(read) > 1 else None
    panels = [  # those of about the same height stand beside each other
        _solved_by_turn("Solve rate by turn", found, colours),
        by_reading,
        _flow(found),
        _verdicts(found),
        _recovered(found),
        _edits(found, colours),
        _lengths(found, colours),
        _trouble(found),
    ]
    return [panel for panel in panels if panel is not None]


def behaviour_rows(per_turn: Mapping[str, Mapping[str, Json]]) -> list[dict[str, Any]]:
    """The multi-turn episodes of each model as a whole; a dash for what the run did not measure."""
    return [
        {
            "model": model,
            "episodes": found["episodes"],
            "dropped": found["dropped"],
            "invalid": figure(found["invalid"], ".1%"),
            "identical": figure(found.get("identical"), ".1%"),
            "timed_out": figure(found.get("timed_out"), ".1%"),
            "edit": figure((found.get("edit") or {}).get("mean")),
            "given": _given(found),
            "stops": ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in found["stops"].items()),
        }
        for model, conditions in per_turn.items()
        if (found := conditions.get("multi_turn"))
    ]


def _given(found: Json) -> str:
    low, high = found.get("solved_given_public_low"), found.get("solved_given_public_high")
    ends = f" ({figure(low, '.1%')} to {figure(high, '.1%')})" if low is not None and high is not None else ""
    return f"{figure(found['solved_given_public'], '.1%')}{ends}"


def _solved_by_turn(title: str, found: Mapping[str, Json], colours: Sequence[int]) -> Panel:
    lines = [
        Series(name, tuple((float(turn["turn"]), float(turn["solved"])) for turn in stats["turns"]))
        for name, stats in found.items()
    ]
    return Panel(
        title=title,
        caption="share of all episodes solved in this turn or before",
        svg=line_chart(title, lines, unit=True, x_label="turn", colours=colours),
        legend=tuple((name, f"s{colour}") for name, colour in zip(found, colours, strict=True)),
        **series_table("turn", lines),
    )


def _flow(found: Mapping[str, Json]) -> Panel:
    rows = [
        (
            _label(found, model, f"{turn['turn'] - 1} → {turn['turn']}"),
            [turn["flow"].get(kind, 0) for kind in FLOWS],
        )
        for model, stats in found.items()
        for turn in stats["turns"]
        if turn["flow"]
    ]
    title = "What a turn makes of the one before"
    return Panel(
        title=title,
        caption=(
            "by the public tests. Fixed: they failed and all pass now. Closer: more pass. Unchanged: another "
            "program, as many pass. Identical: the same program again. Broken: fewer pass."
        ),
        svg=stacked_bars(title, rows, FLOWS),
        legend=tuple((kind, f"part {kind}") for kind in FLOWS),
        header=("turn", *FLOWS),
        rows=_count_rows(rows),
    )


def _verdicts(found: Mapping[str, Json]) -> Panel:
    seen = {name for stats in found.values() for turn in stats["turns"] for name in turn["verdicts"]}
    names = [name for name in VERDICTS if name in seen] + sorted(seen - set(VERDICTS))
    rows = [
        (_label(found, model, f"turn {turn['turn']}"), [turn["verdicts"].get(name, 0) for name in names])
        for model, stats in found.items()
        for turn in stats["turns"]
    ]
    title = "Verdict of the public tests, by turn"
    return Panel(
        title=title,
        caption="of the episodes that reached the turn",
        svg=stacked_bars(title, rows, [name.replace("_", " ") for name in names]),
        legend=tuple((name.replace("_", " "), f"part {name.replace('_', '-')}") for name in names),
        header=("turn", *(name.replace("_", " ") for name in names)),
        rows=_count_rows(rows),
    )


def _label(found: Mapping[str, Json], model: str, what: str) -> str:
    return f"{model}, {what}" if len(found) > 1 else what


def _count_rows(rows: Sequence[tuple[str, Sequence[float]]]) -> tuple[tuple[str, ...], ...]:
    return tuple((label, *(f"{part:g}" for part in parts)) for label, parts in rows)


def _recovered(found: Mapping[str, Json]) -> Panel | None:
    """What became of each kind of failure of the first turn (RLEF paper, figure 3)."""
    turns = max(
        (len(kind["fixed"]) for stats in found.values() for kind in stats.get("recovered", [])), default=0
    )
    rows = []
    for model, stats in found.items():
        for kind in sorted(stats.get("recovered", []), key=lambda kind: -kind["failed"]):
            fixed = [*kind["fixed"], *[0] * (turns - len(kind["fixed"]))]
            label = _label(found, model, kind["kind"].replace("_", " "))
            rows.append((label, [*fixed, kind["failed"] - sum(fixed)]))
    if not rows or not turns:
        return None
    names = [f"turn {number}" for number in range(2, turns + 2)]
    title = "Failures of the first turn, by the turn that fixed them"
    return Panel(
        title=title,
        caption="fixed: all public tests pass for the first time",
        svg=stacked_bars(title, rows, [*names, "never"]),
        legend=(*((name, f"part {name.replace(' ', '-')}") for name in names), ("never", "part never")),
        header=("failure", *names, "never"),
        rows=_count_rows(rows),
    )


def _edits(found: Mapping[str, Json], colours: Sequence[int]) -> Panel | None:
    """Histogram of 1 - chrF between successive programs (RLEF paper, figure 4)."""
    edits = {model: stats["edit"] for model, stats in found.items() if stats.get("edit")}
    if not edits:
        return None
    of_model = dict(zip(found, colours, strict=True))
    shares = {name: [part / edit["pairs"] for part in edit["histogram"]] for name, edit in edits.items()}
    bins = len(next(iter(shares.values())))
    title = "How far a program is from the one before"
    means = ", ".join(
        f"{name} {figure(edit['mean'])} ({edit['pairs']:,} pairs)" for name, edit in edits.items()
    )
    return Panel(
        title=title,
        caption=f"share of pairs by 1 − chrF: 0 is the same program, 1 shares nothing. Mean: {means}",
        svg=histogram(
            title,
            list(shares),
            list(shares.values()),
            colours=[of_model[name] for name in shares],
            x_label="1 − chrF",
        ),
        legend=tuple((name, f"s{of_model[name]}") for name in shares),
        header=("1 − chrF", *shares),
        rows=tuple(
            (f"{i / bins:g} to {(i + 1) / bins:g}", *(f"{edit['histogram'][i]:,}" for edit in edits.values()))
            for i in range(bins)
        ),
    )


def _lengths(found: Mapping[str, Json], colours: Sequence[int]) -> Panel | None:
    """Median length of the answers by turn: tokens, or characters where no tokens were counted."""
    counted = any(turn.get("tokens") for stats in found.values() for turn in stats["turns"])
    unit = "tokens" if counted else "characters"
    named = {
        name: [(turn["turn"], turn[unit]) for turn in stats["turns"] if turn.get(unit)]
        for name, stats in found.items()
    }
    lines = [
        Series(name, tuple((float(number), float(length["median"])) for number, length in lengths))
        for name, lengths in named.items()
    ]
    if not any(line.points for line in lines):
        return None
    title = "Length of the answers"
    return Panel(
        title=title,
        caption=f"median {unit} of a turn",
        svg=line_chart(title, lines, x_label="turn", colours=colours),
        legend=tuple((name, f"s{colour}") for name, colour in zip(found, colours, strict=True)),
        header=("turn", "median", "mean", "9 of 10 below", "longest"),
        rows=tuple(
            (f"{name}, {number}", *(figure(length[key], ",.0f") for key in ("median", "mean", "p90", "most")))
            for name, lengths in named.items()
            for number, length in lengths
        ),
    )


def _trouble(found: Mapping[str, Json]) -> Panel | None:
    """Share of turns without valid code, and of those that met a time limit."""
    lines = []
    for name, stats in found.items():
        for key, what in (("invalid", "invalid"), ("timed_out", "time limit")):
            values = [(float(turn["turn"]), float(turn[key])) for turn in stats["turns"] if key in turn]
            lines.append(Series(f"{name}, {what}", tuple(values)))
    if not any("timed_out" in turn for stats in found.values() for turn in stats["turns"]):
        return None
    title = "Invalid answers and time limits"
    reasons = {
        name: sum((Counter(turn.get("invalid_reasons")) for turn in stats["turns"]), Counter[str]())
        for name, stats in found.items()
    }
    told = "; ".join(
        f"{name}: " + ", ".join(f"{why} {n}".replace("_", " ") for why, n in sorted(some.items()))
        for name, some in reasons.items()
        if some
    )
    return Panel(
        title=title,
        caption=f"share of the turns. Without valid code: {told}" if told else "share of the turns",
        svg=line_chart(title, lines, unit=True, x_label="turn", colours=[n % 6 for n in range(len(lines))]),
        legend=tuple((line.name, f"s{index % 6}") for index, line in enumerate(lines)),
        **series_table("turn", lines),
    )
