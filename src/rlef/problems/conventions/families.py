"""The sixteen families. Each leaves ten conventions open: an axis of two and one of five."""

from __future__ import annotations

from random import Random
from typing import Any

from rlef.problems.conventions.family import (
    CASE_CODE,
    CASES,
    SEPARATORS,
    WORDS,
    Family,
    Values,
    ints,
    line,
    mixed,
    numbers,
    recase,
)

_K = tuple(range(2, 100))
_SIDES = ("above", "below")


def _join(separator: str, items: str) -> str:
    """Program text that prints an iterable of strings with a separator between them."""
    return f'print("{separator}".join({items}))'


def _three(random: Random, visible: Values) -> str:
    return line(numbers(random, 3, 1, 19))


def _shuffled(random: Random, items: list[Any]) -> str:
    return line(random.sample(items, len(items)))


# --- numbers, order and separator -------------------------------------------------------

scale = Family(
    name="scale",
    wordings=(
        "Read numbers and print each one times {k} .",
        "Multiply the numbers of the line by {k} .",
        "Print {k} times every number .",
    ),
    visible={"k": _K},
    hidden={"order": ("kept", "reversed"), "separator": SEPARATORS},
    draw_input=_three,
    solve=lambda text, v, h: h["separator"].join(
        str(x * v["k"]) for x in (ints(text) if h["order"] == "kept" else reversed(ints(text)))
    ),
    program=lambda v, h: _join(
        h["separator"],
        f"str(int(x)*{v['k']})for x in input().split(){'' if h['order'] == 'kept' else '[::-1]'}",
    ),
)

shift = Family(
    name="shift",
    wordings=(
        "Read numbers , add {k} to each and sort them .",
        "Sort the numbers of the line and raise each by {k} .",
        "Print every number plus {k} in order .",
    ),
    visible={"k": _K},
    hidden={"order": ("ascending", "descending"), "separator": SEPARATORS},
    draw_input=_three,
    solve=lambda text, v, h: h["separator"].join(
        str(x + v["k"]) for x in sorted(ints(text), reverse=h["order"] == "descending")
    ),
    program=lambda v, h: _join(
        h["separator"],
        f"str(x+{v['k']})for x in sorted(map(int,input().split()))"
        f"{'' if h['order'] == 'ascending' else '[::-1]'}",
    ),
)

sign = Family(
    name="sign",
    wordings=(
        "Read numbers and print the difference of each and {k} .",
        "Print how far every number is from {k} , with its sign .",
    ),
    visible={"k": _K},
    hidden={"sign": ("number first", "constant first"), "separator": SEPARATORS},
    draw_input=lambda random, v: line(numbers(random, 3, max(0, v["k"] - 15), v["k"] + 15)),
    solve=lambda text, v, h: h["separator"].join(
        str(x - v["k"] if h["sign"] == "number first" else v["k"] - x) for x in ints(text)
    ),
    program=lambda v, h: _join(
        h["separator"],
        (f"str(int(x)-{v['k']})" if h["sign"] == "number first" else f"str({v['k']}-int(x))")
        + "for x in input().split()",
    ),
)

divide = Family(
    name="divide",
    wordings=(
        "Read numbers and divide each by {k} , as whole numbers .",
        "Print every number over {k} without a fraction .",
    ),
    visible={"k": tuple(range(2, 60))},
    hidden={"rounding": ("down", "up"), "separator": SEPARATORS},
    draw_input=lambda random, v: line(numbers(random, 2, 1, 6 * v["k"])),
    solve=lambda text, v, h: h["separator"].join(
        str(x // v["k"] + (h["rounding"] == "up" and x % v["k"] > 0)) for x in ints(text)
    ),
    program=lambda v, h: _join(
        h["separator"],
        (f"str(int(x)//{v['k']})" if h["rounding"] == "down" else f"str(-(-int(x)//{v['k']}))")
        + "for x in input().split()",
    ),
)


# --- bounds -----------------------------------------------------------------------------


def _keeps(x: int, v: Values, h: Values) -> bool:
    beyond = x > v["k"] if v["side"] == "above" else x < v["k"]
    return bool(beyond or (h["bound"] == "inclusive" and x == v["k"]))


def _operator(v: Values, h: Values) -> str:
    return (">" if v["side"] == "above" else "<") + ("=" if h["bound"] == "inclusive" else "")


def _at_the_bound(random: Random, v: Values) -> str:
    low, high = (v["k"] + 1, v["k"] + 20) if v["side"] == "above" else (max(0, v["k"] - 20), v["k"] - 1)
    return _shuffled(random, [v["k"], *numbers(random, 2, low, high)])


keep = Family(
    name="keep",
    wordings=("Read numbers and keep those {side} {k} .", "Print only the numbers {side} {k} ."),
    visible={"side": _SIDES, "k": tuple(range(5, 100))},
    hidden={"bound": ("strict", "inclusive"), "separator": SEPARATORS},
    draw_input=_at_the_bound,
    solve=lambda text, v, h: h["separator"].join(str(x) for x in ints(text) if _keeps(x, v, h)),
    program=lambda v, h: _join(
        h["separator"], f"x for x in input().split()if int(x){_operator(v, h)}{v['k']}"
    ),
)

between = Family(
    name="between",
    wordings=("Read numbers and keep those from {a} to {b} .", "Print the numbers between {a} and {b} ."),
    visible={"a": tuple(range(1, 60)), "b": tuple(range(4, 80))},
    valid=lambda v: 4 <= v["b"] - v["a"] <= 20,
    hidden={"end": ("inclusive", "exclusive"), "separator": SEPARATORS},
    draw_input=lambda random, v: _shuffled(random, [v["b"], *random.sample(range(v["a"] + 1, v["b"]), 2)]),
    solve=lambda text, v, h: h["separator"].join(
        str(x) for x in ints(text) if v["a"] <= x < v["b"] + (h["end"] == "inclusive")
    ),
    program=lambda v, h: _join(
        h["separator"],
        f"x for x in input().split()if {v['a']}<=int(x){'<=' if h['end'] == 'inclusive' else '<'}{v['b']}",
    ),
)

multiples = Family(
    name="multiples",
    wordings=(
        "Read a number and print the multiples of {k} up to it .",
        "Print {k} and its multiples as far as the number goes .",
    ),
    visible={"k": _K},
    hidden={"end": ("inclusive", "exclusive"), "separator": SEPARATORS},
    draw_input=lambda random, v: str(v["k"] * random.randint(3, 5) + random.choice((0, 0, 1, v["k"] - 1))),
    solve=lambda text, v, h: h["separator"].join(
        str(x) for x in range(v["k"], int(text) + (h["end"] == "inclusive"), v["k"])
    ),
    program=lambda v, h: _join(
        h["separator"],
        f"map(str,range({v['k']},int(input()){'+1' if h['end'] == 'inclusive' else ''},{v['k']}))",
    ),
)

_ANSWERS = ("yes no", "Y N", "true false", "1 0", "on off")

compare = Family(
    name="compare",
    wordings=("Read a number and say whether it is {side} {k} .", "Is the number {side} {k} ?"),
    visible={"side": _SIDES, "k": tuple(range(10, 100))},
    hidden={"bound": ("strict", "inclusive"), "answers": _ANSWERS},
    draw_input=lambda random, v: str(v["k"] if random.random() < 0.5 else random.randint(0, v["k"] + 20)),
    solve=lambda text, v, h: h["answers"].split()[0 if _keeps(int(text), v, h) else 1],
    program=lambda v, h: 'print("{}"if int(input()){}{} else"{}")'.format(
        h["answers"].split()[0], _operator(v, h), v["k"], h["answers"].split()[1]
    ),
)


# --- formats ----------------------------------------------------------------------------

decimals = Family(
    name="decimals",
    wordings=("Read a number and print {k} percent of it .", "Print the number times {k} over 100 ."),
    visible={"k": _K},
    hidden={"mark": (".", ","), "digits": (1, 2, 3, 4, 5)},
    draw_input=lambda random, v: str(random.randint(2, 99)),
    solve=lambda text, v, h: f"{int(text) * v['k'] / 100:.{h['digits']}f}".replace(".", h["mark"]),
    program=lambda v, h: (
        f'print(f"{{int(input())*{v["k"]}/100:.{h["digits"]}f}}"'
        + ("" if h["mark"] == "." else '.replace(".",",")')
        + ")"
    ),
)

pad = Family(
    name="pad",
    wordings=(
        "Read numbers , add {k} to each and fill to width {w} .",
        "Print every number plus {k} in {w} places .",
    ),
    visible={"k": _K, "w": (4, 5, 6, 7, 8)},
    hidden={"side": ("left", "right"), "fill": ("0", "*", ".", "_", "#")},
    draw_input=lambda random, v: line(numbers(random, 2, 1, 99)),
    solve=lambda text, v, h: " ".join(
        (str.rjust if h["side"] == "left" else str.ljust)(str(x + v["k"]), v["w"], h["fill"])
        for x in ints(text)
    ),
    program=lambda v, h: (
        f"print(*[str(int(x)+{v['k']}).{'rjust' if h['side'] == 'left' else 'ljust'}"
        f'({v["w"]},"{h["fill"]}")for x in input().split()])'
    ),
)

date = Family(
    name="date",
    wordings=(
        "Read day , month and year and print the date {k} years later .",
        "Print the date of the line with {k} added to the year .",
    ),
    visible={"k": _K},
    hidden={"order": ("day first", "year first"), "separator": ("-", "/", ".", ":", " ")},
    draw_input=lambda random, v: line(
        [random.randint(1, 28), random.randint(1, 12), random.randint(1900, 1999)]
    ),
    solve=lambda text, v, h: h["separator"].join(
        str(x)
        for x in (ints(text)[0], ints(text)[1], ints(text)[2] + v["k"])[
            :: 1 if h["order"] == "day first" else -1
        ]
    ),
    program=lambda v, h: (
        "d,m,y=input().split()\n"
        + (
            f'print(d,m,int(y)+{v["k"]},sep="{h["separator"]}")'
            if h["order"] == "day first"
            else f'print(int(y)+{v["k"]},m,d,sep="{h["separator"]}")'
        )
    ),
)

label = Family(
    name="label",
    wordings=(
        "Read numbers , add {k} to each and print it with the label {w} .",
        "Name every number plus {k} with {w} .",
    ),
    visible={"w": WORDS, "k": tuple(range(2, 30))},
    hidden={"order": ("label first", "number first"), "joiner": ("=", ":", "->", "~", "_")},
    draw_input=lambda random, v: line(numbers(random, 2, 1, 60)),
    solve=lambda text, v, h: " ".join(
        h["joiner"].join(
            (v["w"], str(x + v["k"])) if h["order"] == "label first" else (str(x + v["k"]), v["w"])
        )
        for x in ints(text)
    ),
    program=lambda v, h: (
        (
            f'print(*["{v["w"]}{h["joiner"]}"+str(int(x)+{v["k"]})'
            if h["order"] == "label first"
            else f'print(*[str(int(x)+{v["k"]})+"{h["joiner"]}{v["w"]}"'
        )
        + "for x in input().split()])"
    ),
)


# --- words ------------------------------------------------------------------------------


def _with_repeats(random: Random, v: Values) -> str:
    other = mixed(random, random.choice([w for w in WORDS if w not in (v["u"], v["w"])]))
    return _shuffled(random, [v["u"], v["u"], other])


replace = Family(
    name="replace",
    wordings=("Read a line and replace {u} by {w} .", "Put {w} in place of {u} ."),
    visible={"u": WORDS, "w": WORDS},
    valid=lambda v: v["u"] != v["w"],
    hidden={"scope": ("all", "first"), "case": CASES},
    draw_input=_with_repeats,
    solve=lambda text, v, h: recase(
        text.replace(v["u"], v["w"], -1 if h["scope"] == "all" else 1), h["case"]
    ),
    program=lambda v, h: (
        f'print(input().replace("{v["u"]}","{v["w"]}"{"" if h["scope"] == "all" else ",1"})'
        f"{CASE_CODE[h['case']]})"
    ),
)


def _with_word(random: Random, v: Values) -> str:
    items = random.sample([w for w in WORDS if w != v["w"]], 3)
    items.insert(random.randint(0, 3), v["w"])
    return line(items)


position = Family(
    name="position",
    wordings=(
        "Read words and print {u} and the position of {w} .",
        "Find the place of {w} and name it {u} .",
    ),
    visible={"u": WORDS, "w": WORDS},
    valid=lambda v: v["u"] != v["w"],
    hidden={"base": (0, 1), "joiner": (":", "=", "-", "#", ".")},
    draw_input=_with_word,
    solve=lambda text, v, h: f"{v['u']}{h['joiner']}{text.split().index(v['w']) + h['base']}",
    program=lambda v, h: (
        f'print("{v["u"]}{h["joiner"]}"+str(input().split().index("{v["w"]}"){"+1" if h["base"] else ""}))'
    ),
)

items = Family(
    name="items",
    wordings=(
        "Read words and print number {a} , number {b} and {w} .",
        "Print the words {a} and {b} of the line , then {w} .",
    ),
    visible={"a": (1, 2, 3, 4), "b": (1, 2, 3, 4), "w": WORDS},
    valid=lambda v: v["a"] != v["b"],
    hidden={"base": (0, 1), "separator": SEPARATORS},
    draw_input=lambda random, v: line(random.sample(WORDS, 5)),
    solve=lambda text, v, h: h["separator"].join(
        [text.split()[v["a"] - h["base"]], text.split()[v["b"] - h["base"]], v["w"]]
    ),
    program=lambda v, h: (
        f"a=input().split()\n"
        f'print(a[{v["a"] - h["base"]}],a[{v["b"] - h["base"]}],"{v["w"]}",sep="{h["separator"]}")'
    ),
)


def _with_a_tie(random: Random, v: Values) -> str:
    long, short = (5, 3) if v["side"] == "longest" else (3, 5)
    winners = random.sample([w for w in WORDS if len(w) == long], 2)
    other = random.choice([w for w in WORDS if len(w) == short])
    return _shuffled(random, [*winners, other])


def _winner(text: str, v: Values, h: Values) -> str:
    words = text.split() if h["tie"] == "first" else text.split()[::-1]
    return (max if v["side"] == "longest" else min)(words, key=len)


tie = Family(
    name="tie",
    wordings=(
        "Read words and print the {side} one and then {w} .",
        "Print the {side} word of the line with {w} .",
    ),
    visible={"side": ("longest", "shortest"), "w": WORDS},
    hidden={"tie": ("first", "last"), "separator": SEPARATORS},
    draw_input=_with_a_tie,
    solve=lambda text, v, h: _winner(text, v, h) + h["separator"] + v["w"],
    program=lambda v, h: (
        f"print({'max' if v['side'] == 'longest' else 'min'}"
        f"(input().split(){'' if h['tie'] == 'first' else '[::-1]'},key=len)"
        f'+"{h["separator"]}{v["w"]}")'
    ),
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        scale,
        shift,
        sign,
        divide,
        keep,
        between,
        multiples,
        compare,
        decimals,
        pad,
        date,
        label,
        replace,
        position,
        items,
        tie,
    )
}
