"""Honest programs behave as under a plain interpreter."""

# ruff: noqa: E501 (programs read better whole)

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlef.sandbox import Status, slot
from sandbox_help import SUM, Bench, opened


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with opened() as bench:
        yield bench


@pytest.fixture(params=["compiled in each test", "compiled in a template"])
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot, "_APART_FROM", 10**9 if "each" in request.param else -1)


READERS = {
    "input": "print(int(input()) + int(input()))",
    "read": "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
    "iterate": "import sys\nprint(sum(int(line) for line in sys.stdin))",
    "buffer": "import sys\nr = sys.stdin.buffer.readline\nprint(int(r()) + int(r()))",
    "os.read": "import os\nprint(sum(map(int, os.read(0, 100).split())))",
    "fileinput": "import fileinput\nprint(sum(int(line) for line in fileinput.input()))",
    "open(0)": "print(sum(map(int, open(0).read().split())))",
    "mixed": "import sys\na = int(input())\nprint(a + int(sys.stdin.readline()))",
    "dup": "import os\nf = os.fdopen(os.dup(0))\nprint(sum(map(int, f)))",
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("both")
def test_every_way_to_read_stdin_sees_the_input(bench: Bench, name: str) -> None:
    result = bench.one(READERS[name], b"40\n2\n")
    assert (result.status, result.exit_code, result.stdout) == (Status.EXITED, 0, b"42\n"), result


# Each runs under this interpreter and in the sandbox; stdout and exit code must agree.
SAME = {
    "exit code": "import sys\nprint(1)\nsys.exit(3)",
    "exit with text": "import sys\nsys.exit('bye')",
    "exit with a big number": "import sys\nsys.exit(256 + 7)",
    "exit builtin": "print(2)\nexit(5)",
    "quit builtin": "quit()",
    "os._exit skips flushing": "import os\nprint('lost')\nos._exit(4)",
    "exception": "print(1)\n{}['x']",
    "atexit": "import atexit\natexit.register(print, 'last')\nprint('first')",
    "atexit that fails": "import atexit\natexit.register(lambda: 1 / 0)\nprint('first')",
    "main guard": "if __name__ == '__main__':\n    print('main')",
    "argv": "import sys\nprint(len(sys.argv))",
    "main is importable": "x = 5\nimport __main__\nprint(__main__.x)",
    "no globals of ours": "print(sorted(k for k in globals() if k[:2] != '__'))",
    "end of input": "try:\n    input()\nexcept EOFError:\n    print('eof')",
    "write without newline": "import sys\nsys.stdout.write('x' * 100000)",
    "unclosed file on stdout": "f = open(1, 'w', closefd=False)\nf.write('held')",
    "replaced stdout": "import io, sys, os\nprint('a')\nsys.stdout.flush()\n"
    "sys.stdout = io.TextIOWrapper(os.fdopen(1, 'wb'))\nprint('b')",
    "swallowed stdout": "import io, sys\nprint('a')\nsys.stdout = io.StringIO()\nprint('b')",
    "closed stdout": "import sys\nprint('a')\nsys.stdout.close()",
    "del at exit": "class A:\n    def __del__(self):\n        print('gone')\na = A()",
    "thread at exit": "import threading, time\ndef f():\n    time.sleep(0.05)\n    print('late')\n"
    "threading.Thread(target=f).start()\nprint('early')",
    "daemon thread": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('x')",
    "pool": "from concurrent.futures import ThreadPoolExecutor\n"
    "print(list(ThreadPoolExecutor(2).map(abs, [-1, -2])))",
    "recursion error": "def f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    print('deep')",
    "deepest recursion": "def f(n):\n    try:\n        return f(n + 1)\n    except RecursionError:\n        return n\n"
    "print(f(0))",
    "unicode": "print('héllo ∑ 🐍', '\\udcff' == '\\udcff')",
    "bad utf-8 in": "import sys\nprint(len(sys.stdin.read()))",
    "lazy imports": "import colorsys, calendar, statistics, textwrap, hashlib, base64, zlib, difflib, uuid, ast\n"
    "print(statistics.mean([1, 2, 3]), hashlib.md5(b'x').hexdigest(), calendar.isleap(2024))",
    "alarm": "import signal\ndef h(*a):\n    raise TimeoutError\nsignal.signal(signal.SIGALRM, h)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01)\ntry:\n    while True: pass\nexcept TimeoutError:\n    print('rang')",
    "future import does not leak": "print((lambda: 0).__code__.co_flags & 0x1000000)",
    "null device": "import os\nprint(open(os.devnull).read() == '', open(os.devnull, 'w').write('x'))",
    "decimal": "from decimal import Decimal\nfrom fractions import Fraction\nprint(Decimal(1) / 7, Fraction(2, 6))",
}


@pytest.mark.parametrize("name", SAME)
def test_the_sandbox_and_a_plain_interpreter_agree(bench: Bench, name: str, tmp_path: Path) -> None:
    stdin = b"\xff\xfe ok" if name == "bad utf-8 in" else b""
    path = tmp_path / "solution.py"
    path.write_text(SAME[name], encoding="utf-8")
    plain = subprocess.run(
        [sys.executable, path], input=stdin, capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    result = bench.one(SAME[name], stdin)
    assert (result.status, result.exit_code) == (Status.EXITED, plain.returncode), result.stderr
    assert result.stdout == plain.stdout
    assert bool(result.stderr) == bool(plain.stderr)


@pytest.mark.usefixtures("both")
def test_a_traceback_names_the_line_and_quotes_it(bench: Bench) -> None:
    result = bench.one("def f(x):\n    return 10 // x\n\nf(0)\n")
    assert result.exit_code == 1
    lines = result.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1:5:2] == ['  File "solution.py", line 4, in <module>', '  File "solution.py", line 2, in f']
    assert "    return 10 // x" in lines
    assert lines[-1].startswith("ZeroDivisionError")


def test_the_program_can_print_its_own_traceback(bench: Bench) -> None:
    source = "import traceback\ntry:\n    1 / 0  # here\nexcept ZeroDivisionError:\n    traceback.print_exc()"
    result = bench.one(source)
    assert result.ok and b"1 / 0  # here" in result.stderr


BROKEN = {
    "def f(:\n  pass": "SyntaxError",
    "if True:\nx = 1": "IndentationError",
    "x = 'a\ud800'": "",
    "return 1": "SyntaxError",
    "print('a\0b')": "",
    "(" * 50_000: "",
    "x = " + "-" * 50_000 + "1": "",
    "x = " + "[" * 150 + "]" * 150 + "\n" + "(" * 250: "SyntaxError",
}


@pytest.mark.parametrize("source", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.usefixtures("both")
def test_what_does_not_compile_yields_one_compile_error(bench: Bench, source: str) -> None:
    results = bench.all(source, [b""] * 3)
    assert [r.status for r in results] == [Status.COMPILE_ERROR]
    assert BROKEN[source] in results[0].stderr.decode() and results[0].stderr
    assert bench.one(SUM, b"40 2").stdout == b"42\n"


@pytest.mark.usefixtures("both")
def test_a_compiler_bomb_ends_at_the_limit(bench: Bench) -> None:
    result = bench.one("x = (" + "9 ** 9 ** 9 + " * 1 + "0)\n" + "1 + " * 400_000 + "1", cpu_s=0.3)
    assert result.status in (Status.COMPILE_ERROR, Status.CPU_LIMIT, Status.MEMORY_LIMIT)
    assert bench.one(SUM, b"40 2").stdout == b"42\n"


@pytest.mark.usefixtures("both")
def test_tests_of_one_program_share_nothing(bench: Bench) -> None:
    source = (
        "import sys, builtins, os, random\n"
        "print(hasattr(sys, 'seen'), len(sys.path), hasattr(builtins, 'seen'), os.environ.get('seen'), input())\n"
        "sys.seen = builtins.seen = 1; sys.path.append('x'); os.environ['seen'] = '1'\n"
    )
    results = bench.all(source, [b"%d" % k for k in range(30)])
    lines = [r.stdout.split() for r in results]
    assert [line[-1] for line in lines] == [b"%d" % k for k in range(30)]
    assert len({tuple(line[:-1]) for line in lines}) == 1 and lines[0][0] == b"False"


def test_random_and_hashes_repeat_so_that_a_training_run_does(bench: Bench) -> None:
    source = "import random\nprint(random.random(), hash('x'), list({'a', 'b', 'c', 'd'}))"
    first, again = bench.all(source, [b"", b""])
    with opened() as other:
        assert first.stdout == again.stdout == other.one(source).stdout


@pytest.mark.usefixtures("both")
def test_a_big_thread_stack_recurses_a_hundred_thousand_deep(bench: Bench) -> None:
    source = (
        "import sys, threading\nsys.setrecursionlimit(1 << 20)\nthreading.stack_size(1 << 27)\n"
        "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\n"
        "t = threading.Thread(target=lambda: print(f(100_000)))\nt.start()\nt.join()"
    )
    assert bench.one(source).stdout == b"100000\n"


def test_200_kilobytes_pass_both_ways(bench: Bench) -> None:
    data = bytes(range(256)) * 800
    result = bench.one("import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())", data)
    assert result.ok and result.stdout == data


def test_a_program_need_not_read_a_large_input(bench: Bench) -> None:
    assert bench.one("print(1)", b"x" * 5_000_000).stdout == b"1\n"


def test_results_of_many_inputs_come_in_order(bench: Bench) -> None:
    results = bench.all(SUM, [b"%d 1" % k for k in range(50)])
    assert [int(r.stdout) for r in results] == list(range(1, 51))


def test_a_run_without_inputs_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="at least one input"):
        bench.all(SUM, [])
