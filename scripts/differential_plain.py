"""The plain side of the differential test: one trusted program in an ordinary interpreter.

What runs here is not isolated, so only two kinds of programs may: known solutions (of rlef's own
suites and of public benchmarks), and mutants made from them by changing operators, constants and
the order of statements. Neither was written by a model. Two guards stand in front all the same,
because a mutant may loop, eat memory or, by bad luck, call something that it should not:

- `refusal` reads the text and refuses what is not on its lists: imports other than a few
  modules that compute, ``open``, ``eval`` and their like, names with underscores that lead to
  other objects, and modules reached through other modules. What does not parse can't run, so
  it passes.
- `Plain.run` starts each program with limits on CPU time, memory, files and processes, in an
  empty directory and with an empty environment, without the user's or the site's modules.

``-I`` would also ignore ``PYTHONHASHSEED``; ``-P -s`` and an environment of one word are the same
without that. Hashes must be equal on both sides, or sets print in another order.
"""

# ruff: noqa: SIM905 (names read better as words)

from __future__ import annotations

import ast
import importlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MODULES = frozenset(
    "__future__ abc array bisect cmath collections copy dataclasses datetime decimal enum fractions "
    "functools hashlib heapq itertools json math operator random re statistics string sys textwrap "
    "typing".split()
)
"""Modules that a program may import: they compute, and touch no file, process or clock."""

_SYS = frozenset(
    "argv exit getrecursionlimit getsizeof maxsize setrecursionlimit stderr stdin stdout".split()
)
_NAMES = frozenset(
    "__import__ __builtins__ __loader__ __spec__ breakpoint compile delattr dir eval exec getattr "
    "globals help locals memoryview open setattr vars".split()
)
_DUNDERS = frozenset(
    "__init__ __name__ __main__ __doc__ __len__ __lt__ __gt__ __eq__ __hash__ __repr__ __str__ __add__ "
    "__sub__ __iter__ __next__ __getitem__ __setitem__ __contains__ __file__ __call__ __len__".split()
)
_UNSTEADY = frozenset("id now today utcnow time SystemRandom urandom fromtimestamp".split())
"""Names whose values differ from run to run: nothing to compare."""

_DOORS = frozenset(
    name
    for module in MODULES
    for name, value in vars(importlib.import_module(module)).items()
    if isinstance(value, types.ModuleType) and name not in MODULES
)
"""Names under which a module of `MODULES` holds another one: ``random._os``."""

_GUARD = """
import os, resource, sys
for kind, value in zip(("CPU", "AS", "FSIZE", "NPROC", "NOFILE", "CORE"), sys.argv[1].split(",")):
    kind, value = getattr(resource, "RLIMIT_" + kind), int(value)
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Sets the limits in the process that then becomes the program's interpreter."""

_WALL_S = 20.0


def refusal(source: str) -> str:
    """Why ``source`` must not run outside the sandbox; empty if it may."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # the interpreter refuses it too
    return next(_objections(tree), "")


def _objections(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _bad_import(node)
        elif isinstance(node, ast.Name | ast.Attribute):
            yield from _bad_name(node)


def _bad_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        modules, names = [node.module or ""], [alias.name for alias in node.names]
    else:
        modules, names = [alias.name for alias in node.names], []
    for module in modules:
        if module not in (*MODULES, "collections.abc"):
            yield f"imports {module or '.'}"
    if isinstance(node, ast.Import) and any(alias.name == "sys" and alias.asname for alias in node.names):
        yield "imports sys under another name"
    for name in names:
        if (modules == ["sys"] and name not in _SYS) or name in _UNSTEADY or _leads_out(name):
            yield f"imports {name} from {modules[0]}"


def _bad_name(node: ast.Name | ast.Attribute) -> Iterator[str]:
    if isinstance(node, ast.Name):
        if node.id in _NAMES or node.id in _UNSTEADY or _hidden(node.id):
            yield f"uses {node.id}"
        return
    if isinstance(node.value, ast.Name) and node.value.id == "sys":
        if node.attr not in _SYS:
            yield f"uses sys.{node.attr}"
    elif _leads_out(node.attr) or node.attr in _UNSTEADY:
        yield f"uses .{node.attr}"


def _leads_out(name: str) -> bool:
    """True for attributes that may lead from an object to the interpreter or to another module."""
    if name in ("compile", "readline"):  # of re and of files; also the names of a built-in and a module
        return False
    return _hidden(name) or name in _NAMES or name in _DOORS or name == "sys"


def _hidden(name: str) -> bool:
    return name.startswith("__") and name not in _DUNDERS


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended."""

    exit_code: int
    signal: int
    stdout: bytes
    stderr: bytes
    cpu_s: float
    peak_bytes: int
    """Peak resident set."""
    slept: bool
    """Stopped because the wall time was up."""


class Plain:
    """Runs programs in an ordinary interpreter, with limits."""

    def __init__(self, *, cpu_s: int, memory_bytes: int, output_bytes: int) -> None:
        self._limits = f"{cpu_s},{memory_bytes},{output_bytes + 1},512,64,0"

    def run(self, source: str, stdin: bytes) -> Outcome:
        """Run a trusted program once. Raises ``ValueError`` if `refusal` has a reason not to."""
        if reason := refusal(source):
            raise ValueError(f"not to be run outside the sandbox: {reason}")
        with tempfile.TemporaryDirectory(prefix="rlef-plain-") as folder:
            path = Path(folder, "solution.py")
            path.write_bytes(source.encode("utf-8", "surrogatepass"))
            outcome = self._run(path, stdin)
        return replace(outcome, stderr=outcome.stderr.replace(str(path).encode(), b"solution.py"))

    def _run(self, path: Path, stdin: bytes) -> Outcome:
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        guard = [python, "-I", "-S", "-c", _GUARD, self._limits]
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            child = subprocess.Popen(
                [*guard, python, "-P", "-s", "-B", str(path)],
                env={"PYTHONHASHSEED": "0"},
                cwd=path.parent,
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            pidfd = os.pidfd_open(child.pid)
            slept = not select.select([pidfd], [], [], _WALL_S)[0]
            os.close(pidfd)
            if slept:
                os.killpg(child.pid, signal.SIGKILL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return Outcome(
                exit_code=max(child.returncode, 0),
                signal=max(-child.returncode, 0),
                stdout=out.read(),
                stderr=err.read(),
                cpu_s=usage.ru_utime + usage.ru_stime,
                peak_bytes=usage.ru_maxrss * 1024,
                slept=slept,
            )
