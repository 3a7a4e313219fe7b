"""Memory and pids cgroups of both versions.

Version 2 with a memory controller is not on every machine. So its files are kept by a fake that has
the kernel's rules, and the rules themselves are tried on a real version 2 tree where there is one.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlef.sandbox import cgroups


def _fake(tmp_path: Path, mounts: str, cgroup: str) -> Path:
    (tmp_path / "mounts").write_text(mounts.format(at=tmp_path))
    (tmp_path / "cgroup").write_text(cgroup)
    return tmp_path


def test_cgroups_of_version_1_are_found_below_our_own(tmp_path: Path) -> None:
    (tmp_path / "memory/me").mkdir(parents=True)
    (tmp_path / "pids").mkdir()
    mounts = "cgroup {at}/memory cgroup rw,memory 0 0\ncgroup {at}/pids cgroup rw,pids 0 0\n"
    found = cgroups.find(_fake(tmp_path, mounts, "4:memory:/me\n8:pids:/outside\n0::/\n"))
    assert found == cgroups.Places(tmp_path / "memory/me", tmp_path / "pids", 1)


def test_a_delegated_cgroup_of_version_2_is_found(tmp_path: Path) -> None:
    (tmp_path / "v2/me").mkdir(parents=True)
    (tmp_path / "v2/me/cgroup.subtree_control").write_text("cpu memory pids\n")
    found = cgroups.find(_fake(tmp_path, "cgroup2 {at}/v2 cgroup2 rw 0 0\n", "0::/me\n"))
    assert found == cgroups.Places(tmp_path / "v2/me", tmp_path / "v2/me", 2)


def test_why_there_is_no_cgroup_is_said_in_one_line(tmp_path: Path) -> None:
    assert "no cgroup file system" in str(cgroups.find(_fake(tmp_path, "proc /proc proc rw 0 0\n", "0::/\n")))
    (tmp_path / "memory").write_text("")  # not a directory: nothing can be made in it
    mounts = "cgroup {at}/memory cgroup rw,memory 0 0\ncgroup {at}/memory cgroup rw,pids 0 0\n"
    answer = cgroups.find(_fake(tmp_path, mounts, "4:memory:/\n8:pids:/\n"))
    assert isinstance(answer, str) and "can't make a group" in answer and "\n" not in answer


def test_a_version_2_group_is_given_its_limits(tmp_path: Path) -> None:
    group = cgroups.Group(cgroups.Places(tmp_path, tmp_path, 2), 7)
    place = tmp_path / f"rlef-{os.getpid()}-7"
    group.limit(100 * 2**20)
    group.attach(1234)
    assert int((place / "memory.max").read_text()) > 100 * 2**20
    assert (place / "cgroup.procs").read_text() == "1234"
    (place / "memory.events").write_text("oom 1\noom_kill 0\n")
    assert not group.killed()
    (place / "memory.events").write_text("oom 1\noom_kill 2\n")
    assert [group.killed() for _ in range(3)] == [True, True, False]  # each kill is told once


class Kernel:
    """A version 2 tree under ``top``, with the rules that matter here."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.procs: dict[Path, list[str]] = {}
        make, remove = Path.mkdir, Path.rmdir

        def mkdir(path: Path, *args: object, **more: object) -> None:
            make(path, *args, **more)  # type: ignore[arg-type]
            if path.is_relative_to(top):
                self.fill(path)

        def rmdir(path: Path) -> None:
            for file in path.iterdir() if path.is_relative_to(top) else ():
                file.unlink()
            self.procs.pop(path, None)
            remove(path)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", rmdir)
        monkeypatch.setattr(cgroups, "_write", self.write)
        make(top)
        self.fill(top)
        (top / "cgroup.type").unlink()  # the root of all has none
        (top / "cgroup.controllers").write_text("cpu memory pids\n")

    def fill(self, path: Path) -> None:
        handed = (path.parent / "cgroup.subtree_control").read_text() if path != self.top else ""
        files = {"type": "domain\n", "procs": "", "subtree_control": "", "controllers": handed, "kill": ""}
        for name, text in files.items():
            if not (path / f"cgroup.{name}").exists():
                (path / f"cgroup.{name}").write_text(text)
        self.procs.setdefault(path, [])

    def put(self, path: Path, *pids: str) -> None:
        self.procs[path] += pids
        (path / "cgroup.procs").write_text("\n".join(self.procs[path]))

    def write(self, path: Path, text: str) -> None:
        group = path.parent
        if path.name == "cgroup.procs":
            if (group / "cgroup.subtree_control").read_text().strip() and group != self.top:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            for other, pids in self.procs.items():
                self.procs[other] = [pid for pid in pids if pid != text]
                (other / "cgroup.procs").write_text("\n".join(self.procs[other]))
            self.put(group, text)
        elif path.name == "cgroup.subtree_control":
            if self.procs[group] and group != self.top:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            names = {word.strip("+") for word in text.split()}
            if not names <= set((group / "cgroup.controllers").read_text().split()):
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            path.write_text(" ".join(sorted(names | set(path.read_text().split()))))
            for child in group.iterdir():
                if child.is_dir():
                    (child / "cgroup.controllers").write_text(path.read_text())
        else:
            path.write_text(text)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path / "v2", monkeypatch)


def scope(kernel: Kernel, *path: str) -> Path:
    """A group as systemd makes them: every one above it hands out both controllers."""
    group = kernel.top
    for name in path:
        kernel.write(group / "cgroup.subtree_control", "+memory +pids")
        group = group / name
        group.mkdir()
    return group


def look(kernel: Kernel, home: Path) -> cgroups.Places | str:
    return cgroups._find_v2(kernel.top, home)


def test_a_delegated_scope_is_cleared_of_its_processes_first(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under systemd-run -p Delegate=yes we sit in the very group that must hand out the controllers."""
    home = scope(kernel, "user.slice", "run-1.scope")
    kernel.put(home, "100", "101")
    monkeypatch.setattr(os, "getxattr", lambda path, name: b"1" if name == "user.delegate" else b"")
    assert look(kernel, home) == cgroups.Places(home, home, 2)
    assert kernel.procs[home] == [] and kernel.procs[home / "rlef-leaf"] == ["100", "101"]
    assert set((home / "cgroup.subtree_control").read_text().split()) == {"memory", "pids"}
    # From now on our own group is the leaf.
    assert look(kernel, home / "rlef-leaf") == cgroups.Places(home, home, 2)
    group = cgroups.Group(cgroups.Places(home, home, 2), 1)
    group.attach(100)
    assert group.problem(100) == "" and "does not take processes" in group.problem(101)


def test_root_without_delegation_moves_nobody_and_stands_beside(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    home = scope(kernel, "user.slice", "session-1.scope")
    kernel.put(home, "100")
    assert look(kernel, home) == cgroups.Places(home.parent, home.parent, 2)
    assert kernel.procs[home] == ["100"] and not (home / "rlef-leaf").exists()


def test_a_plain_user_moves_what_lies_in_a_group_of_its_own(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = scope(kernel, "user@1000.service", "app.scope")
    kernel.put(home, "100")
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid or 1000)
    if home.stat().st_uid == 0:
        os.chown(home, 1000, 1000)
    assert look(kernel, home) == cgroups.Places(home, home, 2)
    assert kernel.procs[home / "rlef-leaf"] == ["100"]


def test_the_root_of_all_may_keep_its_processes(kernel: Kernel) -> None:
    kernel.put(kernel.top, "1", "2")
    assert look(kernel, kernel.top) == cgroups.Places(kernel.top, kernel.top, 2)
    assert kernel.procs[kernel.top] == ["1", "2"]


def test_a_scope_without_controllers_says_which(kernel: Kernel) -> None:
    home = kernel.top / "scope"
    home.mkdir()
    (kernel.top / "cgroup.controllers").write_text("hugetlb\n")
    assert str(look(kernel, home)).endswith("memory and pids (it has no memory and pids controller itself)")


def test_a_limit_that_is_not_taken_is_a_problem(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    home = scope(kernel, "delegated")
    kernel.write(home / "cgroup.subtree_control", "+memory +pids")
    group = cgroups.Group(cgroups.Places(home, home, 2), 1)
    group.attach(100)
    place = home / f"rlef-{os.getpid()}-1"
    for name, text in (("memory.max", "max"), ("pids.max", "max"), ("memory.max", "")):
        before = (place / name).read_text()
        (place / name).write_text(text)
        assert name in group.problem(100)
        (place / name).write_text(before)
    assert group.problem(100) == ""


@pytest.fixture
def real() -> Iterator[Path]:
    """A group of its own in a real version 2 tree, with whatever controller there is."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    top = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if top is None or not os.access(top, os.W_OK) or not (top / "cgroup.controllers").read_text().strip():
        pytest.skip("no version 2 tree to write to")
    before = (top / "cgroup.subtree_control").read_text().split()
    name = (top / "cgroup.controllers").read_text().split()[0]
    home = top / f"rlef-test-{os.getpid()}"
    try:
        (top / "cgroup.subtree_control").write_text(f"+{name}")
        home.mkdir()
        yield home
    finally:
        for group in (*home.glob("*/"), home):
            cgroups._removed(group)
        if name not in before:
            (top / "cgroup.subtree_control").write_text(f"-{name}")


def test_a_real_kernel_agrees_about_processes_in_the_middle(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a controller that is there in place of memory and pids."""
    controllers = set((real / "cgroup.controllers").read_text().split()[:1])
    monkeypatch.setattr(cgroups, "_CONTROLLERS", controllers)
    try:
        os.setxattr(real, "user.delegate", b"1")
    except OSError:
        pytest.skip("this kernel keeps no attributes of groups")
    with subprocess.Popen(["sleep", "60"]) as process:
        (real / "cgroup.procs").write_text(str(process.pid))
        with pytest.raises(OSError, match="busy"):
            (real / "cgroup.subtree_control").write_text("".join(f"+{name}" for name in controllers))
        assert cgroups._find_v2(real.parent, real) == cgroups.Places(real, real, 2)
        leaf = real / "rlef-leaf"
        assert (leaf / "cgroup.procs").read_text().split() == [str(process.pid)]
        group = object.__new__(cgroups.Group)  # its limits need a memory controller, its end does not
        group._version, group._memory = 2, leaf
        group.kill()
        assert process.wait(5) == -9
