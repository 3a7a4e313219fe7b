"""RL corpora: each documented form and its quirks are read; what can't be judged is listed."""

import base64
import json
import zlib

import pytest

import corpora_help as given
from corpora_help import PAIRS, cases, read, streams, told
from rlef.errors import DataError
from rlef.judge import Verdict
from rlef.problems.corpora import FORMS, HUBS, form_named, form_of
from rlef.problems.jsonl import problem_to_row, row_to_problem
from rlef.problems.types import Limits

ROWS = {
    "deepcoder": given.deepcoder(cases(testtype="stdin")),
    "verl": given.verl(streams()),
    "open-r1": given.openr1(cases(type="stdin_stdout", fn_name=None)),
    "codeforces": given.codeforces(),
    "skyrl": given.skyrl(cases(testtype="stdin", metadata={"func_name": None})),
    "open-instruct": given.openinstruct(json.dumps(cases()), "code_stdio"),
    "nemo-gym": given.nemogym(streams()),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_plain_row_of_every_form_is_a_problem_whose_first_test_speaks(name):
    [problem], reasons = read(name, ROWS[name])
    assert reasons == [] and "Double it." in problem.statement
    assert told(problem.public_tests) == PAIRS[:1] and told(problem.private_tests) == PAIRS[1:]
    assert problem.form == "stdin" and problem.provenance.dataset == name
    assert problem.id.startswith(f"{name}/")


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_a_row_is_told_by_its_columns(name):
    found = form_of(ROWS[name], FORMS.values())
    assert found is not None and found.name == name
    assert form_of({"question": "?"}, FORMS.values()) is None


@pytest.mark.parametrize(("public", "shown"), [(1, 1), (2, 2), (9, 2)])
def test_as_many_tests_speak_as_is_asked_for_but_one_always_judges(public, shown):
    [problem], _ = read("verl", given.verl(streams()), public=public)
    assert len(problem.public_tests) == shown and len(problem.private_tests) == 3 - shown
    rule = problem.provenance.meta["tests"]
    assert rule == f"the first {shown} speak, {3 - shown} judge"


def test_tests_that_stand_in_the_statement_speak():
    asked = "Double it.\n\nInput\n 2\nOutput\n 4\n\n---Sample Input 2---\n3\n---Sample Output 2---\n6\n"
    row = given.verl(streams(), prompt=[{"role": "user", "content": asked}])
    [problem], _ = read("verl", row)
    assert told(problem.public_tests) == PAIRS[1:] and told(problem.private_tests) == PAIRS[:1]
    assert problem.provenance.meta["tests"] == "the tests in the statement speak, 1 judge"
    [problem], _ = read("verl", row, public=1)
    assert told(problem.public_tests) == PAIRS[:1]
    everything = row | {"prompt": asked + "Input 1 Output 2"}
    [problem], _ = read("verl", everything)
    assert told(problem.private_tests) == PAIRS[2:]


@pytest.mark.parametrize(
    "asked",
    [
        "Numbers up to 1 2 3 4 6.",
        "Print 2 if it is 1, and 4 if it is 2.",
        "Input\n9\nOutput\n1\nInput\n7\nOutput\n2",
        "Given 2 numbers below 3, output what is right. At the very end, write the 4 digits.",
    ],
)
def test_a_hidden_test_whose_numbers_stand_in_the_statement_somewhere_stays_hidden(asked):
    [problem], _ = read("verl", given.verl(streams(), prompt=asked))
    assert problem.provenance.meta["tests"] == "the first 1 speak, 2 judge"


def test_equal_tests_count_once_and_contradictions_are_left_out():
    twice, torn = [*PAIRS, PAIRS[0]], [*PAIRS, ("1\n", "3\n")]
    rows = [given.verl(streams(twice)), given.verl(streams(torn)), given.verl(streams(PAIRS[:1] * 3))]
    [problem], reasons = read("verl", *rows)
    assert told(problem.public_tests + problem.private_tests) == PAIRS
    assert reasons == ["two tests have the same input and other outputs", "fewer than two different tests"]


def test_what_a_row_says_besides_is_kept():
    [problem], _ = read("verl", given.verl(streams(), license="mit"))
    assert problem.provenance.family == "taco"
    rest = {key: problem.provenance.meta[key] for key in ("system", "extra_info", "license")}
    assert rest == {"system": "Think.", "extra_info": {"index": 7, "split": "dummy"}, "license": "mit"}
    [other], _ = read("open-r1", ROWS["open-r1"])
    assert other.id == "open-r1/vcp/1" and other.provenance.difficulty == "easy"
    assert other.limits == Limits(cpu_s=2.5, memory_bytes=512 * 2**20)
    assert [solution.code for solution in other.solutions] == ["print(2 * int(input()))\n"]


def test_ids_hang_on_the_content_and_the_same_row_twice_is_listed():
    one, other = given.verl(streams()), given.verl(streams(PAIRS[:2]))
    problems, reasons = read("verl", one, other, one)
    assert [p.id for p in problems] == [p.id for p in read("verl", other, one)[0][::-1]]
    assert len({p.id for p in problems}) == 2
    assert reasons == ["the same problem stands in an earlier row"]
    first, second = given.openr1(cases()), given.openr1(cases(PAIRS[:2]))
    assert read("open-r1", first, second)[1] == ["another problem open-r1/vcp/1 stands in an earlier row"]


def test_a_problem_of_codeforces_has_day_tags_rating_and_files():
    row = given.codeforces(contest_start=1700000000, input_mode="file", memory_limit=None)
    [problem], _ = read("codeforces", row)
    about = problem.provenance
    assert (about.date, about.tags, about.difficulty, about.source) == (
        "2023-11-14",
        ("math",),
        "800",
        "codeforces",
    )
    assert (problem.input_file, problem.output_file) == ("input.txt", "output.txt")
    assert problem.limits == Limits(cpu_s=1.5, memory_bytes=2**30)
    assert about.meta["official_tests_complete"] is True
    assert "# Doubling" in problem.statement and "Example 1" in problem.statement


# -- calls


def test_calls_of_livecodebench_have_an_argument_a_line_and_results_as_they_are():
    tests = cases([('[1, 2]\n"a"', "[3]"), ('[]\n"b"', "[0]")], testtype="functional")
    row = given.deepcoder(tests, metadata={"func_name": "f"}, starter_code="class Solution:\n    def f(self")
    [problem], _ = read("deepcoder", row)
    assert problem.form == "call" and problem.entry_point == "f"
    assert told(problem.public_tests) == [('[[1, 2], "a"]', "[3]")] and problem.public_tests[0].also == ()
    assert "class Solution" in problem.statement


def test_the_name_of_a_function_may_stand_in_each_test():
    tests = cases([("1", "2"), ("2", "4")], testtype="functional", metadata={"func_name": "g"})
    [problem], _ = read("skyrl", given.skyrl(tests))
    assert problem.entry_point == "g"


@pytest.mark.parametrize(
    "tests",
    [
        {"fn_name": "f", "inputs": [[1, [2]], [3, []]], "outputs": [[[5]], [[]]]},
        {"fn_name": "f", "inputs": ["1\n[2]", "3\n[]"], "outputs": ["[[5]]", "[[]]"]},
        [
            {"type": "function_call", "fn_name": "f", "input": [1, [2]], "output": [[5]]},
            {"type": "function_call", "fn_name": "f", "input": [3, []], "output": [[]]},
        ],
    ],
    ids=["lists of data", "lists of texts", "typed"],
)
def test_apps_wraps_every_result_in_a_list_and_takes_both(tests):
    [problem], _ = read("deepcoder", given.deepcoder(tests))
    first, second = problem.public_tests + problem.private_tests
    assert (first.input, first.output, first.also) == ("[1, [2]]", "[5]", ("[[5]]",))
    assert (second.input, second.output, second.also) == ("[3, []]", "[]", ("[[]]",))


def test_a_result_that_is_not_always_a_list_of_one_is_not_unwrapped():
    tests = {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [1, 2]]}
    [problem], _ = read("deepcoder", given.deepcoder(tests))
    assert [(t.output, t.also) for t in problem.public_tests + problem.private_tests] == [
        ("[1]", ()),
        ("[1, 2]", ()),
    ]


def test_numbers_that_json_made_texts_of_are_numbers_again():
    tests = {"fn_name": "f", "inputs": [[{"1": 2}], [{"-3": 4}]], "outputs": [[{"1": 2}], [{"x": 4}]]}
    [problem], _ = read("deepcoder", given.deepcoder(tests))
    first, second = problem.public_tests + problem.private_tests
    assert first.input == '[{"$dict": [[1, 2]]}]' and first.output == '{"$dict": [[1, 2]]}'
    assert second.input == '[{"$dict": [[-3, 4]]}]' and second.output == '{"x": 4}'


def test_asserts_become_checks_of_the_returned_value():
    asserts = ["assert f(1) == (1, {2})", "assert sorted(f([3, 1])) == [1, 3]", "assert not f('')"]
    for tests in (asserts, json.dumps(asserts), [json.dumps(asserts)]):
        [problem], _ = read("open-instruct", given.openinstruct(tests))
        found = [(t.input, t.output, t.check) for t in problem.public_tests + problem.private_tests]
        assert found == [
            ("[1]", '{"$tuple": [1, {"$set": [2]}]}', "equal"),
            ("[[3, 1]]", "[1, 3]", "sorted"),
            ('[""]', "false", "bool"),
        ]
    [problem], _ = read("verl", given.verl({"assert_case": asserts}))
    assert problem.entry_point == "f"


def test_python_constants_are_parsed_where_a_set_has_them_in_place_of_json():
    tests = [{"type": "stdin_stdout", "fn_name": None, "input": a, "output": b} for a, b in PAIRS]
    info = repr({"language": "python", "test_cases": tests})
    [problem], _ = read("open-r1", given.openr1([], verification_info=info))
    assert told(problem.public_tests) == PAIRS[:1]


def test_streams_may_be_lists_of_lines():
    tests = {"inputs": [["1", "2"], ["3"]], "outputs": [["a", "b"], "c"]}
    [problem], _ = read("verl", given.verl(tests))
    assert told(problem.public_tests + problem.private_tests) == [("1\n2", "a\nb"), ("3", "c")]


def test_two_asserts_of_one_call_that_expect_other_results_are_no_problem():
    asserts = ["assert f(1) == 2", "assert f(3) == 4", "assert f(1) == 5"]
    _, reasons = read("open-instruct", given.openinstruct(asserts), ROWS["open-instruct"])
    assert reasons == ["two asserts of the same call expect other results"]
    [problem], _ = read("open-instruct", given.openinstruct([*asserts[:2], "assert f(1)==2"]))
    assert len(problem.public_tests + problem.private_tests) == 2


def test_of_two_solutions_of_open_instruct_the_one_that_was_tested_counts():
    asserts = ["assert f(1) == 2", "assert f(3) == 4"]
    row = given.openinstruct(
        asserts, reference_solution="def old(): pass", rewritten_solution="def f(): pass"
    )
    [problem], _ = read("open-instruct", row)
    assert [solution.code for solution in problem.solutions] == ["def f(): pass"]
    assert problem.provenance.meta["reference_solution"] == "def old(): pass"
    [problem], _ = read("open-instruct", given.openinstruct(asserts, reference_solution="def f(): pass"))
    assert [solution.code for solution in problem.solutions] == ["def f(): pass"]


def test_dictionaries_of_python_constants_may_have_any_keys():
    tests = repr({"fn_name": "f", "inputs": [[{1: 2}], [{None: 3}]], "outputs": [[{(1, 2): 4}], [{"5": 6}]]})
    [problem], _ = read("deepcoder", {"problem": "?", "tests": tests})
    assert told(problem.public_tests + problem.private_tests) == [
        ('[{"$dict": [[1, 2]]}]', '{"$dict": [[{"$tuple": [1, 2]}, 4]]}'),
        ('[{"$dict": [[null, 3]]}]', '{"$dict": [[5, 6]]}'),
    ]


def test_a_row_of_nemo_gym_is_named_by_its_hash_and_keeps_what_its_columns_say_besides():
    row = given.nemogym(streams(), hash_id="c692", source="codeforces", agent_ref={"name": "a"})
    row["verifier_metadata"] = {"unit_tests": streams(), "fails": 3}
    row["responses_create_params"]["temperature"] = 0.5
    [problem], _ = read("nemo-gym", row)
    about = problem.provenance
    assert (problem.id, about.family, about.source) == ("nemo-gym/c692", "taco", "codeforces")
    assert about.meta["verifier_metadata"] == {"fails": 3} and about.meta["agent_ref"] == {"name": "a"}
    assert about.meta["responses_create_params"] == {"temperature": 0.5}


# -- what can't be said

CANARY = "__import__('pathlib').Path('canary').write_text('ran')"
BAD = [
    ("verl", given.verl(streams(), ability="math"), "not a programming problem: ability 'math'"),
    ("skyrl", given.skyrl(cases(), env_class="gsm8k"), "env_class 'gsm8k'"),
    ("open-instruct", given.openinstruct(["7"], "gsm8k"), "dataset 'gsm8k'"),
    ("verl", given.verl({"inputs": ["1"], "outputs": ["1", "2"]}), "1 inputs, but 2 outputs"),
    ("verl", given.verl(streams(), prompt=[{"role": "assistant", "content": "hm"}]), "not one question"),
    ("verl", given.verl(streams(), prompt=[{"role": "user"}]), "no list of messages"),
    ("deepcoder", given.deepcoder(cases(testtype="functional")), "a function that is not named"),
    ("deepcoder", given.deepcoder(cases(testtype="interactive")), "kind 'interactive'"),
    ("deepcoder", given.deepcoder([*cases(testtype="stdin"), *cases(type="function_call")]), "several kinds"),
    ("deepcoder", given.deepcoder([]), "no tests"),
    ("deepcoder", given.deepcoder([1, 2]), "not known"),
    (
        "deepcoder",
        given.deepcoder(cases([("a b", "1"), ("2", "1")], testtype="functional", fn_name="f")),
        "not JSON",
    ),
    ("deepcoder", given.deepcoder(cases(), problem=" "), "no statement"),
    ("deepcoder", {"problem": "?", "tests": CANARY}, "neither JSON nor Python constants"),
    ("open-instruct", given.openinstruct([CANARY, CANARY]), "not a single assert"),
    ("open-r1", given.openr1(cases(), verification_info={"language": "cpp"}), "language is 'cpp'"),
    ("codeforces", given.codeforces(interaction_format="Ask."), "interactive"),
    ("codeforces", given.codeforces(input_mode="pipe"), "input mode is 'pipe'"),
    ("codeforces", given.codeforces(executable=False), "can't be run"),
]


@pytest.mark.parametrize(("name", "row", "reason"), BAD, ids=[reason for *_, reason in BAD])
def test_a_row_that_is_no_problem_is_listed_with_the_reason_and_runs_nothing(
    name, row, reason, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    [problem], reasons = read(name, row, ROWS[name])
    assert len(reasons) == 1 and reason in reasons[0] and problem.public_tests
    assert list(tmp_path.iterdir()) == []


def test_compressed_pickles_are_not_opened():
    hidden = base64.b64encode(zlib.compress(b"cos\nsystem\n(S'touch canary'\ntR.")).decode()
    _, reasons = read("open-instruct", given.openinstruct(hidden), ROWS["open-instruct"])
    assert "encoded tests are not decoded" in reasons[0]


def test_a_row_without_the_columns_and_a_set_without_problems_are_errors():
    with pytest.raises(DataError, match="row 1: not in the form 'verl', it has no column 'prompt'"):
        read("verl", {"question": "?"})
    with pytest.raises(DataError, match="none of 1 rows is a problem in the form 'verl'; row 1: not a prog"):
        read("verl", BAD[0][1])
    with pytest.raises(DataError, match="did you mean 'deepcoder'"):
        form_named("depcoder")
    assert HUBS["PRIME-RL/Eurus-2-RL-Data"] == "verl"


# -- judged

CHECKER = """
import sys
want, got = (open(path).read().split() for path in sys.argv[2:4])
print(int(sorted(want) == sorted(got)))
"""


def test_a_checker_of_codeforces_judges_with_files_and_score_as_it_expects(with_judge):
    tests = [{"input": "1\n", "output": "1 2\n"}, {"input": "2\n", "output": "3 4\n"}]
    row = given.codeforces(generated_checker=CHECKER, examples=tests[:1], official_tests=tests)
    [problem], _ = read("codeforces", row)
    programs = {
        "print(*{1: '21', 2: '43'}[int(input())])": Verdict.ACCEPTED,
        "print(5)": Verdict.WRONG_ANSWER,
    }
    for code, verdict in programs.items():
        public, _ = with_judge(lambda judge, code=code: judge.judge(problem, code))
        assert public.tests[0].verdict is verdict
    silent = read("codeforces", row | {"generated_checker": "pass"})[0][0]
    public, _ = with_judge(lambda judge: judge.judge(silent, "print(1)"))
    assert public.tests[0].verdict is Verdict.JUDGE_ERROR and "printed no score" in str(public)


def test_a_method_of_a_class_solution_is_judged(with_judge):
    tests = {"fn_name": "f", "inputs": ["1\n2", "3\n4"], "outputs": ["[3]", "[7]"]}
    [problem], _ = read("verl", given.verl(tests))
    code = "class Solution:\n    def f(self, a, b):\n        return a + b\n"
    for text, right in (
        (code, True),
        (code.replace("a + b", "[a + b]"), True),
        (code.replace("+", "-"), False),
    ):
        public, hidden = with_judge(lambda judge, text=text: judge.judge(problem, text))
        assert (public.passed, bool(hidden and hidden.passed)) == (right, right)


# -- anything at all

JUNK = [
    None,
    True,
    -1,
    1.5,
    float("inf"),
    "",
    "x",
    "[",
    "{}",
    "[1]",
    '"a"',
    [],
    [1],
    [[]],
    ["x"],
    {},
    {"a": 1},
]
JUNK += ["\ud800", "9" * 5000, "[" * 3000, [{"role": "user", "content": 1}], [{"input": 1, "output": None}]]


def spoilt(value):
    """The value with anything inside it, or in a JSON text inside it, replaced by junk or taken away."""
    yield from JUNK
    if isinstance(value, dict):
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
            yield from (value | {key: bad} for bad in spoilt(value[key]))
    elif isinstance(value, list):
        for index in range(len(value[:1])):
            yield from ([*value[:index], bad, *value[index + 1 :]] for bad in spoilt(value[index]))
    elif isinstance(value, str) and value.startswith(("[", "{")):
        yield from map(json.dumps, spoilt(json.loads(value)))


@pytest.mark.parametrize("name", FORMS)
def test_a_spoilt_row_is_read_or_listed_and_never_more(name):
    calls = {"fn_name": "f", "inputs": ["1", "2"], "outputs": ["[1]", "[2]"]}
    noted = {"func_name": "f", "rlef": '{"tests": [1, 1, 0], "limits": {"cpu_s": 1.0}}'}
    rows = {
        "verl": given.verl(calls),
        "nemo-gym": given.nemogym(calls),
        "deepcoder": given.deepcoder(calls, metadata=noted),
        "open-instruct": given.openinstruct(["assert f(1) == 2", "assert f(2) == 3"]),
    }
    for row in {name: ROWS[name], **rows}[name], ROWS[name]:
        for key in FORMS[name].columns:
            assert key in row
        for bad in spoilt(row):
            if isinstance(bad, dict) and all(key in bad for key in FORMS[name].columns):
                problems, reasons = read(name, ROWS[name], bad)
                assert len(problems) + len(reasons) == 2
                assert [row_to_problem(problem_to_row(p)) for p in problems] == problems
