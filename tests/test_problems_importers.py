"""Importers: what is expressible is imported whole, the rest is listed, nothing is executed."""

import json
import os
from pathlib import Path

import pytest

from rlef.errors import DataError
from rlef.problems.importers import BENCHMARKS, imported
from rlef.problems.jsonl import read_problems, write_problems
from rlef.problems.load import load

FOLDERS = [Path(os.environ.get("RLEF_DATA", "")), Path(__file__).parents[2] / "shared" / "data"]


def _data(name):
    for folder in FOLDERS:
        if str(folder) != "." and (folder / name).is_file():
            return folder / name
    pytest.skip(f"no {name}: set RLEF_DATA to the folder that holds it")


def _file(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _imported(name, path):
    return imported(BENCHMARKS[name], path)


def _humaneval(checks, doc=""):
    return {
        "task_id": "HumanEval/7",
        "prompt": f'def f(a, b):\n    """Do.\n{doc}\n    """\n',
        "entry_point": "f",
        "canonical_solution": "    return a\n",
        "test": "def check(candidate):\n" + "".join(f"    {line}\n" for line in checks),
    }


def _pairs(tests):
    return [(json.loads(t.input), json.loads(t.output)) for t in tests]


def test_humaneval_examples_are_public_and_the_other_asserts_private(tmp_path):
    checks = [
        "assert True, 'hello'",
        "assert candidate(1, -2) == [1, 2.5]",
        "assert candidate('x', {'k': None}) == (True, 'y'), 'why'",
        "assert candidate(3, 4) is None",
    ]
    doc = "    >>> f(1, -2)\n    [1, 2.5]\n    f([')'], 6) ➞ 7."
    [problem], skipped = _imported("humaneval", _file(tmp_path, _humaneval(checks, doc)))
    assert problem.id == "humaneval/7" and problem.entry_point == "f" and problem.form == "call"
    assert _pairs(problem.public_tests) == [([1, -2], [1, 2.5]), ([[")"], 6], 7)]
    assert [test.input for test in problem.private_tests] == ['["x", {"k": null}]', "[3, 4]"]
    assert [test.output for test in problem.private_tests] == ['{"$tuple": [true, "y"]}', "null"]
    assert skipped == []
    assert problem.solutions[0].code.endswith("return a\n")


def test_a_docstring_example_that_contradicts_an_assert_is_left_out_and_listed(tmp_path):
    checks = ["assert candidate(1, 2) == 3", "assert candidate(2, 2) == 4"]
    [problem], [skipped] = _imported("humaneval", _file(tmp_path, _humaneval(checks, "    f(1, 2) => 9")))
    assert "contradicts" in skipped.reason and not skipped.whole
    assert _pairs(problem.public_tests) == [([1, 2], 3)] and _pairs(problem.private_tests) == [([2, 2], 4)]


def _one_more(tmp_path, *lines):
    """The tests that ``lines`` add to a problem with one assert."""
    [problem], _ = _imported(
        "humaneval", _file(tmp_path, _humaneval(["import random", "assert candidate(0, 0) == 0", *lines]))
    )
    first, *more = problem.public_tests + problem.private_tests
    assert (first.input, first.output, first.check) == ("[0, 0]", "0", "equal")
    return more


@pytest.mark.parametrize(
    ("assertion", "arguments", "output", "check"),
    [
        ("abs(candidate(1, 2) - 0.3) < 1e-6", "[1, 2]", "0.3", "below:1e-06"),
        ("candidate((1, 2), 3) == 4", '[{"$tuple": [1, 2]}, 3]', "4", "equal"),
        ("candidate({1: 2}, 3) == 4", '[{"$dict": [[1, 2]]}, 3]', "4", "equal"),
        ("candidate(1, 2) == {3, 4}", "[1, 2]", '{"$set": [3, 4]}', "equal"),
        ("candidate(1, 2) == 1e999", "[1, 2]", '{"$float": "inf"}', "equal"),
        ("candidate(3 * 19, 'a' + 'b') == 2.0 / 4", '[57, "ab"]', "0.5", "equal"),
        ("candidate(1, 2)", "[1, 2]", "true", "bool"),
        ("not candidate(1, 2), 'why'", "[1, 2]", "false", "bool"),
        ("tuple(candidate(1, 2)) == tuple([3])", "[1, 2]", '{"$tuple": [3]}', "tuple"),
        ("f(1, 2) == 3", "[1, 2]", "3", "equal"),  # by its own name
    ],
)
def test_an_assert_becomes_data_and_a_check(tmp_path, assertion, arguments, output, check):
    [test] = _one_more(tmp_path, f"assert {assertion}")
    assert (test.input, test.output, test.check) == (arguments, output, check)


@pytest.mark.parametrize(
    "lines",
    [
        ["for i in range(9): assert candidate(i, i) == i"],
        ["assert candidate(open('owned', 'w'), 2) == 3"],
        ["assert candidate(1, b=2) == 3"],
        ["assert candidate(1, 2) == candidate(2, 1)"],
        ["assert candidate(1, 2) == 10 ** 10 ** 10"],
        ["assert candidate(1, 2)[0] == 3"],
        ["assert isinstance(candidate(1, 2), int)"],
        ["assert any([True])"],
        ["x = random.random()", "assert candidate(x, 2) == x"],
        ["assert candidate(1, 2) < 3"],
        ["assert candidate(1, 2) == [0] * 10 ** 9"],
    ],
)
def test_what_cannot_be_said_as_data_becomes_one_test_in_code(tmp_path, monkeypatch, lines):
    monkeypatch.chdir(tmp_path)
    [test] = _one_more(tmp_path, *lines, "assert True")
    assert test.check == "code" and test.input.endswith("\ncheck(f)\n")
    assert "assert True" not in test.input and "(0, 0)" not in test.input and "import random" in test.input
    assert not (tmp_path / "owned").exists()


def test_a_test_in_code_brings_the_helpers_of_the_prompt_and_not_the_function(tmp_path):
    row = _humaneval(["assert candidate(0, 0) == 0", "assert candidate(1, 1) == helper(1)"])
    row["prompt"] = "import math\n\ndef helper(x):\n    return math.floor(x)\n\n" + row["prompt"]
    [problem], _ = _imported("humaneval", _file(tmp_path, row))
    [test] = problem.private_tests
    assert test.input.startswith("import math\ndef helper(x)") and "def f(" not in test.input
    scope = {"f": lambda a, b: a}
    exec(test.input, scope)  # ours, from above
    with pytest.raises(AssertionError):
        exec(test.input, {"f": lambda a, b: 5})


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("assert candidate(1, 2) == 3 +", "not readable as Python"),
        ("assert candidate(0, 0) == 0", "fewer than two"),
        ("print", "fewer than two"),
    ],
)
def test_tests_that_cannot_be_read_or_told_apart_leave_the_whole_problem_out(
    tmp_path, monkeypatch, check, reason
):
    monkeypatch.chdir(tmp_path)
    good = {
        **_humaneval(["assert candidate(0, 0) == 0", "assert candidate(1, 1) == 1"]),
        "task_id": "HumanEval/8",
    }
    path = _file(tmp_path, _humaneval(["assert candidate(0, 0) == 0", check]), good)
    problems, [skipped] = _imported("humaneval", path)
    assert [p.id for p in problems] == ["humaneval/8"]
    assert skipped.id == "humaneval/7" and skipped.whole and reason in skipped.reason
    assert not (tmp_path / "owned").exists()


def test_dataset_code_is_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = _humaneval(["assert candidate(0, 0) == 0", "assert candidate(1, 1) == 1"])
    evil = "open('owned', 'w').close()\n"
    row = {**row, "test": evil + row["test"], "prompt": evil + row["prompt"], "canonical_solution": evil}
    assert len(_imported("humaneval", _file(tmp_path, row))[0]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_mbpp_shows_its_first_assert_and_keeps_the_usual_splits(tmp_path):
    def row(task_id, setup=""):
        return {
            "text": "Do it.",
            "code": "def g(x):\r\n  return x",
            "task_id": task_id,
            "test_setup_code": setup,
            "test_list": ["assert g([1]) == (1,)", "assert g([2]) == (2,)"],
            "challenge_test_list": ["assert g([]) == ()"],
        }

    problems, skipped = _imported("mbpp", _file(tmp_path, *map(row, (10, 11, 511, 601)), row(5, "x = 1")))
    assert [p.provenance.split for p in problems] == ["prompt", "test", "valid", "train", "prompt"]
    assert skipped == []
    assert "assert g([1]) == (1,)" in problems[0].statement and "[2]" not in problems[0].statement
    tests = problems[0].public_tests + problems[0].private_tests
    assert [test.input for test in tests] == ["[[1]]", "[[2]]", "[[]]"]
    assert [test.output for test in tests] == ['{"$tuple": [1]}', '{"$tuple": [2]}', '{"$tuple": []}']
    assert "\r" not in problems[0].solutions[0].code
    # Set-up code can't be parted from its asserts.
    in_code = problems[4].public_tests + problems[4].private_tests
    assert {test.check for test in in_code} == {"code"} and problems[4].entry_point == "g"
    assert in_code[0].input == "x = 1\nassert g([1]) == (1,)\n"


def test_apps_takes_stdin_problems_and_lists_the_others(tmp_path):
    def row(number, text="Print it.", starter="", hidden="2\n"):
        return {
            "id": number,
            "description": text,
            "difficulty": "interview",
            "starter_code": starter,
            "name": "n",
            "sample_io": [{"input": "1\n", "output": ["1\n"]}],
            "test_list": [{"input": "1\n", "output": ["1\n"]}, {"input": hidden, "output": ["2\n"]}],
        }

    rows = [
        row(1),
        row(2, starter="def f(x):"),
        row(1),
        row(4, hidden="1\n"),
    ]
    [problem], skipped = _imported("apps", _file(tmp_path, *rows))
    assert [(t.input, t.output) for t in problem.public_tests + problem.private_tests] == [
        ("1\n", "1\n"),
        ("2\n", "2\n"),
    ]
    assert [s.id for s in skipped] == ["apps/2", "apps/1", "apps/4"]
    assert problem.provenance.difficulty == "interview" and problem.provenance.meta == {"name": "n"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_file_of_another_kind_is_refused_with_its_line(tmp_path, name):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: field '\w+' is missing"):
        _imported(name, _file(tmp_path, {"some": "row"}))
    with pytest.raises(DataError, match="holds no problem"):
        _imported(name, _file(tmp_path))


@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        ("humaneval", "HumanEval.jsonl.gz", 164),
        ("mbpp", "mbpp.jsonl.gz", 974),
        ("apps", "apps_150.jsonl.gz", 150),
    ],
)
def test_of_the_real_files_every_row_is_imported_or_listed(tmp_path, monkeypatch, name, file, rows):
    path = _data(file)
    problems, skipped = _imported(name, path)
    assert len(problems) + sum(s.whole for s in skipped) == rows
    assert all(s.reason for s in skipped)
    for problem in problems:
        public, private = (
            {t.input for t in tests} for tests in (problem.public_tests, problem.private_tests)
        )
        assert public and private and not public & private
    assert read_problems(write_problems(tmp_path / "all.jsonl", problems)) == problems
    monkeypatch.setenv("RLEF_DATA", str(path.parent))
    assert set(load(name, "test").ids()) <= {p.id for p in problems}


def test_the_known_wrong_docstring_example_of_humaneval_47_is_not_a_test():
    problems, skipped = _imported("humaneval", _data("HumanEval.jsonl.gz"))
    median = next(p for p in problems if p.id == "humaneval/47")
    assert "15.0" not in [t.output for t in median.public_tests + median.private_tests]
    assert any(s.id == "humaneval/47" and "contradicts" in s.reason for s in skipped)


def test_of_the_real_files_nearly_all_is_data_and_the_rest_is_counted():
    """What is left out, and what is weak, by name: a change of either is a change of figures."""
    humaneval, left_out = _imported("humaneval", _data("HumanEval.jsonl.gz"))
    mbpp, left_out_too = _imported("mbpp", _data("mbpp.jsonl.gz"))
    assert [s.id for s in (*left_out, *left_out_too) if s.whole] == [
        "humaneval/34",  # these have a single test, or one in code and no other
        "humaneval/38",
        "humaneval/50",
        "mbpp/37",
    ]
    weak = [
        problem.id
        for problem in (*humaneval, *mbpp)
        if any(test.check == "code" for test in problem.public_tests + problem.private_tests)
    ]
    assert weak == [
        *("humaneval/32", "humaneval/33", "humaneval/44", "humaneval/53", "humaneval/151"),
        *("mbpp/367", "mbpp/533", "mbpp/596", "mbpp/601", "mbpp/927"),
    ]
