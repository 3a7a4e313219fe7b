"""The basics suite: fully specified, split by parameters, and the same on every machine."""

import ast
import itertools
import subprocess
import sys

import pytest

from rlef.errors import DataError
from rlef.problems.basics import KINDS, LEVELS, open_split
from rlef.problems.basics.kind import INTS, Kind, draw_tests
from rlef.problems.basics.suite import instances

SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def splits():
    return {split: list(open_split(split)) for split in SPLITS}


def _key(problem):
    return (problem.provenance.family, *sorted(map(str, problem.provenance.visible.items())))


def test_there_are_sixty_kinds_or_more_in_three_levels():
    assert len(KINDS) >= 60
    assert all(list(LEVELS.values()).count(level) >= 15 for level in (1, 2, 3))
    assert {kind.name for kind in KINDS.values()} == set(KINDS) == set(LEVELS)


def test_every_split_holds_every_kind_and_no_instance_is_in_two(splits):
    for split, problems in splits.items():
        assert {p.provenance.family for p in problems} == set(KINDS)
        assert {p.provenance.split for p in problems} == {split}
        assert len({_key(p) for p in problems}) == len({p.id for p in problems}) == len(problems)
    for one, other in itertools.combinations(splits.values(), 2):
        assert not {_key(p) for p in one} & {_key(p) for p in other}


def test_training_has_twice_as_many_instances_of_each_kind_as_the_test_split():
    assert all(len(instances(name, "train")) >= 2 * len(instances(name, "test")) for name in KINDS)


def test_the_first_ids_hold_one_problem_of_each_kind():
    for split in SPLITS:
        first = open_split(split).ids()[: len(KINDS)]
        assert {problem_id.split("/")[2] for problem_id in first} == set(KINDS)


def test_public_and_private_inputs_are_disjoint_and_neither_group_has_one_answer(splits):
    for problem in itertools.chain(*splits.values()):
        public = {t.input: t.output for t in problem.public_tests}
        private = {t.input: t.output for t in problem.private_tests}
        assert len(public) in (2, 3) and 4 <= len(private) <= 6
        assert not public.keys() & private.keys()
        assert len(set(public.values())) > 1 and len(set(private.values())) > 1
        assert all(t.output.strip() for t in problem.public_tests + problem.private_tests)


def test_the_statement_shows_its_parameters_and_one_public_test_and_nothing_private(splits):
    for problem in itertools.chain(*splits.values()):
        example = problem.public_tests[0]
        assert problem.statement.endswith(f"Example input:\n{example.input}Example output:\n{example.output}")
        assert "{" not in problem.statement or problem.provenance.family == "depth"
        for value in problem.provenance.visible.values():
            assert str(value) in problem.statement
        # About 120 tokens of a small model; its tokenizer makes 99 of the longest.
        assert len(problem.statement) < 400


def test_training_draws_fresh_tests_and_the_other_splits_do_not():
    for split in SPLITS:
        problems = open_split(split)
        for problem_id in problems.ids()[:: len(KINDS) // 7]:
            first, second = problems.get(problem_id, draw=1), problems.get(problem_id, draw=2)
            assert (first.private_tests != second.private_tests) is (split == "train")
            assert first.provenance == second.provenance
            assert first == problems.get(problem_id, draw=1)


def test_every_training_instance_can_be_drawn_many_times():
    problems = open_split("train")
    for problem_id in problems.ids()[: 3 * len(KINDS)]:
        for draw in range(1, 8):
            problems.get(problem_id, draw)


def test_all_programs_are_valid_python_with_no_parameter_left_open(splits):
    for problem in splits["test"]:
        verdicts = [solution.verdict for solution in problem.solutions]
        assert verdicts == ["accepted", "wrong_answer", "wrong_answer", "time_limit", "runtime_error"]
        for solution in problem.solutions:
            ast.parse(solution.code)
            for name in problem.provenance.visible:
                assert f"{{{name}}}" not in solution.code


def test_no_wrong_answer_agrees_with_the_answer_on_all_public_or_all_private_tests():
    """A kind whose mistake can't be told apart is refused when tests are drawn."""
    same = Kind(
        name="same",
        reads=INTS,
        says=("Print {k}.",),
        params={"k": [1]},
        draw=lambda rng, k: [rng.randint(1, 99)],
        answer=lambda xs, k: xs[0],
        wrong_answer=lambda xs, k: xs[0] if xs[0] < 200 else k,
        program="",
        wrong="",
    )
    import random

    with pytest.raises(AssertionError, match="no telling tests"):
        draw_tests(same, {"k": 1}, random.Random(0))


def test_the_suite_does_not_depend_on_the_hash_seed():
    code = (
        "import hashlib; from rlef.problems.basics import open_split; from rlef.problems.jsonl import *;"
        "s = open_split('train'); ids = s.ids();"
        "print(hashlib.sha256(repr([problem_to_row(s.get(i, 3)) for i in ids[::9]]).encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_an_unknown_problem_or_split_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="basics/test/add/1"):
        open_split("test").get("basics/test/add/11")
    with pytest.raises(DataError, match="'test'"):
        open_split("tets")
