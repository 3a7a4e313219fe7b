"""Data sets by name or path, and what is said when there is none."""

import pytest

from rlef.errors import DataError
from rlef.problems.basics import KINDS, LEVELS, open_split
from rlef.problems.jsonl import write_problems
from rlef.problems.load import ListProblems, load
from rlef.problems.types import Problem, Provenance, TestCase


def _problem(number, split="", family=""):
    return Problem(
        id=f"mine/{number}",
        statement="s",
        public_tests=(TestCase(input="1", output="1"),),
        provenance=Provenance(split=split, family=family),
    )


def test_the_bundled_suites_open_by_name():
    assert load("basics", "test").ids() == open_split("test").ids()
    assert load("conventions", "test").name == "conventions"


def test_a_file_without_splits_is_the_same_for_all_and_one_with_splits_is_divided(tmp_path):
    plain = write_problems(tmp_path / "plain.jsonl", [_problem(n) for n in range(4)])
    assert load(str(plain), "train").ids() == load(str(plain), "test").ids() != []
    mixed = write_problems(
        tmp_path / "mixed.jsonl.gz", [_problem(n, ("train", "test", "")[n % 3]) for n in range(6)]
    )
    assert load(str(mixed), "test").ids() == ["mine/1", "mine/4"]
    with pytest.raises(DataError, match="no split 'valid'; its splits are test, train"):
        load(str(mixed), "valid")


def test_families_keep_what_they_name_by_family_or_difficulty():
    some = load("basics", "train", families=("add", "count-above"))
    assert {some.get(i).provenance.family for i in some.ids()} == {"add", "count-above"}
    assert {p.provenance.family for p in load("basics", "valid", families=("level3",))} == {
        name for name in KINDS if LEVELS[name] == 3
    }
    with pytest.raises(DataError, match="did you mean 'count-above'"):
        load("basics", "train", families=("count-abov",))


def test_families_of_a_file_are_read_from_its_problems(tmp_path):
    path = write_problems(
        tmp_path / "a.jsonl", [_problem(n, family="even" if n % 2 == 0 else "odd") for n in range(4)]
    )
    assert load(str(path), "test", families=("odd",)).ids() == ["mine/1", "mine/3"]


def test_limit_keeps_the_first_and_a_seed_shuffles_before_it():
    whole = load("basics", "test")
    assert load("basics", "test", limit=5).ids() == whole.ids()[:5]
    shuffled = load("basics", "test", seed=3)
    assert shuffled.ids() != whole.ids() and sorted(shuffled.ids()) == sorted(whole.ids())
    assert load("basics", "test", seed=3, limit=7).ids() == shuffled.ids()[:7]
    assert [p.id for p in load("basics", "test", limit=5)] == whole.ids()[:5]


def test_a_selection_passes_draws_on_and_knows_only_its_own_ids():
    some = load("basics", "train", limit=3)
    first, fourth = some.ids()[0], load("basics", "train").ids()[3]
    assert some.get(first, draw=1) == open_split("train").get(first, draw=1) != some.get(first)
    with pytest.raises(DataError, match="no problem"):
        some.get(fourth)


@pytest.mark.parametrize("problems", [load("basics", "test"), ListProblems("mine", "test", [_problem(1)])])
def test_an_unknown_problem_is_refused_with_the_nearest_id(problems):
    wanted = problems.ids()[0]
    with pytest.raises(DataError, match=wanted):
        problems.get(wanted[1:])


def test_unknown_names_and_splits_are_refused_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'basics'"):
        load("basic", "test")
    with pytest.raises(DataError, match="did you mean 'valid'"):
        load("basics", "validation")
    with pytest.raises(DataError, match="No such file"):
        load("nowhere/at/all.jsonl", "test")


def test_a_data_set_that_the_user_must_bring_says_which_file_and_how(monkeypatch, tmp_path):
    monkeypatch.delenv("RLEF_DATA", raising=False)
    with pytest.raises(DataError, match=r"HumanEval\.jsonl\.gz.*RLEF_DATA"):
        load("humaneval", "test")
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"mbpp\.jsonl\.gz, which does not exist.*RLEF_DATA"):
        load("mbpp", "test")
    with pytest.raises(DataError, match="apps needs the file"):
        load(f"apps:{tmp_path / 'gone.jsonl'}", "test")


def test_an_empty_set_and_a_repeated_id_are_refused():
    with pytest.raises(DataError, match="no problems"):
        ListProblems("mine", "test", [])
    with pytest.raises(DataError, match="twice"):
        ListProblems("mine", "test", [_problem(1), _problem(1)])
