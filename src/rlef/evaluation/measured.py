"""Runs that were measured, as comparisons read them: one run, or several that differ in their seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rlef.errors import DataError
from rlef.evaluation.table import EVALUATION, Evaluation, Row

TRAINED = "after"
"""The label of the rows that a training ends with."""
OF_TRAINING = ("before", TRAINED)
"""Labels of a training's rows; a warm start makes each seed's ``before`` a model of its own."""
BESIDE_THE_POINT = (
    "name", "seed", "threads", "track", "save_every", "max_judge_errors",
    "endpoint.concurrency", "endpoint.retries", "endpoint.timeout_s", "endpoint.max_unanswered",
)  # fmt: skip
"""Settings in which runs of one group may differ: none of them changes what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: the first row of each condition of one model, and what it is a mean of."""

    path: Path
    model: str
    seed: int | None
    settings: Mapping[str, Any]
    """``config.yaml`` as dotted keys."""
    rows: Mapping[str, Row]
    """By condition."""
    solved: Mapping[str, Mapping[str, float]]
    """n@k of each problem, by condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is compared: one run, or a group of runs of the same thing."""

    name: str
    runs: tuple[Measured, ...]

    @property
    def model(self) -> str:
        """The name of its rows."""
        return self.runs[0].model

    @property
    def models(self) -> int:
        """How many models its runs are of: one a training; fixed weights are one, however often measured."""
        trained = any(run.model in OF_TRAINING for run in self.runs)
        paths = {run.settings.get("model.path") for run in self.runs}
        return len(self.runs) if trained or len(paths) > 1 else 1

    def problems(self, condition: str) -> list[str]:
        """Problems that every run has a figure for, in the order of the first."""
        return [
            name
            for name in self.runs[0].solved.get(condition, {})
            if all(name in run.solved.get(condition, {}) for run in self.runs[1:])
        ]

    def values(self, condition: str, problems: Sequence[str]) -> np.ndarray:
        """n@k of these problems for every model: (models, problems).

        Runs of one model with other seeds are more rollouts of it, and are averaged: what sets
        them apart is chance that is drawn for each problem anew.
        """
        values_SP = np.array([[run.solved[condition][name] for name in problems] for run in self.runs])
        return values_SP if self.models > 1 else values_SP.mean(axis=0, keepdims=True)


def read_side(path: Path, model: str | None = None) -> Side:
    """A run directory, or a folder that holds the runs of one group.

    ``model`` names the rows to read; by default ``after`` of a training run, or the only ones
    there are. Raises ``DataError`` if it is neither, was not measured, or if the runs of a
    group differ in more than their seeds.
    """
    if (path / "config.yaml").is_file():
        return Side(name=path.name, runs=(read_measured(path, model),))
    inner = sorted(child.parent for child in path.glob("*/config.yaml")) if path.is_dir() else []
    if not inner:
        raise DataError(f"{path} is neither a run directory nor a folder of them (no config.yaml)")
    side = Side(name=path.name, runs=tuple(read_measured(one, model) for one in inner))
    for other in side.runs[1:]:
        _check_group(side.runs[0], other)
    return side


def read_measured(path: Path, model: str | None = None) -> Measured:
    """One run directory. Raises ``DataError`` if there is nothing to compare in it."""
    evaluation = _evaluation(path)
    label = _label(path, list(evaluation.solved_by_problem), model)
    rows: dict[str, Row] = {}
    for row in evaluation.rows:
        if row.model == label:
            rows.setdefault(row.condition, row)
    for condition, solved in evaluation.solved_by_problem[label].items():
        for name, value in solved.items():
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise DataError(
                    f"{path / EVALUATION} can't be read: {condition} of {name} is {value!r}, no rate"
                )
    settings = _settings(path)
    seed = settings.get("seed")
    return Measured(
        path=path,
        model=label,
        seed=seed if isinstance(seed, int) else None,
        settings=settings,
        rows=rows,
        solved=evaluation.solved_by_problem[label],
    )


def _evaluation(path: Path) -> Evaluation:
    try:
        return Evaluation.from_json(json.loads((path / EVALUATION).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{path} has no {EVALUATION}: it has not been measured to the end") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path / EVALUATION} can't be read: {type(error).__name__}: {error}") from None


def _settings(path: Path) -> dict[str, Any]:
    try:
        return dict(_flat(yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")) or {}))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path / 'config.yaml'} can't be read: {' '.join(str(error).split())}") from None


def _label(path: Path, labels: Sequence[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in labels:
        raise DataError(f"{path} has no rows of {wanted!r}; there are {', '.join(labels)}")
    if wanted is None and len(labels) > 1 and TRAINED not in labels:
        raise DataError(f"{path} has rows of {', '.join(labels)}; choose with --model")
    if not labels:
        raise DataError(f"{path} has no rows to compare")
    return wanted or (TRAINED if TRAINED in labels else labels[0])


def _check_group(first: Measured, other: Measured) -> None:
    """A group is the same thing with other seeds; checkpoints of other seeds are other models."""
    both = f"{first.path} and {other.path}"
    differ = [key for key in differing([first, other]) if key != "model.path"]
    if differ:
        shown = ", ".join(
            f"{key} is {first.settings.get(key)} and {other.settings.get(key)}" for key in differ[:3]
        )
        raise DataError(f"{both} of one group differ in more than their seeds: {shown}")
    same_model = first.settings.get("model.path") == other.settings.get("model.path")
    if first.seed == other.seed and same_model:
        raise DataError(f"{both} have the same seed {first.seed}: one run counted twice")


def differing(runs: Sequence[Measured]) -> list[str]:
    """Settings that are not the same in all of these runs."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        key
        for key in keys
        if key not in BESIDE_THE_POINT
        and any(run.settings.get(key) != runs[0].settings.get(key) for run in runs[1:])
    ]


def _flat(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _flat(value, f"{above}{key}.")
    else:
        yield above.rstrip("."), tree
