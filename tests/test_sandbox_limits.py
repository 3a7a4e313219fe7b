"""Each limit has its status, is exact enough, and harms nobody else."""

# ruff: noqa: E501 (programs read better whole)

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rlef.sandbox import RunResult, Status, slot
from sandbox_help import SUM, Bench, opened

MIB = 2**20


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    with opened() as bench:
        yield bench


@pytest.fixture(params=["direct", "template"])
def bench(shared: Bench, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The sandbox, in both ways to compile; afterwards the next honest program must be fine."""
    monkeypatch.setattr(slot, "_APART_FROM", 10**9 if request.param == "direct" else -1)
    yield shared
    result = shared.one(SUM, b"40 2")
    assert result.ok and result.stdout == b"42\n", result


def test_a_loop_is_stopped_at_its_cpu_limit(bench: Bench) -> None:
    result = bench.one("while True: pass", cpu_s=0.237)
    assert result.status is Status.CPU_LIMIT
    assert 0.237 <= result.cpu_s < 0.30


@pytest.mark.parametrize(
    "source",
    [
        "import signal\nfor n in range(1, 64):\n  try: signal.signal(n, signal.SIG_IGN)\n  except Exception: pass\n"
        "while True: pass",
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
        "x = 10 ** (10 ** 9)",
        "import atexit\ndef f():\n  while True: pass\natexit.register(f)",
        "class A:\n  def __del__(self):\n    while True: pass\na = A()",
        "import threading\ndef f():\n  while True: pass\nfor _ in range(3): threading.Thread(target=f).start()",
        "print('right answer', flush=True)\nwhile True: pass",
    ],
    ids=["signals", "except", "C loop", "atexit", "del", "threads", "after output"],
)
def test_nothing_delays_the_cpu_limit(shared: Bench, source: str) -> None:
    result = shared.one(source, cpu_s=0.15)
    assert result.status is Status.CPU_LIMIT, result
    assert result.cpu_s < 0.4


def test_neighbours_do_not_cost_a_program_its_time(bench: Bench) -> None:
    """CPU time is judged, so a program at 0.6 of its limit passes on a machine that is overrun."""
    spin = [sys.executable, "-I", "-S", "-c", "while True: pass"]
    spinners = [subprocess.Popen(spin) for _ in range(8)]
    try:
        source = "import time\nwhile time.process_time() < 0.06: pass\nprint('done')"
        result = bench.one(source, cpu_s=0.1)
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    assert result.status is Status.EXITED and result.stdout == b"done\n", result


def test_a_sleeper_is_stopped_at_the_idle_limit(bench: Bench) -> None:
    result = bench.one("import time\ntime.sleep(60)", wall_s=0.3)
    assert result.status is Status.IDLE_LIMIT
    assert 0.3 <= result.wall_s < 2


def test_a_short_sleep_is_allowed(bench: Bench) -> None:
    assert bench.one("import time\ntime.sleep(0.05)\nprint(1)", wall_s=2.0).stdout == b"1\n"


@pytest.mark.parametrize(
    "source",
    [
        "x = bytearray(2 ** 31)",
        "x = []\nwhile True: x.append('y' * 1000)",
        "x = [0]\nwhile True: x += x",
        "x = bytearray(200 * 2 ** 20)",
        "x = bytearray(200 * 2 ** 20)\nimport os\nos._exit(0)",
        "try:\n  x = bytearray(90 * 2 ** 20)\nfinally:\n  print('all is well')",
        "import mmap\nm = mmap.mmap(-1, 200 * 2 ** 20)\nfor k in range(0, len(m), 4096): m[k] = 1",
    ],
    ids=["huge", "append", "double", "touch", "touch and exit 0", "just over", "shared mapping"],
)
def test_too_much_memory_is_a_memory_limit(shared: Bench, source: str) -> None:
    result = shared.one(source, memory_bytes=64 * MIB)
    assert result.status is Status.MEMORY_LIMIT, result


def test_memory_within_the_limit_is_fine(bench: Bench) -> None:
    result = bench.one("x = bytearray(50 * 2 ** 20)\nprint(len(x))", memory_bytes=64 * MIB)
    assert result.ok and 50 * MIB < result.peak_bytes < 80 * MIB


def test_a_caught_memory_error_is_the_programs_own_affair(bench: Bench) -> None:
    source = "try:\n  x = bytearray(2 ** 40)\nexcept MemoryError:\n  print('caught')"
    assert bench.one(source).stdout == b"caught\n"


def test_saying_memory_error_makes_no_success_a_failure(bench: Bench) -> None:
    assert bench.one("import sys\nprint('MemoryError', file=sys.stderr)").status is Status.EXITED


@pytest.mark.parametrize(
    "source",
    [
        "while True: print('x' * 1000)",
        "import sys\nwhile True: sys.stderr.write('x' * 1000)",
        "import os\nwhile True: os.write(1, b'x' * 65536)",
        "print('x' * 70000)",
        "import os\nos.lseek(1, 2 ** 40, 0)\nos.write(1, b'x')",
        "import os\nos.write(1, b'x' * 65537)\nos._exit(0)",
    ],
    ids=["stdout", "stderr", "os.write", "at exit", "seek", "exit 0"],
)
def test_a_flood_of_output_is_an_output_limit_or_an_error(shared: Bench, source: str) -> None:
    result = shared.one(source, output_bytes=65536, stderr_bytes=1024, cpu_s=1.0)
    expected = Status.EXITED if "lseek" in source else Status.OUTPUT_LIMIT
    assert result.status is expected and not result.ok, result
    assert len(result.stdout) <= 65536 and len(result.stderr) <= 1024


def test_output_of_exactly_the_limit_is_fine(bench: Bench) -> None:
    result = bench.one("import sys\nsys.stdout.write('x' * 65536)", output_bytes=65536, stderr_bytes=1024)
    assert result.ok and len(result.stdout) == 65536


def test_stderr_keeps_its_tail(bench: Bench) -> None:
    result = bench.one("import sys\nsys.stderr.write('x' * 5000 + 'end')", stderr_bytes=100)
    assert result.ok and len(result.stderr) == 100 and result.stderr.endswith(b"end")


def _signalled(result: RunResult) -> bool:
    return result.status is Status.SIGNALLED and result.signal in (6, 8, 11)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.abort()",
        "import ctypes\nctypes.string_at(0)",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n  def __getattr__(s, n): return getattr(s, n + 'x')\nA().x",
    ],
    ids=["abort", "segmentation fault", "C stack"],
)
def test_a_crash_is_a_signal_or_a_limit_and_leaves_no_core(shared: Bench, source: str) -> None:
    result = shared.one(source, cpu_s=2.0)
    assert _signalled(result) or result.status in (Status.MEMORY_LIMIT, Status.CPU_LIMIT), result


def test_threads_are_bounded(bench: Bench) -> None:
    source = (
        "import threading\ne = threading.Event()\nn = 0\ntry:\n"
        "  while n < 5000:\n    threading.Thread(target=e.wait, daemon=True).start(); n += 1\n"
        "except RuntimeError:\n  pass\nprint(n)"
    )
    result = bench.one(source)
    assert result.ok and int(result.stdout) < 200, result


def test_the_rest_of_a_programs_tests_run_after_one_hits_a_limit(bench: Bench) -> None:
    source = "if input() == 'loop':\n  while True: pass\nprint('ok')"
    results = bench.all(source, [b"a", b"loop", b"b", b"loop", b"c"], cpu_s=0.1)
    assert [r.status for r in results] == [
        Status.EXITED, Status.CPU_LIMIT, Status.EXITED, Status.CPU_LIMIT, Status.EXITED,
    ]  # fmt: skip
