"""What is built once and kept on disk: trusted only where nobody else can have put it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlef.errors import UserError
from rlef.sandbox.languages import compiler, find
from rlef.sandbox.languages.store import Store, fault, open_store, place
from sandbox_help import needs, opened

EVERYTHING = """#include <bits/stdc++.h>
int main() { std::vector<int> v{std::istream_iterator<int>(std::cin), {}}; std::cout << v.size() << "\\n"; }
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that the jail's user may go to, too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name, "cache")


@pytest.fixture
def store(folder: Path) -> Store:
    found = open_store(folder)
    assert isinstance(found, Store)
    return found


def test_what_was_put_is_got_by_anyone_who_opens_the_place(store: Store, folder: Path) -> None:
    assert store.get("a") is None
    kept = store.put("a", b"content", colour="blue")
    assert kept and kept.path.read_bytes() == b"content" and kept.about["colour"] == "blue"
    other = open_store(folder)
    assert isinstance(other, Store) and other.get("a") == kept
    assert not [path for path in folder.iterdir() if path.name.endswith(".new")]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "a flipped bit": lambda folder: _flip(folder / "a"),
    "cut off": lambda folder: os.truncate(folder / "a", 3),
    "grown": lambda folder: (folder / "a").write_bytes(b"content and more"),
    "gone": lambda folder: (folder / "a").unlink(),
    "no digest": lambda folder: (folder / "a.json").unlink(),
    "digest is no JSON": lambda folder: (folder / "a.json").write_text("{"),
    "digest is a list": lambda folder: (folder / "a.json").write_text("[]"),
    "a directory": lambda folder: ((folder / "a").unlink(), (folder / "a").mkdir()),
    "a link": lambda folder: ((folder / "a").rename(folder / "b"), (folder / "a").symlink_to("b")),
    "writable by others": lambda folder: (folder / "a").chmod(0o666),
    "a pipe": lambda folder: ((folder / "a").unlink(), os.mkfifo(folder / "a", 0o644)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_as_good_as_none_and_can_be_put_again(
    folder: Path, store: Store, name: str
) -> None:
    store.put("a", b"content")
    assert store.get("a")
    DAMAGES[name](folder)
    fresh = open_store(folder)
    assert isinstance(fresh, Store) and fresh.get("a") is None
    if name != "a directory":
        assert fresh.put("a", b"content") and fresh.get("a")
    else:
        assert fresh.put("a", b"content") is None  # it can't be replaced, and nothing else happens


UNSAFE = {
    "others may write to it": lambda folder: folder.chmod(0o777),
    "its group may write to it": lambda folder: folder.chmod(0o775),
    "others may write above it": lambda folder: folder.parent.chmod(0o777),
    "it is a file": lambda folder: (folder.rmdir(), folder.write_text("")),
    "it is a link": lambda folder: (folder.rename(folder.with_name("real")), folder.symlink_to("real")),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_a_place_that_others_may_have_changed_is_not_used(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str
) -> None:
    folder.mkdir(mode=0o755)
    assert fault(folder) == ""
    UNSAFE[name](folder)
    found = open_store(folder)
    assert isinstance(found, str) and found
    monkeypatch.setenv("RLEF_CACHE", str(folder))
    with pytest.raises(UserError, match=r"RLEF_CACHE can.t be used: .*; name a directory"):
        open_store()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_place_that_belongs_to_someone_else_is_not_used(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    assert "belongs to someone else" in fault(folder)
    os.chown(folder, 0, 0)
    os.chown(folder.parent, 12345, 12345)
    assert "belongs to someone else" in fault(folder)


def test_a_sticky_directory_above_is_no_fault(folder: Path) -> None:
    folder.mkdir()
    folder.parent.chmod(0o1777)
    assert fault(folder) == ""


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RLEF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert place() == Path("/elsewhere/rlef")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert place() == Path("~/.cache/rlef").expanduser()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert place() == Path("/var/cache/rlef")
    monkeypatch.setenv("RLEF_CACHE", "/mine")
    assert place() == Path("/mine")


def test_old_versions_go_and_others_stay(store: Store, folder: Path) -> None:
    for name in ("header-x-1", "header-x-2", "header-y-1"):
        store.put(name, b"x")
    store.drop_others("header-x-", "header-x-2")
    assert sorted(path.name for path in folder.iterdir()) == [
        "header-x-2", "header-x-2.json", "header-y-1", "header-y-1.json",
    ]  # fmt: skip


def test_one_process_builds_while_another_waits(store: Store, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rlef.sandbox.languages.store import Store\n"
        "folder = Path(sys.argv[1])\n"
        "print('waiting', flush=True)\n"
        "with Store(folder).locked('a'): print((folder / 'built').exists())"
    )
    with store.locked("a"):
        other = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
        assert other.stdout and other.stdout.readline() == "waiting\n"
        (folder / "built").touch()
    with other:
        assert other.stdout.read() == "True\n"


def _full(fd: int, data: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_full_disk_keeps_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, store: Store, folder: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        assert store.put("a", b"content") is None
    assert store.get("a") is None and list(folder.iterdir()) == []


@pytest.fixture
def cheap_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small header in the place of the one that takes ten seconds: what is done with it is the same."""
    from rlef.sandbox.languages import record

    cpp = record.replace(find("cpp"), name="cpp-cheap", precompile="cstdio")
    monkeypatch.setitem(record._known, "cpp-cheap", cpp)


SMALL = '#include <cstdio>\nint main() { puts("fine"); }'


@pytest.mark.usefixtures("cheap_header")
def test_a_header_is_compiled_once_and_again_when_it_is_no_good(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    needs("cpp")
    monkeypatch.setenv("RLEF_CACHE", str(folder))
    real, built = compiler._compile, []

    def spy(*args: object, **options: object) -> object:
        if options.get("source"):
            built.append(options["source"])
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(compiler, "_compile", spy)

    def run() -> int:
        with opened() as bench:
            result = bench.one(SMALL, b"", "cpp-cheap")
            assert result.stdout == b"fine\n", result
            return len(built)

    (counts := [run(), run()])
    assert counts == [1, 1]
    (header,) = [path for path in folder.iterdir() if path.suffix == "" and path.name.startswith("header")]
    _flip(header)
    assert run() == 2, "a corrupt one is built again"
    stamps = header.with_name(f"{header.name}.json")
    stamps.write_text(stamps.read_text().replace('stdio.h": [', 'stdio.h": [1'))
    assert run() == 3, "one whose headers have changed is built again"


@pytest.mark.usefixtures("cheap_header")
@pytest.mark.parametrize("trouble", ["no room", "unreadable", "a lie"])
def test_without_a_header_it_compiles_all_the_same(
    monkeypatch: pytest.MonkeyPatch, folder: Path, trouble: str
) -> None:
    needs("cpp")
    monkeypatch.setenv("RLEF_CACHE", str(folder))
    if trouble == "no room":
        monkeypatch.setattr(Store, "put", lambda *_, **__: None)
    if trouble == "unreadable":
        if os.geteuid():
            pytest.skip("the jail's user is ours")
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)
    if trouble == "a lie":  # a header that can't be shown keeps its slot from booting
        monkeypatch.setattr(compiler, "header_for", lambda *_: compiler.Kept(folder / "missing", {}))
    with opened() as bench:
        assert bench.one(SMALL, b"", "cpp-cheap").stdout == b"fine\n"
    if folder.exists():
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_program_that_includes_everything_compiles() -> None:
    """With the real header, built now or found from an earlier run."""
    needs("cpp")
    with opened() as bench:
        assert bench.one(EVERYTHING, b"1 2 3", "cpp").stdout == b"3\n"
