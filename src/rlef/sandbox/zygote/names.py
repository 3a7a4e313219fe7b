# ruff: noqa: SIM905  (lists of names read better as words)
"""What the names of a program stand for, as far as ``state.py`` has to know it.

Works on the compiler's tree, without the module ``ast``: its pages would weigh on every fork.
"""

from __future__ import annotations

import builtins
import cmath
import itertools
import math
import operator
import typing
from collections.abc import Iterable, Iterator
from typing import Any

ONLY_AST = 0x400
compile("", "", "exec", ONLY_AST)  # the first makes the classes of the tree, for all forks

# What a name stands for. A module of the library is the pair (MODULE, its name).
LOCAL = "local"
"""Made in a call, or given to it."""
CONSTANT, TABLE, FUNCTION, CLASS = "constant", "table", "function", "class"
"""The program's own, on the module: a table is a list, set or dictionary of constants."""
OPAQUE = "opaque"
"""Anything else on the module; functions may not use it."""
SOUND, FOREIGN, MODULE, TYPING = "sound", "foreign", "module", "typing"
"""The library's: nothing can be stored in it; may be called only; a module; for annotations."""
LIMIT, UNKNOWN = "limit", "unknown"
"""``setrecursionlimit``, which stays in force, so that only the module may call it; not to be used."""

BUILTINS = frozenset(
    "abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float "
    "format frozenset hex int isinstance issubclass iter len list map max min next object oct ord pow print "
    "property range repr reversed round set slice sorted staticmethod str sum tuple zip "
    "NotImplemented Ellipsis".split()
) | {
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, Exception)
}


def _public(module: Any, *but: str) -> frozenset[str]:
    return frozenset(name for name in dir(module) if not name.startswith("_")) - set(but)


def _words(names: str | frozenset[str]) -> frozenset[str]:
    return frozenset(names.split()) if isinstance(names, str) else names


_ALPHABETS = "ascii_lowercase ascii_uppercase ascii_letters digits hexdigits octdigits punctuation whitespace"
KNOWN: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    module: (_words(sound), _words(foreign))
    for module, sound, foreign in (
        ("math", _public(math), ""),
        ("cmath", _public(cmath), ""),
        ("itertools", _public(itertools), ""),
        ("operator", _public(operator, "attrgetter", "methodcaller", "call"), ""),
        ("heapq", "heappush heappop heapify heapreplace heappushpop", "nlargest nsmallest merge"),
        ("bisect", "bisect bisect_left bisect_right insort insort_left insort_right", ""),
        ("collections", "deque defaultdict OrderedDict", "Counter ChainMap"),
        ("functools", "reduce cmp_to_key", "lru_cache cache"),
        ("string", _ALPHABETS, ""),
        ("re", "", "match search fullmatch findall finditer sub subn split escape compile"),
        ("fractions", "", "Fraction"),
        ("copy", "", "copy deepcopy"),
        ("dataclasses", "", "dataclass"),
        ("sys", "maxsize", ""),
    )
}
"""By module: names that may go anywhere, as nothing can be stored in them, and names that may be called."""
SET_LIMIT = "setrecursionlimit"
_ANNOTATIONS = ("typing", "collections.abc", "__future__")
_TYPING_NAMES = frozenset(typing.__all__) - KNOWN["collections"][0] - KNOWN["collections"][1]
"""Without the names of collections: the last star wins, and what the two call by them is the same."""

READS = {
    **dict.fromkeys(
        "len sorted any all set frozenset tuple list dict reversed enumerate sum".split(), (0, 9)
    ),
    **dict.fromkeys(("min", "max"), (0, 1)),
    **dict.fromkeys(("map", "filter", "zip"), (9, 9)),
}
"""Calls that hand out the items of a table but never the table: last position for it, most arguments."""
READING_METHODS = frozenset("get items keys values index count copy".split())
APPLIES = {
    **dict.fromkeys("map filter reduce cmp_to_key starmap takewhile dropwhile filterfalse".split(), 0),
    **dict.fromkeys(("accumulate", "groupby"), 1),
}
"""Calls that call a function they are given and don't hand it on: its position."""
WITH_KEY = frozenset(
    "sorted min max nlargest nsmallest merge groupby bisect bisect_left bisect_right".split()
)
"""Calls that do so with ``key``."""
_TELLING = BUILTINS | set(APPLIES) | WITH_KEY
_FIXED = ("float", "int", "str", "frozenset", "tuple", "range", "len", "ord")
"""Builtins that make something unchangeable of constants."""
_COMPREHENSIONS = ("ListComp", "SetComp", "DictComp", "GeneratorExp")
_FUNCTIONS = ("FunctionDef", "Lambda")


class Unclear(Exception):
    """Something that is not understood, or that keeps state."""


class Scope:
    """The names of a function, a comprehension or (without a parent) the module."""

    def __init__(self, names: dict[str, Any], parent: Scope | None) -> None:
        self.names, self.parent = names, parent

    def kind(self, name: str) -> Any:
        """What ``name`` stands for here; None for a builtin that is not safe, or nothing."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        if name in BUILTINS:
            return SOUND
        return CONSTANT if name == "__name__" else None


class Module(Scope):
    """The names of a module, from its statements. Raises ``Unclear``."""

    def __init__(self, body: list[Any]) -> None:
        super().__init__({}, None)
        for node in body:
            for name, what in bound([node]).items():
                meaning = self._meaning(node, name, what)
                self.names[name] = meaning if self.names.get(name, meaning) == meaning else OPAQUE

    def _meaning(self, node: Any, name: str, what: Any) -> Any:
        kind = kind_of(node)
        if kind in ("FunctionDef", "ClassDef"):
            return FUNCTION if kind == "FunctionDef" else CLASS
        if kind in ("Import", "ImportFrom"):
            return what
        if kind in ("Assign", "AnnAssign"):
            targets = node.targets if kind == "Assign" else [node.target]
            if len(targets) == 1 and named(targets[0], name):
                return FUNCTION if kind_of(node.value) == "Lambda" else self._value(node.value)
        return OPAQUE

    def _value(self, node: Any) -> str:
        kind = kind_of(node)
        if self.constant(node):
            return CONSTANT
        if kind in ("List", "Set"):
            return TABLE if all(map(self.constant, node.elts)) else OPAQUE
        if kind == "Dict":
            return TABLE if all(map(self.constant, (*node.keys, *node.values))) else OPAQUE
        if kind == "Call" and len(node.args) == 1 and not node.keywords:
            made = (
                kind_of(node.func) == "Name" and node.func.id in ("set", "list") and self.kind(node.func.id)
            )
            return TABLE if made == SOUND and self._value(node.args[0]) != OPAQUE else OPAQUE
        return OPAQUE

    def constant(self, node: Any) -> bool:
        """True for an expression whose value can't be changed."""
        kind = kind_of(node)
        if kind == "Constant":
            return True
        if kind == "Name":
            return self.kind(node.id) in (CONSTANT, SOUND)
        if kind == "UnaryOp":
            return self.constant(node.operand)
        if kind == "BinOp":
            return self.constant(node.left) and self.constant(node.right)
        if kind == "Tuple":
            return all(map(self.constant, node.elts))
        if kind == "Attribute" and kind_of(node.value) == "Name":
            module = self.names.get(node.value.id)
            return isinstance(module, tuple) and node.attr in KNOWN[module[1]][0]
        if kind == "Call" and not node.keywords and all(map(self.constant, node.args)):
            function = node.func
            if kind_of(function) == "Name":
                return function.id in _FIXED and self.kind(function.id) == SOUND
            if kind_of(function) == "Attribute" and kind_of(function.value) == "Name":
                return function.attr == "compile" and self.names.get(function.value.id) == (MODULE, "re")
        return False


# -- the compiler's tree


def kind_of(node: Any) -> str:
    """The name of a node's class."""
    return type(node).__name__


def named(node: Any, name: str) -> bool:
    """True if the node is that name."""
    return kind_of(node) == "Name" and node.id == name


def nodes(value: Any) -> Iterator[Any]:
    """The nodes in a field."""
    for one in value if isinstance(value, list) else [value]:
        if hasattr(one, "_fields"):
            yield one


def walk(body: Iterable[Any]) -> Iterator[Any]:
    """All nodes, in no order."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        for field in node._fields:
            stack += nodes(getattr(node, field))


def stored(node: Any) -> list[str]:
    """The names that a target binds."""
    return [one.id for one in walk([node]) if kind_of(one) == "Name" and kind_of(one.ctx) != "Load"]


def bound(body: list[Any]) -> dict[str, Any]:
    """The names that statements bind in their own scope, and what imported ones are."""
    found: dict[str, Any] = {}
    elsewhere: set[str] = set()
    stack = [(node, False) for node in body]
    while stack:
        node, inside = stack.pop()  # inside a comprehension, which has its own names
        kind = kind_of(node)
        if kind == "Global":
            raise Unclear("a global statement")
        if kind == "Nonlocal":
            elsewhere.update(node.names)
        for name, what in _binds(node, kind, inside).items():
            if found.get(name, what) != what:
                raise Unclear(f"{name} is several things")
            found[name] = what
        if kind not in ("ClassDef", *_FUNCTIONS):
            inside = inside or kind in _COMPREHENSIONS
            stack += [(one, inside) for field in node._fields for one in nodes(getattr(node, field))]
        elif kind in _FUNCTIONS:
            stack += [(one, inside) for one in nodes(node.args.defaults)]
    return {name: what for name, what in found.items() if name not in elsewhere}


def _binds(node: Any, kind: str, inside: bool) -> dict[str, Any]:
    """The names that this node itself binds."""
    if kind == "Name":
        return {node.id: LOCAL} if kind_of(node.ctx) != "Load" and not inside else {}
    if kind == "NamedExpr":
        return {node.target.id: LOCAL}
    if kind in ("FunctionDef", "ClassDef", "ExceptHandler"):
        return {node.name: LOCAL} if node.name else {}
    return _imported(node) if kind in ("Import", "ImportFrom") else {}


def _imported(node: Any) -> dict[str, Any]:
    if kind_of(node) == "Import":
        return {
            one.asname or one.name.partition(".")[0]: (
                (MODULE, one.name) if one.name in KNOWN else TYPING if one.name in _ANNOTATIONS else UNKNOWN
            )
            for one in node.names
        }
    annotations = node.module in _ANNOTATIONS
    sound, foreign = KNOWN.get(node.module, (frozenset(), frozenset()))
    found: dict[str, Any] = {}
    for one in node.names:
        if one.name != "*":
            known = SOUND if one.name in sound else FOREIGN if one.name in foreign else UNKNOWN
            if one.asname in _TELLING and one.asname != one.name:
                known = UNKNOWN  # its name would say that it is another
            limit = node.module == "sys" and one.name == SET_LIMIT
            found[one.asname or one.name] = TYPING if annotations else LIMIT if limit else known
        elif annotations:
            found |= dict.fromkeys(_TYPING_NAMES, TYPING)
        elif not sound and not foreign:
            raise Unclear("names that are not known")
        else:
            found |= dict.fromkeys(foreign, FOREIGN) | dict.fromkeys(sound, SOUND)
    return found
