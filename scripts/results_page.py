"""Write a results page from finished run directories.

    python scripts/results_page.py "Title" runs/tiny-0 runs/tiny-1 runs/tiny-2 > docs/results/tiny.md

Every figure is read from the runs; nothing is typed in by hand.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rlef.runs import METRICS, read_jsonl

CONDITIONS = ("multi_turn", "single_turn", "no_feedback", "random_feedback")


def read(run: Path, name: str) -> Any:
    path = run / name
    return json.loads(path.read_text()) if path.exists() else None


def rate(rows: list[dict[str, Any]], model: str, condition: str) -> dict[str, Any] | None:
    return next((r for r in rows if (r["model"], r["condition"]) == (model, condition)), None)


def cell(row: dict[str, Any] | None) -> str:
    if row is None or row["solved"] is None:
        return "–"
    return f"{row['solved']:.3f} ({row['low']:.2f}–{row['high']:.2f})"


def difference(run: Path, a: tuple[str, str], b: tuple[str, str]) -> str:
    for row in (read(run, "evaluation.json") or {}).get("differences", []):
        if (row["a_model"], row["a_condition"], row["b_model"], row["b_condition"]) == (*a, *b):
            return f"{row['difference']:+.3f} ({row['low']:+.2f} to {row['high']:+.2f})"
    return "–"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def minutes(run: Path) -> str:
    rows = list(read_jsonl(run / METRICS))
    return f"{sum(row['time/step'] for row in rows) / 60:.1f} min for {len(rows)} steps"


def whole_job(run: Path) -> str:
    started = datetime.fromisoformat(read(run, "provenance.json")["started"])
    ended = datetime.fromtimestamp((run / "report.html").stat().st_mtime, UTC)
    return f"{(ended - started).total_seconds() / 60:.1f} min"


def curve(run: Path, parts: int = 6) -> str:
    """Solve rate on training episodes, averaged over equal parts of the run."""
    solved = [row["solved"] for row in read_jsonl(run / METRICS)]
    edges = [round(i * len(solved) / parts) for i in range(parts + 1)]
    means = [sum(solved[a:b]) / (b - a) for a, b in pairwise(edges) if b > a]
    return " ".join(f"{mean:.2f}" for mean in means)


def main() -> None:
    title, runs = sys.argv[1], [Path(name) for name in sys.argv[2:]]
    results = [read(run, "results.json") for run in runs]
    about = [read(run, "provenance.json") for run in runs]
    first = about[0]
    print(f"# {title}\n")
    print("Made by `python scripts/results_page.py` from the runs of these commands:\n")
    print("```")
    for run, entry in zip(runs, about, strict=True):
        print(entry["command"].replace(str(run), f"runs/{run.name}"))
    print("```\n")
    row = results[0][0]
    budget = f"{row['n']}@{row['k']}"
    print(
        f"{row['problems']} held-out problems of `{row['dataset']}`, split `{row['split']}`, {budget}. "
        f"Intervals are 95 %, resampling problems. {first['cpus']} CPUs, Python {first['python']}, "
        f"torch {first['packages']['torch']}, transformers {first['packages']['transformers']}, "
        f"isolation {first['sandbox']['rung']}.\n"
    )
    ceiling = read(runs[0], "results_ceiling.json")
    if ceiling:
        print(
            f"No policy that never sees feedback can solve more than **{ceiling['ceiling']:.3f}** of them "
            f"with {ceiling['budget']} attempts (`results_ceiling.json`).\n"
        )
    names = [f"seed {entry['seed']}" for entry in about]
    rows = []
    for condition in CONDITIONS:
        for model in ("before", "after"):
            cells = [cell(rate(found, model, condition)) for found in results]
            if set(cells) != {"–"}:
                rows.append([condition, model, *cells])
    print(table(["condition", "model", *names], rows) + "\n")
    pairs = [
        ("multi-turn, before → after", ("after", "multi_turn"), ("before", "multi_turn")),
        ("after: multi-turn − single-turn", ("after", "multi_turn"), ("after", "single_turn")),
        ("after: multi-turn − no feedback", ("after", "multi_turn"), ("after", "no_feedback")),
        ("after: multi-turn − random feedback", ("after", "multi_turn"), ("after", "random_feedback")),
    ]
    rows = [[name, *(difference(run, a, b) for run in runs)] for name, a, b in pairs]
    rows = [row for row in rows if set(row[1:]) != {"–"}]
    ratios = []
    for found in results:
        multi, single = rate(found, "after", "multi_turn"), rate(found, "after", "single_turn")
        ratios.append(
            f"{multi['solved'] / single['solved']:.2f}×" if multi and single and single["solved"] else "–"
        )
    if set(ratios) != {"–"}:
        rows.append(["after: multi-turn / single-turn", *ratios])
    rows.append(["solve rate while training, by sixths of the run", *(curve(run) for run in runs)])
    rows.append(["time of the training steps", *(minutes(run) for run in runs)])
    rows.append(["time of the whole job", *(whole_job(run) for run in runs)])
    print(table(["", *names], rows))


if __name__ == "__main__":
    main()
