"""The table: rows of solve rates, what they are made of, and differences between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from rlef.evaluation.behaviour import Behaviour
from rlef.evaluation.budgets import BudgetRow, PassRow
from rlef.evaluation.intervals import paired_difference
from rlef.evaluation.sensitivity import recovery_rows, sensitivity_rows
from rlef.runs import Run

Condition = Literal[
    "multi_turn", "single_turn", "no_feedback", "random_feedback", "pass_fail", "hidden_feedback"
]
T = TypeVar("T")
RowT = TypeVar("RowT", "Row", "FamilyRow", BudgetRow, PassRow)

RESULTS = "results.json"
EVALUATION = "evaluation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of ``results.json``."""

    model: str
    """``before``, ``after``, or any name."""
    dataset: str
    split: str
    condition: str
    n: int
    """Programs submitted."""
    k: int
    """Samples they are chosen from; every turn of a rollout is one."""
    solved: float | None
    """Mean of n@k over problems; None if every problem lost its rollouts."""
    low: float | None
    high: float | None
    """95 % interval, resampling problems."""
    problems: int
    """Problems in the mean: those with enough scored rollouts for n@k."""
    rollouts: int
    """Episodes that were run, over all problems, dropped ones included."""
    dropped: int
    """Episodes that the judge's own failures took out; they are never scored."""
    turns: int = 1
    """Samples that one rollout costs: its turn limit, 1 for independent samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """n@k of one family of problems, for the first budget."""

    model: str
    condition: str
    family: str
    solved: float
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """Solve rate of ``a`` minus that of ``b``, paired by problem."""

    a_model: str
    a_condition: str
    b_model: str
    b_condition: str
    difference: float
    low: float
    high: float
    p_value: float
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything an evaluation found out. The nested keys are model, then condition."""

    rows: list[Row] = field(default_factory=list)
    per_turn: dict[str, dict[str, Behaviour]] = field(default_factory=dict)
    """For the conditions that play the multi-turn loop."""
    by_family: list[FamilyRow] = field(default_factory=list)
    solved_by_problem: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """n@k of each problem for the first budget: what intervals and differences are made of."""
    budgets: list[BudgetRow] = field(default_factory=list)
    """n@k over the whole axis of budgets, for every turn limit."""
    pass_at: list[PassRow] = field(default_factory=list)
    solved_by_turn: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    """Of each problem, the share of rollouts solved in turn 1, in turn 2 or before, …"""
    failed_first: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Of each problem, the share of rollouts whose first turn failed."""

    def __add__(self, other: Evaluation) -> Evaluation:
        """Both evaluations in one. Of a model and condition that both have, the later holds."""
        later = set(_cells(other.solved_by_problem))
        return Evaluation(
            rows=_kept(self.rows, later) + other.rows,
            per_turn=_joined(self.per_turn, other.per_turn),
            by_family=_kept(self.by_family, later) + other.by_family,
            solved_by_problem=_joined(self.solved_by_problem, other.solved_by_problem),
            budgets=_kept(self.budgets, later) + other.budgets,
            pass_at=_kept(self.pass_at, later) + other.pass_at,
            solved_by_turn=_joined(self.solved_by_turn, other.solved_by_turn),
            failed_first=_joined(self.failed_first, other.failed_first),
        )

    def difference(self, a: tuple[str, str], b: tuple[str, str]) -> DifferenceRow | None:
        """``a`` minus ``b``, each a (model, condition); None where they share no problem."""
        left = self.solved_by_problem.get(a[0], {}).get(a[1], {})
        right = self.solved_by_problem.get(b[0], {}).get(b[1], {})
        found = paired_difference(left, right)
        if not found.problems:
            return None
        return DifferenceRow(
            a_model=a[0],
            a_condition=a[1],
            b_model=b[0],
            b_condition=b[1],
            difference=found.mean,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            problems=found.problems,
        )

    def differences(self) -> list[DifferenceRow]:
        """Before → after within each condition, then multi-turn against each control of a model."""
        pairs = [
            (("after", condition), ("before", condition))
            for condition in self.solved_by_problem.get("after", {})
        ]
        for model, conditions in self.solved_by_problem.items():
            pairs += [
                ((model, "multi_turn"), (model, control)) for control in conditions if control != "multi_turn"
            ]
        found = [self.difference(a, b) for a, b in pairs]
        return [row for row in found if row is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``evaluation.json``; views read nothing else of an evaluation."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "differences": [asdict(row) for row in self.differences()],
            "per_turn": {
                model: {condition: found.to_json() for condition, found in conditions.items()}
                for model, conditions in self.per_turn.items()
            },
            "by_family": [asdict(row) for row in self.by_family],
            "solved_by_problem": self.solved_by_problem,
            "budgets": [asdict(row) for row in self.budgets],
            "pass_at": [asdict(row) for row in self.pass_at],
            "sensitivity": [asdict(row) for row in sensitivity_rows(self.solved_by_turn)],
            "recovery": [asdict(row) for row in recovery_rows(self.solved_by_turn, self.failed_first)],
            "solved_by_turn": self.solved_by_turn,
            "failed_first": self.failed_first,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Evaluation:
        """The inverse of ``to_json``, so that a resumed run keeps what it has measured."""
        return cls(
            rows=[Row(**row) for row in tree["rows"]],
            per_turn={
                model: {condition: Behaviour.from_json(found) for condition, found in conditions.items()}
                for model, conditions in tree["per_turn"].items()
            },
            by_family=[FamilyRow(**row) for row in tree["by_family"]],
            solved_by_problem=tree["solved_by_problem"],
            budgets=[BudgetRow(**row) for row in tree.get("budgets", [])],
            pass_at=[PassRow(**row) for row in tree.get("pass_at", [])],
            solved_by_turn=tree.get("solved_by_turn", {}),
            failed_first=tree.get("failed_first", {}),
        )


def write_evaluation(run: Run, evaluation: Evaluation) -> None:
    """Write ``results.json`` (the rows, and nothing else) and ``evaluation.json``."""
    run.write_json(RESULTS, [asdict(row) for row in evaluation.rows])
    run.write_json(EVALUATION, evaluation.to_json())


def _cells(nested: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(model, condition) for model, conditions in nested.items() for condition in conditions]


def _kept(rows: Sequence[RowT], later: Collection[tuple[str, str]]) -> list[RowT]:
    return [row for row in rows if (row.model, row.condition) not in later]


def _joined(
    below: Mapping[str, Mapping[str, T]], above: Mapping[str, Mapping[str, T]]
) -> dict[str, dict[str, T]]:
    models = list(dict.fromkeys([*below, *above]))
    return {model: {**below.get(model, {}), **above.get(model, {})} for model in models}
