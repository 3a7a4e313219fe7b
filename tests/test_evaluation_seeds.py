import math
from statistics import NormalDist

import numpy as np
import pytest

from rlef.evaluation.intervals import clopper_pearson, paired_difference, rates, sign_flip
from rlef.evaluation.seeds import mean_difference, mean_interval, spread, student_quantile, student_tail

SIMULATIONS = 200


def runs_of(draw, runs, problems, *, seed_spread=0.08, centre=0.4, of_problem=None):
    """Solved or not: a chance that depends on the problem and on the run's seed."""
    of_problem = draw.normal(0, 0.15, problems) if of_problem is None else of_problem
    chance_SP = centre + draw.normal(0, seed_spread, runs)[:, None] + of_problem
    return draw.binomial(1, np.clip(chance_SP, 0, 1)).astype(float)


def by_problem(values_SP):
    return {str(at): value for at, value in enumerate(values_SP.mean(axis=0))}


@pytest.mark.parametrize(("t", "freedom", "tail"), [
    *[(t, 1, 1 - 2 / math.pi * math.atan(t)) for t in (0.1, 1.0, 12.7)],
    *[(t, 2, 1 - t / math.sqrt(2 + t * t)) for t in (0.1, 1.0, 4.3)],
    (0.0, 5, 1.0),
    (1.96, 1e7, 2 * (1 - NormalDist().cdf(1.96))),
    (1.96, 9e5, 2 * (1 - NormalDist().cdf(1.96))),
])  # fmt: skip
def test_students_tail_has_its_closed_forms(t, freedom, tail):
    assert student_tail(t, freedom) == pytest.approx(tail, abs=1e-5)
    assert student_tail(-t, freedom) == student_tail(t, freedom)


def test_students_quantiles_are_those_of_the_tables():
    table = {1: 12.706, 2: 4.303, 3: 3.182, 10: 2.228, 30: 2.042}
    for freedom, t in table.items():
        assert student_quantile(0.95, freedom) == pytest.approx(t, abs=2e-3)


def test_over_seeds_the_interval_holds_the_truth_and_without_them_it_does_not():
    draw = np.random.default_rng(0)
    with_seeds = problems_only = 0
    for repeat in range(SIMULATIONS):
        values_SP = runs_of(draw, 4, 60)
        interval = mean_interval(values_SP, repeats=300, seed=repeat)
        with_seeds += interval.low <= 0.4 <= interval.high
        blind = rates(values_SP.mean(axis=0)[:, None], repeats=300, seed=repeat)[0]
        problems_only += blind.low <= 0.4 <= blind.high
    assert 0.91 <= with_seeds / SIMULATIONS <= 0.99
    assert problems_only / SIMULATIONS < 0.88


def test_where_seeds_don_t_matter_the_interval_is_little_wider_than_without_them():
    draw = np.random.default_rng(1)
    widths = []
    for repeat in range(40):
        values_SP = runs_of(draw, 5, 80, seed_spread=0.0)
        wide = mean_interval(values_SP, seed=repeat)
        narrow = rates(values_SP.mean(axis=0)[:, None], seed=repeat)[0]
        widths.append((wide.high - wide.low) / (narrow.high - narrow.low))
    assert 0.98 < np.median(widths) < 1.15


def test_the_difference_of_two_groups_holds_the_truth_and_p_is_honest():
    draw = np.random.default_rng(2)
    covered = rejected = 0
    for repeat in range(SIMULATIONS):
        of_problem = draw.normal(0, 0.15, 50)
        a_SP = runs_of(draw, 3, 50, of_problem=of_problem)
        b_SP = runs_of(draw, 4, 50, of_problem=of_problem)
        found = mean_difference(a_SP, b_SP, repeats=300, seed=repeat)
        covered += found.low <= 0.0 <= found.high
        rejected += found.p_value < 0.05
    assert 0.91 <= covered / SIMULATIONS <= 0.99
    assert 0.01 <= rejected / SIMULATIONS <= 0.09


def test_the_variance_is_that_of_many_repetitions():
    """The estimated variance of a difference of groups, averaged, is the variance of the difference."""
    draw = np.random.default_rng(3)
    means, variances = [], []
    for _ in range(600):
        of_problem = draw.normal(0, 0.15, 60)
        a_SP = runs_of(draw, 4, 60, of_problem=of_problem)
        b_SP = runs_of(draw, 4, 60, of_problem=of_problem)
        means.append(a_SP.mean() - b_SP.mean())
        variances.append(spread([a_SP, -b_SP]).variance)
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.2)


def test_single_runs_are_compared_by_problems_alone():
    draw = np.random.default_rng(4)
    a_SP, b_SP = runs_of(draw, 1, 40), runs_of(draw, 1, 40)
    found = mean_difference(a_SP, b_SP, seed=5)
    expected = paired_difference(by_problem(a_SP), by_problem(b_SP), seed=5)
    assert (found.mean, found.p_value, found.problems) == (expected.mean, expected.p_value, 40)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_groups_that_agree_everywhere_do_not_differ():
    same_SP = np.ones((3, 5))
    assert mean_interval(same_SP) == rates(same_SP[:1].T)[0], (
        "more runs of the same problems are no more problems"
    )
    found = mean_difference(same_SP, same_SP)
    assert (found.mean, found.p_value) == (0.0, 1.0)
    assert found.high == clopper_pearson(0, 5).high == -found.low


@pytest.mark.parametrize("problems", [1, 2, 8])
def test_groups_without_any_spread_are_as_sure_as_their_number_of_problems_allows(problems):
    """Student's p of a difference that never varies is 0, of two problems, too; that of the signs is not."""
    found = mean_difference(np.full((3, problems), 0.7), np.full((3, problems), 0.1))
    assert found.p_value == sign_flip([0.6] * problems) == 2 / 2**problems
    assert (found.low > 0) == (found.p_value < 0.05)


def test_one_problem_is_no_evidence_however_many_seeds():
    found = mean_difference(np.array([[0.2], [0.3], [0.2]]), np.array([[0.9], [0.8], [0.9]]))
    assert found.p_value == 1.0 and found.low < 0.0 < found.high
