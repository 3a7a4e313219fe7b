import itertools
import json
import random

import pytest

from rlef.errors import DataError
from rlef.evaluation.ceiling import Prior, covered, no_feedback_ceiling, write_ceiling
from rlef.runs import Run


def best_by_enumeration(masses: tuple[float, ...], budget: int) -> float:
    """Try every set of submissions of at most this size against every convention."""
    best = 0.0
    for size in range(budget + 1):
        for submitted in itertools.combinations(range(len(masses)), min(size, len(masses))):
            best = max(best, sum(masses[truth] for truth in range(len(masses)) if truth in submitted))
    return best


def random_masses(draw: random.Random, size: int) -> tuple[float, ...]:
    parts = [draw.random() for _ in range(size)]
    return tuple(part / sum(parts) for part in parts)


def test_the_ceiling_is_the_best_of_all_submission_sets():
    draw = random.Random(1)
    for _ in range(100):
        masses = random_masses(draw, draw.randint(1, 7))
        for budget in range(5):
            assert covered(masses, budget) == pytest.approx(best_by_enumeration(masses, budget))


def test_no_blind_policy_beats_it_in_a_simulation():
    draw = random.Random(3)
    masses = (0.4, 0.2, 0.2, 0.1, 0.1)
    truths = draw.choices(range(5), masses, k=20_000)
    rates = []
    for submitted in itertools.combinations(range(5), 3):
        rates.append(sum(truth in submitted for truth in truths) / len(truths))
    assert max(rates) == pytest.approx(covered(masses, 3), abs=0.01)


def test_the_split_has_the_mean_over_problems_and_each_family_its_own():
    priors = [
        Prior("order", (0.5, 0.5)),
        Prior("order", (0.25, 0.25, 0.25, 0.25)),
        Prior("date", (0.1,) * 10),
    ]
    found = no_feedback_ceiling(priors, dataset="conventions", split="test", budget=2)
    assert found.by_family == {"date": pytest.approx(0.2), "order": pytest.approx(0.75)}
    assert found.ceiling == pytest.approx((1.0 + 0.5 + 0.2) / 3)
    assert (found.problems, found.budget) == (3, 2)


def test_masses_that_are_no_probabilities_and_empty_splits_are_refused():
    with pytest.raises(DataError, match="sum to 1"):
        covered((0.5, 0.4), 1)
    with pytest.raises(DataError, match="sum to 1"):
        covered((), 1)
    with pytest.raises(DataError, match="no problems"):
        no_feedback_ceiling([], dataset="conventions", split="test", budget=3)


def test_the_file_holds_the_record(tmp_path):
    found = no_feedback_ceiling([Prior("order", (0.5, 0.5))], dataset="conventions", split="test", budget=1)
    write_ceiling(Run(tmp_path), found)
    stored = json.loads((tmp_path / "results_ceiling.json").read_text())
    assert set(stored) == {"dataset", "split", "budget", "ceiling", "problems", "by_family", "how"}
    assert stored["ceiling"] == 0.5
