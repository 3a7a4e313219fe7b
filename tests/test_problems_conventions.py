"""The suite is what its ceiling claims: statements that do not tell, tests that do."""

import itertools
import random
import subprocess
import sys

import pytest

from rlef.errors import DataError
from rlef.problems.conventions import FAMILIES, SIZES, blind_masses, open_split
from rlef.problems.types import Problem


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Problem]]:
    return {split: list(open_split(split)) for split in SIZES}


def test_there_are_enough_families_and_problems(splits):
    assert len(FAMILIES) >= 12
    assert {split: len(problems) for split, problems in splits.items()} == {
        "train": 2000,
        "valid": 200,
        "test": 400,
    }
    for problems in splits.values():
        assert {p.provenance.family for p in problems} == set(FAMILIES)
        assert len({p.id for p in problems}) == len(problems)


def test_every_family_has_several_wordings(splits):
    for name, family in FAMILIES.items():
        assert len(family.wordings) >= 2
        starts = {p.statement.split()[0] for p in splits["train"] if p.provenance.family == name}
        assert len(starts) >= 2


def test_splits_share_no_statement_and_no_pair_of_parameters_and_convention(splits):
    def keys(problems):
        return {(p.provenance.family, *map(str, p.provenance.visible.items())) for p in problems}

    for one, other in itertools.combinations(splits.values(), 2):
        assert not keys(one) & keys(other)
        assert not {p.statement for p in one} & {p.statement for p in other}


def test_no_statement_names_its_convention(splits):
    for split in ("valid", "test"):
        by_statement: dict[str, set[str]] = {}
        for p in splits[split]:
            by_statement.setdefault(p.statement, set()).add(str(p.provenance.hidden))
        assert all(len(hidden) == 10 for hidden in by_statement.values())


def test_public_tests_separate_the_convention_from_every_other(splits):
    for problem in itertools.chain(*splits.values()):
        family = FAMILIES[problem.provenance.family]
        want = [t.output.strip() for t in problem.public_tests]
        same = [
            h
            for h in family.conventions()
            if [
                family.solve(t.input.strip(), problem.provenance.visible, h).strip()
                for t in problem.public_tests
            ]
            == want
        ]
        assert same == [problem.provenance.hidden], problem.id


def test_problems_under_one_statement_have_the_same_inputs_and_different_answers(splits):
    """So that no program can tell them apart by a table of inputs: the ceiling holds for it too."""
    by_statement: dict[str, list[Problem]] = {}
    for problem in splits["test"]:
        by_statement.setdefault(problem.statement, []).append(problem)
    for group in by_statement.values():
        inputs = {tuple(t.input for t in p.public_tests + p.private_tests) for p in group}
        answers = {tuple(t.output for t in p.public_tests) for p in group}
        assert len(inputs) == 1 and len(answers) == len(group) == 10


def test_private_inputs_are_disjoint_from_public_ones(splits):
    for problem in itertools.chain(*splits.values()):
        public = {t.input for t in problem.public_tests}
        private = {t.input for t in problem.private_tests}
        assert len(public) == 2 and len(private) == 4 and not public & private
        assert all(t.output.strip() for t in problem.public_tests + problem.private_tests)


def test_training_draws_fresh_tests_and_the_other_splits_do_not():
    train, test = open_split("train"), open_split("test")
    one = train.ids()[0]
    assert train.get(one, 1) == train.get(one, 1) != train.get(one, 2)
    assert train.get(one, 1).statement == train.get(one, 2).statement
    assert test.get(test.ids()[0], 1) == test.get(test.ids()[0], 2)


def test_the_suite_is_the_same_in_every_process():
    code = (
        "import hashlib; from rlef.problems.conventions import open_split;"
        "print(hashlib.sha256(repr(list(open_split('test'))).encode()).hexdigest())"
    )
    seeds = ("0", "1")
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": s},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for s in seeds
    }
    assert len(runs) == 1


def test_the_ceiling_is_what_the_best_blind_policy_gets(splits):
    """Brute force: every choice of three conventions, the same for all problems of a statement."""
    problems = [p for p in splits["test"] if p.provenance.family in ("scale", "keep")]
    best = 0
    for statement in {p.statement for p in problems}:
        group = [p for p in problems if p.statement == statement]
        conventions = FAMILIES[group[0].provenance.family].conventions()
        best += max(
            sum(p.provenance.hidden in tried for p in group)
            for tried in itertools.combinations(conventions, 3)
        )
    ceiling = sum(sum(sorted(masses)[-3:]) for masses in blind_masses(problems).values())
    assert ceiling == pytest.approx(best) and best / len(problems) == pytest.approx(0.3)


def test_a_policy_that_guesses_without_feedback_stays_at_the_ceiling(splits):
    draw = random.Random(0)
    solved = 0
    for p in splits["test"]:
        solved += p.provenance.hidden in draw.sample(FAMILIES[p.provenance.family].conventions(), 3)
    assert solved / 400 == pytest.approx(0.3, abs=0.08)


def test_an_unknown_problem_is_refused_with_the_nearest_id():
    with pytest.raises(DataError, match="did you mean 'conventions/test/scale/1"):
        open_split("test").get("conventions/test/scal/1")
    with pytest.raises(DataError, match="splits are"):
        open_split("dev")
