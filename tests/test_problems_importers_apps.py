"""APPS and TACO as the hub has them, and LiveCodeBench: tests in texts within rows."""

import asyncio
import base64
import json
import pickle
import zlib

import pytest

from judge_help import with_judge
from rlef.errors import DataError
from rlef.judge import Verdict
from rlef.problems.importers import BENCHMARKS, imported
from rlef.problems.jsonl import read_problems, write_problems
from rlef.problems.load import load

APPS, TACO, LCB = (BENCHMARKS[name] for name in ("apps", "taco", "livecodebench"))


def _file(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _io(inputs, outputs, **more):
    return json.dumps({"inputs": inputs, "outputs": outputs, **more})


def apps(number=0, **changes):
    return {
        "problem_id": number,
        "question": "Double n.\n\n-----Examples-----\nInput\n7\n\nOutput\n14\n",
        "solutions": json.dumps(["print(2*int(input()))", "n = input()\nprint(2*int(n))"]),
        "input_output": _io(["5\n", "7\n", "12\n"], ["10\n", "14\n", "24\n"]),
        "difficulty": "interview",
        "url": "https://codeforces.com/problemset/problem/1/A",
        "starter_code": "",
        **changes,
    }


def taco(**changes):
    return {
        "question": "Double n.\n",
        "solutions": json.dumps(["print(2*int(input()))"]),
        "starter_code": "",
        "input_output": _io(["5\n", "7\n"], ["10\n", "14\n"]),
        "difficulty": "MEDIUM_HARD",
        "raw_tags": "['*1200']",
        "name": None,
        "source": "codeforces",
        "tags": "['Dynamic programming', 'Sorting']",
        "skill_types": "['Sorting']",
        "url": "u",
        "Expected Auxiliary Space": None,
        "time_limit": "1.5 seconds",
        "date": "2014-06-02",
        "picture_num": "0",
        "memory_limit": "512.0 megabytes",
        "Expected Time Complexity": "O(n)",
        **changes,
    }


def _one(benchmark, path, row):
    [problem], skipped = imported(benchmark, _file(path, row))
    assert skipped == []
    return problem


def _left_out(benchmark, path, row, good):
    [_], [skipped] = imported(benchmark, _file(path, row, good))
    return skipped.reason


def test_apps_shows_the_tests_that_its_statement_shows(tmp_path):
    problem = _one(APPS, tmp_path / "test.jsonl", apps(4000))
    assert problem.id == "apps/test/4000" and problem.provenance.split == "test"
    assert [t.input for t in problem.public_tests] == ["7\n"]
    assert [t.input for t in problem.private_tests] == ["5\n", "12\n"]
    assert [s.note for s in problem.solutions] == ["reference", ""]
    assert (problem.provenance.difficulty, problem.provenance.url[:22]) == (
        "interview",
        "https://codeforces.com",
    )


def test_a_statement_that_shows_no_test_gives_the_first_away_and_all_shown_keep_one_back(tmp_path):
    plain = _one(APPS, tmp_path / "a.jsonl", apps(question="Double n."))
    assert [t.input for t in plain.public_tests] == ["5\n"] and len(plain.private_tests) == 2
    every = _one(APPS, tmp_path / "b.jsonl", apps(question="5 10 7 14 12 24"))
    assert [t.input for t in every.private_tests] == ["12\n"]
    # A word that only begins like the input is not the input.
    near = _one(APPS, tmp_path / "c.jsonl", apps(question="77 gives 140"))
    assert [t.input for t in near.public_tests] == ["5\n"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "given", "right", "also"),
    [
        # arguments, and a value that stands in a list of its own
        ([[[1, 2], 3], [[], 0]], [[7], [8]], "[[1, 2], 3]", "7", ("[7]",)),
        ([[[1, 2], 3], [[], 0]], [7, 8], "[[1, 2], 3]", "7", ()),
        ([["a"], ["b"]], [[[1, 2]], [[3]]], '["a"]', "[1, 2]", ("[[1, 2]]",)),
        ([["a"], ["b"]], [[1, 2], [3, 4]], '["a"]', "[1, 2]", ()),
        # keys that JSON made texts of
        ([[{"1": 2}], [{}]], [[{"3": 4}], [{}]], '[{"$dict": [[1, 2]]}]', '{"$dict": [[3, 4]]}', None),
        ([[{"a": 2}], [{}]], [{"b": 4}, {}], '[{"a": 2}]', '{"b": 4}', ()),
        ([[], [1]], [None, 1], "[]", "null", ()),
    ],
)
def test_call_tests_of_apps_are_arguments_and_values(tmp_path, inputs, outputs, given, right, also):
    row = apps(
        input_output=_io(inputs, outputs, fn_name="f"), starter_code="class Solution:\n    def f(self, x):"
    )
    problem = _one(APPS, tmp_path / "a.jsonl", row)
    assert problem.form == "call" and problem.entry_point == "f"
    assert "Begin your code like this:" in problem.statement and "def f(self, x):" in problem.statement
    [test] = problem.public_tests
    assert (test.input, test.output) == (given, right)
    assert also is None or test.also == also


def test_lines_in_a_list_are_lines(tmp_path):
    row = apps(input_output=_io([["2", "1 2"], "7"], [["3", "4"], "x\n"]))
    problem = _one(APPS, tmp_path / "a.jsonl", row)
    assert [(t.input, t.output) for t in problem.public_tests] == [("2\n1 2", "3\n4")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input_output": ""}, "no tests"),
        ({"input_output": "{}"}, "no tests"),
        ({"input_output": "{"}, "input_output is not JSON"),
        ({"input_output": _io([], [])}, "no tests"),
        ({"input_output": _io(["1"], ["1", "2"])}, "not lists of the same length"),
        ({"input_output": _io(["1"], ["1"])}, "fewer than two different tests"),
        ({"input_output": _io([1, 2], ["1", "2"])}, "neither text nor lines"),
        ({"input_output": _io(["1", "2"], [1, 2], fn_name="f")}, "arguments of a call are not a list"),
        ({"solutions": "{}"}, None),
        ({"solutions": '{"a": 1}'}, "solutions are not a list of texts"),
    ],
)
def test_what_holds_no_tests_is_left_out_with_the_reason(tmp_path, change, reason):
    if reason is None:
        assert _one(APPS, tmp_path / "a.jsonl", apps(**change)).solutions == ()
    else:
        assert reason in _left_out(APPS, tmp_path / "a.jsonl", apps(1, **change), apps(2))


def test_a_number_longer_than_python_takes_is_kept_exactly(tmp_path):
    row = apps(input_output='{"fn_name": "f", "inputs": [[1], [2]], "outputs": [' + "9" * 5000 + ", 4]}")
    problem = _one(APPS, tmp_path / "a.jsonl", row)
    [test] = problem.public_tests
    assert json.loads(test.output) == {"$int": f"{10**5000 - 1:x}"}


def test_both_forms_of_call_are_judged_by_what_the_function_returns(tmp_path):
    row = apps(input_output=_io([[[3, 1]], [[2, 2, 1]]], [[[1, 3]], [[1, 2, 2]]], fn_name="order"))
    problem = _one(APPS, tmp_path / "a.jsonl", row)
    codes = [
        "def order(x):\n    return sorted(x)",
        "class Solution:\n    def order(self, x):\n        return sorted(x)",
        "def order(x):\n    return [sorted(x)]",  # as the original takes it
        "def order(x):\n    return x",
    ]

    async def work(judge):
        return await asyncio.gather(*(judge.public(problem, code) for code in codes))

    verdicts = [report.verdict for report in with_judge(work)]
    assert verdicts == [Verdict.ACCEPTED] * 3 + [Verdict.WRONG_ANSWER]


def test_taco_has_limits_tags_and_dates(tmp_path):
    problem = _one(TACO, tmp_path / "train" / "data-0.jsonl", taco())
    assert problem.id == "taco/0"  # the file was named, not the folder
    assert (problem.limits.cpu_s, problem.limits.memory_bytes) == (1.5, 512 * 2**20)
    origin = problem.provenance
    assert (origin.date, origin.source, origin.difficulty) == ("2014-06-02", "codeforces", "medium_hard")
    assert origin.tags == ("Dynamic programming", "Sorting")
    assert origin.meta == {
        "raw_tags": "['*1200']",
        "skill_types": "['Sorting']",
        "picture_num": "0",
        "Expected Time Complexity": "O(n)",
    }


@pytest.mark.parametrize(
    ("change", "seconds", "memory"),
    [
        ({"time_limit": None, "memory_limit": None}, 4.0, 256 * 2**20),
        ({"time_limit": "2 seconds", "memory_limit": "65536 kilobytes"}, 2.0, 64 * 2**20),
        ({"time_limit": "", "memory_limit": "1.0 gigabytes"}, 4.0, 2**30),
        ({"time_limit": "soon", "memory_limit": "much"}, 4.0, 256 * 2**20),
        ({"time_limit": "1.0.0 seconds", "memory_limit": "1..2 megabytes"}, 4.0, 256 * 2**20),
    ],
)
def test_limits_of_taco_are_read_with_their_units(tmp_path, change, seconds, memory):
    limits = _one(TACO, tmp_path / "a.jsonl", taco(**change)).limits
    assert (limits.cpu_s, limits.memory_bytes) == (seconds, memory)


@pytest.mark.parametrize(
    ("change", "tags", "date"),
    [
        ({"tags": "[]", "date": None}, (), ""),
        ({"tags": None, "date": "2019-01-02T10:00:00"}, (), "2019-01-02"),
        ({"tags": ["a"], "date": "long ago"}, ("a",), ""),
        ({"tags": "__import__('os')", "date": ""}, ("__import__('os')",), ""),
    ],
)
def test_tags_and_dates_of_taco_in_every_form(tmp_path, change, tags, date):
    origin = _one(TACO, tmp_path / "a.jsonl", taco(**change)).provenance
    assert (origin.tags, origin.date) == (tags, date)


def test_rows_without_an_id_are_numbered_through_the_files_of_a_split(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    for split, shard, count in (("train", 0, 2), ("train", 1, 1), ("test", 0, 1)):
        path = tmp_path / "TACO" / split / f"data-{shard:05}-of-00002.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([taco() for _ in range(count)])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))
    assert load("taco", "train").ids() == ["taco/train/0", "taco/train/1", "taco/train/2"]
    assert load("taco", "test").ids() == ["taco/test/0"]


# -- LiveCodeBench


def _cases(*pairs, testtype="stdin"):
    return json.dumps([{"input": i, "output": o, "testtype": testtype} for i, o in pairs])


def _packed(text):
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


def lcb(number="1", **changes):
    return {
        "question_title": "Doubling",
        "question_content": "Double n.",
        "platform": "atcoder",
        "question_id": f"abc{number}",
        "contest_id": "abc300",
        "contest_date": "2024-09-01T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": _cases(("1\n", "2\n")),
        "private_test_cases": _packed(_cases(("2\n", "4\n"), ("3\n", "6\n"))),
        "metadata": "{}",
        **changes,
    }


FUNCTIONAL = {
    "starter_code": "class Solution:\n    def twice(self, numbers: List[int], more: str) -> int:\n        ",
    "platform": "leetcode",
    "public_test_cases": _cases(('[1, 2]\n"a b"', "[2, 4]"), testtype="functional"),
    "private_test_cases": _cases(('[]\n"\\n"', "[]"), ("[5]\nnull", "[10]"), testtype="functional"),
    "metadata": '{"func_name": "twice"}',
}


def test_livecodebench_reads_both_kinds_of_private_tests(tmp_path):
    open_text = lcb("2", private_test_cases=_cases(("2\n", "4\n"), ("3\n", "6\n")))
    (packed, plain), _ = imported(LCB, _file(tmp_path / "test.jsonl", lcb(), open_text))
    assert packed.id == "livecodebench/abc1"
    assert packed.private_tests == plain.private_tests and len(plain.private_tests) == 2
    assert [t.output for t in packed.public_tests] == ["2\n"]
    origin = packed.provenance
    assert (origin.date, origin.source, origin.difficulty) == ("2024-09-01", "atcoder", "easy")
    assert origin.meta["contest_id"] == "abc300" and origin.meta["question_title"] == "Doubling"
    assert read_problems(write_problems(tmp_path / "out.jsonl", [packed])) == [packed]


def test_arguments_of_a_method_stand_on_lines_of_json(tmp_path):
    problem = _one(LCB, tmp_path / "test.jsonl", lcb(**FUNCTIONAL))
    assert problem.form == "call" and problem.entry_point == "twice"
    assert [(t.input, t.output) for t in problem.public_tests] == [('[[1, 2], "a b"]', "[2, 4]")]
    assert [t.input for t in problem.private_tests] == ['[[], "\\n"]', "[[5], null]"]
    assert "class Solution" in problem.statement
    method = "class Solution:\n    def twice(self, numbers, more):\n        return [2 * n for n in numbers]\n"

    async def work(judge):
        return await judge.judge(problem, method)

    public, hidden = with_judge(work)
    assert public.passed and hidden.passed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"public_test_cases": "[]"}, "no public tests"),
        ({"private_test_cases": "[]"}, "no private tests"),
        ({"private_test_cases": "[1"}, "private_test_cases is not JSON"),
        ({"private_test_cases": _packed("{}")}, "private_test_cases is not a list"),
        ({"private_test_cases": ""}, "private_test_cases is not JSON"),
        ({"public_test_cases": '[{"input": 1, "output": "2"}]'}, "without the texts"),
        ({**FUNCTIONAL, "private_test_cases": _cases(("1", "2"))}, "by calls and by standard input"),
        ({**FUNCTIONAL, "metadata": "{}"}, "metadata names no function"),
        ({**FUNCTIONAL, "metadata": ""}, "metadata names no function"),
        (
            {**FUNCTIONAL, "public_test_cases": _cases(("one", "2"), testtype="functional")},
            "not JSON, one a line",
        ),
    ],
)
def test_livecodebench_rows_that_cannot_be_said_are_listed(tmp_path, change, reason):
    assert reason in _left_out(LCB, tmp_path / "test.jsonl", lcb("1", **change), lcb("2"))


@pytest.fixture
def releases(tmp_path, monkeypatch):
    for number, month in enumerate(
        ["2023-05", "2024-01", "2024-06", "2024-09", "2025-01", "2025-04"], start=1
    ):
        name = f"test{number if number > 1 else ''}.jsonl"
        rows = [lcb(f"{number}{day}", contest_date=f"{month}-{day}T10:00:00") for day in ("01", "15")]
        _file(tmp_path / "code_generation_lite" / name, *rows)
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))


def test_releases_are_the_files_up_to_them(releases):
    for count in range(1, 7):
        assert len(load(f"livecodebench@release_v{count}", "test")) == 2 * count
    assert len(load("livecodebench", "test")) == 12


def test_a_release_with_a_file_missing_is_not_taken_for_whole(releases, tmp_path):
    (tmp_path / "code_generation_lite" / "test3.jsonl").unlink()
    assert len(load("livecodebench@release_v2", "test")) == 4
    with pytest.raises(DataError, match=r"has not all of livecodebench@release_v5; it lacks test3\.jsonl"):
        load("livecodebench@release_v5", "test")


def test_windows_of_days_begin_with_the_first_and_end_before_the_last(releases):
    def days(**window):
        return [p.provenance.date for p in load("livecodebench", "test", **window)]

    assert days(after="2025-01-15") == ["2025-01-15", "2025-04-01", "2025-04-15"]
    assert days(before="2023-05-15") == ["2023-05-01"]
    assert days(after="2024-01-01", before="2024-06-15") == ["2024-01-01", "2024-01-15", "2024-06-01"]
    with pytest.raises(DataError, match="no problems of these days; they are of 2023-05-01 to 2025-04-15"):
        load("livecodebench", "test", after="2026-01-01")
    with pytest.raises(DataError, match=r"data\.before is 'May'; write a day as 2024-05-31"):
        load("livecodebench", "test", before="May")
    with pytest.raises(DataError, match="does not say when its problems were published"):
        load("basics", "test", after="2024-01-01")


def test_problems_without_a_day_are_in_no_window(tmp_path):
    path = _file(tmp_path / "test.jsonl", lcb("1"), lcb("2", contest_date=""))
    assert load(f"livecodebench:{path}", "test", before="2030-01-01").ids() == ["livecodebench/abc1"]


def test_an_example_is_an_input_with_its_output_soon_after_it(tmp_path):
    question = "There are 5 or 10 of them. Input: 7 Output: 14 " + "and more words " * 20 + "12. Then 24."
    problem = _one(APPS, tmp_path / "a.jsonl", apps(question=question))
    assert [t.input for t in problem.public_tests] == ["5\n", "7\n"]  # five or ten might be an example
    far = question.replace("5 or 10", "5 " + "of the many words " * 5 + "10")
    problem = _one(APPS, tmp_path / "b.jsonl", apps(question=far))
    assert [t.input for t in problem.public_tests] == ["7\n"]
