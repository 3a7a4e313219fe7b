"""Importers: what is expressible is imported whole, the rest is listed, nothing is executed."""

import json
import os
from pathlib import Path

import pytest

from rlef.errors import DataError
from rlef.problems.importers import import_apps, import_humaneval, import_mbpp
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
    doc = "    >>> f(1, -2)\n    [1, 2.5]\n    f(5, (1 + 1)) == 2\n    f([')'], 6) ➞ 7."
    [problem], skipped = import_humaneval(_file(tmp_path, _humaneval(checks, doc)))
    assert problem.id == "humaneval/7" and problem.entry_point == "f" and problem.form == "call"
    assert _pairs(problem.public_tests) == [([1, -2], [1, 2.5]), ([[")"], 6], 7)]
    assert _pairs(problem.private_tests) == [(["x", {"k": None}], [True, "y"]), ([3, 4], None)]
    assert [(s.whole, "not a literal" in s.reason) for s in skipped] == [(False, True)]
    assert problem.solutions[0].code.endswith("return a\n")


def test_a_docstring_example_that_contradicts_an_assert_is_left_out_and_listed(tmp_path):
    checks = ["assert candidate(1, 2) == 3", "assert candidate(2, 2) == 4"]
    [problem], [skipped] = import_humaneval(_file(tmp_path, _humaneval(checks, "    f(1, 2) => 9")))
    assert "contradicts" in skipped.reason and not skipped.whole
    assert _pairs(problem.public_tests) == [([1, 2], 3)] and _pairs(problem.private_tests) == [([2, 2], 4)]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("assert abs(candidate(1, 2) - 0.3) < 1e-6", "not a call compared with a literal"),
        ("for i in range(9): assert candidate(i, i) == i", "not an assert"),
        ("assert candidate((1, 2), 3) == 4", "JSON has no form for (1, 2)"),
        ("assert candidate({1: 2}, 3) == 4", "JSON has no form"),
        ("assert candidate(1, 2) == {3, 4}", "JSON has no form"),
        ("assert candidate(1, 2) == 1e999", "JSON has no form"),
        ("assert candidate(open('owned', 'w'), 2) == 3", "not a literal"),
        ("assert candidate(1, b=2) == 3", "not a call compared with a literal"),
        ("assert candidate(1, 2) == 3 +", "not readable as Python"),
        ("assert candidate(0, 0) == 0", "fewer than two"),
    ],
)
def test_one_assert_that_cannot_be_said_leaves_the_whole_problem_out(tmp_path, monkeypatch, check, reason):
    monkeypatch.chdir(tmp_path)
    good = {
        **_humaneval(["assert candidate(0, 0) == 0", "assert candidate(1, 1) == 1"]),
        "task_id": "HumanEval/8",
    }
    path = _file(tmp_path, _humaneval(["assert candidate(0, 0) == 0", check]), good)
    problems, [skipped] = import_humaneval(path)
    assert [p.id for p in problems] == ["humaneval/8"]
    assert skipped.id == "humaneval/7" and skipped.whole and reason in skipped.reason
    assert not (tmp_path / "owned").exists()


def test_dataset_code_is_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = _humaneval(["assert candidate(0, 0) == 0", "assert candidate(1, 1) == 1"])
    evil = "open('owned', 'w').close()\n"
    row = {**row, "test": evil + row["test"], "prompt": evil + row["prompt"], "canonical_solution": evil}
    assert len(import_humaneval(_file(tmp_path, row))[0]) == 1
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

    problems, [skipped] = import_mbpp(_file(tmp_path, *map(row, (10, 11, 511, 601)), row(5, "import os")))
    assert [p.provenance.split for p in problems] == ["prompt", "test", "valid", "train"]
    assert skipped.id == "mbpp/5" and "set-up" in skipped.reason
    assert "assert g([1]) == (1,)" in problems[0].statement and "[2]" not in problems[0].statement
    assert _pairs(problems[0].public_tests) == [([[1]], [1])]
    assert _pairs(problems[0].private_tests) == [([[2]], [2]), ([[]], [])]
    assert "\r" not in problems[0].solutions[0].code


def test_apps_takes_stdin_problems_and_lists_the_others(tmp_path):
    def row(number, text="Print it.", starter="", hidden="2\n"):
        return {
            "id": number,
            "description": text,
            "difficulty": "interview",
            "starter_code": starter,
            "sample_io": [{"input": "1\n", "output": ["1\n"]}],
            "test_list": [{"input": "1\n", "output": ["1\n"]}, {"input": hidden, "output": ["2\n"]}],
        }

    rows = [
        row(1),
        row(2, starter="def f(x):"),
        row(3, "If there are several answers, print any of them."),
        row(1),
        row(4, hidden="1\n"),
    ]
    [problem], skipped = import_apps(_file(tmp_path, *rows))
    assert [(t.input, t.output) for t in problem.public_tests + problem.private_tests] == [
        ("1\n", "1\n"),
        ("2\n", "2\n"),
    ]
    assert [s.id for s in skipped] == ["apps/2", "apps/3", "apps/1", "apps/4"]
    assert problem.provenance.difficulty == "interview"


@pytest.mark.parametrize("importer", [import_humaneval, import_mbpp, import_apps])
def test_a_file_of_another_kind_is_refused_with_its_line(tmp_path, importer):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: field '\w+' is missing"):
        importer(_file(tmp_path, {"some": "row"}))
    with pytest.raises(DataError, match="holds no problem"):
        importer(_file(tmp_path))


@pytest.mark.parametrize(
    ("name", "file", "importer", "rows"),
    [
        ("humaneval", "HumanEval.jsonl.gz", import_humaneval, 164),
        ("mbpp", "mbpp.jsonl.gz", import_mbpp, 974),
        ("apps", "apps_150.jsonl.gz", import_apps, 150),
    ],
)
def test_of_the_real_files_every_row_is_imported_or_listed(tmp_path, monkeypatch, name, file, importer, rows):
    path = _data(file)
    problems, skipped = importer(path)
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
    problems, skipped = import_humaneval(_data("HumanEval.jsonl.gz"))
    median = next(p for p in problems if p.id == "humaneval/47")
    assert "15.0" not in [t.output for t in median.public_tests + median.private_tests]
    assert any(s.id == "humaneval/47" and "contradicts" in s.reason for s in skipped)
