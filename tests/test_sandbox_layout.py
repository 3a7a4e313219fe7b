"""Memory laid out for forks: less to copy, and everything works as before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlef.sandbox.zygote import layout

# Loads what a slot loads, uses it, lays memory out, uses it again, and in a fork, and loads more.
SCRIPT = """
import ctypes, gc, json, os, sys
from rlef.sandbox.zygote import layout
from rlef.sandbox.zygote.boot import PREIMPORTED
for name in PREIMPORTED:
    __import__(name)
import array, bisect, cmath, datetime, decimal, heapq, math, random, zlib

def work():
    h = [5, 1, 4]; heapq.heapify(h)
    try:
        decimal.Decimal(1) / 0
    except decimal.DivisionByZero as error:
        caught = type(error).__name__
    text = json.dumps({"a": [1.5, None, "\\u00e9"]})
    later = datetime.date(2024, 2, 29) + datetime.timedelta(365)
    return [str(decimal.Decimal(2).sqrt()), h, math.erf(0.5), str(cmath.sqrt(-1)), json.loads(text), caught,
            random.Random(7).random(), zlib.crc32(b"x" * 100), bisect.bisect([1, 3], 2), str(later),
            ctypes.sizeof(ctypes.c_long), list(array.array("i", [1, 2]))]

def mappings():
    return open("/proc/self/maps").read()

MASK
before, old = mappings(), work()
layout.tidy(before)
after, new = mappings(), work()
if not os.fork():
    gc.collect()
    os._exit(0 if work() == old else 9)
child = os.wait()[1]
import unicodedata, colorsys
late = unicodedata.name("x")
print(json.dumps({"before": before.count("\\n"), "after": after.count("\\n"), "same": old == new,
                  "child": child, "late": late, "objects": after.count("memfd:objects")}))
"""
MASKS = {
    "nothing": "",
    "huge pages": "layout._madvise = lambda *args: (_ for _ in ()).throw(OSError(22, 'no'))",
    "memory files": "os.memfd_create = lambda *args: (_ for _ in ()).throw(OSError(22, 'no'))",
    "writable code": "layout._mprotect = lambda *args: (_ for _ in ()).throw(OSError(13, 'no'))",
}


def laid_out(mask: str) -> dict[str, object]:
    script = SCRIPT.replace("MASK", MASKS[mask])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("mask", MASKS)
def test_everything_works_as_before_whatever_the_kernel_refuses(mask: str) -> None:
    found = laid_out(mask)
    assert found["same"] and found["child"] == 0 and found["late"] == "LATIN SMALL LETTER X"


def test_small_objects_become_a_few_mappings() -> None:
    text = Path("/proc/self/maps").read_text()
    if ".cpython-" not in text:
        pytest.skip("this interpreter has its library built in")
    found = laid_out("nothing")
    assert int(str(found["after"])) < int(str(found["before"])) - 40
    assert 0 < int(str(found["objects"])) < 20
    assert laid_out("memory files")["objects"] == 0


def test_the_script_would_notice_a_library_that_was_broken() -> None:
    script = SCRIPT.replace("MASK", "import ctypes\nlayout.ctypes.string_at = lambda a, n: bytes(n)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_objects_with_gaps_big_ones_and_those_in_use_stay_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[int] = []
    monkeypatch.setattr(
        layout, "_put_into_one_file", lambda objects: moved.extend(o[0].start for o in objects)
    )
    monkeypatch.setattr(layout, "_serve_code", lambda parts: None)
    maps = (
        "1000-2000 r--p 00000000 fe:00 1 /lib/small.so.1\n"
        "2000-3000 rw-p 00001000 fe:00 1 /lib/small.so.1\n"
        "5000-6000 r-xp 00000000 fe:00 2 /lib/gap.so\n"
        "7000-8000 rw-p 00002000 fe:00 2 /lib/gap.so\n"
        "100000-900000 r-xp 00000000 fe:00 3 /lib/big.so\n"
        "a00000-a01000 r-xp 00000000 fe:00 4 /lib/libc.so.6\n"
        "b00000-b01000 rw-s 00000000 fe:00 5 /lib/shared.so\n"
        "c00000-c01000 rw-p 00000000 00:00 0\n"
        "d00000-d01000 r--p 00000000 fe:00 6 /lib/a name with spaces.so\n"
        "e00000-e01000 r--p 00000000 fe:00 7 /usr/share/locale\n"
    )
    layout.tidy(maps)
    assert moved == [0x1000, 0xD00000]
