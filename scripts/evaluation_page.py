"""Write a results page from finished evaluations of models.

    python scripts/evaluation_page.py "Title" runs/humaneval runs/mbpp > docs/results/NAME.md

Every figure is read from the runs; nothing is typed in by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from results_page import cell, read, table, whole_job

Json = Mapping[str, Any]


def shown(value: object, form: str = ".3f") -> str:
    return format(value, form) if isinstance(value, int | float) else "–"


def of_run(run: Path) -> Iterator[str]:
    rows, found = read(run, "results.json"), read(run, "evaluation.json")
    first = rows[0]
    yield f"## {first['dataset']}, {first['split']}: {first['problems']} problems\n"
    yield from facts(run)
    yield table(
        ["condition", "n@k", "solved (95 %)", "rollouts", "dropped"],
        [
            [r["condition"], f"{r['n']}@{r['k']}", cell(r), str(r["rollouts"]), str(r["dropped"])]
            for r in rows
        ],
    )
    yield ""
    for row in found["differences"]:
        yield (
            f"- {row['a_condition']} less {row['b_condition']}: {row['difference']:+.3f} "
            f"({row['low']:+.3f} to {row['high']:+.3f}), p = {row['p_value']:.3g}, "
            f"{row['problems']} problems, paired"
        )
    yield from ("", *passes(found), "", *by_turn(found))


def facts(run: Path) -> Iterator[str]:
    notes, usage = read(run, "provenance.json"), read(run, "usage.json")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    sampling = settings["evaluation"]
    command = re.sub(r"--out \S*/", "--out runs/", notes["command"])
    yield f"```\n{command}\n```\n"
    packages = ", ".join(f"{name} {version}" for name, version in notes["packages"].items())
    yield (
        f"Temperature {sampling['temperature']}, top-p {sampling['top_p']}, at most "
        f"{settings['episode']['response_tokens']} tokens a turn. {notes['cpus']} CPUs, "
        f"Python {notes['python']}, {packages}, isolation {notes['sandbox']['rung']}. "
    )
    if usage:
        yield (
            f"{usage['requests']:,} requests, {usage['read']:,} tokens read and {usage['wrote']:,} written. "
        )
    else:  # an endpoint's evaluation may have rested in between
        yield f"From the first start to the report: {whole_job(run)}."
    yield ""
    for one in notes.get("quarantine", []):
        yield f"Left out, in quarantine ({one['list']}): {one['excluded']}.\n"


def passes(found: Json) -> Iterator[str]:
    points = [
        f"{row['condition']} pass@{row['k']} {row['solved']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
        for row in found.get("pass_at", [])
    ]
    if points:
        yield "Without selection by public tests: " + "; ".join(points) + "."


def by_turn(found: Json) -> Iterator[str]:
    for model, conditions in found["per_turn"].items():
        for condition, stats in conditions.items():
            rows = [turn_row(turn) for turn in stats["turns"]]
            if not rows:
                continue
            head = ["turn", "reached", "solved so far", "public passed so far", "invalid", "time limits"]
            head += ["fixed", "broken", "unchanged", "identical", "edit (1 − chrF)", "tokens"]
            given = stats["solved_given_public"]
            yield f"By turn, {model}, {condition}; P(all pass | public pass) = {shown(given)}:\n"
            yield table(head, rows) + "\n"


def turn_row(turn: Json) -> list[str]:
    flow = turn["flow"] or {}
    edit, tokens = turn.get("edit"), turn.get("tokens")
    return [
        str(turn["turn"]),
        str(turn["reached"]),
        shown(turn["solved"]),
        shown(turn["public_passed"]),
        shown(turn["invalid"]),
        shown(turn.get("timed_out")),
        *(str(flow.get(name, "–")) for name in ("fixed", "broken", "unchanged", "identical")),
        shown(edit["mean"] if isinstance(edit, Mapping) else edit, ".2f"),
        shown(tokens["mean"] if isinstance(tokens, Mapping) else tokens, ".0f"),
    ]


def page(title: str, runs: list[Path]) -> str:
    head = [f"# {title}\n", "Made by `python scripts/evaluation_page.py` from these runs.\n"]
    return "\n".join([*head, *(line for run in runs for line in of_run(run))])


if __name__ == "__main__":
    print(page(sys.argv[1], [Path(run) for run in sys.argv[2:]]))
