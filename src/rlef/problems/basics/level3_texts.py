"""Level 3, words: a short algorithm."""

from __future__ import annotations

import itertools
import random

from rlef.problems.basics import draws
from rlef.problems.basics.kind import WORD, WORDS, Kind, lines
from rlef.problems.basics.oracles import depth, longest_run, rotate

LETTERS = tuple("abcdeghilmnoprst")

TEXTS = (
    Kind(
        name="shift-letters",
        reads=WORD,
        says=(
            "Replace each letter of the word by the letter {k} places later in the alphabet; after z "
            "comes a. Print it.",
        ),
        params={"k": range(1, 26)},
        draw=lambda r, k: draws.letters(r, [*"aemqtvxz", rotate("z", -k)]),
        answer=lambda word, k: "".join(rotate(letter, k) for letter in word),
        wrong_answer=lambda word, k: "".join(chr(ord(letter) + k) for letter in word),
        program='print("".join(chr((ord(x) - 97 + {k}) % 26 + 97) for x in word))',
        wrong='print("".join(chr(ord(x) + {k}) for x in word))',
    ),
    Kind(
        name="longest-letter-run",
        reads=WORD,
        says=("Print how long the longest unbroken run of the letter {c} in the word is.",),
        params={"c": LETTERS},
        draw=lambda r, c: draws.letters(r, [c, c, "y"], (5, 12)),
        answer=lambda word, c: longest_run([letter == c for letter in word]),
        wrong_answer=lambda word, c: word.count(c),
        program=lines(
            "best = run = 0",
            "for x in word:",
            '    run = run + 1 if x == "{c}" else 0',
            "    best = max(best, run)",
            "print(best)",
        ),
        wrong='print(word.count("{c}"))',
    ),
    Kind(
        name="depth",
        reads=WORD,
        says=(
            "In the word, {a} opens a box and {b} closes it. Print how many boxes are open at most at "
            "one time.",
        ),
        params={"a": tuple("([{<u"), "b": tuple(")]}>d")},
        draw=lambda r, a, b: _nested(r, a, b),
        answer=lambda word, a, b: depth(word, a, b),
        wrong_answer=lambda word, a, b: word.count(a),
        program=lines(
            "deepest = depth = 0",
            "for x in word:",
            '    depth += 1 if x == "{a}" else -1',
            "    deepest = max(deepest, depth)",
            "print(deepest)",
        ),
        wrong='print(word.count("{a}"))',
    ),
    Kind(
        name="run-lengths",
        reads=WORD,
        says=(
            "Print each run of equal letters as the letter, {c} and the length of the run: aab becomes "
            "a{c}2b{c}1.",
        ),
        params={"c": tuple("-+*/=:.;,^_~|@#")},
        draw=lambda r, c: draws.letters(r, "abc", (4, 10)),
        answer=lambda word, c: "".join(f"{x}{c}{len(list(run))}" for x, run in itertools.groupby(word)),
        wrong_answer=lambda word, c: "".join(f"{x}{c}{word.count(x)}" for x in dict.fromkeys(word)),
        program=lines(
            'out = ""',
            "start = 0",
            "for i in range(1, len(word) + 1):",
            "    if i == len(word) or word[i] != word[start]:",
            '        out += word[start] + "{c}" + str(i - start)',
            "        start = i",
            "print(out)",
        ),
        wrong='print("".join(x + "{c}" + str(word.count(x)) for x in dict.fromkeys(word)))',
    ),
    Kind(
        name="palindrome-after",
        reads=WORD,
        says=(
            "Remove every {c} from the word. Print yes if the rest reads the same backwards, otherwise "
            "print no.",
        ),
        params={"c": tuple("defghijklmnopqrs")},
        draw=lambda r, c: _nearly_palindrome(r, c),
        answer=lambda word, c: (rest := word.replace(c, "")) == "".join(reversed(rest)),
        wrong_answer=lambda word, c: word == word[::-1],
        program=lines(
            'rest = [x for x in word if x != "{c}"]', 'print("yes" if rest == rest[::-1] else "no")'
        ),
        wrong='print("yes" if word == word[::-1] else "no")',
    ),
    Kind(
        name="sort-by-letter",
        reads=WORDS,
        says=(
            "Sort the words by how often they contain {c}, most first; equal ones from a to z. Print "
            "them on one line.",
        ),
        params={"c": LETTERS},
        draw=lambda r, c: [draws.word_with(r, c) for _ in range(r.randint(3, 5))],
        answer=lambda ws, c: [word for _, word in sorted((-word.count(c), word) for word in ws)],
        wrong_answer=lambda ws, c: sorted(ws, key=lambda word: (word.count(c), word)),
        program='print(*sorted(sorted(words), key=lambda x: x.count("{c}"), reverse=True))',
        wrong='print(*sorted(words, key=lambda x: (x.count("{c}"), x)))',
    ),
)


def _nested(rng: random.Random, up: str, down: str) -> str:
    """A balanced word."""
    text, opened = "", 0
    for _ in range(rng.randint(3, 8)):
        step = down if opened and rng.random() < 0.5 else up
        opened += 1 if step == up else -1
        text += step
    return text + down * opened


def _nearly_palindrome(rng: random.Random, c: str) -> str:
    half = draws.letters(rng, "abc", (2, 4))
    rest = half + half[::-1] if rng.random() < 0.5 else half + draws.letters(rng, "abc", (2, 4))
    letters = list(rest)
    for _ in range(rng.randint(0, 2)):
        letters.insert(rng.randint(0, len(letters)), c)
    return "".join(letters)
