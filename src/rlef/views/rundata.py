"""What a run directory holds, read as it is: a run that stopped early is still worth a page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from rlef.runs import METRICS, Run

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class RunData:
    """The files of a run as plain data; what is missing or broken is empty, with a note."""

    name: str
    path: str
    config: str = ""
    """``config.yaml`` as text."""
    settings: Json = field(default_factory=dict)
    """The same, read."""
    provenance: Json = field(default_factory=dict)
    metrics: list[Json] = field(default_factory=list)
    warm_start: list[Json] = field(default_factory=list)
    results: list[Json] = field(default_factory=list)
    ceiling: Json = field(default_factory=dict)
    evaluation: Json = field(default_factory=dict)
    usage: Json = field(default_factory=dict)
    """What a model behind an endpoint was asked for: requests and tokens."""
    notes: list[str] = field(default_factory=list)
    """One sentence for each file that could not be read."""

    @property
    def evaluated(self) -> bool:
        """True of a run that only measures: `rlef evaluate` made it, or its episodes were judged again."""
        words = str(self.provenance.get("command", "")).split()[:2]
        return (words == ["rlef", "evaluate"] or "rescored" in self.provenance) and not self.metrics


def read_run(run: Run) -> RunData:
    """Read everything but the traces, which may be large and are streamed."""
    data = RunData(name=run.path.resolve().name, path=str(run.path))
    data.config, data.settings = settings_of(run, data.notes)
    data.provenance = _read(run, "provenance.json", dict, data.notes)
    data.results = [row for row in _read(run, "results.json", list, data.notes) if isinstance(row, dict)]
    data.ceiling = _read(run, "results_ceiling.json", dict, data.notes)
    data.evaluation = _read(run, "evaluation.json", dict, data.notes)
    data.usage = _read(run, "usage.json", dict, data.notes)
    data.metrics = _rows(run, METRICS, data.notes)
    data.warm_start = _rows(run, "warm_start.jsonl", data.notes)
    _fill_in(run, data)
    return data


def settings_of(run: Run, notes: list[str]) -> tuple[str, Json]:
    """``config.yaml`` as text and read; empty if it is missing, and with a note if it is broken."""
    config = run.path / "config.yaml"
    text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        notes.append(f"config.yaml is not valid YAML: {' '.join(str(error).split())}")
        return text, {}
    return text, found if isinstance(found, dict) else {}


def opening_messages(settings: Json) -> list[dict[str, str]]:
    """``role`` and ``content`` of what stands before every prompt: system message and demonstrations."""
    model = settings.get("model")
    if not isinstance(model, dict):
        return []
    found = [{"role": "system", "content": str(model["system"])}] if model.get("system") else []
    for shot in model.get("demonstrations") or []:
        found += [{"role": role, "content": str(shot[role])} for role in ("user", "assistant")]
    return found


def _fill_in(run: Run, data: RunData) -> None:
    """Of a run that has not finished, use the stages that were measured so far."""
    if data.results or data.evaluation:
        return
    for path in sorted(run.path.glob("evaluation-*.json"), key=lambda path: path.stat().st_mtime):
        stage = _read(run, path.name, dict, data.notes)
        data.results += stage.get("rows", [])
        for key in ("differences", "by_family", "budgets", "pass_at", "sensitivity", "recovery"):
            data.evaluation.setdefault(key, []).extend(stage.get(key, []))
        for key in ("per_turn", "solved_by_problem"):
            data.evaluation.setdefault(key, {}).update(stage.get(key, {}))
    if data.results:
        data.notes.append("results.json is not there yet; the table shows what was measured so far")


def _rows(run: Run, name: str, notes: list[str]) -> list[Json]:
    rows: list[Json] = []
    try:
        rows += (row for row in run.rows(name) if isinstance(row, dict))
    except ValueError as error:
        notes.append(f"{name} is damaged: {error}")
    return rows


def _read(run: Run, name: str, kind: type, notes: list[str]) -> Any:
    path = run.path / name
    if not path.is_file():
        return kind()
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        notes.append(f"{name} can't be read: {error}")
        return kind()
    if not isinstance(value, kind):
        notes.append(f"{name} does not hold a {kind.__name__}")
        return kind()
    return value
