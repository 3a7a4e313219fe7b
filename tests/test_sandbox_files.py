"""Programs that read and write files in a working directory of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlef.sandbox import RunLimits, RunResult, bundle
from sandbox_help import SUM, Bench, opened

ECHO = "import sys\nopen('out', 'w').write(open('in').read() + ' '.join(sys.argv[1:]))"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with opened() as bench:
        yield bench


def run(bench: Bench, source: str, *files: dict[str, bytes], **wanted: int) -> list[RunResult]:
    async def collect() -> list[RunResult]:
        results = bench.sandbox.run(
            source, [b""] * len(files), RunLimits(), files=files, arguments=["x", "ü y"], collect=wanted
        )
        return [r async for r in results]

    return bench.loop.run_until_complete(collect())


@pytest.mark.parametrize("padding", [0, 5000], ids=["compiled in each test", "compiled once"])
def test_files_go_in_and_come_back_and_nothing_stays(bench: Bench, padding: int) -> None:
    source = f"import os\nassert os.listdir() == ['in'], os.listdir()\n{ECHO}\n#{'x' * padding}"
    results = run(bench, source, *[{"in": b"%d " % k} for k in range(10)], out=100)
    assert [r.files for r in results] == [{"out": b"%d x \xc3\xbc y" % k} for k in range(10)], results


def test_a_big_file_survives_both_ways(bench: Bench) -> None:
    data = bytes(range(256)) * 20_000
    source = "open('out', 'wb').write(open('in', 'rb').read()[::-1])"
    (result,) = run(bench, source, {"in": data}, out=6_000_000)
    assert result.files == {"out": data[::-1]}
    (result,) = run(bench, "import os\nos.rename('in', 'out')", {"in": data}, out=6_000_000)
    assert result.files == {"out": data}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.symlink('/dev/null', 'out')",
        "import os\nos.mkdir('out')",
        "import os\nos.mkfifo('out')",
        "pass",
    ],
)  # fmt: skip
def test_only_regular_files_come_back(bench: Bench, source: str) -> None:
    (result,) = run(bench, source, {}, out=100)
    assert result.files == {}


def test_no_more_comes_back_than_was_asked_for(bench: Bench) -> None:
    (result,) = run(bench, "open('out', 'w').write('x' * 1000)\nopen('more', 'w').write('y')", {}, out=10)
    assert result.files == {"out": b"x" * 10}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nfor k in range(300):\n  os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('f', 'w')",
        "import os\nos.mkdir('d', 0o300)\nopen('d/f', 'w')\nos.mkdir('e')\nos.chmod('e', 0)",
        "import os\nfor k in range(9000):\n  open(str(k), 'w').close()",
        "import os\nfor k in range(40000):\n  open('f%d' % k, 'w').close()",
        "open('f', 'wb').write(b'x' * 10 ** 6)\nwhile True: open('g', 'ab').write(b'x' * 10 ** 6)",
        "import os\nos.rename('in', '\\n')\nopen('\\udcff', 'w')\nos.mkdir('-rf')",
    ],
    ids=["deep", "locked", "many", "too many", "full", "odd names"],
)
def test_whatever_a_program_leaves_is_gone_before_the_next(bench: Bench, source: str) -> None:
    results = run(bench, source, {"in": b""}, {"in": b""})
    assert len({r.status for r in results}) == 1  # the second found the same emptiness
    (after,) = run(bench, "import os\nprint(os.listdir())", {"in": b""})
    assert after.stdout == b"['in']\n"
    assert bench.one(SUM, b"40 2").stdout == b"42\n"


def test_a_program_without_files_has_no_directory_to_write_to(bench: Bench) -> None:
    run(bench, "pass", {})
    assert bench.one("open('/box/x', 'w')").exit_code == 1


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/x", "a\0b"])
def test_a_name_that_is_no_file_of_the_directory_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        bundle.inward({name: b""}, [], {})
