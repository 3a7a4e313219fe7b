import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest

from rlef.evaluation.measure import Counts, Table, chances, pass_at_k, pass_chances, solved_at


def chance_by_enumeration(n: int, drawn: int, counts: Counts) -> float:
    """Every draw of rollouts, and every submission of n public passes out of it, counted one by one."""
    kinds = (
        ["solved"] * counts.solved
        + ["public"] * (counts.public - counts.solved)
        + ["failed"] * (counts.rollouts - counts.public)
    )
    draws = list(itertools.combinations(range(counts.rollouts), drawn))
    total = 0.0
    for draw in draws:
        pool = [kinds[i] for i in draw if kinds[i] != "failed"]
        submissions = list(itertools.combinations(pool, min(n, len(pool))))
        total += sum("solved" in some for some in submissions) / len(submissions)
    return total / len(draws)


def exact(n: int, drawn: int, counts: Counts) -> Fraction:
    """The hypergeometric sum over the number of eligible programs, in whole numbers."""
    every = math.comb(counts.rollouts, drawn)
    total = Fraction(0)
    for eligible in range(drawn + 1):
        ways = math.comb(counts.public, eligible) * math.comb(
            counts.rollouts - counts.public, drawn - eligible
        )
        if ways:
            sent = min(n, eligible)
            miss = Fraction(math.comb(counts.public - counts.solved, sent), math.comb(counts.public, sent))
            total += Fraction(ways, every) * (1 - miss)
    return total


def all_counts(most: int):
    for rollouts in range(1, most + 1):
        for public in range(rollouts + 1):
            for solved in range(public + 1):
                yield Counts(rollouts, public, solved)


def test_the_closed_form_equals_the_count_over_all_draws_and_submissions():
    for counts in all_counts(6):
        for drawn in range(1, counts.rollouts + 1):
            for n in (1, 2, 4):
                expected = chance_by_enumeration(n, drawn, counts)
                assert solved_at(n, drawn, counts) == pytest.approx(expected, abs=1e-12), (n, drawn, counts)


def test_problems_with_unequal_numbers_of_rollouts_are_worked_out_each_by_itself():
    mixed = {str(at): counts for at, counts in enumerate(all_counts(5))}
    for n, drawn in itertools.product((1, 2, 10), range(1, 6)):
        found = chances(n, drawn, Table.of(mixed))
        for value, counts in zip(found, mixed.values(), strict=True):
            if drawn > counts.rollouts:
                assert math.isnan(value), "too few rollouts: no figure rather than a wrong one"
            else:
                assert value == pytest.approx(chance_by_enumeration(n, drawn, counts), abs=1e-12)


def test_hundreds_of_rollouts_lose_no_digits_that_matter():
    draw = random.Random(3)
    for _ in range(60):
        rollouts = draw.randint(50, 1000)
        public = draw.randint(0, rollouts)
        counts = Counts(rollouts, public, draw.randint(0, public))
        n, drawn = draw.choice((1, 10, 40)), draw.randint(1, rollouts)
        assert solved_at(n, drawn, counts) == pytest.approx(float(exact(n, drawn, counts)), abs=1e-9)


def test_ten_of_a_hundred_agrees_with_a_simulation_of_33_rollouts():
    counts = Counts(rollouts=200, public=30, solved=9)
    draw = random.Random(5)
    kinds = [2] * 9 + [1] * 21 + [0] * 170
    wins, repeats = 0, 20_000
    for _ in range(repeats):
        pool = [kind for kind in draw.sample(kinds, 33) if kind]
        wins += 2 in draw.sample(pool, min(10, len(pool)))
    exact_chance = solved_at(10, 100, counts, turns=3)
    assert abs(wins / repeats - exact_chance) < 4 * math.sqrt(exact_chance * (1 - exact_chance) / repeats)


def test_one_rollout_of_three_turns_is_one_at_three():
    for counts in all_counts(7):
        assert solved_at(1, 3, counts, turns=3) == pytest.approx(counts.solved / counts.rollouts)


def test_the_mean_over_drawn_rollouts_is_what_the_policy_would_score():
    """n@k of a sample of rollouts is unbiased: its mean over many samples is the policy's own n@k."""
    draw = np.random.default_rng(7)
    passes, solves, n, drawn = 0.3, 0.4, 2, 4
    estimates = []
    for _ in range(3000):
        public = int(draw.binomial(9, passes))
        estimates.append(solved_at(n, drawn, Counts(9, public, int(draw.binomial(public, solves)))))
    eligible = [math.comb(drawn, e) * passes**e * (1 - passes) ** (drawn - e) for e in range(drawn + 1)]
    truth = sum(share * (1 - (1 - solves) ** min(n, e)) for e, share in enumerate(eligible))
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * np.std(estimates) / math.sqrt(3000))


def test_without_a_public_pass_nothing_is_solved():
    assert solved_at(3, 3, Counts(rollouts=5, public=0, solved=0)) == 0.0


def test_where_public_tests_never_err_choosing_by_them_is_pass_at_k():
    for counts in all_counts(7):
        if counts.public == counts.solved:
            for k in range(1, counts.rollouts + 1):
                assert solved_at(1, k, counts) == pytest.approx(
                    pass_at_k(k, samples=counts.rollouts, solved=counts.solved)
                )


def test_pass_at_k_equals_the_count_over_all_draws():
    for samples in range(1, 8):
        for solved in range(samples + 1):
            for k in range(1, samples + 1):
                draws = list(itertools.combinations(range(samples), k))
                expected = sum(any(i < solved for i in draw) for draw in draws) / len(draws)
                assert pass_at_k(k, samples=samples, solved=solved) == pytest.approx(expected)


def test_pass_at_k_is_the_product_that_defines_the_unbiased_estimator():
    """Chen et al. 2021: 1 - prod(1 - k / i) for i from n - c + 1 to n, and 1 where n - c < k."""
    for samples, solved, k in ((200, 3, 100), (100, 17, 10), (50, 45, 6), (20, 0, 5), (5, 2, 5)):
        product = math.prod(1 - k / i for i in range(samples - solved + 1, samples + 1))
        expected = 1.0 if samples - solved < k else 1 - product
        assert pass_at_k(k, samples=samples, solved=solved) == pytest.approx(expected)


def test_pass_at_k_needs_k_rollouts_of_a_problem():
    table = Table.of({"a": Counts(2, 1, 1), "b": Counts(4, 4, 1)})
    assert [math.isnan(value) for value in pass_chances(3, table)] == [True, False]


def test_too_few_rollouts_and_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="needs 3 rollouts, there are 2"):
        solved_at(1, 3, Counts(2, 1, 1))
    with pytest.raises(ValueError, match="submits 1 programs of 0 rollouts"):
        solved_at(1, 2, Counts(5, 1, 1), turns=3)
    with pytest.raises(ValueError, match="passes the public tests"):
        Counts(rollouts=5, public=1, solved=2)
    with pytest.raises(ValueError, match="pass@6"):
        pass_at_k(6, samples=5, solved=1)
