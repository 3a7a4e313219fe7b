# ruff: noqa: SIM905  (lists of names read better as words)
"""May a call of this program leave something behind that a later call can find?

If not, many calls may share a process, and each gives what it would give in a process of its own.
The look is static and one-sided: ``keeps_state`` says no only to programs of which it understands
every line, and "perhaps" to all others.

What outlives a call hangs on the module: its variables, functions with their defaults and attributes,
classes, imported modules. So functions may not touch these in any way that could change them or let
them out of sight. They may call functions and classes by name, read constants, and read tables (lists,
sets, dictionaries of constants) in ways that hand out items only. They may store what they like in
what they have made or were given, because of this rule: a local name never holds anything that
outlives the call and can be changed. Functions that look behind the scenes (``getattr``, ``eval``,
``globals``, ``id``, double underscores), modules that remember (``random``, ``time``, ``os``) and
whatever is not listed here are a "perhaps".

Not seen: the addresses of objects. Sets of objects without a hash of their own, and texts that show an
address, may differ between processes, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import names as n
from .names import Scope, Unclear, kind_of, named

_MOST_BYTES = 16384
"""Longer sources are not looked at: their trees take memory that counts for the program."""
_PLAIN = frozenset(
    "Expr Assign AugAssign While If Try Assert Pass Break Continue Return Delete Nonlocal BoolOp BinOp "
    "UnaryOp IfExp Dict Set List Tuple JoinedStr FormattedValue Slice Yield YieldFrom NamedExpr "
    "Constant".split()
)
"""Nodes that are all right if their parts are."""
_NOTING = frozenset("Name Attribute Subscript Constant Tuple List BinOp BitOr Load".split())
"""Nodes that annotations are made of: they may name anything, but do nothing."""
_HIDDEN = frozenset(
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await ag_frame ag_code ag_await f_back f_builtins "
    "f_code f_globals f_locals f_trace tb_frame tb_next mro mapping func".split()
)
"""Attributes that lead behind the scenes, besides those with two underscores."""
_METHODS = frozenset(
    f"__{name}__"
    for name in (
        "init post_init repr str eq ne lt le gt ge hash len iter next getitem setitem delitem contains call "
        "bool add sub mul truediv floordiv mod pow neg pos abs and or xor invert lshift rshift matmul "
        "radd rsub rmul rtruediv rfloordiv rmod iadd isub imul int float index reversed format"
    ).split()
)


def keeps_state(source: bytes, function: str) -> str:
    """Why calls of ``function`` might share something, or "" if they can't. The source compiles."""
    if len(source) > _MOST_BYTES:
        return "too long to look at"
    try:
        _Look(compile(source, "", "exec", n.ONLY_AST, dont_inherit=True).body).at(function)
    except Unclear as reason:
        return str(reason)
    except RecursionError:
        return "nested too deeply"
    return ""


class _Look:
    """A walk over a module. Raises ``Unclear``.

    The role of an expression is what is done with its value: it is ``called``; ``applied``, as called
    by a library function that forgets it; ``read``, item by item; looked at as a ``class``; or any
    other use, as ``value``.
    """

    def __init__(self, body: list[Any]) -> None:
        self.body = body
        self.module = n.Module(body)
        self.classes: dict[str, set[str]] = {}
        self.static: set[str] = set()
        for node in n.walk(body):
            if kind_of(node) == "ClassDef":
                own = [inner for inner in node.body if kind_of(inner) == "FunctionDef"]
                self.classes[node.name] = {one.name for one in own}
                self.static |= {
                    one.name for one in own if any(named(it, "staticmethod") for it in one.decorator_list)
                }
        self.sorts = any("sort" in methods for methods in self.classes.values())

    def at(self, function: str) -> None:
        """Look at everything, and at what ``function`` is in particular."""
        kind = self.module.names.get(function)
        solution = self.module.names.get("Solution") == n.CLASS and function in self.classes["Solution"]
        if kind != n.FUNCTION and not (kind is None and solution):
            raise Unclear("the function is no plain function")
        self.all(self.body, self.module)

    def all(self, body: Iterable[Any], scope: Scope) -> None:
        """Look at each of some nodes."""
        for node in body:
            self.one(node, scope)

    def one(self, node: Any, scope: Scope, role: str = "value") -> None:
        """Look at a node."""
        kind = kind_of(node)
        look = _LOOKS.get(kind)
        if look is not None:
            look(self, node, scope, role)
        elif kind in _PLAIN:
            for field in node._fields:
                for inner in n.nodes(getattr(node, field)):
                    self.one(inner, scope)
        elif node._fields:  # else an operator
            raise Unclear(f"a {kind}")

    # -- statements

    def imports(self, node: Any, scope: Scope, role: str) -> None:
        if scope is not self.module and n.UNKNOWN in n.bound([node]).values():
            raise Unclear("an import of a module that is not known")

    def annotated(self, node: Any, scope: Scope, role: str) -> None:
        self.annotation(node.annotation)
        self.all(n.nodes([node.target, node.value]), scope)

    def loop(self, node: Any, scope: Scope, role: str) -> None:
        self.one(node.iter, scope, "read")
        self.all((node.target, *node.body, *node.orelse), scope)

    def raising(self, node: Any, scope: Scope, role: str) -> None:
        for inner in n.nodes([node.exc, node.cause]):
            self.one(inner, scope, "class")

    def handler(self, node: Any, scope: Scope, role: str) -> None:
        for one in node.type.elts if kind_of(node.type) == "Tuple" else n.nodes(node.type):
            self.one(one, scope, "class")
        self.all(node.body, scope)

    def definition(self, node: Any, scope: Scope, role: str) -> None:
        if scope is self.module and node.decorator_list:
            raise Unclear("a decorator")
        for one in node.decorator_list:
            self.one(one, scope, "called")
        self.function(node, node.body, scope)

    def function(self, node: Any, body: list[Any], scope: Scope) -> None:
        """Parameters and body of a function, which lasts if its scope is the module."""
        given = node.args
        defaults = [*n.nodes(given.defaults), *n.nodes(given.kw_defaults)]
        self.all(defaults, scope)
        if scope is self.module and not all(map(self.module.constant, defaults)):
            raise Unclear("a default that can change")
        parameters = [
            *given.posonlyargs,
            *given.args,
            *given.kwonlyargs,
            *n.nodes([given.vararg, given.kwarg]),
        ]
        for one in parameters:
            self.annotation(one.annotation)
        if kind_of(node) != "Lambda":
            self.annotation(node.returns)
            self.untyped(node)
        found = n.bound(body)
        for one in parameters:
            if found.setdefault(one.arg, n.LOCAL) != n.LOCAL:
                raise Unclear(f"{one.arg} is several things")
        self.all(body, Scope(found, scope))

    def class_(self, node: Any, scope: Scope, role: str) -> None:
        self.untyped(node)
        if node.keywords:
            raise Unclear("a metaclass")
        for one in node.decorator_list:
            if not (named(one, "dataclass") and scope.kind("dataclass") == n.FOREIGN):
                raise Unclear("a decorated class")
        for base in node.bases:
            if kind_of(base) != "Name" or scope.kind(base.id) not in (n.SOUND, n.CLASS):
                raise Unclear("a class of an unknown kind")
        for inner in node.body:
            self.in_class(inner, scope)

    def in_class(self, node: Any, scope: Scope) -> None:
        """A statement in the body of a class."""
        kind = kind_of(node)
        if kind == "FunctionDef":
            self.method(node, scope)
        elif kind in ("Assign", "AnnAssign"):
            if "sort" in n.stored(node) or not all(map(self.module.constant, n.nodes(node.value))):
                raise Unclear("a class with a variable")
            self.annotation(getattr(node, "annotation", None))
        elif kind != "Pass" and not (kind == "Expr" and kind_of(node.value) == "Constant"):
            raise Unclear(f"a class with a {kind}")

    def method(self, node: Any, scope: Scope) -> None:
        if node.name.startswith("__") and node.name not in _METHODS:
            raise Unclear(f"a method {node.name}")
        for one in node.decorator_list:
            known = kind_of(one) == "Name" and one.id in ("staticmethod", "property")
            if not known or scope.kind(one.id) != n.SOUND:
                raise Unclear("a decorated method")
        self.function(node, node.body, scope)

    def untyped(self, node: Any) -> None:
        if getattr(node, "type_params", None):
            raise Unclear("a type parameter")

    def annotation(self, node: Any) -> None:
        if node is not None and not {kind_of(one) for one in n.walk([node])} <= _NOTING:
            raise Unclear("an annotation that does something")

    # -- expressions

    def name(self, node: Any, scope: Scope, role: str) -> None:
        name = node.id
        kind = scope.kind(name)
        if name.startswith("__") and name != "__name__":
            raise Unclear(f"use of {name}")  # in a class it is the name of something else
        if kind_of(node.ctx) != "Load" or kind in (n.LOCAL, n.CONSTANT, n.SOUND):
            return
        if scope is self.module and (kind in (n.OPAQUE, n.TYPING) or (kind == n.LIMIT and role == "called")):
            return
        if kind in (n.FUNCTION, n.CLASS, n.FOREIGN) and role in ("called", "applied"):
            return
        if (kind, role) not in ((n.CLASS, "class"), (n.TABLE, "read")):
            raise Unclear(f"use of {name}")

    def items(self, node: Any, scope: Scope, role: str) -> None:
        """A star or a subscript."""
        self.one(node.value, scope, "read" if kind_of(node.ctx) == "Load" else "value")
        if kind_of(node) == "Subscript":
            self.one(node.slice, scope)

    def comparison(self, node: Any, scope: Scope, role: str) -> None:
        sides = [node.left, *node.comparators]
        if any(kind_of(one) == "Call" and named(one.func, "type") for one in sides):
            # A class that is compared with an object would be handed to that object's __eq__.
            if not all(self.type_of(one, scope) or self.sound(one, scope) for one in sides):
                raise Unclear("a class compared with something else")
            return
        member = len(node.ops) == 1 and kind_of(node.ops[0]) in ("In", "NotIn")
        self.one(node.left, scope)
        for one in node.comparators:
            self.one(one, scope, "read" if member else "value")

    def sound(self, node: Any, scope: Scope) -> bool:
        if kind_of(node) in ("Tuple", "List", "Set"):
            return all(self.sound(one, scope) for one in node.elts)
        return kind_of(node) == "Name" and scope.kind(node.id) == n.SOUND

    def type_of(self, node: Any, scope: Scope) -> bool:
        """``type(x)``, which is all right where the class is only looked at."""
        called = kind_of(node) == "Call" and named(node.func, "type") and scope.kind("type") is None
        if not called or len(node.args) != 1 or node.keywords:
            return False
        self.one(node.args[0], scope)
        return True

    def attribute(self, node: Any, scope: Scope, role: str) -> None:
        name, loaded = node.attr, kind_of(node.ctx) == "Load"
        if name == "__name__" and loaded and self.type_of(node.value, scope):
            return
        if name.startswith("__") or name in _HIDDEN:
            raise Unclear(f"attribute {name}")
        base = scope.kind(node.value.id) if kind_of(node.value) == "Name" else n.LOCAL
        if isinstance(base, tuple):
            sound, foreign = n.KNOWN[base[1]]
            limit = base[1] == "sys" and name == n.SET_LIMIT and role == "called" and scope is self.module
            usable = name in sound or (name in foreign and role in ("called", "applied"))
            if not limit and not (loaded and usable):
                raise Unclear(f"{base[1]}.{name}")
        elif name in self.static and role != "called":
            raise Unclear("a static method as a value")
        elif not loaded and (base not in (n.LOCAL, n.OPAQUE) or name == "sort"):
            raise Unclear(f"a change of {name}")
        elif not (loaded and role == "called" and self.harmless(node, base)):
            self.one(node.value, scope)

    def harmless(self, node: Any, base: Any) -> bool:
        """True for the methods that may be called on what lasts."""
        if base == n.CLASS:
            return node.attr in self.classes[node.value.id]
        return bool(base == n.TABLE and node.attr in n.READING_METHODS)

    def call(self, node: Any, scope: Scope, role: str) -> None:
        self.one(node.func, scope, "called")
        name = self.callee(node.func, scope)
        for place, argument in enumerate(node.args):
            self.one(argument, scope, self.argument(name, place, len(node.args)))
        sorts = kind_of(node.func) == "Attribute" and node.func.attr == "sort" and not self.sorts
        for keyword in node.keywords:
            applied = keyword.arg == "key" and (sorts or name in n.WITH_KEY)
            self.one(keyword.value, scope, "applied" if applied else "value")

    def callee(self, node: Any, scope: Scope) -> str:
        """The name of a called function if it is the library's own."""
        if kind_of(node) == "Name":
            return str(node.id) if scope.kind(node.id) in (n.SOUND, n.FOREIGN) else ""
        if kind_of(node) == "Attribute" and kind_of(node.value) == "Name":
            return node.attr if isinstance(scope.kind(node.value.id), tuple) else ""
        return ""

    def argument(self, callee: str, place: int, count: int) -> str:
        """The role of an argument."""
        if n.APPLIES.get(callee) == place:
            return "applied"
        last, most = n.READS.get(callee, (-1, 0))
        if place <= last and count <= most:
            return "read"
        return "class" if callee in ("isinstance", "issubclass") and place == 1 else "value"

    def comprehension(self, node: Any, scope: Scope, role: str) -> None:
        inner = Scope({name: n.LOCAL for part in node.generators for name in n.stored(part.target)}, scope)
        for place, part in enumerate(node.generators):
            if part.is_async:
                raise Unclear("async")
            self.one(part.iter, inner if place else scope, "read")
            self.all((part.target, *part.ifs), inner)
        self.all([node.key, node.value] if kind_of(node) == "DictComp" else [node.elt], inner)

    def lambda_(self, node: Any, scope: Scope, role: str) -> None:
        self.function(node, [node.body], scope)


_LOOKS: dict[str, Callable[[_Look, Any, Scope, str], None]] = {
    "Import": _Look.imports,
    "ImportFrom": _Look.imports,
    "AnnAssign": _Look.annotated,
    "For": _Look.loop,
    "Raise": _Look.raising,
    "ExceptHandler": _Look.handler,
    "FunctionDef": _Look.definition,
    "ClassDef": _Look.class_,
    "Name": _Look.name,
    "Starred": _Look.items,
    "Subscript": _Look.items,
    "Compare": _Look.comparison,
    "Attribute": _Look.attribute,
    "Call": _Look.call,
    "ListComp": _Look.comprehension,
    "SetComp": _Look.comprehension,
    "DictComp": _Look.comprehension,
    "GeneratorExp": _Look.comprehension,
    "Lambda": _Look.lambda_,
}
