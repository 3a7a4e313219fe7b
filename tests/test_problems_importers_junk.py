"""Whatever stands in a row: a problem, an entry among those left out, or one line. Never a traceback."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.errors import DataError
from rlef.problems.importers import BENCHMARKS, Options, Skipped, unanswered
from rlef.problems.importers.record import Entry, form_of
from rlef.problems.importers.sets import made
from rlef.problems.jsonl import problem_to_row, row_to_problem
from test_problems_importers_apps import FUNCTIONAL, apps, lcb, taco
from test_problems_importers_codecontests import plus_row, row
from test_problems_importers_evalplus import CHECK, humaneval, mbpp

HUB_HUMANEVAL = {k: v for k, v in humaneval(test=CHECK).items() if not k.endswith("_input")}
HUB_MBPP = {
    "task_id": 2,
    "code": "def f(x):\n    return x",
    "prompt": "Do.",
    "test_imports": [],
    "test_list": ["assert f(1) == 1", "assert f(2) == 2"],
    "test": "inputs = [[1], [2]]\nresults = [1, 2]\n",
}
ROWS = [
    ("codecontests", row()),
    ("codecontests+", plus_row()),
    ("apps", apps()),
    ("apps", apps(input_output='{"inputs": [[1], [2]], "outputs": [[1], [2]], "fn_name": "f"}')),
    ("taco", taco()),
    ("livecodebench", lcb()),
    ("livecodebench", lcb(**FUNCTIONAL)),
    ("humaneval+", humaneval()),
    ("humaneval+", HUB_HUMANEVAL),
    ("mbpp+", mbpp()),
    ("mbpp+", HUB_MBPP),
    ("mbpp", {**HUB_MBPP, "source_file": "x"}),
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIRST = [None, True, -1, 1e400, float("nan"), 10**30, "", "[", "[[]]", '{"inputs": 1}', [], [[]], [None], {}]


def _places(value, path=()):
    """The paths of all values within a row."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


def _put(value, path, junk):
    if not path:
        return junk
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _put(value[path[0]], path[1:], junk)
    return changed


def _read(name, changed):
    benchmark = BENCHMARKS[name]
    entry = Entry("rows.jsonl:1", changed, "train", 0)
    try:
        form = form_of(benchmark, entry)
        found = list(made(form, entry, Options(testlib="//")))
    except DataError as error:
        assert "rows.jsonl:1" in str(error) and "\n" not in str(error)
        return
    for one in found:
        if isinstance(one, Skipped):
            assert one.id and one.reason
        elif not unanswered(one):
            # What is a problem is one that the strict reader takes.
            again = json.loads(json.dumps(problem_to_row(one)))
            assert row_to_problem(again) == one


@pytest.mark.parametrize(("name", "good"), ROWS)
def test_known_junk_in_every_place_is_listed_or_one_line(name, good):
    for path in list(_places(good))[1:]:
        for junk in FIRST:
            _read(name, _put(good, path, junk))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_junk_in_any_place_is_listed_or_one_line(data):
    name, good = data.draw(st.sampled_from(ROWS))
    path = data.draw(st.sampled_from(list(_places(good))[1:]))
    _read(name, _put(good, path, data.draw(JUNK)))


@pytest.mark.parametrize(
    "repeated",
    [
        f"[b'{'x' * 50_000}'] * 40_000",
        f"[{[2**300] * 300}] * 40_000",
        f"[{dict.fromkeys(range(3000), 1)}] * 40_000",
        f"[{set(range(3000))}] * 40_000",
    ],
)
def test_a_repetition_in_a_test_does_not_grow_beyond_what_the_text_holds(repeated):
    """Gigabytes once written out; as code, beside the candidate, it is bounded by the sandbox."""
    [problem] = _made(
        "mbpp",
        {**HUB_MBPP, "source_file": "x", "test_list": [f"assert f({repeated}) == 1", "assert f(2) == 2"]},
    )
    tests = (*problem.public_tests, *problem.private_tests)
    assert {test.check for test in tests} == {"code", "equal"}
    assert sum(len(test.input) for test in tests) < 200_000


@pytest.mark.parametrize(
    "call", ["f(" + "-" * 5000 + ")" * 3000, "f(" + "(1," * 3000 + ")" * 3000, "f(" + "'a)" * 20_000]
)
def test_an_example_that_never_ends_is_given_up(call):
    prompt = f'def f(x):\n    """\n    {call}\n    """\n'
    check = "def check(candidate):\n    assert candidate(1) == 1\n    assert candidate(2) == 2\n"
    row = {
        "task_id": "HumanEval/0",
        "prompt": prompt,
        "entry_point": "f",
        "canonical_solution": "",
        "test": check,
    }
    [problem] = _made("humaneval", row)
    assert [test.output for test in problem.public_tests] == ["1"]


def _made(name, row):
    entry = Entry("rows.jsonl:1", row, "", 0)
    return made(form_of(BENCHMARKS[name], entry), entry, Options())
