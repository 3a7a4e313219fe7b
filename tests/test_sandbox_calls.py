"""Calls over the private channel: what comes back, from honest and from hostile programs."""

# ruff: noqa: E501 (programs read better whole)

import asyncio
import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.errors import SandboxError
from rlef.sandbox import RunLimits, RunResult, Status, calls
from sandbox_help import descendants, opened

LENGTH = struct.Struct("<I")


@pytest.fixture(scope="module")
def shared():
    with opened() as bench:
        yield bench


@pytest.fixture
def bench(shared):
    """A sandbox; after the test the next honest program is fine and nothing is left."""
    fds = len([*Path("/proc/self/fd").iterdir()])
    yield shared
    assert [run.outward for run in shared.calls("def f(x): return x", "f", [b"[1]", b"[2]"])] == [b"1", b"2"]
    assert len(descendants(os.getpid())) == 2
    assert len([*Path("/proc/self/fd").iterdir()]) == fds


def arguments(*values):
    return [json.dumps([value]).encode() for value in values]


def outcomes(runs):
    """Values of calls that ended well, the status of the others."""
    return [run.outward.decode() if run.ok else run.status.value for run in runs]


# -- honest programs


def test_calls_share_a_process_and_come_back_in_order(bench):
    runs = bench.calls("def f(x): return [x, str(x)]", "f", arguments(*range(200)), chunk=64)
    assert [json.loads(run.outward) for run in runs] == [[x, str(x)] for x in range(200)]
    firsts = [place for place, run in enumerate(runs) if not run.shared]
    assert firsts[0] == 0 and all(run.ok and run.rung == bench.sandbox.rung for run in runs)
    assert 4 <= len(firsts) < 100


def test_solution_is_made_anew_for_each_call(bench):
    source = "class Solution:\n    def __init__(self): self.n = 0\n    def f(self, x):\n        self.n += x\n        return self.n"
    assert outcomes(bench.calls(source, "f", arguments(1, 2, 3))) == ["1", "2", "3"]


def test_arguments_arrive_as_what_they_are_and_are_not_shared_between_calls(bench):
    source = "def f(x, *more):\n    x.append(1)\n    return [type(y).__name__ for y in more] + [len(x)]"
    text = b'[[], {"$tuple": [1]}, {"$set": [1]}, {"$dict": [[1, 2]]}, {"$float": "nan"}, {"$bytes": "00"}, "\\ud800"]'
    wanted = '["tuple", "set", "dict", "float", "bytes", "str", 1]'
    assert outcomes(bench.calls(source, "f", [text] * 3)) == [wanted] * 3


@pytest.mark.parametrize(
    "body, value",
    [
        ("return (1, 'a', None, True)", '{"$tuple": [1, "a", null, true]}'),
        ("return {1: (2,), 'a': 3}", '{"$dict": [[1, {"$tuple": [2]}], ["a", 3]]}'),
        ("return {'$set': 1}", '{"$dict": [["$set", 1]]}'),
        ("return float('nan')", '{"$float": "nan"}'),
        ("return [-float('inf'), 1e300]", '[{"$float": "-inf"}, 1e+300]'),
        ("return -0.0", "-0.0"),
        ("return b'ab'", '{"$bytes": "6162"}'),
        ("return '\\ud800'", '"\\ud800"'),
        ("return True", "true"),
        ("return 2 ** 20000", '{"$int": "1' + "0" * 5000 + '"}'),
    ],
)
def test_results_come_back_as_plain_data(bench, body, value):
    assert outcomes(bench.calls(f"def f(x): {body}", "f", arguments(1, 2))) == [value, value]


def test_recursion_is_as_deep_as_in_a_program(bench):
    source = "def f(n): return 0 if n == 0 else 1 + f(n - 1)"
    assert outcomes(bench.calls(source, "f", arguments(990, 10**6, 990))) == ["990", "exited", "990"]
    raised = "import sys\nsys.setrecursionlimit(10**5)\n" + source
    assert outcomes(bench.calls(raised, "f", arguments(20_000, 5))) == ["20000", "5"]


def test_an_exception_shows_the_program_s_frames_alone(bench):
    source = "def g(x): return 1 // x\ndef f(x):\n    return g(x)"
    run = bench.calls(source, "f", arguments(1, 0, 1))[1]
    assert run.stderr.decode() == (
        "Traceback (most recent call last):\n"
        '  File "solution.py", line 3, in f\n    return g(x)\n           ^^^^\n'
        '  File "solution.py", line 1, in g\n    def g(x): return 1 // x\n'
        "                     ~~^^~~\nZeroDivisionError: integer division or modulo by zero\n"
    )
    wrong = bench.calls("def f(x, y): return x", "f", arguments(1))[0]
    assert wrong.stderr == b"TypeError: f() missing 1 required positional argument: 'y'\n"
    absent = bench.calls("def g(x): return x", "f", arguments(1))[0]
    assert absent.stderr == b"NameError: the program defines no function 'f'\n"
    odd = bench.calls("def f(x): return f", "f", arguments(1))[0]
    assert odd.stderr.startswith(
        b"TypeError: the function returned an object of type function, which is not plain"
    )


def test_what_a_program_prints_is_kept_apart(bench):
    source = "import sys\nprint('top')\ndef f(x):\n    print('noise', x)\n    sys.stderr.write('more')\n    return x"
    (run,) = bench.calls(source, "f", arguments(1))
    assert (run.outward, run.stdout, run.stderr) == (b"1", b"top\nnoise 1\n", b"more")


def test_a_program_that_does_not_compile_has_one_result(bench):
    (run,) = bench.calls("def f(x) return x", "f", arguments(1, 2, 3))
    assert run.status is Status.COMPILE_ERROR and b"SyntaxError" in run.stderr


# -- neighbours


def test_a_call_that_fails_costs_no_other_its_verdict(bench):
    for failure, word in (
        ("1 / 0", "exited"),
        ("exit(3)", "exited"),
        ("raise MemoryError", "memory_limit"),
        ("return 'x' * 10**6", "output_limit"),
        ("print('x' * 10**6)", "output_limit"),
        ("return [0] * 10**8", "memory_limit"),
        ("while True: pass", "cpu_limit"),
    ):
        source = f"def f(x):\n    if x == 3: {failure}\n    return x"
        if failure.startswith("while"):
            source = "def f(x):\n    while x == 3: pass\n    return x"
        runs = bench.calls(
            source, "f", arguments(*range(7)), cpu_s=0.5, memory_bytes=64 * 2**20, output_bytes=2**16
        )
        assert outcomes(runs) == ["0", "1", "2", word, "4", "5", "6"], failure
        assert not runs[3].shared


def test_limits_are_those_of_a_call_and_not_of_a_chunk(bench):
    slow = "def f(x):\n    n = 0\n    for i in range(10**6): n += i\n    return n"
    runs = bench.calls(slow, "f", arguments(*range(25)), cpu_s=0.4)
    assert all(run.ok for run in runs) and sum(run.cpu_s for run in runs) > 0.4
    loud = "def f(x):\n    print('x' * 40_000)\n    return x"
    runs = bench.calls(loud, "f", arguments(*range(4)), output_bytes=2**16)
    assert outcomes(runs) == ["0", "1", "2", "3"]
    long = "def f(x): return 'x' * 40_000"
    runs = bench.calls(long, "f", arguments(*range(4)), output_bytes=2**16)
    assert [len(run.outward) for run in runs] == [40_002] * 4


BURN = "import time\ndef burn():\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n"
SLOW = "n = 0\n    for i in range(6 * 10**6): n += i"


@pytest.mark.parametrize(
    "source",
    [
        f"def first():\n    {SLOW}\n    return n\nN = first()\ndef f(x): return x + (N > 0)",
        f"def f(x):\n    if x == 2:\n        {SLOW.replace('    for', '        for')}\n    return x",
        f"def f(x):\n    {SLOW}\n    return x",
        "def f(x):\n    while x == 1: pass\n    return x",
        "def f(x):\n    while x == 0: pass\n    return x",
        "def f(x):\n    while x == 4: pass\n    return x",
        BURN + "burn()\ndef f(x): return x",
        BURN + "def f(x):\n    if x == 1: burn()\n    return x",
    ],
    ids=["start", "one call", "every call", "second", "first", "last", "start, alone", "a call, alone"],
)
def test_a_program_slower_than_a_turn_gives_what_it_gives_call_by_call(bench, source):
    texts = arguments(*range(5))
    together = outcomes(bench.calls(source, "f", texts, cpu_s=1.0))
    assert together == outcomes(bench.calls(source, "f", texts, cpu_s=1.0, chunk=1))
    assert together.count("cpu_limit") == ("while x" in source)


PRINTS = """
def f(x):
    if x == 0:
        for i in range((2**16 + 3000) // 100): print('x' * 99)
        return 0
    n = 0
    for i in range(6 * 10**6): n += i
    return x
"""
LEAVES = """
# open(
def f(x):
    n = 0
    for i in range(2500000): n += i
    def g(box):
        try:
            yield 1
        finally:
            if x == 0:
                while True: pass
    box = []
    it = g(box)
    box.append(it)
    next(it)
    return x
"""


@pytest.mark.parametrize(("source", "status"), [(PRINTS, "output_limit"), (LEAVES, "cpu_limit")])
def test_what_a_process_does_last_is_seen_though_its_turn_was_cut_before(bench, source, status):
    for chunk in (256, 1):
        runs = bench.calls(source, "f", arguments(*range(4)), cpu_s=1.2, output_bytes=2**16, chunk=chunk)
        assert outcomes(runs) == [status, "1", "2", "3"]


def test_no_process_goes_on_to_another_call_when_its_time_is_up(bench):
    source = "def f(x):\n    n = 0\n    for i in range(2 * 10**6): n += i\n    return n"
    assert not any(run.shared for run in bench.calls(source, "f", arguments(1, 2, 3)))


# -- hostile programs (rows 65 to 70 of the study, and more)

VALUE = "7"
HOSTILE = {
    # what is returned
    "an object that equals everything": ("class A:\n    __eq__ = lambda s, o: True\ndef f(x): return A()", "exited"),
    "an int that equals everything": ("class A(int):\n    __eq__ = lambda s, o: True\ndef f(x): return A(5)", "5"),
    "a text that shows as another": ("class A(str):\n    __repr__ = __str__ = lambda s: '7'\ndef f(x): return A('5')", '"5"'),
    "a float that says it is another": ("class A(float):\n    __float__ = __repr__ = lambda s: 7.0\ndef f(x): return A(5)", "5.0"),
    "a list with items of its own making": ("class A(list):\n    def __iter__(s): return iter([7])\n    def __len__(s): return 1\ndef f(x): return A([5])", "[5]"),
    "a dictionary with items of its own making": ("class A(dict):\n    def items(s): return [('a', 7)]\n    __iter__ = None\ndef f(x): return A(a=5)", '{"a": 5}'),
    "an object that claims a class": ("class A:\n    __class__ = int\ndef f(x): return A()", "exited"),
    "a class that is written as a number": ("class M(type):\n    __mro__ = (int, object)\n    __repr__ = lambda s: '7'\ndef f(x): return M('A', (), {})", "exited"),
    "an object with a hostile __reduce__": ("class A:\n    __reduce__ = lambda s: (exit, (0,))\ndef f(x): return A()", "exited"),
    "an object with an endless repr": ("class A:\n    def __repr__(s): return 'x' * 10**9\ndef f(x): return A()", "exited"),
    "an object with an endless class name": ("def f(x): return type('x' * 10**7, (), {})()", "output_limit"),
    "a generator": ("def f(x): yield 7", "exited"),
    "an iterator": ("def f(x): return iter([7])", "exited"),
    "a map": ("def f(x): return map(int, '7')", "exited"),
    "a coroutine": ("async def f(x): return 7", "exited"),
    "a list in itself": ("def f(x):\n    a = []\n    a.append(a)\n    return a", "exited"),
    "a very deep list": ("def f(x):\n    a = []\n    for _ in range(10**5): a = [a]\n    return a", "exited"),
    "a list that holds itself twice": ("def f(x):\n    a = []\n    a += [a, a]\n    return [a, a]", "exited"),
    "a million items": ("def f(x): return [0] * 10**6", "output_limit"),
    "a megabyte": ("def f(x): return 'x' * 2**20", "output_limit"),
    # what is there
    "arguments changed": ("def f(x):\n    x.append(7)\n    return x", "[7]"),
    "json replaced": ("import json\njson.dumps = json.loads = json.JSONEncoder = json.encoder = lambda *a, **k: '7'\ndef f(x): return 5", "5"),
    "the encoder's methods replaced": ("import json\njson.JSONEncoder.encode = json.JSONEncoder.iterencode = lambda *a: '7'\njson.encoder.c_make_encoder = json.decoder.scanstring = None\ndef f(x): return {'a': [5]}", '{"a": [5]}'),
    "builtins replaced": ("import builtins\nfor n in ('len', 'type', 'isinstance', 'set', 'map', 'all', 'repr', 'sorted', 'str', 'next', 'iter'): setattr(builtins, n, lambda *a: 7)\ndef f(x): return {'a': [{5}]}", '{"a": [{"$set": [5]}]}'),
    "sys.modules cleared": ("import sys\nsys.modules.clear()\ndef f(x): return 5", "5"),
    "os replaced": ("import os\nos.write = os.pread = lambda *a: 7\ndef f(x): return 5", "5"),
    "struct replaced": ("import struct\nstruct.Struct = struct.pack = None\ndef f(x): return 5", "5"),
    "a function that is a number": ("f = 7", "exited"),
    "a Solution that needs arguments": ("class Solution:\n    def __init__(self, a): pass\n    def f(self, x): return 7", "exited"),
    # how it ends
    "exit": ("def f(x): exit()", ""),
    "os._exit": ("import os\ndef f(x): os._exit(0)", ""),
    "os._exit with an error": ("import os\ndef f(x): os._exit(3)", "exited"),
    "abort": ("import os\ndef f(x): os.abort()", "signalled"),
    "a segmentation fault": ("import ctypes\ndef f(x): ctypes.string_at(0)", "signalled"),
    "exit at once": ("raise SystemExit", ""),
    "an error at once": ("1 / 0\ndef f(x): return 7", "exited"),
    "an exit handler that fails the process": ("import atexit, os\natexit.register(os._exit, 3)\ndef f(x): return 7", "exited"),
    "a thread that goes on, daemon": ("import threading, time\ndef f(x):\n    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n    return 5", "5"),
    "a thread that goes on": ("import threading\ndef g():\n    while True: pass\ndef f(x):\n    threading.Thread(target=g).start()\n    return 7", "cpu_limit"),
    "a thread that answers later": ("import threading, time, os, struct\ndef g():\n    time.sleep(0.05)\n    os.write(3, struct.pack('<I', 1) + b'7')\ndef f(x):\n    threading.Thread(target=g).start()\n    return 5", ""),
    "an endless recursion": ("def f(x): return f(x)", "exited"),
    "a recursion that is caught": ("def f(x):\n    try:\n        return f(x)\n    except RecursionError:\n        return 5", "5"),
    "a loop after the answer": ("import os, struct\ndef f(x):\n    os.write(3, struct.pack('<I', 1) + b'7')\n    while True: pass", "cpu_limit"),
    # the channel
    "a record of its own": ("import os, struct\ndef f(x):\n    os.write(3, struct.pack('<I', 1) + b'7')\n    return 5", ""),
    "a record of its own, before all": ("import os, struct\nos.write(3, struct.pack('<I', 1) + b'7')\ndef f(x): return 5", ""),
    "a hundred records": ("import os, struct\ndef f(x):\n    os.write(3, (struct.pack('<I', 1) + b'7') * 100)\n    os._exit(0)", ""),
    "a length without its record": ("import os, struct\ndef f(x):\n    os.write(3, struct.pack('<I', 1))\n    os._exit(0)", ""),
    "a length beyond all": ("import os, struct\ndef f(x):\n    os.write(3, struct.pack('<I', 2**32 - 1) + b'7')\n    os._exit(0)", ""),
    "a length before the answer": ("import os, struct\ndef f(x):\n    os.write(3, struct.pack('<I', 2**31))\n    return 7", ""),
    "half a length": ("import os\ndef f(x):\n    os.write(3, b'\\1\\0')\n    os._exit(0)", ""),
    "an empty record": ("import os\ndef f(x):\n    os.write(3, bytes(4))\n    os._exit(0)", ""),
    "noise": ("import os\ndef f(x):\n    os.write(3, os.urandom(999))\n    return 7", ""),
    "a flood": ("import os\ndef f(x):\n    try:\n        while os.write(3, bytes(9999)): pass\n    except OSError:\n        os._exit(0)", "output_limit"),
    "the channel closed": ("import os\ndef f(x):\n    os.close(3)\n    return 7", "exited"),
    "the channel turned to stdout": ("import os\ndef f(x):\n    os.dup2(1, 3)\n    return 7", ""),
    "the channel turned to stdin": ("import os\ndef f(x):\n    os.dup2(0, 3)\n    return 7", "exited"),
    "the channel cut short at the end": ("import atexit, os\natexit.register(os.ftruncate, 3, 0)\ndef f(x): return 7", ""),
    "a hole": ("import os\ndef f(x):\n    os.lseek(3, 2**40, 0)\n    return 7", "exited"),
    "the answer written over": ("import atexit, os\natexit.register(os.pwrite, 3, b'5', 4)\ndef f(x): return 7", "5"),
    "the answer on stdout": ("def f(x):\n    print('7')\n    raise SystemExit", ""),
    "the answer on stdin": ("import os\ndef f(x):\n    os.write(0, b'7')", "exited"),
    "frames walked for an answer": ("import sys\ndef f(x):\n    frame, found = sys._getframe(), []\n    while frame:\n        found += [repr(value) for value in [*frame.f_locals.values(), *frame.f_globals.values()] if 'expected' in repr(value)]\n        frame = frame.f_back\n    return [text for text in found if 'function' not in text][:1]", "[]"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_gets_what_its_function_returned_or_nothing(bench, name):
    source, outcome = HOSTILE[name]
    for place in range(2):  # alone, and as the first of several
        runs = bench.calls(
            source, "f", [b"[[]]"] * (1 + 2 * place), cpu_s=0.3, memory_bytes=128 * 2**20, output_bytes=2**18
        )
        assert outcomes(runs) == [outcome] * (1 + 2 * place)


def test_nothing_of_the_other_calls_is_in_a_program_that_may_look(bench):
    """A program that looks behind the scenes gets its own arguments only."""
    source = """
import gc, sys
def f(x):
    words = ['canary' + letter for letter in 'abc']
    frame = sys._getframe()
    seen = []
    while frame:
        seen += [repr(value) for value in frame.f_locals.values() if value is not words and value is not seen]
        frame = frame.f_back
    seen += [repr(one) for one in gc.get_objects() if isinstance(one, (list, tuple)) and len(one) < 9 and one is not words]
    return [word for word in words if any(f"'{word}'" in text or f'"{word}"' in text for text in seen)]
"""
    runs = bench.calls(source, "f", arguments("canarya", "canaryb", "canaryc"))
    assert [json.loads(run.outward) for run in runs] == [["canarya"], ["canaryb"], ["canaryc"]]


# -- code that tests


@pytest.mark.parametrize(
    "source, test, outcome",
    [
        ("def f(x): return x", "assert f(1) == 1", "true"),
        ("def f(x): return 2", "assert f(1) == 1", "false"),
        ("def f(x): return 2", "def check(g):\n    assert g(1) == 1\ncheck(f)", "false"),
        ("def f(x): assert False", "assert f(1) == 1", "exited"),  # its own assertion is its own error
        ("def f(x): return 1 / 0", "assert f(1) == 1", "exited"),
        ("def f(x): exit()", "assert f(1) == 1", ""),
        ("import os\nos._exit(0)", "assert f(1) == 1", ""),
        (
            "class P:\n    def __init__(self, n): self.n = n\ndef f(p): return p.n",
            "assert f(P(3)) == 3",
            "true",
        ),
        ("def g(x): return x", "assert f(1) == 1", "exited"),
    ],
)
def test_code_that_tests_runs_beside_the_program(bench, source, test, outcome):
    assert outcomes(bench.calls(source, "", [test.encode()])) == [outcome]


def test_each_test_in_code_has_a_process_of_its_own(bench):
    source = "n = 0\ndef f():\n    global n\n    n += 1\n    return n"
    assert outcomes(bench.calls(source, "", [b"assert f() == 1"] * 3)) == ["true"] * 3


# -- the records, read as hostile


def read(data, most):
    """The same in another way: eat from the front."""
    found = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "little")
        if len(data) < 4 + size:
            break
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found if len(found) <= most else []


framed = st.lists(st.binary(max_size=5), max_size=6).map(
    lambda parts: b"".join(LENGTH.pack(len(part)) + part for part in parts)
)


@settings(deadline=None, max_examples=500)
@given(
    st.one_of(st.binary(max_size=40), framed, st.tuples(framed, st.binary(max_size=9)).map(b"".join)),
    st.integers(0, 6),
)
def test_records_are_read_whatever_they_are(data, most):
    assert calls.records(data, most) == read(data, most)


def test_a_length_costs_nothing():
    assert calls.records(LENGTH.pack(2**32 - 1) + b"x", 1) == []
    assert calls.records(bytes(4) * 1000, 64) == []


# -- what is asked again


class Script:
    """Stands for the slots: answers each request for chunks by the next of some endings."""

    def __init__(self, *endings):
        self.endings, self.asked, self.limits = list(endings), [], []

    async def __call__(self, chunks, limits):
        self.limits.append(limits.cpu_s)
        self.asked.append([read(chunk, 99)[1:] for chunk in chunks])
        for _ in chunks:
            yield self.endings.pop(0)


def ended(*values, **changes):
    outward = b"".join(LENGTH.pack(len(value)) + value for value in values)
    return RunResult(**({"status": Status.EXITED, "outward": outward} | changes))


def made(script, *texts, chunk=4):
    async def collect():
        return [run async for run in calls.made(script, "f", texts, RunLimits(), chunk)]

    runs = asyncio.run(collect())
    return [(run.status.value, run.exit_code, run.outward, run.shared) for run in runs]


A, B, C, D, E = (letter.encode() for letter in "abcde")
OK = "exited", 0


def test_chunks_follow_one_another():
    script = Script(ended(A, B), ended(C, D), ended(E))
    assert made(script, A, B, C, D, E, chunk=2) == [
        (*OK, A, False),
        (*OK, B, True),
        (*OK, C, False),
        (*OK, D, True),
        (*OK, E, False),
    ]
    assert script.asked == [[[A, B]], [[C, D]], [[E]]]


def test_a_process_whose_time_was_up_is_followed_by_another():
    script = Script(ended(A, B, exit_code=0), ended(C, D))
    assert [value for *_, value, _ in made(script, A, B, C, D)] == [A, B, C, D]
    assert script.asked == [[[A, B, C, D]], [[C, D]]]


def test_a_failed_call_is_made_again_and_so_alone_are_those_after_it():
    failure = ended(status=Status.SIGNALLED, signal=11)
    script = Script(ended(A, exit_code=1), failure, ended(C), ended(D))
    assert made(script, A, B, C, D) == [
        (*OK, A, False),
        ("signalled", 0, b"", False),
        (*OK, C, False),
        (*OK, D, False),
    ]
    assert script.asked == [[[A, B, C, D]], [[B], [C], [D]]]


def test_the_first_call_of_a_process_that_fails_has_failed():
    script = Script(ended(status=Status.SIGNALLED, signal=9), ended(B))
    assert made(script, A, B) == [("signalled", 0, b"", False), (*OK, B, False)]
    assert script.asked == [[[A, B]], [[B]]]


TURN = 0.1
CUT = {"status": Status.CPU_LIMIT, "cpu_s": TURN}


def test_a_turn_that_was_too_short_is_followed_by_one_with_the_whole_limit():
    script = Script(ended(**CUT), ended(A, B))
    assert made(script, A, B) == [(*OK, A, False), (*OK, B, True)]
    assert script.asked == [[[A, B]]] * 2 and script.limits == [TURN, 2.0]


def test_what_was_done_in_a_turn_is_done_again_for_nobody_saw_how_it_would_have_ended():
    script = Script(ended(A, B, **CUT), ended(A, B), ended(C, cpu_s=0.4), ended(D, E))
    assert [value for *_, value, _ in made(script, A, B, C, D, E, chunk=9)] == [A, B, C, D, E]
    assert script.asked == [[[A, B, C, D, E]], [[A, B]], [[C, D, E]], [[D, E]]]
    assert script.limits == [TURN, 2.0, 2.0, 0.8], "twice what the one before was seen to need"


def test_calls_of_a_turn_that_fail_when_they_are_seen_to_the_end_have_failed():
    over = ended(status=Status.OUTPUT_LIMIT)
    script = Script(ended(A, B, **CUT), over, over, ended(B), ended(C))
    assert [status for status, *_ in made(script, A, B, C)] == ["output_limit", "exited", "exited"]
    assert script.asked == [[[A, B, C]], [[A, B]], [[A], [B], [C]]]


def test_who_stops_at_a_wrong_value_has_not_paid_for_what_comes_after_it():
    async def first():
        script = Script(ended(A, **CUT), ended(A))
        runs = calls.made(script, "f", [A, B, C], RunLimits(), 4)
        return await anext(runs), script.asked

    run, asked = asyncio.run(first())
    assert run.outward == A and asked == [[[A, B, C]], [[A]]]


def test_an_endless_call_has_its_whole_limit_once():
    script = Script(ended(A, **CUT), ended(A), ended(status=Status.CPU_LIMIT, cpu_s=2.0), ended(C))
    assert made(script, A, B, C) == [(*OK, A, False), ("cpu_limit", 0, b"", False), (*OK, C, False)]
    assert script.asked == [[[A, B, C]], [[A]], [[B, C]], [[C]]]
    assert script.limits == [TURN, 2.0, 2.0, 2.0]


def test_a_program_that_sleeps_has_slept_once():
    asleep = ended(status=Status.IDLE_LIMIT, keeps_state=True)
    script = Script(asleep, ended(B))
    assert made(script, A, B) == [("idle_limit", 0, b"", False), (*OK, B, False)]
    assert script.asked == [[[A, B]], [[B]]]


def test_a_turn_that_ended_after_the_last_call_or_with_too_many_records_is_made_again():
    for values in ([A, B], [A, B, C]):
        script = Script(ended(*values, **CUT), ended(A, B))
        assert made(script, A, B) == [(*OK, A, False), (*OK, B, True)]
        assert script.asked == [[[A, B]]] * 2 and script.limits == [TURN, 2.0]


def test_a_program_that_may_keep_state_has_the_whole_limit_for_its_first_call():
    script = Script(ended(keeps_state=True, **CUT), ended(A), ended(B))
    assert [shared for *_, shared in made(script, A, B)] == [False] * 2
    assert script.asked == [[[A, B]], [[A], [B]]] and script.limits == [TURN, 2.0]


def test_a_program_that_takes_longer_than_a_turn_to_compile_is_compiled_again():
    slow = ended(status=Status.COMPILE_ERROR, cpu_s=TURN)
    script = Script(slow, ended(A, B))
    assert [value for *_, value, _ in made(script, A, B)] == [A, B]
    assert made(Script(slow, slow), A, B) == [("compile_error", 0, b"", False)]


def test_a_turn_is_for_several_calls_that_have_more_time_than_it():
    script = Script(ended(A))
    assert made(script, A) == [(*OK, A, False)] and script.limits == [2.0]
    script = Script(ended(A, B, cpu_s=TURN))

    async def hurried():
        return [run async for run in calls.made(script, "f", [A, B], RunLimits(cpu_s=0.2), 4, TURN)]

    script.endings += [ended(A), ended(B)]
    assert len(asyncio.run(hurried())) == 2 and script.limits == [0.2, 0.2]


@pytest.mark.parametrize("status", [Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT])
def test_where_the_one_to_blame_is_not_known_all_are_made_again_alone(status):
    script = Script(ended(A, B, status=status), ended(A), ended(B, status=status))
    assert made(script, A, B) == [(*OK, A, False), (status.value, 0, B, False)]
    assert script.asked == [[[A, B]], [[A], [B]]]


def test_so_they_are_after_a_failure_that_came_after_the_last_call():
    script = Script(ended(A, B, exit_code=1), ended(A), ended(B))
    assert [value for *_, value, _ in made(script, A, B)] == [A, B]
    assert script.asked == [[[A, B]], [[A], [B]]]


def test_a_program_that_may_keep_state_makes_one_call_a_process():
    script = Script(ended(A, keeps_state=True), ended(B), ended(C))
    assert [shared for *_, shared in made(script, A, B, C)] == [False] * 3
    assert script.asked == [[[A, B, C]], [[B], [C]]]


def test_records_that_nobody_asked_for_spoil_the_others():
    script = Script(ended(A, B, C), ended(A), ended(B, C))
    assert made(script, A, B) == [(*OK, A, False), (*OK, b"", False)]
    script = Script(ended(A, B, keeps_state=True), ended(B))
    assert made(script, A, B) == [(*OK, b"", False), (*OK, B, False)]


def test_a_program_that_does_not_compile_is_asked_once():
    script = Script(ended(status=Status.COMPILE_ERROR))
    assert made(script, A, B, C) == [("compile_error", 0, b"", False)]


def test_a_sandbox_without_an_answer_has_failed():
    class Silent:
        async def __call__(self, chunks, limits):
            return
            yield

    with pytest.raises(SandboxError, match="no result"):
        made(Silent(), A, B)
