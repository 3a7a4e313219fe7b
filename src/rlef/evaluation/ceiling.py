"""The most that a policy can solve without ever seeing feedback.

A problem of a procedural suite leaves conventions open. Of each statement the suite knows
which conventions are possible and how likely each is, and no program is right under two
of them. A policy that reads no feedback chooses its ``budget`` programs from the statement
alone, so its best chance is the sum of the ``budget`` largest probabilities: whatever it
samples, a set of at most ``budget`` different programs covers at most those.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rlef.errors import DataError
from rlef.runs import Run

CEILING = "results_ceiling.json"


@dataclass(frozen=True, slots=True)
class Prior:
    """What a statement leaves open: the probability of each convention given the statement."""

    family: str
    masses: tuple[float, ...]
    """Probabilities in any order; they sum to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The ceiling of one split, as it stands in ``results_ceiling.json``."""

    dataset: str
    split: str
    budget: int
    """Attempts per problem."""
    ceiling: float
    problems: int
    by_family: dict[str, float]
    how: str
    """One sentence for the reader of the table."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for the file."""
        return asdict(self)


def covered(masses: Sequence[float], budget: int) -> float:
    """Largest probability that ``budget`` programs, one convention each, hold the right one.

    Raises ``DataError`` unless the masses are probabilities that sum to 1.
    """
    if not masses or min(masses) < 0 or not math.isclose(math.fsum(masses), 1.0, abs_tol=1e-9):
        raise DataError(f"probabilities of conventions must sum to 1, these don't: {tuple(masses)}")
    return min(1.0, math.fsum(sorted(masses, reverse=True)[: max(budget, 0)]))


def no_feedback_ceiling(priors: Iterable[Prior], *, dataset: str, split: str, budget: int) -> Ceiling:
    """Mean over problems of what ``budget`` blind programs can cover. Raises ``DataError`` if empty."""
    chances: defaultdict[str, list[float]] = defaultdict(list)
    for prior in priors:
        chances[prior.family].append(covered(prior.masses, budget))
    everything = [chance for family in chances.values() for chance in family]
    if not everything:
        raise DataError(f"{dataset}/{split} has no problems to compute a ceiling of")
    return Ceiling(
        dataset=dataset,
        split=split,
        budget=budget,
        ceiling=math.fsum(everything) / len(everything),
        problems=len(everything),
        by_family={family: math.fsum(some) / len(some) for family, some in sorted(chances.items())},
        how=(
            f"mean over problems of the {budget} most likely conventions' probability given the "
            f"statement: no set of {budget} programs chosen without feedback can solve more in expectation"
        ),
    )


def write_ceiling(run: Run, ceiling: Ceiling) -> None:
    """Write ``results_ceiling.json`` into the run directory."""
    run.write_json(CEILING, ceiling.to_json())
