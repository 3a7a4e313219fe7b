"""The JSONL form loses nothing and refuses what it does not know."""

import gzip
import json
import tracemalloc
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.errors import DataError
from rlef.problems.basics import open_split
from rlef.problems.jsonl import json_lines, problem_to_row, read_problems, row_to_problem, write_problems
from rlef.problems.types import (
    Checker,
    CheckerFile,
    Comparison,
    Limits,
    Problem,
    Provenance,
    Solution,
    TestCase,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TEXT = st.text(alphabet=st.characters(), max_size=20)  # lone surrogates included
ALSO = st.lists(TEXT, max_size=2).map(tuple)
TESTS = st.lists(st.builds(TestCase, input=TEXT, output=TEXT, also=ALSO), min_size=1, max_size=3).map(tuple)
STDIN = st.builds(
    Problem,
    id=st.text(min_size=1, max_size=9),
    statement=TEXT,
    public_tests=TESTS,
    private_tests=TESTS | st.just(()),
    generated_tests=TESTS | st.just(()),
    comparison=st.sampled_from([mode for mode in get_args(Comparison) if mode != "checker"]),
    limits=st.builds(
        Limits,
        cpu_s=st.floats(0.1, 9),
        memory_bytes=st.integers(1, 2**40),
        output_bytes=st.integers(1, 2**40),
    ),
    solutions=st.lists(st.builds(Solution, code=TEXT, verdict=TEXT, note=TEXT), max_size=2).map(tuple),
    provenance=st.builds(
        Provenance,
        dataset=TEXT,
        split=TEXT,
        family=TEXT,
        difficulty=TEXT,
        license=TEXT,
        visible=st.dictionaries(TEXT, JSON, max_size=2),
        hidden=st.dictionaries(TEXT, JSON, max_size=2),
    ),
)
FILE_NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=9).filter(lambda name: name[0] not in ".-")
CHECKED = st.builds(
    Problem,
    id=st.text(min_size=1, max_size=9),
    statement=TEXT,
    public_tests=st.lists(st.builds(TestCase, input=TEXT, output=TEXT), min_size=1, max_size=3).map(tuple),
    comparison=st.just("checker"),
    checker=st.builds(
        Checker,
        source=TEXT.filter(str.strip),
        language=TEXT,
        files=st.lists(
            st.builds(CheckerFile, name=FILE_NAMES, text=TEXT), max_size=2, unique_by=lambda file: file.name
        ).map(tuple),
        limits=st.builds(Limits, cpu_s=st.floats(0.1, 9)),
    ),
)
CALL = Problem(
    id="call/1",
    statement="f",
    public_tests=(TestCase(input="[1]", output="2"),),
    form="call",
    entry_point="f",
)
TEST = {"input": "1", "output": "2"}
ROW = {"id": "a", "statement": "s", "public_tests": [TEST]}
CHECKER = {"comparison": "checker", "checker": {"source": "exit(0)"}}
CALLED, CALL_TEST = {"form": "call", "entry_point": "f"}, {"input": "[1]", "output": "2"}


@settings(max_examples=150, deadline=None)
@given(STDIN | CHECKED | st.just(CALL))
def test_a_problem_survives_its_row_as_text(problem):
    text = json.dumps(problem_to_row(problem))
    assert row_to_problem(json.loads(text)) == problem


def test_further_outputs_are_a_list_and_rows_without_them_are_as_before():
    assert problem_to_row(row_to_problem(ROW)) == ROW
    more = {**ROW, "public_tests": [{**TEST, "also": ["3", "4"]}]}
    problem = row_to_problem(more)
    assert problem.public_tests == (TestCase(input="1", output="2", also=("3", "4")),)
    assert problem_to_row(problem) == more


def test_a_call_test_may_hold_tagged_data_a_check_or_code():
    tests = [
        {"input": '[{"$tuple": [1]}]', "output": '{"$set": [1]}'},
        {"input": "[1]", "output": "0.3", "check": "below:1e-06"},
        {"input": "assert f(1) == 2", "output": "", "check": "code"},
    ]
    row = {**ROW, **CALLED, "public_tests": tests}
    assert problem_to_row(row_to_problem(row)) == row


@pytest.mark.parametrize("name", ["set.jsonl", "set.jsonl.gz"])
def test_files_give_back_what_was_written_and_same_problems_give_same_bytes(tmp_path, name):
    problems = [*open_split("valid"), CALL]
    path = write_problems(tmp_path / "deep" / name, problems)
    assert read_problems(path) == problems
    assert path.read_bytes() == write_problems(tmp_path / name, problems).read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == [name]


def _refusal(tmp_path, *lines, name="bad.jsonl"):
    path = tmp_path / name
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError) as caught:
        read_problems(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_field_is_refused_with_place_and_nearest_name(tmp_path):
    message = _refusal(tmp_path, ROW, {**ROW, "id": "b", "statment": "s"})
    assert "bad.jsonl:2:" in message and "'statment'" in message and "'statement'" in message


def test_an_unknown_field_deep_inside_is_named_by_its_path(tmp_path):
    message = _refusal(tmp_path, {**ROW, "public_tests": [{"input": "1", "output": "2", "outptu": "2"}]})
    assert "bad.jsonl:1:" in message and "'public_tests[0].outptu'" in message and "'output'" in message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"statement": 3}, "statement must be text, not a whole number"),
        ({"public_tests": "12"}, "public_tests must be a list, not text"),
        ({"public_tests": [{"input": "1"}]}, "field 'public_tests[0].output' is missing"),
        ({"limits": {"cpu_s": -1}}, "limits must be positive"),
        ({"limits": {"cpu_s": 1e300}}, "limits must be positive, at most 1e8 s"),
        ({"limits": {"memory_bytes": 0}}, "limits must be positive"),
        ({"limits": {"cpu_s": "2"}}, "limits.cpu_s must be a number or a whole number"),
        ({"limits": {"memory_bytes": True}}, "limits.memory_bytes must be a whole number, not true or false"),
        ({"form": "sdtin"}, "did you mean 'stdin'"),
        ({"comparison": "token"}, "did you mean 'tokens'"),
        (
            {"comparison": "any_of"},
            "comparison must be one of tokens, unordered, lines, exact, deepmind, checker",
        ),
        ({"public_tests": [{**TEST, "also": "3"}]}, "public_tests[0].also must be a list, not text"),
        ({"public_tests": [{**TEST, "also": ["3", 4]}]}, "public_tests[0].also[1] must be text, not a whole"),
        ({**CALLED, "public_tests": [{**CALL_TEST, "also": ["3", "x"]}]}, "also[1] must be JSON"),
        ({"comparison": "checker"}, "checker is missing; the comparison 'checker' needs the program"),
        ({**CHECKER, "comparison": "lines"}, "comparison is 'lines'; make it 'checker'"),
        ({"checker": {"source": "x"}}, "comparison is 'tokens'; make it 'checker'"),
        ({**CHECKER, "checker": "exit(0)"}, "checker must be an object, not text"),
        ({**CHECKER, "checker": {}}, "field 'checker.source' is missing"),
        ({**CHECKER, "checker": {"source": " \n"}}, "checker.source is empty"),
        ({**CHECKER, "checker": {"source": "x", "code": "y"}}, "unknown field 'checker.code'"),
        ({**CHECKER, "checker": {"source": "x", "files": [{"name": "a"}]}}, "checker.files[0].text"),
        ({**CHECKER, "checker": {"source": "x", "limits": {"cpu_s": "1"}}}, "checker.limits.cpu_s must be"),
        ({**CHECKER, **CALLED, "public_tests": [CALL_TEST]}, "form must be 'stdin'"),
        (
            {**CHECKER, "public_tests": [{**TEST, "also": ["3"]}]},
            "public_tests list further outputs in 'also'",
        ),
        ({**CALLED, "public_tests": [{**CALL_TEST, "output": '{"$what": 1}'}]}, "unknown tag '$what'"),
        ({**CALLED, "public_tests": [{**CALL_TEST, "input": '{"$tuple": []}'}]}, "must be a JSON list of"),
        ({**CALLED, "public_tests": [{**CALL_TEST, "check": "same"}]}, "no such check: 'same'"),
        ({"public_tests": []}, "no tests"),
        ({"id": ""}, "id is empty"),
        ({"form": "call"}, "entry_point is missing"),
        ({"form": "call", "entry_point": "f"}, "public_tests[0].input must be a JSON list"),
        ({"provenance": {"visible": []}}, "provenance.visible must be an object"),
        ({"provenance": []}, "provenance must be an object, not a list"),
    ],
)
def test_a_bad_value_is_refused_by_name(tmp_path, change, named):
    message = _refusal(tmp_path, {**ROW, **change})
    assert named in message and "bad.jsonl:1" in message


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "input.txt", "a b", ".x", "-x", "x\n", "testlib.h"]
)
def test_a_file_of_a_checker_has_a_plain_name_of_its_own(tmp_path, name):
    files = [{"name": "testlib.h", "text": ""}, {"name": name, "text": ""}]
    message = _refusal(tmp_path, {**ROW, **CHECKER, "checker": {"source": "x", "files": files}})
    assert "checker.files[1].name" in message and "plain name" in message


def test_no_checker_may_be_said_in_so_many_words():
    assert row_to_problem({**ROW, "checker": None}) == row_to_problem(ROW)


def test_a_missing_field_a_bad_line_and_a_repeated_id_are_named_with_their_line(tmp_path):
    assert "bad.jsonl:1: field 'public_tests' is missing" in _refusal(tmp_path, {"id": "a", "statement": "s"})
    assert "bad.jsonl:3: not valid JSON" in _refusal(tmp_path, ROW, "\n", '{"id": ')
    assert "bad.jsonl:1: not valid JSON" in _refusal(tmp_path, '{"id": NaN}\n')
    assert "bad.jsonl:1: the row must be an object" in _refusal(tmp_path, "[1]\n")
    assert "bad.jsonl:2: id 'a' is there twice" in _refusal(tmp_path, ROW, ROW)


@pytest.mark.parametrize("name", ["set.jsonl", "set.jsonl.gz"])
def test_problems_are_written_and_read_one_at_a_time(tmp_path, name):
    """Thirty problems of 2 MB: neither the whole text nor the whole list is ever in memory."""

    def problems():
        for number in range(30):
            yield replace(CALL, id=str(number), statement=f"{number:02d}" * 2**20)

    tracemalloc.start()
    try:
        path = write_problems(tmp_path / name, problems())
        ids = [row["id"] for _, row in json_lines(path)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ids == [str(number) for number in range(30)]
    assert peak < 30 * 2**21 / 2


@pytest.mark.parametrize("end", [KeyboardInterrupt, DataError("no")])
def test_a_file_that_is_not_finished_leaves_the_old_one_and_nothing_else(tmp_path, end):
    path = write_problems(tmp_path / "set.jsonl", [CALL])
    before = path.read_bytes()

    def problems():
        yield CALL
        raise end

    with pytest.raises((KeyboardInterrupt, DataError)):
        write_problems(path, problems())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_empty_missing_or_damaged_file_is_one_line(tmp_path):
    assert "holds no problems" in _refusal(tmp_path, "")
    assert "can't read" in _refusal(tmp_path, "text", name="plain.jsonl.gz")
    with pytest.raises(DataError, match="No such file"):
        read_problems(tmp_path / "none.jsonl")
    whole = gzip.compress(json.dumps(ROW).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-9])
    with pytest.raises(DataError, match="cut off"):
        read_problems(tmp_path / "cut.jsonl.gz")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(DataError, match=r"latin\.jsonl:1: not valid JSON \('utf-8'"):
        read_problems(tmp_path / "latin.jsonl")


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, float("nan"), {1, 2}])
def test_parameters_that_json_would_change_are_not_written(tmp_path, value):
    problem = row_to_problem(ROW)
    changed = Problem(
        id="a",
        statement="s",
        public_tests=problem.public_tests,
        provenance=Provenance(visible={"k": value}),
    )
    with pytest.raises(DataError, match="'a'"):
        write_problems(tmp_path / "out.jsonl", [changed])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't write"):
        write_problems(tmp_path / "file" / "out.jsonl", [CALL])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"input_file": "../input.txt"}, "input_file '../input.txt' is no plain name"),
        ({"output_file": "a b"}, "output_file 'a b' is no plain name"),
        ({**CALLED, "public_tests": [CALL_TEST], "input_file": "input.txt"}, "form must be 'stdin'"),
    ],
)
def test_files_of_input_and_output_have_plain_names_and_are_for_programs(tmp_path, change, named):
    assert named in _refusal(tmp_path, {**ROW, **change})


def test_where_a_problem_comes_from_is_kept():
    provenance = {
        "date": "2024-05-31",
        "source": "codeforces",
        "url": "u",
        "tags": ["dp"],
        "meta": {"cf_rating": 1200},
    }
    solutions = [{"code": "c", "verdict": "rejected", "language": "java"}]
    row = {**ROW, "input_file": "input.txt", "provenance": provenance, "solutions": solutions}
    assert problem_to_row(row_to_problem(row)) == row
