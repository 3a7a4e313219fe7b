import asyncio
import itertools
import random
import zlib

import numpy as np
import pytest

from evaluation_fakes import config, fenced, player, problems
from outcome_fakes import played, rollouts
from rlef.evaluation.budgets import budget_rows, counts_at, grid, pass_rows
from rlef.evaluation.conditions import CONDITIONS
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.measure import Counts, pass_at_k, solved_at


def rows_of(found, **wanted):
    return [row for row in found if all(getattr(row, key) == value for key, value in wanted.items())]


def guesser(request, turn):
    """Right sooner or later: what is read gives the guess, and the seed where it starts."""
    return fenced(f"add {(request.seed + zlib.crc32(repr(request.observation).encode())) % 4}")


def measured(turns: int, condition: str, **of_training):
    settings = config(turns=turns, rollouts=4)
    settings = settings.model_copy(update={"episode": settings.episode.model_copy(update=of_training)})
    playing = player(policy=guesser)
    return asyncio.run(evaluate(problems(), playing, settings, model="m", conditions=[condition]))


@pytest.mark.parametrize("condition", [name for name in CONDITIONS if name != "single_turn"])
def test_every_smaller_turn_limit_is_read_off_one_run(condition):
    """The same seeds played with limit 1 and limit 3 give what the run with limit 5 says of them."""
    whole = measured(5, condition)
    assert {row.turns for row in whole.budgets} == {1, 3, 5}
    for limit in (1, 3):
        alone = rows_of(measured(limit, condition).budgets, turns=limit)
        assert alone == rows_of(whole.budgets, turns=limit)
        assert alone[0].k == limit and alone[-1].k == 4 * limit
        assert alone[0].solved > 0
    assert rows_of(whole.budgets, turns=5, k=5)[0].solved == pytest.approx(whole.rows[0].solved)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_how_a_model_was_trained_does_not_change_how_it_is_measured(condition):
    blind = {"feedback": "none", "stop_on_public_pass": False}
    assert measured(3, condition, **blind).to_json() == measured(3, condition).to_json()


def test_the_papers_ten_of_a_hundred_is_on_the_axis():
    """100 samples are 100, 33, 20 and 10 rollouts of 1, 3, 5 and 10 turns."""
    found = {"a": rollouts("a", *["wwwwwwwwww"] * 200, limit=10)}
    rows = budget_rows(found, model="m", condition="multi_turn", turns=10)
    for limit, k in ((1, 100), (3, 99), (5, 100), (10, 100)):
        assert rows_of(rows, turns=limit, n=10, k=k)


def test_a_limit_in_between_is_the_first_turns_unsolved():
    found = {"a": rollouts("a", "wws", "s", "wwp", "www")}
    assert counts_at(found, 1) == {"a": Counts(4, 1, 1)}
    assert counts_at(found, 2) == {"a": Counts(4, 1, 1)}
    assert counts_at(found, 3) == {"a": Counts(4, 3, 2)} == counts_at(found)


def test_the_limit_played_is_on_the_axis_even_if_it_is_none_of_the_papers():
    found = {"a": rollouts("a", "wwww", "s", limit=4)}
    assert {row.turns for row in budget_rows(found, model="m", condition="multi_turn", turns=4)} == {1, 3, 4}


def test_rates_are_means_over_problems_with_enough_rollouts():
    """Unequal numbers of rollouts, each problem by brute force over all draws."""
    draw = random.Random(1)
    found = {
        str(at): rollouts(str(at), *(played("x", 3, draw, passes=0.4, solves=0.6) for _ in range(size)))
        for at, size in enumerate((5, 3, 2, 5, 4))
    }
    for row in budget_rows(found, model="m", condition="multi_turn", turns=3):
        drawn, values = row.k // row.turns, []
        for some in found.values():
            ends = [one.at(row.turns) for one in some]
            wins = [_submitted(combination, row.n) for combination in itertools.combinations(ends, drawn)]
            values += [np.mean(wins)] if wins else []
        assert row.problems == len(values)
        assert row.solved == pytest.approx(np.mean(values), abs=1e-12), row


def _submitted(ends, n):
    eligible = [end for end in ends if end.passed]
    picks = list(itertools.combinations(eligible, min(n, len(eligible))))
    return np.mean([any(end.solved for end in pick) for pick in picks])


def test_the_axis_ends_where_fewer_than_half_of_the_problems_have_so_many():
    found = {name: rollouts(name, *["s"] * size) for name, size in (("a", 9), ("b", 4), ("c", 4), ("d", 1))}
    rows = budget_rows(found, model="m", condition="single_turn", turns=1)
    assert max(row.k for row in rows) == 4
    assert {row.k: row.problems for row in rows} == {1: 4, 2: 3, 3: 3, 4: 3}


def test_ten_are_submitted_where_ten_are_drawn():
    found = {"a": rollouts("a", *["wws"] * 12)}
    rows = budget_rows(found, model="m", condition="multi_turn", turns=3)
    assert {row.k for row in rows_of(rows, turns=3, n=10)} == {30, 36}
    assert {row.k for row in rows_of(rows, turns=3, n=1)} == {*range(3, 31, 3), 36}


def test_the_grid_keeps_its_ends_and_stays_readable():
    for most in (1, 2, 9, 10, 11, 47, 100, 333, 2000):
        points = grid(np.array([most, most]))
        assert points[0] == 1 and points[-1] == most and len(points) < 70
        assert points == sorted(set(points))
    assert grid(np.array([], dtype=int)) == []


def test_pass_at_k_counts_final_programs_and_selects_none():
    found = {"a": rollouts("a", "ws", "p", "www", "s"), "b": rollouts("b", "www", "p", "ws", "wp")}
    rows = pass_rows(found, model="m", condition="multi_turn")
    assert [row.k for row in rows] == [1, 2, 3, 4]
    for row in rows:
        expected = np.mean([pass_at_k(row.k, samples=4, solved=solved) for solved in (2, 1)])
        assert row.solved == pytest.approx(expected)


def test_selection_by_public_tests_beats_submitting_one_at_random_and_not_submitting_all():
    draw = random.Random(8)
    some = {
        str(at): rollouts(str(at), *(played("x", 1, draw, passes=0.5, solves=0.5) for _ in range(10)))
        for at in range(20)
    }
    rows = budget_rows(some, model="m", condition="single_turn", turns=1)
    chosen = {row.k: row.solved for row in rows_of(rows, n=1)}
    every = {row.k: row.solved for row in pass_rows(some, model="m", condition="single_turn")}
    assert chosen[1] == pytest.approx(every[1])
    assert all(every[1] < chosen[k] < every[k] for k in range(2, 11))


def test_independent_samples_agree_with_the_closed_form_over_the_whole_axis():
    found = {"a": rollouts("a", *"sspwwwwwws"), "b": rollouts("b", *"wwwwpppsww")}
    for row in budget_rows(found, model="m", condition="single_turn", turns=1):
        expected = np.mean([solved_at(row.n, row.k, counts) for counts in counts_at(found).values()])
        assert row.solved == pytest.approx(expected) and row.low <= row.solved <= row.high
