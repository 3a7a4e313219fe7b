"""Modules from outside the library, and other interpreters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

import rlef.config
from rlef.errors import ConfigError, SandboxUnavailable
from rlef.sandbox import RunLimits, Status, interpreter
from rlef.sandbox.zygote import imports
from sandbox_help import SUM, Bench, opened

MIB = 2**20


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with opened(preload=("numpy",)) as bench:
        yield bench


HONEST = {
    "array": "import numpy as np\nprint(np.array(input().split(), dtype=int).sum())",
    "linear algebra": "import numpy as np\nprint(round(np.linalg.det(np.eye(3) * 2)))",
    "matrix product": "import numpy as np\nprint(int((np.ones((200, 200)) @ np.ones((200, 200)))[0, 0]))",
    "fourier": "import numpy as np\nprint(np.fft.fft([1, 1]).real.tolist())",
    "drawn": "import numpy as np\nnp.random.seed(1)\nprint(np.random.randint(99))",
    "generator": "import numpy as np\nprint(np.random.default_rng(3).integers(1000))",
    "first used later": "import numpy.polynomial as p, numpy.ma\nprint(p.Polynomial([1, 2])(3))",
    "strings": "import numpy as np\nprint(np.char.add(['a'], ['b'])[0], np.datetime64('2020-01-01'))",
    "threads": "import numpy, threading\nprint(threading.active_count())",
    "error": "import numpy as np\nnp.zeros(2) + np.zeros(3)",
}


@pytest.mark.parametrize("name", HONEST)
def test_a_program_with_numpy_does_as_under_a_plain_interpreter(bench: Bench, name: str) -> None:
    result = bench.one(HONEST[name], b"40 2\n", cpu_s=5.0)
    command = [sys.executable, "-I", "-c", HONEST[name]]
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, input=b"40 2\n", capture_output=True, env=environment)
    assert (result.exit_code, result.stdout) == (done.returncode, done.stdout), result
    assert result.stderr.splitlines()[-1:] == done.stderr.splitlines()[-1:]


def test_random_numbers_without_a_seed_repeat(bench: Bench) -> None:
    source = "import numpy as np\nprint(np.random.rand())"
    first, second = bench.all(source, [b"", b""])
    with opened(preload=("numpy",)) as other:
        assert first.stdout == second.stdout == other.one(source).stdout != b""


def test_what_is_not_allowed_is_not_there(bench: Bench) -> None:
    for name in ("yaml", "pydantic", "pytest", "rlef", "zygote", "site"):
        result = bench.one(f"import {name}\nprint({name})")
        if name == "site":  # of the library
            assert result.ok
        else:
            assert f"ModuleNotFoundError: No module named '{name}'".encode() in result.stderr


def test_beside_the_package_there_is_nothing_to_see(bench: Bench) -> None:
    source = (
        "import numpy, os\ntop = os.path.dirname(os.path.dirname(numpy.__file__))\n"
        "for path in (top, '/', os.path.join(top, 'yaml'), os.path.join(top, 'pip')):\n"
        "  try: os.listdir(path); print('ESCAPED', path)\n  except OSError: pass\n"
        "try: open(numpy.__file__, 'a'); print('ESCAPED')\nexcept OSError: pass\n"
        "print(len(os.listdir(os.path.dirname(numpy.__file__))) > 5)"
    )
    assert bench.one(source).stdout == b"True\n"


def test_memory_is_held_against_what_the_program_adds(bench: Bench) -> None:
    fits = bench.one("import numpy as np\na = np.ones(5 * 2 ** 20)", memory_bytes=64 * MIB, cpu_s=5.0)
    assert fits.ok, fits
    for source in (
        "a = np.ones(2 ** 24)",
        "a = [np.ones(2 ** 20) for _ in range(100)]",
        "a = np.ones(2 ** 40)",
    ):
        result = bench.one(f"import numpy as np\n{source}", memory_bytes=64 * MIB, cpu_s=5.0)
        assert result.status is Status.MEMORY_LIMIT, result


def test_other_kinds_of_slots_have_it_too(bench: Bench) -> None:
    source = "import numpy as np\nnp.savetxt('out', np.loadtxt('in', ndmin=1) * 2, fmt='%d')"

    async def run() -> list[dict[str, bytes]]:
        run = bench.sandbox.run(source, [b""], RunLimits(), files=[{"in": b"21\n"}], collect={"out": 99})
        return [dict(result.files) async for result in run]

    assert bench.loop.run_until_complete(run()) == [{"out": b"42\n"}]


def _package(folder: Path, text: str) -> Path:
    folder.chmod(0o755)
    place = folder / "packages"
    place.mkdir(mode=0o755)
    (place / "mine").mkdir(mode=0o755)
    (place / "mine/__init__.py").write_text(text)
    (place / "mine/later.py").write_text("VALUE = 42\n")
    (place / "other.py").write_text("")
    return place


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that the jail's user may go to."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_package_of_ones_own_is_found_in_import_path(folder: Path) -> None:
    place = _package(folder, "print('imported')")
    with opened(preload=("mine",), import_path=(str(place),)) as bench:
        result = bench.one("import mine\nfrom mine.later import VALUE\nprint(VALUE)")
        assert result.stdout == b"42\n", result
        assert b"ModuleNotFoundError" in bench.one("import other").stderr
        assert b"ModuleNotFoundError" in bench.one("import numpy").stderr


def test_what_the_jails_user_cannot_read_is_there_as_far_as_it_was_imported(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("the jail's user is ours")
    place = _package(folder, "VALUE = 1")
    folder.chmod(0o700)
    with opened(preload=("mine",), import_path=(str(place),)) as bench:
        assert bench.one("import mine\nprint(mine.VALUE)").stdout == b"1\n"
        assert b"ModuleNotFoundError" in bench.one("import mine.later").stderr
    with opened(preload=("mine", "mine.later"), import_path=(str(place),)) as bench:
        assert bench.one("import mine.later\nprint(mine.later.VALUE)").stdout == b"42\n"


def test_a_package_that_starts_a_thread_is_refused(folder: Path) -> None:
    place = _package(
        folder, "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    )
    with pytest.raises(SandboxUnavailable, match="has started threads"):
        Bench(preload=("mine",), import_path=(str(place),))


def test_a_package_that_cannot_be_imported_says_so(folder: Path) -> None:
    place = _package(folder, "raise ImportError('broken inside')")
    with pytest.raises(SandboxUnavailable, match="broken inside"):
        Bench(preload=("mine",), import_path=(str(place),))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preload": ("no_such_module",)}, "sandbox.preload: there is no module 'no_such_module' in "),
        ({"preload": ("../x",)}, "sandbox.preload: there is no module"),
        ({"preload": ("numpy",), "import_path": ("/nonexistent",)}, "there is no directory /nonexistent"),
        ({"python": "/nonexistent/python"}, "is no Python that can be started"),
        ({"python": "/bin/false"}, "is no Python that can be started"),
    ],
)
def test_settings_that_name_nothing_are_the_users_mistake(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        interpreter.home_profile(rlef.config.Sandbox(**settings))  # type: ignore[arg-type]


def test_an_interpreter_that_is_too_old_is_refused(folder: Path) -> None:
    old = folder / "python"
    old.write_text("#!/bin/sh\necho '[[3, 9, 2], \"/usr/bin/python3.9\", []]'\n")
    old.chmod(0o755)
    with pytest.raises(ConfigError, match=r"is Python 3\.9\.2; 3\.11 or later is needed"):
        interpreter.ask(str(old))


def _another() -> str:
    """A second interpreter of this machine that is new enough."""
    mine = os.path.realpath(sys.executable)
    names = [f"python3.{minor}" for minor in range(11, 20)]
    found = [
        shutil.which(name, path=f"/usr/bin:/usr/local/bin:{os.environ['PATH']}")
        for name in ("python3", *names)
    ]
    for path in [path for path in found if path]:
        try:
            if interpreter.ask(path).binary != mine:
                return path
        except ConfigError:
            continue
    return pytest.skip("there is no second interpreter")


def test_programs_run_on_another_interpreter() -> None:
    path = _another()
    version = interpreter.ask(path).version
    with opened(python=path) as bench:
        assert bench.one("import sys\nprint(*sys.version_info[:3])").stdout == b"%d %d %d\n" % version
        assert bench.one(SUM, b"40 2").stdout == b"42\n"
        assert bench.one("def f(n):\n    return n if n == 0 else f(n - 1)\nprint(f(990))").stdout == b"0\n"
        assert b"ZeroDivisionError" in bench.one("1 / 0").stderr
        assert bench.one("x = bytearray(10 ** 9)").status is Status.MEMORY_LIMIT
        assert bench.one("(").status is Status.COMPILE_ERROR


def test_what_is_shown_of_packages_is_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(Path(numpy.__file__).parents[1])
    shown = imports.packages([place])
    assert f"{place}/numpy" in shown and all(path.startswith(place) for path in shown)
    assert imports.packages(["/nonexistent"]) == []
    assert imports.threads() >= 1
