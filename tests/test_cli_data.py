"""``rlef data``: figures, what may be seen, other trainers' forms, duplicates, contamination."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import corpora_help as given
from corpora_help import PAIRS, cases, streams
from rlef.cli import run
from rlef.problems.conventions import open_split
from rlef.problems.jsonl import read_problems, row_to_problem, write_problems
from rlef.problems.types import Checker, Limits, Problem, Provenance, Solution, TestCase
from table_files import cached

TESTS = tuple(TestCase(input=given, output=output) for given, output in PAIRS)


def call(capsys, *words):
    code = run(["data", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def problem(name="p", **more):
    parts = {"statement": "Double it.", "public_tests": TESTS[:1], "private_tests": TESTS[1:]}
    return Problem(id=name, **(parts | more))


def rows_file(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


RICH = (
    problem("a", provenance=Provenance(family="x", difficulty="easy", date="2024-05-01")),
    problem(
        "b",
        comparison="checker",
        checker=Checker(source="pass"),
        limits=Limits(cpu_s=4.0, memory_bytes=2**30),
        solutions=(Solution(code="x"), Solution(code="y", verdict="wrong_answer", language="cpp17")),
        provenance=Provenance(family="x", date="2023-01-01"),
    ),
    problem(
        "c",
        form="call",
        entry_point="f",
        statement="Do it. " * 5,
        public_tests=(TestCase(input="[1]", output="1"),),
        private_tests=(
            TestCase(input="assert f(1)\n", output="", check="code"),
            TestCase(input="[2]", output="3"),
        ),
        generated_tests=(TestCase(input="[3]", output="4"),),
    ),
)


def test_stats_counts_what_a_set_holds(capsys, tmp_path):
    path = write_problems(tmp_path / "set.jsonl", RICH)
    code, out, _ = call(capsys, "stats", path, "--json")
    assert code == 0 and json.loads(out) == {
        "problems": 3,
        "public_tests": 3,
        "hidden_tests": 7,
        "solutions": 2,
        "families": {"x": 2, "-": 1},
        "difficulties": {"-": 2, "easy": 1},
        "splits": {"-": 3},
        "forms": {"stdin": 2, "call": 1},
        "comparisons": {"tokens": 2, "checker": 1},
        "checkers": {"python": 1},
        "programs": {"python right": 1, "cpp17 wrong": 1},
        "public_of_one": {"least": 1, "median": 1, "most": 1},
        "hidden_of_one": {"least": 2, "median": 2, "most": 3},
        "weak_tests": 1,
        "cpu_s": {"least": 2.0, "median": 2.0, "most": 4.0},
        "memory_mb": {"least": 256.0, "median": 256.0, "most": 1024.0},
        "statement_chars": {"least": 10, "median": 10, "most": 35},
        "dates": {"first": "2023-01-01", "last": "2024-05-01"},
        "skipped": 0,
        "reasons": {},
    }
    code, out, _ = call(capsys, "stats", path)
    assert "hidden of one   2 to 3, median 2\n" in out and "skipped" not in out
    assert "statement       10 to 35 characters, median 10\n" in out


def test_stats_counts_what_was_left_out_by_reason(capsys, tmp_path):
    bad = given.verl({"inputs": ["1"], "outputs": ["1", "2"]})
    rows = [given.verl(streams()), given.verl(streams(), ability="math"), bad, bad]
    path = rows_file(tmp_path / "rows.jsonl", *rows)
    code, out, _ = call(capsys, "stats", f"verl:{path}", "--json")
    figures = json.loads(out)
    assert code == 0 and figures["problems"] == 1 and figures["skipped"] == 3
    assert figures["reasons"] == {"n inputs, but n outputs": 2, "not a programming problem": 1}


def test_columns_that_hold_a_sets_tests_are_hidden_too(capsys, tmp_path):
    origin = Provenance(dataset="d", meta={"test": "assert f(SECRET)"}, hidden={"rule": "SECRET"})
    path = write_problems(tmp_path / "p.jsonl", [problem("p", provenance=origin)])
    _, shown, _ = call(capsys, "show", "p", "--data", path, "--json")
    assert "SECRET" not in shown and json.loads(shown)["provenance"] == {"dataset": "d"}
    _, whole, _ = call(capsys, "show", "p", "--data", path, "--json", "--hidden")
    assert row_to_problem(json.loads(whole)).provenance == origin


def test_hidden_tests_and_solutions_are_shown_only_when_asked_for(capsys, tmp_path):
    known = Solution(code="SOLVED", note="reference")
    secret = Provenance(visible={"a": 1}, hidden={"b": "SECRET"})
    one = problem(
        private_tests=(TestCase(input="HIDDEN", output="x"),), solutions=(known,), provenance=secret
    )
    path = write_problems(tmp_path / "set.jsonl", [one])
    for words in ((), ("--json",)):
        _, out, _ = call(capsys, "show", "p", "--data", path, *words)
        assert "Double it." in out and not any(text in out for text in ("HIDDEN", "SOLVED", "SECRET"))
        _, out, _ = call(capsys, "show", "p", "--data", path, "--hidden", *words)
        assert "HIDDEN" in out and "SOLVED" in out
    assert row_to_problem(json.loads(out)) == one


def test_what_a_row_repeats_of_its_tests_is_not_shown_either(capsys, tmp_path):
    row = given.verl(streams(), extra_info={"task": {"ground_truth": json.dumps(streams())}})
    path = rows_file(tmp_path / "v.jsonl", row)
    [name] = call(capsys, "list", path)[1].split()
    code, out, _ = call(capsys, "show", name, "--data", path, "--json")
    assert code == 0 and "ground_truth" not in out and "6" not in json.loads(out)["statement"]
    assert "ground_truth" in call(capsys, "show", name, "--data", path, "--json", "--hidden")[1]


def test_rows_that_are_no_problems_are_told_by_every_command_that_writes(capsys, tmp_path):
    math = given.verl(streams(), ability="math\x1b[31m")
    path = rows_file(tmp_path / "v.jsonl", given.verl(streams()), math, given.verl("x"), math)
    for number, words in enumerate((["export", path], ["export", path, "--limit", 1], ["dedupe", path])):
        out = tmp_path / f"{number}.jsonl"
        code, _, err = call(capsys, *words, *(["--out", out] if "dedupe" in words else [out]))
        assert code == 0 and "3 rows are left out" in err and "\x1b" not in err
        assert "2  not a programming problem: ability 'math\\x1b[31m'" in err
        assert "     1  no tests (" in err


def test_fill_refuses_a_name_that_it_can_not_write_before_it_runs_anything(capsys, tmp_path):
    code, _, err = call(capsys, "fill", "mbpp+", tmp_path / "filled.json")
    assert code == 2 and "must end in .jsonl" in err


def test_what_a_problem_says_does_nothing_to_the_terminal(capsys, tmp_path):
    evil = "\x1b]0;title\x07\x1b[2J\u202e\r\ud800"
    one = problem(
        evil,
        statement=evil,
        public_tests=(TestCase(input=evil, output=evil, also=(evil,)),),
        private_tests=(TestCase(input=evil, output=evil),),
        solutions=(Solution(code=evil, note=evil),),
        provenance=Provenance(family=evil),
    )
    path = write_problems(tmp_path / "set.jsonl", [one, problem("q", statement=evil)])
    for words in (("show", evil, "--data", path, "--hidden"), ("stats", path), ("dedupe", path)):
        code, out, err = call(capsys, *words)
        assert code == 0 and "\\x1b]0;title\\x07\\x1b[2J\\u202e" in out
        assert not set(out + err) & set("\x1b\x07\u202e\r\ud800")


def test_what_a_row_says_does_nothing_to_the_terminal_in_an_error_either(capsys, tmp_path):
    evil = "\x1b[2J\u202e\x07"
    path = rows_file(tmp_path / "rows.jsonl", given.openinstruct([f"# {evil}", "assert f(1)"]))
    code, out, err = call(capsys, "stats", path)
    assert code == 2 and "not a single assert: # \\x1b[2J\\u202e\\x07" in err
    one = problem(evil, comparison="unordered")
    path = write_problems(tmp_path / "set.jsonl", [one, problem("b")])
    code, out, more = call(capsys, "export", path, tmp_path / "out.jsonl", "--form", "verl")
    assert code == 0 and "left out: \\x1b[2J\\u202e\\x07: the order" in more
    assert not set(out + err + more) & set(evil) - set("[2J")


# -- export


CALLED = problem(
    "called",
    form="call",
    entry_point="f",
    public_tests=(TestCase(input='[[1, "a\\n"], {"k": null}]', output="[1, 2.5]"),),
    private_tests=(TestCase(input="[[], {}]", output="true"), TestCase(input="[0, 0]", output='"x"')),
    solutions=(Solution(code="def f(a, b): ...", note="reference"),),
    provenance=Provenance(split="train"),
)


@pytest.mark.parametrize("form", ["deepcoder", "verl", "open-r1", "skyrl", "open-instruct", "nemo-gym"])
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_problems_of_streams_and_of_calls_come_back_from_every_form(capsys, tmp_path, form, ending):
    source, out = tmp_path / "source.jsonl", tmp_path / f"rows{ending}"
    problems = [*itertools.islice(open_split("test"), 4), CALLED]
    write_problems(source, problems)
    code, _, err = call(capsys, "export", source, out, "--form", form)
    kept = problems[:4] if form == "open-r1" else problems  # its reward has no calls
    assert code == 0 and f"{len(kept)} problems in {out}" in err and "has no place for" in err
    assert ("left out: called: it calls a function" in err) is (form == "open-r1")
    again = tmp_path / "again.jsonl"
    assert call(capsys, "export", out, again)[0] == 0  # the form is told by the columns
    assert read_problems(again) == kept


def test_rlefs_own_form_may_be_parquet(capsys, tmp_path):
    path, table = write_problems(tmp_path / "set.jsonl", RICH[:2]), tmp_path / "set.parquet"
    assert call(capsys, "export", path, table)[0] == 0
    assert call(capsys, "export", table, tmp_path / "again.jsonl")[0] == 0
    assert read_problems(tmp_path / "again.jsonl") == list(RICH[:2])


def test_a_corpus_becomes_problems_and_the_user_says_how_many_tests_speak(capsys, tmp_path):
    path = rows_file(tmp_path / "rows.jsonl", given.skyrl(cases(testtype="stdin")))
    for form, shown in (("skyrl", 1), ("skyrl@2", 2)):
        out = tmp_path / f"{shown}.jsonl"
        assert call(capsys, "export", f"{form}:{path}", out)[0] == 0
        assert len(read_problems(out)[0].public_tests) == shown


def test_what_a_form_can_not_hold_is_told_and_a_bare_row_loses_more(capsys, tmp_path):
    path = write_problems(tmp_path / "set.jsonl", RICH[:2])
    code, _, err = call(capsys, "export", path, tmp_path / "a.jsonl", "--form", "verl")
    assert code == 0 and "left out: b: a checker decides" in err and "1 problems in" in err
    assert "verl has no place for limits (1), provenance (1): rlef's note" in err
    code, _, err = call(capsys, "export", path, tmp_path / "b.jsonl", "--form", "verl", "--bare")
    assert "lost: ids, which tests are public, limits (1), provenance (1)" in err
    assert "rlef" not in json.loads((tmp_path / "b.jsonl").read_text())["extra_info"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "{set}", "{tmp}/x.jsonl", "--form", "deepcode"], "did you mean 'deepcoder'"),
        (["export", "{set}", "{tmp}/x.jsonl", "--form", "codeforces"], "is read, not written"),
        (["export", "{set}", "{tmp}/x.csv", "--form", "verl"], "must end in .jsonl"),
        (["export", "{set}", "{tmp}/x.csv"], "must end in .jsonl"),
        (["dedupe", "{set}", "--out", "{tmp}/x.txt"], "must end in .jsonl"),
        (["export", "{set}", "{set}", "--form", "verl"], "exists already"),
        (["export", "{checked}", "{tmp}/x.jsonl", "--form", "verl"], "can say none of the 1 problems"),
        (["export", "verl:{set}", "{tmp}/x.jsonl"], "no column 'prompt'"),
        (["export", "verl:{tmp}/none", "{tmp}/x.jsonl"], "can't read"),
        (["stats", "verl@x:{set}"], "say how many tests are public, verl@2"),
        (["stats", "verl"], "give verl:PATH, or PRIME-RL/Eurus-2-RL-Data"),
        (["stats", "{odd}"], "its columns (question, answer) are those of none of the forms"),
        (["dedupe", "{set}", "--near", "0"], "--near 0 must be above 0"),
        (["dedupe", "{set}", "--out", "{set}"], "exists already"),
        (["decontaminate", "{set}", "--against", "{set},humanevil"], "did you mean 'humaneval'"),
        (["decontaminate", "{set}", "--against", ","], "names no benchmark"),
        (["decontaminate", "{set}", "--against", "{set}", "--out", "{set}"], "exists already"),
    ],
)
def test_a_mistake_is_one_line_that_helps_and_writes_nothing(capsys, tmp_path, words, says):
    places = {
        "tmp": tmp_path,
        "set": write_problems(tmp_path / "set.jsonl", RICH[:1]),
        "checked": write_problems(tmp_path / "checked.jsonl", RICH[1:2]),
        "odd": tmp_path / "odd.json",
    }
    places["odd"].write_text('[{"question": "?", "answer": "!"}]')
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = call(capsys, *(word.format(**places) for word in words))
    assert code == 2 and out == "" and says in err and err.count("\n") == 1, err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# -- dedupe and decontaminate

TALE = (
    "once upon a time a king had three daughters who could add two numbers faster than anybody else in town"
)


def sets(tmp_path):
    train = [
        problem("quotes", statement=f"Listen! {TALE.title()}. Now add."),
        problem("near", statement=f"Listen! {TALE}. Now, add"),
        problem("same", statement="DOUBLE it", public_tests=TESTS[:1], private_tests=()),
        problem(
            "clean",
            statement="Something else.",
            public_tests=(TestCase(input="7", output="8"),),
            private_tests=(),
        ),
    ]
    other = (TestCase(input="5", output="5"),)
    bench = [problem("b1", statement=f"It is told that {TALE}", private_tests=other), problem("b2")]
    return write_problems(tmp_path / "train.jsonl", train), write_problems(tmp_path / "bench.jsonl", bench)


def test_dedupe_lists_groups_and_leaves_the_first_of_each(capsys, tmp_path):
    train, _ = sets(tmp_path)
    code, out, err = call(capsys, "dedupe", train, "--out", tmp_path / "left.jsonl")
    assert code == 0 and out == "quotes\n    same statement  near and quotes\n"
    assert "4 problems, 1 groups, 1 duplicates\n" in err
    assert [p.id for p in read_problems(tmp_path / "left.jsonl")] == ["quotes", "same", "clean"]
    assert call(capsys, "dedupe", train, "--out", tmp_path / "left.parquet")[0] == 0
    _, ids, _ = call(capsys, "list", tmp_path / "left.parquet")
    assert ids.split() == ["quotes", "same", "clean"]
    _, out, _ = call(capsys, "dedupe", train, "--json")
    [group] = map(json.loads, out.splitlines())
    tie = {"first": "quotes", "second": "near", "kind": "statement", "similarity": 1.0}
    assert group == {"ids": ["quotes", "near"], "pairs": [tie]}


def test_decontaminate_says_which_run_of_words_and_writes_what_is_left(capsys, tmp_path):
    train, bench = sets(tmp_path)
    code, out, err = call(
        capsys, "decontaminate", train, "--against", bench, "--out", tmp_path / "left.jsonl"
    )
    run_of_words = " ".join(TALE.split()[:13])
    assert code == 0 and out.splitlines() == [
        f"quotes knows b2 of {bench} by its tests: 3 tests",
        f"quotes knows b1 of {bench} by its ngram: {run_of_words}",
        f"near knows b2 of {bench} by its tests: 3 tests",
        f"near knows b1 of {bench} by its ngram: {run_of_words}",
        f"same knows b2 of {bench} by its statement",
    ]
    assert f"4 problems, 3 known from {bench} (2)\n" in err
    assert [p.id for p in read_problems(tmp_path / "left.jsonl")] == ["clean"]


def test_a_run_that_many_problems_have_is_named_as_boilerplate(capsys, tmp_path):
    train, bench = sets(tmp_path)
    code, out, err = call(capsys, "decontaminate", train, "--against", bench, "--common", 1, "--json")
    hits = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and {hit["reason"] for hit in hits} == {"tests", "statement"}
    assert "boilerplate of 2 problems: once upon a time" in err and "more runs of boilerplate" in err


def test_real_mbpp_does_not_quote_real_humaneval(capsys, monkeypatch):
    folders = [Path(os.environ.get("RLEF_DATA", "")), Path(__file__).parents[2] / "shared" / "data"]
    found = next((folder for folder in folders if (folder / "mbpp.jsonl.gz").is_file()), None)
    if not found:
        pytest.skip("no mbpp.jsonl.gz")
    monkeypatch.setenv("RLEF_DATA", str(found))
    code, out, err = call(capsys, "decontaminate", "mbpp", "--against", "humaneval")
    assert code == 0 and out == "" and "374 problems, 0 known from humaneval (161)" in err


def test_a_corpus_of_the_hub_is_read_from_its_cache(tmp_path):
    rows = [given.verl(streams()), given.verl(streams(PAIRS[:2]))]
    files = {
        "data/train-00000-of-00001.parquet": rows[:1],
        "data/validation-00000-of-00001.parquet": rows[1:],
    }
    cached(tmp_path, "PRIME-RL/Eurus-2-RL-Data", files)
    environment = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    for split, tests in (("train", 3), ("valid", 2), ("all", 5)):
        words = [
            sys.executable,
            "-m",
            "rlef",
            "data",
            "stats",
            "PRIME-RL/Eurus-2-RL-Data",
            "--split",
            split,
            "--json",
        ]
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        figures = json.loads(done.stdout)
        assert (
            figures["problems"] == 1 + (split == "all")
            and figures["public_tests"] + figures["hidden_tests"] == tests
        )
