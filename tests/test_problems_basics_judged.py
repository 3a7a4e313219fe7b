"""Every kind of basics, its programs run in the sandbox: each gets the verdict it declares."""

from dataclasses import replace

import pytest

from judge_help import certify
from rlef.problems.basics import KINDS, open_split
from rlef.problems.types import Limits

SAMPLE = {
    # One instance of each kind; another one for each split, and a fresh draw in training.
    "test": [(f"basics/test/{name}/0", 0) for name in list(KINDS)[::2]],
    "train": [(f"basics/train/{name}/3", 5) for name in list(KINDS)[1::2]],
}


def _sample(split, *notes):
    problems = (open_split(split).get(problem_id, draw) for problem_id, draw in SAMPLE[split])
    return [
        replace(problem, solutions=tuple(s for s in problem.solutions if s.note in notes))
        for problem in problems
    ]


@pytest.mark.parametrize("split", SAMPLE)
def test_reference_wrong_greedy_and_crashing_programs_get_their_verdicts(split):
    problems = _sample(split, "reference", "wrong", "greedy", "crash")
    assert all(len(problem.solutions) == 4 for problem in problems)
    assert certify(problems) == []


def test_busy_loops_hit_the_time_limit():
    """One kind in eight, with a lower limit: the loop is the same in all."""
    slow = [replace(problem, limits=Limits(cpu_s=0.1)) for problem in _sample("test", "slow")[::4]]
    assert all(len(problem.solutions) == 1 for problem in slow)
    assert certify(slow) == []


def test_a_reference_that_is_swapped_for_a_mistake_is_noticed():
    """Certifying can fail: the wrong program declared as accepted is reported for every kind."""
    lying = [
        replace(problem, solutions=(replace(problem.solutions[0], verdict="accepted"),))
        for problem in _sample("test", "wrong")
    ]
    assert {item.problem_id for item in certify(lying)} == {problem.id for problem in lying}
