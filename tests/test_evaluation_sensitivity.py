import itertools
import random

import numpy as np
import pytest

from outcome_fakes import outcome, played, rollouts
from rlef.evaluation.intervals import paired_difference
from rlef.evaluation.score import score
from rlef.evaluation.sensitivity import curves, failed_first, recovery_rows, sensitivity_rows
from rlef.evaluation.table import Evaluation


def evaluation(**conditions) -> Evaluation:
    found = Evaluation()
    for condition, some in conditions.items():
        found += score(
            [one for rows in some.values() for one in rows],
            model="m",
            condition=condition,
            dataset="toy",
            split="test",
            turns=1 if condition == "single_turn" else 3,
            budgets=((1, 3),),
        )
    return found


MULTI = {"a": rollouts("a", "ws", "s"), "b": rollouts("b", "wws", "www"), "c": rollouts("c", "p", "wp")}
NOTHING = {"a": rollouts("a", "www", "s"), "b": rollouts("b", "www", "www"), "c": rollouts("c", "p", "wws")}


def test_curves_by_hand():
    assert curves(MULTI, condition="multi_turn", turns=3) == {
        "a": [0.5, 1.0, 1.0],
        "b": [0.0, 0.0, 0.5],
        "c": [0.0, 0.0, 0.0],
    }
    assert failed_first(MULTI) == {"a": 0.5, "b": 1.0, "c": 0.5}


def test_sensitivity_is_the_paired_difference_at_every_turn():
    found = evaluation(multi_turn=MULTI, no_feedback=NOTHING)
    rows = list(sensitivity_rows(found.solved_by_turn))
    assert [(row.control, row.turn) for row in rows] == [("no_feedback", turn) for turn in (1, 2, 3)]
    ours, theirs = found.solved_by_turn["m"]["multi_turn"], found.solved_by_turn["m"]["no_feedback"]
    for at, row in enumerate(rows):
        a, b = ({name: curve[at] for name, curve in side.items()} for side in (ours, theirs))
        expected = paired_difference(a, b)
        assert (row.difference, row.p_value) == pytest.approx((expected.mean, expected.p_value))
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    assert [row.difference for row in rows] == pytest.approx([0.0, 0.5 / 3, (0.5 + 0.5 - 0.5) / 3])


def test_recovery_by_hand():
    """Of the four first turns that failed, half of a problem's each: a was mended, b in one of two."""
    found = evaluation(multi_turn=MULTI, no_feedback=NOTHING)
    rows = {(row.condition, row.turn): row for row in recovery_rows(found.solved_by_turn, found.failed_first)}
    ours, theirs = rows["multi_turn", 3], rows["no_feedback", 3]
    assert ours.failed == pytest.approx(2 / 3) and ours.recovered == pytest.approx(1.0 / 2.0)
    assert rows["multi_turn", 2].recovered == pytest.approx(0.5 / 2.0)
    assert theirs.recovered == pytest.approx(0.5 / 2.0)
    assert theirs.difference == pytest.approx(0.25) and ours.difference is None
    assert theirs.difference_low <= theirs.difference <= theirs.difference_high


def test_recovery_is_the_share_of_failed_first_turns_that_were_solved_later():
    """With as many rollouts of each problem it is a plain count of episodes."""
    draw = random.Random(2)
    some = {
        str(at): rollouts(str(at), *(played("x", 3, draw, passes=0.4, solves=0.8) for _ in range(6)))
        for at in range(15)
    }
    found = evaluation(multi_turn=some)
    episodes = [one for rows in some.values() for one in rows]
    lost = [one for one in episodes if not one.turns[0].passed]
    for row in recovery_rows(found.solved_by_turn, found.failed_first):
        later = [one for one in lost if one.at(row.turn).solved]
        assert row.recovered == pytest.approx(len(later) / len(lost))


def test_a_fresh_sample_is_what_drawing_again_would_have_given():
    """Every order of three samples: given that the first fails, one of the public passes after it."""
    kinds = {"a": "wws", "b": "wpswp", "c": "ssw", "d": "wwww"}
    some = {
        name: [outcome(name, kind, sample=at, limit=1) for at, kind in enumerate(row)]
        for name, row in kinds.items()
    }
    found = evaluation(single_turn=some)
    for row in recovery_rows(found.solved_by_turn, found.failed_first):
        lost, mended = [], []
        for text in kinds.values():
            orders = [order[: row.turn] for order in itertools.permutations(text)]
            failed = [order[0] == "w" for order in orders]
            wins = [_submitted(order[1:]) if order[0] == "w" else 0.0 for order in orders]
            lost.append(np.mean(failed))
            mended.append(np.mean(wins))
        assert row.failed == pytest.approx(np.mean(lost))
        assert row.recovered == pytest.approx(sum(mended) / sum(lost))


def _submitted(order) -> float:
    passes = [kind for kind in order if kind in "ps"]
    return sum(kind == "s" for kind in passes) / len(passes) if passes else 0.0


def test_a_policy_that_ignores_feedback_recovers_as_often_as_a_fresh_sample():
    """The same chances in every turn and sample: no difference, about as often as the interval says."""
    draw, covered = random.Random(3), 0
    for _ in range(40):
        chances = [draw.betavariate(1, 2) for _ in range(40)]
        multi = {
            str(at): rollouts(str(at), *(played("x", 3, draw, passes=c, solves=0.7) for _ in range(3)))
            for at, c in enumerate(chances)
        }
        single = {
            str(at): [
                outcome(str(at), played("x", 1, draw, passes=c, solves=0.7), sample=number, limit=1)
                for number in range(9)
            ]
            for at, c in enumerate(chances)
        }
        found = evaluation(multi_turn=multi, single_turn=single)
        rows = recovery_rows(found.solved_by_turn, found.failed_first)
        last = [row for row in rows if row.condition == "single_turn"][-1]
        covered += last.difference_low <= 0.0 <= last.difference_high
    assert covered >= 33


def test_where_no_first_turn_failed_there_is_no_recovery():
    found = evaluation(multi_turn={"a": rollouts("a", "s", "s")})
    assert {row.recovered for row in recovery_rows(found.solved_by_turn, found.failed_first)} == {None}


def test_rates_of_before_and_after_keep_apart():
    both = evaluation(multi_turn=MULTI, no_feedback=NOTHING)
    other = score(
        [one for rows in NOTHING.values() for one in rows],
        model="before", condition="multi_turn", dataset="toy", split="test", turns=3, budgets=((1, 3),),
    )  # fmt: skip
    joined = other + both
    rows = list(sensitivity_rows(joined.solved_by_turn))
    assert {row.model for row in rows} == {"m"}, "a model without controls has nothing to compare"
    tree = joined.to_json()
    assert Evaluation.from_json(tree).to_json() == tree
