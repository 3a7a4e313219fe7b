"""Duplicates and contamination, held against comparing everything with everything."""

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.problems.importers.mbpp import statement_of
from rlef.problems.similar.contamination import contamination
from rlef.problems.similar.duplicates import (
    PERMUTATIONS,
    RECALL,
    bands,
    duplicates,
    jaccard,
    min_hashes,
    shingles,
)
from rlef.problems.similar.words import grams, solutions_of, words_of
from rlef.problems.types import Problem, Solution, TestCase

WORDS = st.lists(st.sampled_from("abcde"), max_size=30)


def problem(name, statement="", tests=(), code=""):
    return Problem(
        id=str(name),
        statement=statement,
        public_tests=tuple(TestCase(input=given, output=output) for given, output in tests),
        solutions=(Solution(code=code),) if code else (),
    )


def runs(text, n):
    words = words_of(text)
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def components(count, tied):
    """Groups of numbers that a relation ties together, by looking at all pairs again and again."""
    label = list(range(count))
    changed = True
    while changed:
        changed = False
        for one in range(count):
            for other in range(one):
                if label[one] != label[other] and tied(one, other):
                    low, high = sorted((label[one], label[other]))
                    label = [low if item == high else item for item in label]
                    changed = True
    groups = [[n for n in range(count) if label[n] == root] for root in sorted(set(label))]
    return [group for group in groups if len(group) > 1]


def varied(rng, count, vocabulary=300, length=120):
    """Statements, some of them others with words changed: pairs of every similarity."""
    texts = []
    for _ in range(count):
        if texts and rng.random() < 0.6:
            words = rng.choice(texts).split()
            for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 9])):
                words[rng.randrange(len(words))] = f"w{rng.randrange(vocabulary)}"
        else:
            words = [f"w{rng.randrange(vocabulary)}" for _ in range(length)]
        texts.append(" ".join(words))
    return texts


# -- words


@given(words=WORDS, n=st.integers(1, 6))
def test_two_runs_have_one_hash_if_and_only_if_their_words_are_the_same(words, n):
    found, told = grams(words, n).tolist(), runs(" ".join(words), n)
    assert len(found) == len(told)
    assert len(set(found)) == len(set(told)) == len(set(zip(found, told, strict=True)))


def test_case_punctuation_and_ways_of_writing_a_letter_are_no_matter():
    assert words_of("Hello, WORLD: ｆｉｎｄ  x_1!") == ["hello", "world", "find", "x_1"]
    assert words_of("e\u0301t\u00e9") == words_of("\u00e9te\u0301")
    assert words_of("\ud800 lone") == ["lone"]


def test_programs_are_equal_apart_from_comments_docstrings_and_layout():
    one = problem(1, code='def f(x):\n    """Double."""\n    # twice\n    return x*2\n')
    other = problem(2, code="def f( x ):\n  return (x * 2)")
    third = problem(3, code="def f(x):\n    return x * 3")
    assert solutions_of(one, 1) == solutions_of(other, 1) != solutions_of(third, 1)
    assert solutions_of(one, 1000) == set()
    assert len(solutions_of(problem(4, code="def ("), 1)) == 1 and solutions_of(
        problem(5, code="(" * 9999), 1
    )


# -- near duplicates


@given(one=WORDS, other=WORDS)
def test_similarity_is_shared_runs_among_all_runs(one, other):
    left, right = (
        set(runs(" ".join(words), min(5, len(words)))) if words else set() for words in (one, other)
    )
    expected = len(left & right) / max(1, len(left | right))
    assert jaccard(shingles(one), shingles(other)) == expected


@pytest.mark.parametrize("shared", [80, 200, 320, 380])
def test_signatures_agree_as_often_as_the_sets_are_similar(shared):
    rng = np.random.default_rng(5)
    agreed = []
    for _ in range(40):
        items = rng.integers(0, 2**64, 800 - shared, dtype=np.uint64)
        one, other = items[:400], items[400 - shared : 800 - shared]
        agreed.append(np.mean(min_hashes(one) == min_hashes(other)))
    similarity = jaccard(np.sort(one), np.sort(other))
    assert similarity == shared / (800 - shared)
    spread = (similarity * (1 - similarity) / (40 * PERMUTATIONS)) ** 0.5
    assert abs(np.mean(agreed) - similarity) < 5 * spread


@pytest.mark.parametrize("near", [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.99, 1.0])
def test_bands_have_as_many_rows_as_the_recall_allows(near):
    count, rows = bands(near)
    assert count * rows <= PERMUTATIONS
    assert rows == 1 or 1 - (1 - near**rows) ** count >= RECALL
    more = rows + 1
    assert more > 16 or 1 - (1 - near**more) ** (PERMUTATIONS // more) < RECALL


@pytest.mark.parametrize("near", [0.5, 0.8, 0.9])
def test_groups_are_those_of_comparing_every_pair(near):
    texts = varied(random.Random(near), 120)
    sets = [set(runs(text, 5)) for text in texts]

    def tied(one, other):
        return len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= near

    expected = components(len(texts), tied)
    found = duplicates([problem(n, text) for n, text in enumerate(texts)], near)
    assert len(expected) > 5
    assert [list(map(int, group.ids)) for group in found] == expected
    for group in found:
        assert len(group.pairs) == len(group.ids) - 1
        for pair in group.pairs:
            one, other = int(pair.first), int(pair.second)
            exact = len(sets[one] & sets[other]) / len(sets[one] | sets[other])
            assert pair.similarity == pytest.approx(exact) and exact >= near


@pytest.mark.parametrize("near", [0.5, 0.65, 0.8])
def test_problems_of_one_template_are_grouped_as_comparing_every_pair_groups_them(near):
    rng = random.Random(near)
    template, texts = [f"w{rng.randrange(900)}" for _ in range(80)], []
    for _ in range(60):
        words = list(template)
        for _ in range(rng.choice([1, 2, 3, 4])):
            words[rng.randrange(80)] = f"x{rng.randrange(10**6)}"
        texts.append(" ".join(words))
    sets = [set(runs(text, 5)) for text in texts]
    expected = components(60, lambda a, b: len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= near)
    found = duplicates([problem(n, text) for n, text in enumerate(texts)], near)
    assert [list(map(int, group.ids)) for group in found] == expected != []


def test_of_many_pairs_at_the_threshold_almost_none_is_overlooked():
    rng, missed, pairs = random.Random(8), 0, 400
    for _ in range(pairs):
        words = [f"w{rng.randrange(10**6)}" for _ in range(94)]
        changed = [*words[:-5], *(f"x{rng.randrange(10**6)}" for _ in range(5))]
        found = duplicates([problem(1, " ".join(words)), problem(2, " ".join(changed))], near=85 / 95)
        missed += not found
    assert missed <= 4 * (1 - RECALL) * pairs


def test_equal_statements_and_equal_tests_are_found_without_near():
    tests = [("1", "2"), ("2", "4"), ("3", "6")]
    problems = [
        problem("a", "Add one, please.", tests),
        problem("b", "add ONE please"),
        problem("c", "Another tale.", [(f" {given}\n", output) for given, output in reversed(tests)]),
        problem("d", "Yet another.", tests[:2]),
        problem("e", "And one more.", tests[:2]),
        problem("f", "!?"),
        problem("g", "..."),
    ]
    [group] = duplicates(problems, near=None)
    assert group.ids == ("a", "b", "c")
    assert [(pair.first, pair.second, pair.kind) for pair in group.pairs] == [
        ("a", "b", "statement"),
        ("a", "c", "tests"),
    ]


def test_groups_are_the_same_in_every_process():
    code = (
        "import random; from test_problems_similar import *;"
        "print(duplicates([problem(n, t) for n, t in enumerate(varied(random.Random(1), 60))], 0.5))"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outs[0] == outs[1] and "near" in outs[0]


# -- contamination


@given(data=st.data(), n=st.integers(2, 4), common=st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_runs_in_common_are_those_of_comparing_all_runs(data, n, common):
    texts = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12).map(" ".join), min_size=1, max_size=5)
    train, bench = data.draw(texts), data.draw(texts)
    known = {run for text in bench for run in runs(text, n)}
    having = {run: sum(run in runs(text, n) for text in train) for run in known}
    expected = {}
    for number, text in enumerate(train):
        rare = [run for run in runs(text, n) if 0 < having.get(run, 0) <= common]
        if rare:
            expected[str(number)] = " ".join(rare[0])
    found = contamination(
        [problem(n, t) for n, t in enumerate(train)],
        {"bench": [problem(f"b{n}", t) for n, t in enumerate(bench)]},
        ngram=n,
        common=common,
    )
    assert {hit.id: hit.what for hit in found.hits if hit.reason == "ngram"} == expected
    assert set(found.common) == {" ".join(run) for run, count in having.items() if count > common}
    owners = {hit.id: hit.other for hit in found.hits if hit.reason == "ngram"}
    for name, other in owners.items():
        assert tuple(expected[name].split()) in runs(bench[int(other[1:])], n)


def test_statements_tests_and_programs_of_a_benchmark_are_known_whatever_their_words():
    tests = [(str(n), str(n * n)) for n in range(6)]
    code = """def f(numbers):
    total = 0
    for number in numbers:
        total += number * number
    return total
"""
    bench = {"he": [problem("h/1", "Square it.", tests), problem("h/2", "Sum squares.", code=code)]}
    train = [
        problem("same", "Square, it!"),
        problem("tested", "Multiply by itself.", [*tests[:3], ("9", "81")]),
        problem("few", "Multiply.", tests[:2]),
        problem("half", "Cube, mostly.", [*tests[:3], *((str(n), str(n**3)) for n in range(9, 29))]),
        problem("solved", "A tale.", code="# mine\n" + code),
        problem("short", "Twice.", code="print(1)"),
        problem("clean", "Something else."),
    ]
    found = contamination(train, bench).hits
    assert [(hit.id, hit.other, hit.reason, hit.what) for hit in found] == [
        ("same", "h/1", "statement", ""),
        ("tested", "h/1", "tests", "3 tests"),
        ("half", "h/1", "tests", "3 tests"),
        ("solved", "h/2", "solution", ""),
    ]


def test_a_short_sentence_of_mbpp_is_known_inside_a_longer_statement_with_other_tests():
    def of_mbpp(sentence):
        return statement_of(sentence, "assert sort_it([2, 1]) == [1, 2]")

    text = "Write a function to sort a given list of words by length."  # 12 words
    bench = {"mbpp": [problem("m/1", of_mbpp(text)), problem("m/2", of_mbpp("Sort a list of numbers."))]}
    train = [
        problem("inside", f"Here is your task: {text} Your code should pass these tests."),
        problem("alone", text),
        problem("tiny", "Please sort a list of numbers."),
        problem("same", "sort a list of numbers"),
        problem("part", "Write a function to sort a given list of words by their weight."),
    ]
    hits = contamination(train, bench).hits
    assert [(hit.id, hit.other, hit.reason) for hit in hits] == [
        ("inside", "m/1", "ngram"),
        ("alone", "m/1", "statement"),
        ("alone", "m/1", "ngram"),
        ("same", "m/2", "statement"),
    ]


def test_boilerplate_that_many_problems_have_is_no_contamination_but_is_told():
    usual = "the first line contains one integer t the number of test cases in the input"
    train = [problem(n, f"{usual} tale{n}") for n in range(12)]
    bench = {"cc": [problem("b", f"Once upon a time. {usual}")]}
    found = contamination(train, bench)
    assert found.hits == [] and set(found.common.values()) == {12}
    assert len(contamination(train[:10], bench).hits) == 10
    numbers = " ".join(map(str, range(20)))
    assert (
        contamination([problem("a", f"One tale {numbers}")], {"b": [problem("b", f"Two {numbers}")]}).hits
        == []
    )
    assert contamination(train, {}).hits == contamination([], bench).hits == []
