"""Problems written as rows of an RL corpus come back the same, or are listed with the reason."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora_help import cases, deepcoder
from rlef.errors import DataError
from rlef.problems import plain
from rlef.problems.corpora import FORMS, export_rows, import_rows, read_row
from rlef.problems.types import Checker, Limits, Problem, Provenance, Solution, TestCase

WRITTEN = [form for form in FORMS.values() if form.write]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
HASHED = st.booleans() | st.integers(-9, 9) | TEXT
PYTHON = (
    JSON
    | st.tuples(JSON, JSON)
    | st.frozensets(HASHED, max_size=3)
    | st.dictionaries(HASHED, JSON, max_size=3)
)
NAME = st.sampled_from(["f", "two_sum", "twoSum"])


def calls(value, checks=("equal",)):
    arguments = st.lists(value, min_size=1, max_size=3).map(plain.dumps)
    return st.builds(TestCase, input=arguments, output=value.map(plain.dumps), check=st.sampled_from(checks))


@st.composite
def problems(draw, value=JSON, form=None):
    """A problem of any kind but for its tests: those are plain data that a form may or may not say."""
    form = form or draw(st.sampled_from(["stdin", "call"]))
    stream = st.builds(TestCase, input=TEXT, output=TEXT)
    tests = draw(st.lists(stream if form == "stdin" else calls(value), min_size=1, max_size=5))
    edges = sorted(draw(st.tuples(st.integers(0, len(tests)), st.integers(0, len(tests)))))
    solutions = st.builds(
        Solution,
        language=st.sampled_from(["python", "cpp17"]),
        code=TEXT,
        verdict=st.sampled_from(["accepted", "wrong_answer"]),
        note=TEXT,
    )
    visible = st.dictionaries(TEXT, JSON, max_size=2)
    about = st.builds(
        Provenance, dataset=TEXT, split=TEXT, family=TEXT, difficulty=TEXT, visible=visible, meta=visible
    )
    return Problem(
        id=draw(TEXT.filter(bool)),
        statement=draw(TEXT),
        public_tests=tuple(tests[: edges[0]]),
        private_tests=tuple(tests[edges[0] : edges[1]]),
        generated_tests=tuple(tests[edges[1] :]),
        form=form,
        entry_point=draw(NAME) if form == "call" else None,
        comparison=draw(st.sampled_from(["tokens", "lines", "exact", "deepmind"])),
        limits=draw(st.builds(Limits, cpu_s=st.floats(0.1, 9), memory_bytes=st.integers(1, 2**31))),
        solutions=tuple(draw(st.lists(solutions, max_size=3))),
        provenance=draw(about),
    )


def through_json(row):
    return json.loads(json.dumps(row))


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_a_problem_comes_back_the_same_or_is_listed(form, problem):
    export = export_rows(form, [problem])
    assert len(export.rows) + len(export.skipped) == 1
    for row in export.rows:
        assert read_row(form, through_json(row)) == problem
    for item in export.skipped:
        assert item.id == problem.id and item.reason


@pytest.mark.parametrize(
    "form", [f for f in WRITTEN if f.name != "open-instruct"], ids=lambda form: form.name
)
@given(problem=problems(form="stdin"))
@settings(max_examples=25, deadline=None)
def test_every_form_says_every_problem_of_streams(form, problem):
    assert export_rows(form, [problem]).skipped == []


@given(problem=problems(form="call"))
@settings(max_examples=60, deadline=None)
def test_cases_say_every_call_with_arguments_of_json(problem):
    assert export_rows(FORMS["deepcoder"], [problem]).skipped == []


@given(problem=problems(value=PYTHON, form="call"))
@settings(max_examples=60, deadline=None)
def test_asserts_say_tuples_sets_and_other_keys(problem):
    tests = {(test.input, test.check): test for test in problem.public_tests + problem.hidden_tests}
    export = export_rows(FORMS["open-instruct"], [problem])
    if len(tests) == len(problem.public_tests + problem.hidden_tests):
        assert [item.reason for item in export.skipped] == []
        assert read_row(FORMS["open-instruct"], through_json(export.rows[0])) == problem


def call(*tests):
    return Problem(id="p", statement="Do.", public_tests=tests, form="call", entry_point="f")


CHECKED = [
    TestCase(input="[1]", output="true", check="bool"),
    TestCase(input="[2]", output="false", check="bool"),
    TestCase(input="[3]", output="3", check="len"),
    TestCase(input="[4]", output="[1, 2]", check="sorted"),
    TestCase(input="[5]", output="1.25", check="round:2"),
    TestCase(input="[6]", output="1.5", check="below:1e-06"),
    TestCase(input="[7]", output="1.5", check="within:1e-06"),
    TestCase(input="[8]", output="1.5", check="isclose:1e-09:0.0"),
    TestCase(input="[9]", output="1", also=("2", "3")),
    TestCase(input="[10]", output="[1]", also=("[2]",), check="sorted"),
    TestCase(input="assert f(1) < f(2)\n", output="", check="code"),
]


@pytest.mark.parametrize("test", CHECKED, ids=lambda test: test.check)
def test_every_check_is_an_assert(test):
    problem = call(TestCase(input="[0]", output="0"), test)
    [row] = export_rows(FORMS["open-instruct"], [problem]).rows
    assert read_row(FORMS["open-instruct"], row) == problem


def test_the_asserts_of_checks_hold_of_right_results_and_fail_of_wrong_ones():
    answers = {1: 7, 2: 0, 3: "abc", 4: (2, 1), 5: 1.2496, 6: 1.5000001, 7: 1.5, 8: 1.5, 9: 3, 10: {2}}
    [row] = export_rows(FORMS["open-instruct"], [call(*CHECKED[:-1])]).rows
    for number, text in enumerate(json.loads(row["ground_truth"]), 1):
        for answer, holds in ((answers[number], True), ({1: 0, 2: 1}.get(number, [9, 9, 9, 9]), False)):
            # Our own asserts about our own constants, not a data set's.
            source = text.removeprefix("assert ").replace("f(", "(lambda *_: answer)(")
            try:
                found = bool(eval(source, {"answer": answer}))
            except TypeError:
                found = False
            assert found is holds, text


BAD = [
    (replace(call(), form="stdin", entry_point=None, comparison="unordered"), "order of the output is free"),
    (replace(call(), form="stdin", comparison="checker", checker=Checker(source="x")), "a checker decides"),
    (call(TestCase(input="[1]", output='{"$tuple": [1]}')), "JSON, which has no tuple"),
    (call(TestCase(input='[{"$set": [1]}]', output="1")), "JSON, which has no set"),
    (call(TestCase(input="[1]", output='{"$float": "nan"}')), "JSON, which has no such number"),
    (call(TestCase(input="[]", output="1")), "no call without arguments"),
    (call(TestCase(input="[1]", output="2", check="sorted")), "no check 'sorted'"),
    (call(TestCase(input="assert f(1)", output="", check="code")), "no check 'code'"),
    (call(TestCase(input="[1]", output="")), "no result yet"),
    (call(TestCase(input="[1]", output="2", also=("3",))), "several results are right"),
    (replace(call(), form="stdin", entry_point=None, output_file="o.txt"), "reads or writes a file"),
    (replace(call(), form="stdin", entry_point=None, input_file="i.txt"), "reads or writes a file"),
    (call(TestCase(input='[{"$int": "' + "f" * 4000 + '"}]', output="1")), "more digits"),
    (
        Problem(id="p", statement="", public_tests=(TestCase(input="", output="", also=("1",)),)),
        "several outputs are right",
    ),
]


@pytest.mark.parametrize(
    ("problem", "reason"), BAD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_deepcoder_can_not_say_is_listed(problem, reason):
    export = export_rows(FORMS["deepcoder"], [problem])
    assert export.rows == [] and reason in export.skipped[0].reason


def test_verl_can_not_say_a_result_that_its_graders_would_unwrap():
    alone = call(TestCase(input="[1]", output="[1]"), TestCase(input="[2]", output="[2]"))
    assert "not come back" in export_rows(FORMS["verl"], [alone]).skipped[0].reason
    both = call(*(replace(t, output=t.output[1:-1], also=(t.output,)) for t in alone.public_tests))
    [row] = export_rows(FORMS["verl"], [both]).rows
    assert json.loads(row["reward_model"]["ground_truth"])["outputs"] == ["[1]", "[2]"]
    assert read_row(FORMS["verl"], row) == both


@pytest.mark.parametrize(
    "test",
    [
        TestCase(input='[{"a": 1}, 2]', output="2"),
        TestCase(input="[{}, 2]", output="2"),
        TestCase(input='[{"7": 1}, 2]', output="2"),
        TestCase(input="[1]", output='[{"7": 1}, 2]'),
    ],
    ids=["words for keys", "no keys", "numbers for keys", "in a result"],
)
def test_verl_can_not_say_what_its_grader_cuts_off_after_a_first_dictionary(test):
    # prime_code/testing_util.py: ``inputs = [{int(k): v for k, v in inputs[0].items()}]``
    export = export_rows(FORMS["verl"], [call(test)])
    if test.input.startswith('[{"a"'):
        assert export.skipped == []
    else:
        assert "a first dictionary" in export.skipped[0].reason


def test_open_r1_says_no_calls_since_its_reward_runs_all_tests_on_stdin():
    export = export_rows(FORMS["open-r1"], [call(TestCase(input="[1]", output="2"))])
    assert export.rows == [] and "on stdin" in export.skipped[0].reason


def test_a_gold_solution_of_open_r1_is_what_its_own_reader_takes_code_from():
    code = "print(2 * int(input()))\n"
    problem = Problem(
        id="p",
        statement="Double.",
        public_tests=(TestCase(input="1", output="2"), TestCase(input="2", output="4")),
        solutions=(Solution(code=code, note="reference"),),
    )
    export = export_rows(FORMS["open-r1"], [problem])
    # rewards.py::extract_code
    [found] = re.findall(r"```python\n(.*?)```", export.rows[0]["gold_standard_solution"], re.DOTALL)
    assert found == code and read_row(FORMS["open-r1"], export.rows[0]) == problem
    assert "solutions" not in export.noted


def test_a_call_in_deepcoder_has_starter_code_so_that_its_prompt_does_not_ask_for_stdin():
    one, two = (TestCase(input=text, output="3") for text in ("[1, 2]", "[3]"))
    for tests, head in (((one,), "def f(arg1, arg2):"), ((one, two), "def f(*args):")):
        [row] = export_rows(FORMS["deepcoder"], [call(*tests)]).rows
        assert row["starter_code"].startswith(head)
        assert read_row(FORMS["deepcoder"], row).statement == "Do."
    [row] = export_rows(FORMS["deepcoder"], [call(one)]).rows
    other = row | {"starter_code": "class Solution:"}
    assert "class Solution:" in read_row(FORMS["deepcoder"], other).statement


def test_what_only_rlef_reads_is_counted_and_a_bare_row_loses_it():
    test = TestCase(input="1", output="1")
    plain_one = Problem(id="a", statement="Do.", public_tests=(test, TestCase(input="2", output="2")))
    rich = replace(
        plain_one, id="b", comparison="exact", solutions=(Solution(code="x", verdict="wrong_answer"),)
    )
    form = FORMS["deepcoder"]
    assert export_rows(form, [plain_one, rich]).noted == {"limits": 2, "comparison": 1, "solutions": 1}
    [row] = export_rows(form, [rich], bare=True).rows
    assert "rlef" not in row["metadata"]
    back = read_row(form, row)
    assert back.comparison == "tokens" and back.solutions == () and len(back.public_tests) == 1


@pytest.mark.parametrize(
    "note", ["{", "[]", '{"tests": [1, 1, 0]}', '{"tests": [3, 0, -1]}', '{"x": 1}', "7"]
)
def test_a_damaged_note_is_an_error_not_a_guess(note):
    row = deepcoder(cases(testtype="stdin"), metadata={"rlef": note})
    with pytest.raises(DataError, match="note in a row of the form 'deepcoder' is damaged"):
        read_row(FORMS["deepcoder"], row)


def test_a_note_can_not_bring_what_the_jsonl_form_forbids():
    row = deepcoder(
        cases(testtype="stdin"), metadata={"rlef": '{"tests": [3, 0, 0], "limits": {"cpu_s": -1}}'}
    )
    _, skipped = import_rows(FORMS["deepcoder"], [("x", row), ("y", deepcoder(cases(testtype="stdin")))])
    assert "limits must be positive" in skipped[0].reason


def test_a_form_that_is_only_read_says_so():
    with pytest.raises(DataError, match="'codeforces' is read, not written"):
        export_rows(FORMS["codeforces"], [])
