"""From a fresh interpreter to a jailed zygote.

Two processes. The launcher is the trainer's child: it gives up root if it has it, leaves the
namespaces one by one and forks the zygote, which is pid 1 of the slot's pid namespace; then
it only waits, so that the trainer has someone to reap. The zygote builds the root file
system, preimports the library while it can still see the host's shared objects, locks
itself up and serves. If the trainer dies the kernel kills the launcher, then the zygote,
and with pid 1 everything else in the slot.

Where there are no namespaces (rungs L1 and L0) the zygote stays in those of the trainer, sees its
file system and shares its process numbers; ``bare.py`` has what then takes their place.
"""

# ruff: noqa: PTH102, PTH103, PTH112, PTH114, PTH115, PTH120, PTH123, PTH208, PTH211, SIM905
# (pathlib would sit in the memory of every fork; the list of modules reads better as words)

from __future__ import annotations

import _socket
import contextlib
import errno
import gc
import json
import mmap
import os
import signal
import sys
from typing import Any, NoReturn

from . import bare, files, hot, imports, kernel, landlock, layout, lock, program, serve
from .steps import Boot, Mirror, namespace, refused

# Loaded once, so that a test that imports them pays nothing. Each costs every fork a little
# (benchmarks/sandbox_fork.py --imports shows how much); what is not here is read on demand.
PREIMPORTED = (
    "math cmath re collections itertools functools heapq bisect string random operator copy typing "
    "decimal fractions datetime json threading traceback linecache array time types enum queue "
    "dataclasses _sitebuiltins zlib encodings.ascii encodings.latin_1"
).split()

_NAMESPACES = (
    ("mount namespace", kernel.CLONE_NEWNS, "mnt"),
    ("network namespace", kernel.CLONE_NEWNET, "net"),
    ("ipc namespace", kernel.CLONE_NEWIPC, "ipc"),
    ("uts namespace", kernel.CLONE_NEWUTS, "uts"),
    ("cgroup namespace", kernel.CLONE_NEWCGROUP, "cgroup"),
    ("pid namespace", kernel.CLONE_NEWPID, "pid_for_children"),
)
_SPEC_BYTES = 65536
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_WORK_RIGHTS = (
    landlock.READ_FILE | landlock.READ_DIR | landlock.WRITE_FILE | landlock.REMOVE_DIR | landlock.REMOVE_FILE
    | landlock.MAKE_DIR | landlock.MAKE_REG | landlock.REFER | landlock.TRUNCATE
)  # fmt: skip


def main() -> NoReturn:
    """Boot and serve."""
    ctl = _socket.socket(fileno=int(sys.argv[1]))
    stdlib = os.path.dirname(os.__file__)
    spec = json.loads(ctl.recv(_SPEC_BYTES))  # it comes when we are in the slot's cgroup
    boot, uid, parent = Boot(ctl, spec), spec["uid"], spec["parent"]
    os.environ.clear()
    os.umask(0o022)
    os.sched_setaffinity(0, {spec["cpu"]})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        _write("/proc/self/oom_score_adj", "500")
    page = mmap.mmap(-1, mmap.PAGESIZE)
    fast = hot.load(spec["native"], page)  # with the rights of whoever compiled it
    os.chdir(stdlib)  # root may be able to go there when uid can't
    boot.step("one thread", _check_threads, lambda: imports.threads() == 1)
    if uid:
        boot.step("unprivileged user", lambda: _become(uid), lambda: _is(uid))
    if boot.apart:
        _leave_namespaces(boot)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    pid = os.fork()
    if pid:
        boot.ctl.send(b"zygote %d" % pid)
        boot.ctl.close()
        _launcher(pid)
    _zygote(boot, stdlib, spec, page, fast)


def _check_threads() -> None:
    if imports.threads() > 1:
        raise OSError(errno.EBUSY, "a preloaded module has started threads, which can't be locked up")


def _launcher(zygote: int) -> NoReturn:
    """Wait for the end of the zygote and of what it leaves behind."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    status = -1
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, ended = os.wait()
            status = ended if pid == zygote else status
            if status >= 0:
                _kill_children()
    os._exit(status != 0)


def _kill_children() -> None:
    """In a pid namespace there are none left, on L1 they are dying. On L0 a program may have forked."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        for child in file.read().split():
            os.kill(int(child), signal.SIGKILL)


def _leave_namespaces(boot: Boot) -> None:
    """Leave those of the trainer, the user namespace first: it gives the rights to leave the others."""
    user = namespace("user")
    boot.step("user namespace", _leave_user_namespace, lambda: namespace("user") != user)
    for name, flag, kind in _NAMESPACES:
        before = namespace(kind)
        boot.step(
            name,
            lambda flag=flag: kernel.unshare(flag),  # type: ignore[misc]
            # That of children has no name before there is one.
            lambda kind=kind, before=before: (  # type: ignore[misc]
                (kind == "pid_for_children" and refused(namespace, kind)) or namespace(kind) != before
            ),
        )


def _become(uid: int) -> None:
    lock.drop_bounding(0)  # a user namespace has a set of its own
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root and the maps can't be written


def _is(uid: int) -> bool:
    return os.getresuid() == os.getresgid() == (uid, uid, uid) and not os.getgroups()


def _leave_user_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        _write(f"/proc/self/{name}", text)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _zygote(boot: Boot, stdlib: str, spec: dict[str, Any], page: mmap.mmap, fast: hot.Hot | None) -> NoReturn:
    mirror = Mirror()
    if boot.blind("pid namespace"):
        kernel.spawn_flags.value &= ~kernel.CLONE_NEWPID
    boot.step(
        "death with the trainer",
        lambda: kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL),
        lambda: kernel.death_signal() == signal.SIGKILL,
    )
    gc.collect()
    with open("/proc/self/maps") as file:
        layout.tidy(file.read())
    with open("/proc/self/statm") as file:
        vsize, rss = (int(pages) * mmap.PAGESIZE for pages in file.read().split()[:2])
    boot.step(
        "no dumps",
        lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 0),
        lambda: kernel.prctl(kernel.PR_GET_DUMPABLE) == 0,
    )
    # What the jail's user can't read stays out of sight, and only what is imported by now is there.
    packages = imports.packages(spec["import_paths"])
    spec["packages"] = [path for path in packages if os.access(_reach(path, stdlib), os.R_OK)]
    library = _root(boot, stdlib, spec) if boot.apart else _library(boot, stdlib, spec)
    limited = {"grants": spec["grants"], "tasks": boot.apart}
    boot.step(
        "limits",
        lambda: program.set_common_limits(**limited),
        lambda: program.has_common_limits(**limited),
    )
    lock.everything(boot, mirror, _allowed(library, spec), spec["grants"])
    mirror.close()
    server = serve.Server(boot.ctl, page, fast)
    _forget_ourselves()
    program.become_main()
    gc.collect()
    gc.freeze()
    boot.report(f"ready {vsize} {rss}")
    server.serve()


def _root(boot: Boot, stdlib: str, spec: dict[str, Any]) -> list[str]:
    """Build the root; the paths of the library in it."""
    if boot.steps["mount namespace"]:  # probing: the host's root must stay as it is
        boot.steps["read-only root"] = "it needs the mount namespace"
    else:
        boot.step("read-only root", lambda: _build_root(stdlib, spec), lambda: _is_built(stdlib, spec))
    return [stdlib]


def _library(boot: Boot, stdlib: str, spec: dict[str, Any]) -> list[str]:
    """The paths of the library where there is no root of our own."""
    bare.prepare()
    paths: list[str] = []
    boot.step("library", lambda: paths.extend(bare.find_library(stdlib)), lambda: bool(paths))
    if paths and paths[0].startswith("."):
        spec["packages"] = [_reach(path, stdlib) for path in spec["packages"]]
    return paths


def preimport(modules: str, paths: str) -> None:
    """Import what tests may want, while root's rights and the host's libraries are there.

    ``modules`` is words, ``paths`` where to look for them, with colons between.
    """
    for name in PREIMPORTED:
        with contextlib.suppress(ImportError):
            __import__(name)
    imports.preload(modules.split(), paths.split(":") if paths else [])
    sys.modules["random"].seed(0)  # a program that uses random must repeat
    program.add_site_builtins()


def _allowed(library: list[str], spec: dict[str, Any]) -> list[tuple[str, int]]:
    """Landlock's rules: paths and the rights on and below them."""
    look = landlock.READ_FILE | landlock.READ_DIR
    rules = [*[(path, look) for path in library], ("/dev/null", landlock.READ_FILE | landlock.WRITE_FILE)]
    shown = look | landlock.EXECUTE if "execute" in spec["grants"] else look
    for inside in (*(inside for _, inside in spec["visible"]), *spec["packages"]):
        if not os.path.islink(inside):
            rules.append((inside, shown if os.path.isdir(inside) else shown & ~landlock.READ_DIR))
    return [*rules, (files.WORK, _WORK_RIGHTS)] if spec["work_bytes"] else rules


def _build_root(stdlib: str, spec: dict[str, Any]) -> None:
    # Any directory serves as the mount point; /proc exists, and is done with by now.
    root = "/proc"
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=64k")
    os.makedirs(root + stdlib)
    kernel.mount(".", root + stdlib, flags=kernel.MS_BIND | kernel.MS_REC)
    attributes = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    kernel.mount_setattr(root + stdlib, attributes, below=True)
    masks = [hidden for name in bare.PACKAGES if os.path.isdir(hidden := f"{root}{stdlib}/{name}")]
    for hidden in masks:
        kernel.mount("tmpfs", hidden, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=64k")
    for outside, inside in spec["visible"]:
        _show(outside, root + inside)
    for package in spec["packages"]:
        _show(_reach(package, stdlib), root + package)
    for hidden in masks:
        kernel.mount_setattr(hidden, attributes, below=False)
    if spec["work_bytes"]:
        os.mkdir(root + files.WORK)
        size = f"mode=755,size={spec['work_bytes']},nr_inodes=10000"
        kernel.mount("tmpfs", root + files.WORK, "tmpfs", _PLAIN, size)
    os.mkdir(root + "/dev")
    _write(root + "/dev/null", "")
    if spec["work_bytes"] and "execute" in spec["grants"]:
        os.symlink(files.STDIN, root + "/dev/stdin")
    kernel.mount("/dev/null", root + "/dev/null", flags=kernel.MS_BIND)
    kernel.mount_setattr(root, attributes | kernel.ATTR_NOEXEC, below=False)
    os.chdir(root)
    kernel.pivot_root_here()
    os.chdir("/")
    kernel.sethostname("sandbox")


def _reach(package: str, stdlib: str) -> str:
    """A path to a package that works for the jail's user: below where we stand, if it lies there."""
    return "." + package[len(stdlib) :] if package.startswith(stdlib + "/") else package


def _is_built(stdlib: str, spec: dict[str, Any]) -> bool:
    """True if nothing but what was asked for can be found from here, and it can't be changed."""
    tops = {stdlib, "/dev", *(inside for _, inside in spec["visible"]), *spec["packages"]}
    if spec["work_bytes"]:
        tops.add(files.WORK)
    flags = os.statvfs("/").f_flag & os.statvfs(stdlib).f_flag
    wanted = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV
    return set(os.listdir("/")) == {top.split("/")[1] for top in tops} and flags & wanted == wanted


def _show(outside: str, inside: str) -> None:
    """Bind a file or directory of the host, read-only; a symbolic link is made again."""
    os.makedirs(os.path.dirname(inside), exist_ok=True)
    if os.path.islink(outside):
        os.symlink(os.readlink(outside), inside)
        return
    if os.path.isdir(outside):
        os.makedirs(inside, exist_ok=True)
    else:
        _write(inside, "")
    kernel.mount(outside, inside, flags=kernel.MS_BIND | kernel.MS_REC)
    attributes = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    kernel.mount_setattr(inside, attributes, below=True)


def _forget_ourselves() -> None:
    """Leave no trace in what a program can import."""
    sys.path.pop()
    for name in [name for name in sys.modules if name.split(".")[0] == "zygote"]:
        del sys.modules[name]
    sys.argv = ["solution.py"]
    sys.orig_argv = ["python", "solution.py"]
