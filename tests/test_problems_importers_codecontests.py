"""CodeContests and CodeContests+: every column arrives, and what is judged is judged as the set means it."""

import asyncio
import json
from dataclasses import replace

import pytest

from judge_help import with_judge
from rlef.errors import DataError, SandboxUnavailable
from rlef.judge import Verdict
from rlef.problems.importers import BENCHMARKS, Options, imported, stream
from rlef.problems.jsonl import read_problems, write_problems
from rlef.problems.load import load
from rlef.problems.types import REJECTED
from rlef.sandbox.languages import find
from rlef.sandbox.languages.tools import tool

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CODECONTESTS, PLUS = BENCHMARKS["codecontests"], BENCHMARKS["codecontests+"]


def _tests(*pairs):
    return {"input": [given for given, _ in pairs], "output": [right for _, right in pairs]}


def row(name="1_A. Doubling", **changes):
    """A row with the columns of the hub's parquet files."""
    return {
        "name": name,
        "description": "Read n, print 2n.\n\nExamples\n\nInput\n\n1\n\nOutput\n\n2\n",
        "public_tests": _tests(("1\n", "2\n")),
        "private_tests": _tests(("2\n", "4\n"), ("3\n", "6\n")),
        "generated_tests": _tests(("1\n", "2\n"), ("5\n", "10\n")),
        "source": 2,
        "difficulty": 7,
        "solutions": {
            "language": [3, 1, 2, 4, 0],
            "solution": ["print(2*int(input()))", "print 2*input()", "int main(){}", "class A{}", "?"],
        },
        "incorrect_solutions": {"language": [3, 3], "solution": ["print(int(input())**2)", "1/0"]},
        "cf_contest_id": 1,
        "cf_index": "A",
        "cf_points": 500.0,
        "cf_rating": 800,
        "cf_tags": ["math", "implementation"],
        "is_description_translated": False,
        "untranslated_description": "",
        "time_limit": {"seconds": 1, "nanos": 500_000_000},
        "memory_limit_bytes": 256_000_000,
        "input_file": "",
        "output_file": "",
        **changes,
    }


def _folder(tmp_path, **splits):
    folder = tmp_path / "code_contests" / "data"
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00000-of-00001-9c.parquet")
    return folder.parent


def _all(folder, **options):
    return imported(CODECONTESTS, folder, options=Options(**options))


def test_every_column_of_a_row_is_in_the_problem(tmp_path):
    [problem], skipped = _all(_folder(tmp_path, test=[row()]))
    assert skipped == [] and problem.id == "codecontests/codeforces/1_A.-Doubling"
    assert [t.input for t in problem.public_tests] == ["1\n"]
    assert [t.output for t in problem.private_tests] == ["4\n", "6\n"]
    assert [t.input for t in problem.generated_tests] == ["1\n", "5\n"]
    assert problem.comparison == "deepmind" and problem.form == "stdin"
    assert (problem.limits.cpu_s, problem.limits.memory_bytes) == (1.5, 256_000_000)
    assert [(s.language, s.verdict) for s in problem.solutions] == [
        ("python", "accepted"),
        ("python2", "accepted"),
        ("cpp17", "accepted"),
        ("java", "accepted"),
        ("unknown", "accepted"),
        ("python", REJECTED),
        ("python", REJECTED),
    ]
    origin = problem.provenance
    assert (origin.dataset, origin.split, origin.source) == ("codecontests", "test", "codeforces")
    assert (origin.difficulty, origin.tags) == ("a", ("math", "implementation"))
    assert origin.url == "https://codeforces.com/contest/1/problem/A"
    assert origin.meta == {
        "name": "1_A. Doubling",
        "cf_contest_id": 1,
        "cf_index": "A",
        "cf_points": 500.0,
        "cf_rating": 800,
        "is_description_translated": False,
    }


@pytest.mark.parametrize("limit", [None, {"seconds": 0, "nanos": 0}, {"seconds": None, "nanos": None}])
def test_where_there_are_no_limits_the_papers_hold(tmp_path, limit):
    rows = [row(time_limit=limit, memory_limit_bytes=0)]
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(rows[0]) + "\n")
    [problem], _ = _all(path)
    assert (problem.limits.cpu_s, problem.limits.memory_bytes) == (10.0, 10**9)


def test_training_problems_without_private_tests_are_left_out_as_in_the_paper(tmp_path):
    none, many = _tests(), row()["private_tests"]
    rows = [
        row("a"),
        row("b", private_tests=none),
        row("c", public_tests=none),
        row("d", private_tests=none, generated_tests=none),
        row("e", generated_tests=none),
        row("a", private_tests=many),
    ]
    folder = _folder(tmp_path, train=rows, test=rows)
    train, left_out = imported(CODECONTESTS, folder, split="train")
    assert [p.id for p in train] == ["codecontests/codeforces/a", "codecontests/codeforces/e"]
    assert [(s.id, s.reason.split(";")[0]) for s in left_out] == [
        ("codecontests/codeforces/b", "no private tests"),
        ("codecontests/codeforces/c", "no public tests"),
        ("codecontests/codeforces/d", "no private or generated tests"),
        ("codecontests/codeforces/a", "the same id stands in an earlier row"),
    ]
    test, _ = imported(CODECONTESTS, folder, split="test")
    whole, _ = imported(CODECONTESTS, folder, split="train", options=Options(filtered=False))
    for problems in (test, whole):
        assert [p.id for p in problems] == [
            "codecontests/codeforces/a",
            "codecontests/codeforces/b",
            "codecontests/codeforces/e",
        ]


def test_solutions_may_be_few_or_none_and_are_then_not_even_read(tmp_path, monkeypatch):
    folder = _folder(tmp_path, test=[row()])
    [one], _ = _all(folder, solutions=1)
    assert [(s.language, s.verdict) for s in one.solutions] == [("python", "accepted"), ("python", REJECTED)]
    read = []
    real = parquet.ParquetFile.iter_batches

    def spy(self, *words, columns=None, **options):
        read.append(columns)
        return real(self, *words, columns=columns, **options)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", spy)
    [none], _ = _all(folder, solutions=0)
    assert none == replace(one, solutions=())
    assert "solutions" not in read[0] and "incorrect_solutions" not in read[0] and "name" in read[0]


@pytest.mark.parametrize(
    "change",
    [
        {"public_tests": {"input": ["1"], "output": []}},
        {"public_tests": {"input": "1", "output": "2"}},
        {"private_tests": {"input": [1], "output": [2]}},
        {"solutions": {"language": [3], "solution": [None]}},
    ],
)
def test_columns_that_do_not_fit_are_one_line_with_their_row(tmp_path, change):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row()) + "\n" + json.dumps(row("b", **change)) + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: \w+ must hold"):
        _all(path)


def test_names_that_agree_between_sources_are_two_problems(tmp_path):
    problems, skipped = _all(_folder(tmp_path, test=[row("sum", source=1), row("sum", source=3)]))
    assert [p.id for p in problems] == ["codecontests/codechef/sum", "codecontests/hackerearth/sum"]
    assert skipped == []


def test_what_was_imported_survives_the_jsonl_form_and_opens_by_name(tmp_path, monkeypatch):
    folder = _folder(tmp_path, train=[row("x")], valid=[row("y")], test=[row("z")])
    problems, _ = _all(folder)
    assert read_problems(write_problems(tmp_path / "all.jsonl.gz", problems)) == problems
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))
    assert load("codecontests", "valid").ids() == ["codecontests/codeforces/y"]
    one_file = folder / "data" / "test-00000-of-00001-9c.parquet"
    assert load(f"codecontests:{one_file}", "test").ids() == ["codecontests/codeforces/z"]
    with pytest.raises(DataError, match="no split 'train'; its splits are test"):
        load(f"codecontests:{one_file}", "train")


def test_known_programs_get_their_verdicts(tmp_path):
    files = {"input_file": "input.txt", "output_file": "output.txt"}
    by_file = "n = int(open('input.txt').read())\nopen('output.txt', 'w').write(str(2 * n))"
    solved = {"language": [3], "solution": [by_file]}
    problems, _ = _all(_folder(tmp_path, test=[row("a"), row("b", **files, solutions=solved)]))
    assert problems[1].input_file == "input.txt" and problems[1].output_file == "output.txt"

    async def work(judge):
        return [found for problem in problems for found in await judge.certify(problem)]

    assert with_judge(work) == []  # Python 2, Java and the others do not run


# -- CodeContests+

CHECKER = """
#include "testlib.h"
#include <cstdio>
int main(int argc, char* argv[]) {
    long want, got;
    FILE* output = fopen(argv[2], "r");
    FILE* answer = fopen(argv[3], "r");
    if (fscanf(output, "%ld", &got) != 1 || fscanf(answer, "%ld", &want) != 1) return 2;
    return (got - want) % TESTLIB_MODULUS != 0;
}
"""
TESTLIB = "#define TESTLIB_MODULUS 10\n"


def plus_row(number="1_A", **changes):
    """A row with the columns of parts 1x to 5x."""
    return {
        "source": "Codeforces",
        "id": number,
        "title": "Doubling",
        "description": "Read n, print 2n modulo 10.\n\nInput\n\n7\n\nOutput\n\n4\n",
        "time_limit": 2000,
        "memory_limit": 256,
        "validator": "v",
        "generator": "g",
        "generator_cmd": "./gen -n 3",
        "checker": CHECKER,
        "correct_submissions": [
            {"code": "print(2*int(input())%10)", "language": "py3"},
            {"code": "print(2*int(input()))", "language": "py3"},
            {"code": "print 2*input()", "language": "py2"},
            {"code": "int main(){}", "language": "cpp"},
        ],
        "incorrect_submissions": [{"code": "print(input())", "language": "py3"}],
        "test_cases": [{"input": str(n), "output": str(2 * n % 10)} for n in (5, 7, 12)],
        "true_positive_rate": 0.99,
        "true_negative_rate": 0.9,
        **changes,
    }


def _plus(tmp_path, *rows, testlib=TESTLIB):
    part = tmp_path / "Code-Contests-Plus" / "ccplus_1x"
    part.mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), part / "part-00000-of-00001.parquet")
    other = part.parent / "ccplus_2x"
    other.mkdir()
    twice = [one | {"id": f"{one['id']}-2x"} for one in rows]
    parquet.write_table(pa.Table.from_pylist(twice), other / "part-00000-of-00001.parquet")
    if testlib:
        (part.parent / "testlib.h").write_text(testlib)
    return part.parent


def test_a_problem_of_codecontests_plus_has_its_checker_limits_and_rates(tmp_path):
    [problem], _ = imported(PLUS, _plus(tmp_path, plus_row()))
    assert problem.id == "codecontests+/codeforces/1_A" and problem.comparison == "checker"
    assert problem.checker.language == "cpp17" and problem.checker.files[0].text == TESTLIB
    assert (problem.limits.cpu_s, problem.limits.memory_bytes) == (2.0, 256 * 2**20)
    assert [t.input for t in problem.public_tests] == ["7"]  # what the statement shows
    assert [t.input for t in problem.private_tests] == ["5", "12"]
    assert [s.language for s in problem.solutions] == ["python", "python", "python2", "cpp17", "python"]
    assert problem.provenance.meta == {
        "title": "Doubling",
        "validator": "v",
        "generator": "g",
        "generator_cmd": "./gen -n 3",
        "true_positive_rate": 0.99,
        "true_negative_rate": 0.9,
    }


def test_parts_are_chosen_by_name_and_1x_is_meant_without_one(tmp_path, monkeypatch):
    _plus(tmp_path, plus_row())
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))
    assert load("codecontests+", "train").ids() == ["codecontests+/codeforces/1_A"]
    assert load("codecontests+@2x", "train").ids() == ["codecontests+/codeforces/1_A-2x"]
    with pytest.raises(DataError, match=r"has not all of codecontests\+@3x; it lacks ccplus_3x"):
        load("codecontests+@3x", "train")
    with pytest.raises(DataError, match="has no part '9x'; its parts are 1x, 2x, 3x, 4x, 5x"):
        load("codecontests+@9x", "train")


def test_without_testlib_it_is_said_where_to_get_it_and_another_place_may_be_named(tmp_path, monkeypatch):
    folder = _plus(tmp_path, plus_row(), testlib="")
    with pytest.raises(DataError, match=r"include testlib\.h: get it from .*RLEF_TESTLIB"):
        imported(PLUS, folder)
    monkeypatch.setenv("RLEF_TESTLIB", str(tmp_path / "gone.h"))
    with pytest.raises(DataError, match="which is no file"):
        imported(PLUS, folder)
    (tmp_path / "mine.h").write_text(TESTLIB)
    monkeypatch.setenv("RLEF_TESTLIB", str(tmp_path / "mine.h"))
    [problem], _ = imported(PLUS, folder)
    assert problem.checker.files[0].text == TESTLIB


def test_problems_without_a_checker_are_compared_and_those_without_tests_left_out(tmp_path):
    rows = [plus_row("a", checker=""), plus_row("b", test_cases=[])]
    found = list(stream(PLUS, _plus(tmp_path, *rows, testlib="")))
    assert (found[0].comparison, found[0].checker) == ("deepmind", None)
    assert "no tests; parts 1x to 5x have them" in found[1].reason


def test_the_checker_decides_in_the_sandbox(tmp_path):
    try:
        tool(find("cpp17"))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    [problem], _ = imported(PLUS, _plus(tmp_path, plus_row()))

    async def work(judge):
        codes = ["print(2*int(input()))", "print(2*int(input())+10)", "print(2*int(input())+1)"]
        return await asyncio.gather(*(judge.judge(problem, code) for code in codes))

    verdicts = [(public if hidden is None else hidden).verdict for public, hidden in with_judge(work)]
    assert verdicts == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.WRONG_ANSWER]
