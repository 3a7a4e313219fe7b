"""HumanEval+ and MBPP+: base and plus inputs, outputs from the sandbox, and the hub's form."""

import ast
import asyncio
import contextlib
import functools
import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import rlef.config
from rlef.cli import run
from rlef.errors import DataError, SandboxUnavailable
from rlef.judge import Judge, Verdict
from rlef.judge.filling import filled
from rlef.judge.views import holds
from rlef.problems import plain
from rlef.problems.asserts import Inexpressible
from rlef.problems.importers import BENCHMARKS, imported, unanswered
from rlef.problems.importers.evalplus import _KINDS, arguments_of
from rlef.problems.importers.evalplus_hub import coded_tests
from rlef.problems.jsonl import read_problems
from rlef.problems.literals import value_of
from rlef.problems.load import load
from rlef.problems.types import Solution
from rlef.sandbox import Sandbox

HUMANEVAL, MBPP = BENCHMARKS["humaneval+"], BENCHMARKS["mbpp+"]
FOLDERS = [Path(os.environ.get("RLEF_DATA", "")), Path(__file__).parents[2] / "shared" / "data"]


_OPEN = contextlib.ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _closed():
    with _OPEN:
        yield


def with_judge(work):
    """What ``work`` makes of a judge. One sandbox serves all tests of this module."""
    return _stage()(work)


@functools.cache
def _stage():
    runner = _OPEN.enter_context(asyncio.Runner())
    try:
        sandbox = runner.run(Sandbox.open(rlef.config.Sandbox()))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    _OPEN.callback(lambda: runner.run(sandbox.close()))
    return lambda work: runner.run(work(Judge(sandbox)))


def humaneval(**changes):
    return {
        "task_id": "HumanEval/7",
        "prompt": 'def twice(x):\n    """Double.\n    >>> twice([1])\n    [2]\n    """\n',
        "entry_point": "twice",
        "canonical_solution": "    return [2 * n for n in x]\n",
        "contract": "    assert True\n",
        "base_input": [[[1]], [[2, 3]]],
        "plus_input": [[[]], [[2, 3]], [[10**20]]],
        "atol": 0,
        **changes,
    }


def mbpp(number=2, name="similar_elements", **changes):
    return {
        "task_id": f"Mbpp/{number}",
        "prompt": '"""\nFind what both hold.\nassert set(similar_elements((3, 4),(4, 7))) == {4}\n"""\n',
        "entry_point": name,
        "canonical_solution": "\ndef similar_elements(a, b):\n  return tuple(set(a) & set(b))\n",
        "base_input": [[[3, 4, 5, 6], [5, 7, 4, 10]], [[1, 2], [2]]],
        "plus_input": [[[], []], [["a"], ["a", "b"]]],
        "atol": 0,
        "assertion": "",
        **changes,
    }


def _file(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _one(benchmark, tmp_path, row):
    [problem], skipped = imported(benchmark, _file(tmp_path / "rows.jsonl", row))
    assert skipped == []
    return problem


def _fill(problem):
    return with_judge(lambda judge: filled(judge.sandbox, problem))


def _verdicts(problem, *codes):
    async def work(judge):
        return await asyncio.gather(*(judge.judge(problem, code) for code in codes))

    return [(public if hidden is None else hidden).verdict for public, hidden in with_judge(work)]


def test_base_tests_speak_and_plus_tests_judge_and_none_has_an_output_yet(tmp_path):
    problem = _one(HUMANEVAL, tmp_path, humaneval())
    assert problem.id == "humaneval+/7" and problem.entry_point == "twice"
    assert [t.input for t in problem.public_tests] == ["[[1]]", "[[2, 3]]"]
    assert [t.input for t in problem.private_tests] == ["[[]]", f"[[{10**20}]]"]
    assert unanswered(problem) and {t.output for t in problem.public_tests} == {""}
    assert problem.provenance.meta == {"contract": "    assert True\n"}


def test_the_reference_is_run_in_the_sandbox_for_the_outputs(tmp_path):
    problem = _one(HUMANEVAL, tmp_path, humaneval())
    done = _fill(problem)
    assert done.lost == () and not unanswered(done.problem)
    assert [t.output for t in done.problem.public_tests] == ["[2]", "[4, 6]"]
    assert [t.output for t in done.problem.private_tests] == ["[]", f"[{2 * 10**20}]"]
    wrong = "def twice(x):\n    return [2 * n for n in x if n < 9]"
    assert _verdicts(done.problem, problem.solutions[0].code, wrong) == [
        Verdict.ACCEPTED,
        Verdict.WRONG_ANSWER,
    ]


def test_zero_and_false_are_the_same_answer_of_a_reference(tmp_path):
    row = humaneval(canonical_solution="    return len(x) > 1\n", plus_input=[[[1, 2]]], base_input=[[[]]])
    done = _fill(_one(HUMANEVAL, tmp_path, row)).problem
    [shown], [kept] = done.public_tests, done.private_tests
    assert (shown.output, shown.also, kept.output, kept.also) == ("false", ("0",), "true", ("1",))
    codes = ["def twice(x):\n    return " + body for body in ("len(x) > 1", "int(len(x) > 1)", "2")]
    assert _verdicts(done, *codes) == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.WRONG_ANSWER]


def test_the_references_of_humaneval_give_what_its_own_asserts_expect():
    """Outputs taken away and filled in again, against those that the asserts hold."""
    problems, _ = imported(BENCHMARKS["humaneval"], _data("HumanEval.jsonl.gz"))

    def bare(tests):
        return tuple(replace(t, output="", also=(), check="equal") for t in tests if t.check != "code")

    async def work(judge):
        waiting = asyncio.Semaphore(8)

        async def one(problem):
            public, private = bare(problem.public_tests), bare(problem.private_tests)
            if not public or not private:
                return 0
            async with waiting:
                done = await filled(
                    judge.sandbox, replace(problem, public_tests=public, private_tests=private)
                )
            assert done.lost == ()
            outputs = {t.input: t.output for t in done.problem.public_tests + done.problem.private_tests}
            known = [t for t in problem.public_tests + problem.private_tests if t.check != "code"]
            for test in known:
                value, right = plain.parse(outputs[test.input]), (test.output, *test.also)
                assert any(holds(test.check, plain.parse(text), value) for text in right), problem.id
            return len(known)

        return sum(await asyncio.gather(*map(one, problems)))

    assert with_judge(work) > 1200


def test_a_problem_with_all_outputs_is_left_as_it_is(tmp_path):
    done = _fill(_one(HUMANEVAL, tmp_path, humaneval())).problem
    broken = replace(done, solutions=(Solution(code="raise SystemExit"),))
    again = _fill(broken)
    assert again.problem == broken and again.lost == ()


def test_tests_that_the_reference_does_not_answer_are_left_out_one_by_one(tmp_path):
    code = "    return x[0] if x != [3] else (_ for _ in ())\n"
    inputs = [[[1]], [[2]], [[3]], [[]], [[4]]]
    problem = _one(
        HUMANEVAL, tmp_path, humaneval(canonical_solution=code, base_input=inputs[:1], plus_input=inputs[1:])
    )
    done = _fill(problem)
    assert [t.input for t in done.problem.private_tests] == ["[[2]]", "[[4]]"]
    assert len(done.lost) == 2
    assert "test [[3]]" in done.lost[0] and "test [[]]" in done.lost[1] and "IndexError" in done.lost[1]


def test_a_reference_that_answers_nothing_leaves_no_problem(tmp_path):
    reasons = {
        "    return (\n": "does not compile",
        "    raise ValueError('no')\n": "ValueError: no",
        "    return open('/etc/passwd').read()\n": "the reference ends with",
        "    return object()\n": "the reference ends with",
    }
    problems = [_one(HUMANEVAL, tmp_path, humaneval(canonical_solution=code)) for code in reasons]
    problems.append(replace(problems[0], solutions=()))

    async def work(judge):
        return [await filled(judge.sandbox, problem) for problem in problems]

    *broken, missing = with_judge(work)
    for done, reason in zip(broken, reasons.values(), strict=True):
        assert done.problem is None and len(done.lost) == 4 and all(reason in line for line in done.lost)
    assert missing.problem is None and missing.lost == ("there is no reference to run",)


def test_without_plus_inputs_the_last_base_input_judges(tmp_path):
    problem = _one(HUMANEVAL, tmp_path, humaneval(plus_input=[]))
    assert [t.input for t in problem.private_tests] == ["[[2, 3]]"]
    with pytest.raises(DataError, match="fewer than two different tests"):
        imported(HUMANEVAL, _file(tmp_path / "a.jsonl", humaneval(plus_input=[], base_input=[[[1]]])))


def test_a_root_is_right_where_the_polynomial_is_near_zero(tmp_path):
    code = "    return 2.0 if xs[0] == -4 else -xs[0] / xs[1]\n"
    row = humaneval(
        task_id="HumanEval/32",
        entry_point="find_zero",
        prompt="def find_zero(xs):\n",
        canonical_solution=code,
        base_input=[[[1, 2]]],
        plus_input=[[[-4, 0, 1, 0]]],
        atol=1e-4,
    )
    problem = _one(HUMANEVAL, tmp_path, row)
    assert not unanswered(problem)
    other_root = code.replace("2.0", "-2.0")
    near, far = code.replace("2.0", "2.00001"), code.replace("2.0", "2.001")
    assert _verdicts(problem, *("def find_zero(xs):\n" + body for body in (code, other_root, near, far))) == [
        *[Verdict.ACCEPTED] * 3,
        Verdict.WRONG_ANSWER,
    ]


def test_a_wide_tolerance_is_kept(tmp_path):
    row = humaneval(
        canonical_solution="    return x[0] / 3\n", atol=1e-2, base_input=[[[1]]], plus_input=[[[2]]]
    )
    done = _fill(_one(HUMANEVAL, tmp_path, row)).problem
    assert done.public_tests[0].check == "within:0.01"
    bodies = ("x[0] / 3 + 0.009", "x[0] / 3 + 0.02")
    assert _verdicts(done, *(f"def twice(x):\n    return {body}" for body in bodies)) == [
        Verdict.ACCEPTED,
        Verdict.WRONG_ANSWER,
    ]


def test_mbpp_plus_shows_one_example_and_compares_as_evalplus_does(tmp_path):
    problem = _one(MBPP, tmp_path, mbpp())
    assert problem.id == "mbpp+/2"
    assert problem.statement.startswith("Find what both hold.\nassert set(")
    assert [t.input for t in problem.public_tests] == [
        '[{"$tuple": [3, 4, 5, 6]}, {"$tuple": [5, 7, 4, 10]}]'
    ]
    assert len(problem.private_tests) == 3
    done = _fill(problem).problem
    assert done.public_tests[0].output == '{"$set": [4, 5]}'
    any_order = "def similar_elements(a, b):\n    return sorted(set(a) & set(b), reverse=True) * 2"
    wrong = "def similar_elements(a, b):\n    return sorted(a)"
    assert _verdicts(done, problem.solutions[0].code, any_order, wrong) == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.WRONG_ANSWER,
    ]


@pytest.mark.parametrize(
    ("name", "number", "inputs", "further"),
    [
        ("sum_div", 295, [[8], [12]], ["0", "0"]),
        ("digit_distance_nums", 558, [[1, 2], [23, 5], [-1, 2]], ["1", "4", None]),
        # the apex above the middle: base 9 + 4 triangles of 3 * sqrt(1.5² + 4²) / 2, rounded
        ("surface_Area", 581, [[3, 4], [1, 2]], ["35", "5"]),
        ("other", 3, [[1], [2]], [None, None]),
    ],
)
def test_further_answers_that_evalplus_accepts(tmp_path, name, number, inputs, further):
    problem = _one(MBPP, tmp_path, mbpp(number, name, base_input=inputs[:1], plus_input=inputs[1:]))
    tests = problem.public_tests + problem.private_tests
    assert [test.also for test in tests] == [(text,) if text else () for text in further]


def test_functions_that_return_objects_are_listed(tmp_path):
    row = mbpp(285, "text_match_three", base_input=[["ac"], ["b"]], plus_input=[])
    problems, [skipped] = imported(MBPP, _file(tmp_path / "a.jsonl", row, mbpp()))
    assert len(problems) == 1 and "no plain data" in skipped.reason


def test_arguments_that_do_not_fit_their_kind_are_listed(tmp_path):
    [_], [skipped] = imported(
        MBPP, _file(tmp_path / "a.jsonl", mbpp(3), mbpp(2, base_input=[[1, 2], [3, 4]]))
    )
    assert "not of the kinds" in skipped.reason


def _as_json(value):
    if isinstance(value, list | tuple | set):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return str(value) if isinstance(value, complex) else value


def _data(name):
    path = next((f / name for f in FOLDERS if str(f) != "." and (f / name).is_file()), None)
    if path is None:
        pytest.skip(f"no {name}: set RLEF_DATA to the folder that holds it")
    return path


def _calls(name):
    """Task and arguments of every call in the asserts of the real MBPP file."""
    for line in gzip.decompress(_data(name).read_bytes()).splitlines():
        row = json.loads(line)
        called = row["code"].rpartition("def ")[2].partition("(")[0].strip()
        for text in row["test_list"]:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == called:
                    with contextlib.suppress(ValueError):  # not constants
                        yield row["task_id"], [value_of(argument) for argument in node.args]


def test_arguments_come_back_from_json_as_mbpp_itself_has_them():
    """MBPP's own asserts are the oracle: their arguments, written as JSON, come back equal."""
    lost, seen = set(), set()
    for task, arguments in _calls("mbpp.jsonl.gz"):
        if task not in _KINDS:
            continue
        seen.add(task)
        try:
            lost |= {task} if arguments_of(task, _as_json(arguments)) != arguments else set()
        except Inexpressible:
            lost.add(task)
    assert len(seen) > 60
    # MBPP+ has other arguments than MBPP there: tuples for lists and the other way, or another signature.
    assert lost <= {70, 115, 143, 596, 617}


# -- the hub's form

CHECK = """
import numpy as np
from math import inf

def is_floats(x) -> bool:
    return isinstance(x, float)

def assertion(out, exp, atol):
    assert out == exp, f"out: {out}, exp: {exp}"

inputs = [[[1]], [[2, -3]], [[]], [[inf]]]
results = [[2], [4, -6], [], [inf]]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(twice(*inp), exp, 0)
"""


def test_lists_in_the_hubs_test_column_are_read_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = humaneval(test="open('owned', 'w')\n" + CHECK)
    del row["base_input"], row["plus_input"]
    problem = _one(HUMANEVAL, tmp_path, row)
    assert not (tmp_path / "owned").exists() and not unanswered(problem)
    assert [(t.input, t.output) for t in problem.public_tests] == [("[[1]]", "[2]")]
    assert [t.output for t in problem.private_tests] == ["[4, -6]", "[]", '[{"$float": "inf"}]']
    assert _verdicts(problem, problem.solutions[0].code) == [Verdict.ACCEPTED]


def test_a_reference_function_in_place_of_results_leaves_the_outputs_open(tmp_path):
    body = CHECK.replace("results = [[2], [4, -6], [], [inf]]", "def ref_func(x):\n    return x")
    row = humaneval(test=body)
    del row["base_input"], row["plus_input"]
    problem = _one(HUMANEVAL, tmp_path, row)
    assert unanswered(problem) and problem.public_tests[0].input == "[[1]]"
    done = _fill(problem).problem
    assert [t.output for t in done.private_tests] == ["[4, -6]", "[]", '[{"$float": "inf"}]']


def test_roots_of_the_hubs_form_keep_their_tolerance():
    source = """
def _poly(xs: list, x: float):
    return sum([coeff * math.pow(x, i) for i, coeff in enumerate(xs)])

def check(candidate):
    inputs = [[[1, 2]], [[-6, 11, -6, 1]]]
    results = [-0.5000000000000001, 1.0000000000000002]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assert _poly(*candidate(*inp), inp) <= 0.0001
"""
    tests = list(coded_tests(source, "find_zero").values())
    assert [(t.check, t.output) for t in tests] == [("code", "")] * 2
    assert all("find_zero([" in t.input and t.input.endswith("<= 0.0001\n") for t in tests)


def test_mbpp_plus_of_the_hub_shows_the_first_assert(tmp_path):
    row = {
        "task_id": 2,
        "code": "def similar_elements(a, b):\r\n    return tuple(set(a) & set(b))",
        "prompt": "Find what both hold.",
        "source_file": "x",
        "test_imports": [],
        "test_list": ["assert set(similar_elements((3, 4), (4, 7))) == set((4,))"],
        "test": "inputs = [[(3, 4), (4, 7)], [(1,), (2,)]]\nresults = [(4,), ()]\n"
        "for inp, exp in zip(inputs, results):\n    assertion(set(similar_elements(*inp)), set(exp), 0)\n",
    }
    problem = _one(MBPP, tmp_path, row)
    assert problem.id == "mbpp+/2" and row["test_list"][0] in problem.statement
    [test] = problem.public_tests
    assert (test.output, test.check) == ('{"$set": [4]}', "set")
    assert _verdicts(problem, problem.solutions[0].code) == [Verdict.ACCEPTED]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("inputs = [[1]]\nresults = []", "as many results as inputs"),
        ("results = []", "no inputs"),
        ("inputs = open('x')", "not a constant"),
        ("inputs = [", "not lists of constants"),
        ("inputs = [[1]]\nresults = [object]", "not a constant"),
        ("inputs = " + "[" * 500 + "]" * 500, "not lists of constants"),
    ],
)
def test_a_test_column_of_another_kind_says_why(source, reason):
    with pytest.raises(Inexpressible, match=reason):
        coded_tests(source, "f")


# -- the step of its own


def test_a_set_without_outputs_is_not_opened_but_says_how_to_fill_it(tmp_path, monkeypatch, capsys):
    _file(tmp_path / "MbppPlus.jsonl", mbpp(), mbpp(3, canonical_solution="def similar_elements("))
    monkeypatch.setenv("RLEF_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"rlef data fill mbpp\+ mbpp\+\.jsonl"):
        load("mbpp+", "test")
    out = tmp_path / "filled.jsonl"
    assert run(["data", "fill", "mbpp+", str(out)]) == 0
    said = capsys.readouterr().err
    assert "mbpp+/3" in said and "does not compile" in said and f"1 problems in {out}, 1 left out" in said
    assert [p.id for p in read_problems(out)] == load(str(out), "test").ids() == ["mbpp+/2"]
    assert run(["data", "fill", "mbpp+", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["data", "fill", "basics", str(tmp_path / "b.jsonl")]) == 2
    assert "no benchmark" in capsys.readouterr().err
