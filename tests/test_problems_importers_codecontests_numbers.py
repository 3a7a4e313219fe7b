"""CodeContests' numbers, and the JSON of its own converter: names are those of the protocol buffer."""

import json

import pytest

from rlef.problems.importers import BENCHMARKS, imported
from test_problems_importers_codecontests import row

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _problems(path):
    problems, skipped = imported(BENCHMARKS["codecontests"], path)
    assert skipped == []
    return problems


def _hub(folder, *rows):
    path = folder / "test-00000-of-00001.parquet"
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    return _problems(path)


def _json(folder, *rows):
    path = folder / "code_contests_test.json"
    path.write_text(json.dumps(rows))
    return _problems(path)


# The enumerations of contest_problem.proto, with their gaps.
PROTO_SOURCES = {1: "codechef", 2: "codeforces", 3: "hackerearth", 4: "codejam", 6: "atcoder", 7: "aizu"}
PROTO_DIFFICULTIES = {0: "", 1: "easy", 5: "hardest", 6: "external", 7: "a", 17: "k", 19: "l", 29: "v"}


@pytest.mark.parametrize(("number", "name"), PROTO_DIFFICULTIES.items())
def test_difficulties_are_numbered_as_in_the_protocol_buffer_on_the_hub_too(tmp_path, number, name):
    [problem] = _hub(tmp_path, row(difficulty=number))
    assert problem.provenance.difficulty == name


def test_sources_are_counted_without_gaps_on_the_hub(tmp_path):
    problems = _hub(tmp_path, *(row(str(number), source=number) for number in range(7)))
    names = ["", "codechef", "codeforces", "hackerearth", "codejam", "atcoder", "aizu"]
    assert [p.provenance.source for p in problems] == names


def converted(source=2, time_limit="seconds: 1\nnanos: 500000000\n", **changes):
    """A row as the set's own converter to JSON writes it: lists of objects, a printed time limit."""

    def listed(value, *names):
        return [dict(zip(names, pair, strict=True)) for pair in zip(*value.values(), strict=True)]

    usual = row(source=source, time_limit=time_limit, **changes)
    for name in ("public_tests", "private_tests", "generated_tests"):
        usual[name] = listed(usual[name], "input", "output")
    for name in ("solutions", "incorrect_solutions"):
        usual[name] = listed(usual[name], "language", "solution")
    del usual["untranslated_description"], usual["input_file"], usual["output_file"]
    return usual


def test_the_json_of_the_sets_own_converter_holds_the_same_problem(tmp_path):
    assert _json(tmp_path, converted()) == _hub(tmp_path, row())


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 10.0), ("seconds: 3\n", 3.0), ("nanos: 250000000\n", 0.25)]
)
def test_a_printed_time_limit_may_lack_a_part(tmp_path, text, seconds):
    [problem] = _json(tmp_path, converted(time_limit=text))
    assert problem.limits.cpu_s == seconds


def test_the_converter_numbers_sources_as_the_protocol_buffer_does(tmp_path):
    problems = _json(tmp_path, *(converted(source=number, name=str(number)) for number in PROTO_SOURCES))
    assert [p.provenance.source for p in problems] == list(PROTO_SOURCES.values())
