import itertools
import math
import random

import numpy as np
import pytest

from rlef.evaluation.intervals import (
    FEW,
    Interval,
    clopper_pearson,
    differences,
    newcombe,
    paired_difference,
    rates,
    ratio_differences,
    ratios,
    sign_flip,
    sign_flips,
)


def yes_or_no(problems: int, solved: int) -> np.ndarray:
    return (np.arange(problems)[:, None] < solved).astype(float)


def binomial(problems: int, share: float) -> list[float]:
    return [
        math.comb(problems, solved) * share**solved * (1 - share) ** (problems - solved)
        for solved in range(problems + 1)
    ]


@pytest.mark.parametrize("problems", [10, 30, 100])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(problems):
    """Exactly: the interval of every possible number of solved problems, weighted by its chance."""
    columns = np.concatenate([yes_or_no(problems, solved) for solved in range(problems + 1)], axis=1)
    found = rates(columns)
    for truth in (0.0, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 0.98, 1.0):
        chances = binomial(problems, truth)
        covered = sum(
            chance for chance, ends in zip(chances, found, strict=True) if ends.low <= truth <= ends.high
        )
        assert covered > 0.92, truth


def test_the_interval_is_the_percentile_of_the_binomial_for_yes_and_no_values():
    # Resampled means are Binomial(100, 0.3) / 100; its 2.5 % and 97.5 % points are 21 and 39.
    interval = rates(yes_or_no(100, 30), repeats=20_000, seed=1)[0]
    assert (interval.low, interval.high) == (pytest.approx(0.21, abs=0.011), pytest.approx(0.39, abs=0.011))


def test_the_same_seed_gives_the_same_interval_and_another_level_a_narrower_one():
    values_PX = np.array([[(i * 7 % 10) / 10] for i in range(40)])
    assert rates(values_PX, seed=3) == rates(values_PX, seed=3)
    assert rates(values_PX, seed=3) != rates(values_PX, seed=4)
    (wide,), (narrow,) = rates(values_PX), rates(values_PX, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_problems_are_resampled_not_rollouts():
    """Forty rollouts of one problem are still one problem: more rollouts don't narrow it."""
    two = rates(np.array([[1.0], [0.0]]))[0]
    assert (two.low, two.high) == (0.0, 1.0)


def test_resampling_equals_a_plain_loop_over_the_same_draws():
    draw = np.random.default_rng(9)
    values_PX = draw.random((30, 2))
    values_PX[4, 1] = np.nan
    picks = np.random.default_rng(0).integers(0, 30, size=(500, 30))
    for column, found in zip(values_PX.T, rates(values_PX, repeats=500), strict=True):
        means = [np.nanmean(column[pick]) for pick in picks]
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_many_problems_are_resampled_in_blocks_with_the_same_result(monkeypatch):
    values_PX = np.random.default_rng(1).random((50, 1))
    whole = rates(values_PX, repeats=200)
    monkeypatch.setattr("rlef.evaluation.intervals.CELLS", 50 * 7)
    assert rates(values_PX, repeats=200) == whole


def test_a_ratio_draws_numerator_and_denominator_together():
    """Half of each whole, whatever is drawn: resampling has nothing to be uncertain about."""
    wholes_PX = np.array([[1.0], [10.0], [0.0], [4.0]] * FEW)
    found = ratios(wholes_PX / 2, wholes_PX)[0]
    assert (found.low, found.high) == (0.5, 0.5)
    empty = ratios(np.zeros((3, 1)), np.zeros((3, 1)))[0]
    assert math.isnan(empty.low) and math.isnan(empty.high)


def test_the_interval_of_a_ratio_covers_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(4)
    hits = 0
    for repeat in range(300):
        wholes = draw.binomial(10, draw.beta(2, 2, size=80))
        parts = draw.binomial(wholes, 0.7)
        found = ratios(parts[:, None], wholes[:, None].astype(float), repeats=300, seed=repeat)[0]
        hits += found.low <= 0.7 <= found.high
    assert 0.90 <= hits / 300 <= 0.98


def test_the_exact_interval_is_that_of_the_tables():
    """Clopper and Pearson: of 20, none, 2 and 10 (and their mirror images)."""
    for seen, ends in (
        (0, (0.0, 0.1684)),
        (2, (0.0123, 0.3170)),
        (10, (0.2720, 0.7280)),
        (20, (0.8316, 1.0)),
    ):
        found = clopper_pearson(seen, 20)
        assert (found.low, found.high) == (pytest.approx(ends[0], abs=1e-4), pytest.approx(ends[1], abs=1e-4))
        tail = sum(binomial(20, found.high)[: seen + 1]) if seen < 20 else 0.025
        assert tail == pytest.approx(0.025)
    assert clopper_pearson(0, 100_000).high == pytest.approx(3.689 / 100_000, rel=1e-3)


def test_what_was_never_or_rarely_seen_may_still_be_there():
    values_PX = np.array([[0.0, 1.0, 0.5, np.nan]] * 20)
    none, every, half, unknown = rates(values_PX)
    assert (none.low, none.high) == (0.0, clopper_pearson(0, 20).high)
    assert (every.low, every.high) == (clopper_pearson(20, 20).low, 1.0)
    assert (half.low, half.high) == (0.5, 0.5)
    assert math.isnan(unknown.low)


def test_one_solved_problem_more_never_lowers_the_upper_end_while_they_are_few():
    ends = [rates(yes_or_no(50, solved))[0].high for solved in range(FEW)]
    assert ends == sorted(ends)
    assert ends == [clopper_pearson(solved, 50).high for solved in range(FEW)]


def test_a_rate_of_a_handful_of_problems_says_next_to_nothing():
    one = rates(np.array([[0.5]]))[0]
    assert (one.low, one.high) == (0.0, 1.0)
    found = rates(np.full((4, 1), 0.5))[0]
    assert found.low < 0.1 and found.high > 0.9


def test_two_systems_that_agree_on_every_problem_may_still_differ():
    """On 30 problems a difference of a tenth in rate goes unseen once in 25 times: 0.9 to the 30th."""
    found = differences(np.zeros((30, 1)))[0]
    assert found.high == clopper_pearson(0, 30).high == -found.low
    assert differences(np.ones((3, 1)))[0].low < 0.0, "three of three: p is 0.25"


@pytest.mark.parametrize("problems", [40, 164])
def test_where_few_problems_differ_the_interval_says_what_the_exact_test_says(problems):
    """Below ten: 0 is outside where McNemar's exact p is below 0.05, inside where it is above 0.08."""
    for more in range(FEW):
        for less in range(FEW - more):
            gaps = np.array([1.0] * more + [-1.0] * less + [0.0] * (problems - more - less))
            for unit in (1.0, 0.1):
                ends, p_value = differences(unit * gaps[:, None])[0], sign_flip(gaps.tolist())
                outside = ends.low > 0 or ends.high < 0
                assert outside >= (p_value < 0.05) and outside <= (p_value < 0.08), (more, less, unit)


def test_the_interval_of_a_difference_covers_it_where_few_problems_differ():
    draw = np.random.default_rng(8)
    for more, less in ((0.0, 0.0), (0.02, 0.0), (0.03, 0.01), (0.06, 0.02)):
        gaps_PX = draw.choice([1.0, -1.0, 0.0], p=[more, less, 1 - more - less], size=(80, 400))
        found = differences(gaps_PX, repeats=300)
        assert np.mean([ends.low <= more - less <= ends.high for ends in found]) > 0.93


def test_newcombes_interval_is_that_of_the_paper_from_wilsons():
    """Newcombe 1998, method 10, example (a): 56/70 less 48/80."""

    def wilson(seen, number, z=1.959964):
        centre = (seen + z * z / 2) / (number + z * z)
        reach = z * math.sqrt(seen * (number - seen) / number + z * z / 4) / (number + z * z)
        return Interval(centre - reach, centre + reach)

    below, above = newcombe(56 / 70, wilson(56, 70), 48 / 80, wilson(48, 80))
    assert (0.2 - below, 0.2 + above) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_two_shares_that_were_never_seen_may_differ():
    nothing, half = (np.zeros((30, 1)), np.ones((30, 1))), (np.full((30, 1), 0.5), np.ones((30, 1)))
    found = ratio_differences(nothing, nothing)[0]
    assert found.high == clopper_pearson(0, 30).high == -found.low
    sure = ratio_differences(half, nothing)[0]
    assert (sure.low, sure.high) == (0.5, 0.5), "many problems have a part of one of them"


def test_a_difference_pairs_by_problem_and_leaves_out_what_only_one_side_has():
    a = {"p": 1.0, "q": 0.5, "only-a": 0.0}
    b = {"q": 0.0, "only-b": 1.0, "p": 0.25}
    found = paired_difference(a, b)
    assert found.problems == 2
    assert found.mean == pytest.approx((0.75 + 0.5) / 2)
    assert paired_difference(b, a).mean == pytest.approx(-found.mean)
    assert math.isnan(paired_difference({"x": 1.0}, {"y": 1.0}).mean)


def test_the_p_value_of_few_problems_is_exact():
    differences = [0.3, -0.1, 0.25, 0.4, 0.0, 0.05, -0.2, 0.35, 0.1]
    patterns = list(itertools.product((-1, 1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    exact = sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / len(patterns)
    assert sign_flip(differences) == pytest.approx(exact, abs=1e-12)
    assert sign_flip([-d for d in differences]) == pytest.approx(exact, abs=1e-12)


def test_the_p_value_of_many_yes_or_no_problems_is_mcnemars_exact_one():
    """20 problems that only a solves, 8 that only b solves: a fair coin thrown 28 times."""
    differences = [1.0] * 20 + [-1.0] * 8 + [0.0] * 50
    tail = sum(math.comb(28, heads) for heads in range(20, 29)) / 2**28
    assert sign_flip(differences, repeats=40_000) == pytest.approx(2 * tail, abs=0.002)


def test_columns_have_the_p_values_that_each_would_have_alone():
    draw = np.random.default_rng(6)
    few = np.where(np.arange(40) < 9, 0.2, 0.0)
    gaps_PX = np.stack([draw.normal(0.1, 0.5, 40), few, np.zeros(40)], axis=1)
    alone = [sign_flip(column.tolist()) for column in gaps_PX.T]
    assert sign_flips(gaps_PX) == alone
    assert alone[1] == 2 / 2**9 and alone[2] == 1.0


def test_a_p_value_below_five_per_cent_comes_five_times_in_a_hundred_where_nothing_differs():
    draw = np.random.default_rng(2)
    hits = 0
    for repeat in range(400):
        a, b = draw.binomial(5, 0.4, size=(2, 40)) / 5
        hits += sign_flip((a - b).tolist(), repeats=200, seed=repeat) < 0.05
    assert 0.02 <= hits / 400 <= 0.08


def test_equal_systems_have_a_p_value_of_one_and_a_difference_of_nothing():
    values = {str(i): float(i % 2) for i in range(30)}
    found = paired_difference(values, values)
    assert (found.mean, found.p_value) == (0.0, 1.0) and found.low < 0.0 < found.high


def test_the_last_bits_of_a_closed_form_are_no_difference():
    noise = [1e-17 * (-1) ** at for at in range(40)]
    assert sign_flip([*noise, 0.5, 0.5, 0.5]) == sign_flip([0.5, 0.5, 0.5]) == 0.25


def test_pairing_narrows_the_interval_where_problems_differ_in_difficulty():
    draw = random.Random(2)
    b = {str(i): draw.random() for i in range(80)}
    a = {key: value + 0.05 + 0.01 * draw.random() for key, value in b.items()}
    paired = paired_difference(a, b)
    alone = rates(np.array([list(a.values())]).T)[0]
    assert paired.low > 0.04 and paired.high - paired.low < 0.1 * (alone.high - alone.low)
