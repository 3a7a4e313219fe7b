"""The C part of a slot does what the Python part does, and can be missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlef.sandbox import RunResult, native
from sandbox_help import SUM, Bench, opened

PROGRAMS = {
    "sum": SUM,
    "exit code": "import sys\nsys.exit(3)",
    "exception": "1 / 0",
    "syntax error": "(",
    "loop": "while True: pass",
    "asleep": "import time\ntime.sleep(60)",
    "flood": "while True: print('x' * 1000)",
    "memory": "x = bytearray(10 ** 9)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "recursion": "def f(n):\n    return n if n == 0 else f(n - 1)\nprint(f(990))",
    "thread": "import threading\nt = threading.Thread(target=print, args=(1,))\nt.start(); t.join()",
    "limits": "import resource as r\nprint([r.getrlimit(k) for k in range(16) if k != r.RLIMIT_AS])",
    "descriptors": "import os\nfound = []\nfor fd in range(64):\n  try: os.fstat(fd); found.append(fd)\n"
    "  except OSError: pass\nprint(found)",
    "identity": "import os\nprint(os.getpid(), os.getppid(), os.getuid(), os.getcwd(), dict(os.environ))",
    "capabilities": "import ctypes\nd = (ctypes.c_uint32 * 6)()\n"
    "ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(0x20080522, 0), d)\nprint(list(d))",
}
LIMITS = {"cpu_s": 0.2, "wall_s": 0.5, "memory_bytes": 64 * 2**20, "output_bytes": 10_000}


@pytest.fixture(scope="module")
def benches() -> Iterator[tuple[Bench, Bench]]:
    if reason := native.reason():
        pytest.skip(reason)
    with opened() as fast:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RLEF_NATIVE", "0")
            slow = Bench()
        yield fast, slow
        slow.close()


def _seen(result: RunResult) -> tuple[object, ...]:
    return result.status, result.exit_code, result.signal, result.stdout, result.stderr


@pytest.mark.parametrize("tests", [1, 40], ids=["one test", "many tests"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_c_part_and_the_python_part_agree(benches: tuple[Bench, Bench], name: str, tests: int) -> None:
    if tests > 1 and name in ("loop", "asleep", "memory"):
        tests = 3
    padding = "\n#" + "x" * 5000 if tests > 1 else ""  # compiled once for all tests
    fast, slow = (
        bench.all(PROGRAMS[name] + padding, [b"%d 2" % k for k in range(tests)], **LIMITS)
        for bench in benches
    )
    assert [_seen(r) for r in fast] == [_seen(r) for r in slow]
    assert len(fast) == (1 if name == "syntax error" else tests)


def test_a_run_of_many_windows_comes_back_whole_and_in_order(benches: tuple[Bench, Bench]) -> None:
    source = "import time\nn = int(input())\ntime.sleep(0.01 * (n % 7 == 0))\nprint(n)"
    results = benches[0].all(source, [b"%d" % n for n in range(150)])
    assert [int(r.stdout) for r in results] == list(range(150))


def test_a_compiler_that_fails_is_told_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    native._built.cache_clear()
    try:
        assert native.library() == ""
        assert "no space left" in native.reason()
        with opened() as bench:
            assert bench.one(SUM, b"40 2").stdout == b"42\n"
    finally:
        native._built.cache_clear()


def test_a_cache_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rlef" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._built.cache_clear()
    try:
        assert native.library() == "" and "not ours alone" in native.reason()
    finally:
        native._built.cache_clear()


def test_the_c_part_compiles_without_a_warning() -> None:
    if native.reason():
        pytest.skip(native.reason())
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *map(str, native._SOURCES)]
    subprocess.run(command, check=True)
