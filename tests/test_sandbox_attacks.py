"""Programs that try to get out, at targets made for the purpose.

An attack prints ESCAPED if it got anywhere. After each one the next honest program must be
fine, the slot must hold nothing but its two processes, and the decoys must be untouched.
"""

# ruff: noqa: E501 (programs read better whole)

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlef.sandbox import Status
from sandbox_help import SUM, Bench, descendants, opened

SECRET = "canary-5f3a"


@pytest.fixture(scope="module")
def shared() -> Iterator[Bench]:
    os.environ["RLEF_TEST_SECRET"] = SECRET
    with opened() as bench:
        yield bench
    del os.environ["RLEF_TEST_SECRET"]


@pytest.fixture(scope="module")
def decoy() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def canary() -> Iterator[Path]:
    """A file that anyone on the host may read and write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        path = Path(folder, "canary")
        path.write_text(SECRET)
        path.chmod(0o666)
        yield path


@pytest.fixture
def bench(shared: Bench, decoy: subprocess.Popen[bytes], canary: Path) -> Iterator[Bench]:
    fds = _descriptors()
    yield shared
    assert shared.one(SUM, b"40 2").stdout == b"42\n"
    left = [pid for pid in descendants(os.getpid()) if pid != decoy.pid]
    assert len(left) == 2, f"more than the launcher and the zygote: {left}"
    assert decoy.poll() is None
    assert canary.read_text() == SECRET and [p.name for p in canary.parent.iterdir()] == ["canary"]
    assert _descriptors() == fds


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


PRELUDE = """
import os, sys, ctypes
libc = ctypes.CDLL(None, use_errno=True)
CANARY, DECOY = {canary!r}, {decoy}
def syscall(*args):
    result = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
"""

# Any OSError, or another plain exception, is a defence that held.
ATTACKS = {
    "read a file": "open(CANARY).read()",
    "write a file": "open(CANARY, 'w').write('x')",
    "create a file beside it": "open(CANARY + '2', 'w')",
    "create a file in /tmp": "open('/tmp/rlef-canary', 'w')",
    "create a file in the cwd": "open('canary', 'w')",
    "create a file in /dev": "open('/dev/canary', 'w')",
    "write to the library": "open(os.__file__, 'a')",
    "chmod the library": "os.chmod(os.__file__, 0o777)",
    "replace a library file": "os.rename(os.__file__, os.__file__ + '.x')",
    "hard link": "os.link(os.__file__, '/link')",
    "symbolic link": "os.symlink(CANARY, '/link')",
    "make a directory": "os.mkdir('/d')",
    "delete": "os.remove(os.__file__)",
    "remount": "syscall(165, b'', b'/', b'', 32 | 4096, 0)",
    "mount": "syscall(165, b'tmpfs', b'/dev', b'tmpfs', 0, 0)",
    "unmount": "syscall(166, b'/dev/null', 2)",
    "pivot_root": "syscall(155, b'.', b'.')",
    "chroot": "os.chroot('/dev')",
    "climb out": "os.listdir('/' + '../' * 40 + 'etc')",
    "open by handle": "syscall(304, 3, 0, 0)",
    "proc of the parent": "open('/proc/%d/mem' % os.getppid())",
    "proc of itself": "open('/proc/self/environ')",
    "fork": "os.fork() or os._exit(0)",
    "fork bomb": "\nwhile True: os.fork()",
    "vfork": "syscall(58)",
    "clone3": "syscall(435, b'\\0' * 88, 88)",
    "clone into a pid namespace": "syscall(56, 0x20001011, 0, 0, 0, 0)",
    "subprocess": "import subprocess; subprocess.run(['/bin/true'])",
    "os.system": "\nif os.system('true') != -1 and os.system('true') >> 8 != 127: pass\nelse: raise OSError",
    "multiprocessing": "import multiprocessing as m; m.Process(target=print).start()",
    "exec": "os.execv(sys.executable, ['python', '-c', 'print(\"ESCAPED\")'])",
    "exec a memory file": "fd = os.memfd_create('x'); os.execve(fd, ['x'], {})",
    "memory file": "os.memfd_create('x')",
    "socket": "import socket; socket.socket()",
    "connect": "import socket; socket.create_connection(('127.0.0.1', 80), 1)",
    "name look-up": "import socket; socket.getaddrinfo('localhost', 80)",
    "socketpair": "import socket; socket.socketpair()",
    "abstract unix socket": "import socket; socket.socket(socket.AF_UNIX).bind('\\0x')",
    "netlink": "import socket; socket.socket(16, 3, 0)",
    "vsock": "import socket; socket.socket(40, 1)",
    "kill everything": "os.kill(-1, 9)",
    "kill the decoy": "os.kill(DECOY, 9)",
    "kill the parent": "os.kill(os.getppid() or DECOY, 9)",
    "kill low pids": "\nfor p in range(2, 300):\n  try: os.kill(p, 9); break\n  except OSError: pass\nelse: raise OSError",
    "ptrace": "syscall(101, 16, DECOY, 0, 0)",
    "read another process": "syscall(310, DECOY, 0, 0, 0, 0, 0)",
    "pidfd of the decoy": "os.pidfd_open(DECOY)",
    "unshare a user namespace": "syscall(272, 0x10000000)",
    "unshare a mount namespace": "syscall(272, 0x20000)",
    "setns": "syscall(308, 0, 0)",
    "shared memory": "syscall(29, 1234, 4096, 0o1666)",
    "message queue": "syscall(68, 1234, 0o1666)",
    "semaphore": "syscall(64, 1234, 1, 0o1666)",
    "posix queue": "syscall(240, b'x', 0o102, 0o666, 0)",
    "keyring": "syscall(248, b'user', b'x', b'y', 1, -3)",
    "io_uring": "syscall(425, 8, b'\\0' * 120)",
    "bpf": "syscall(321, 0, b'\\0' * 64, 64)",
    "userfaultfd": "syscall(323, 1)",
    "perf": "syscall(298, b'\\0' * 128, 0, -1, -1, 0)",
    "new seccomp filter": "syscall(317, 1, 0, 0)",
    "file lock": "import fcntl; fcntl.flock(os.open(os.__file__, os.O_RDONLY), 2)",
    "lease": "import fcntl; fcntl.fcntl(os.open(os.__file__, os.O_RDONLY), 1024, 0)",
    "raise the cpu limit": "import resource as r; r.setrlimit(r.RLIMIT_CPU, (-1, -1))",
    "lower the cpu limit": "import resource as r; r.setrlimit(r.RLIMIT_CPU, (1, 1))",
    "raise the memory limit": "import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1))",
    "raise the file limit": "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (-1, -1))",
    "raise the thread limit": "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (10 ** 6, 10 ** 6))",
    "priority": "os.setpriority(0, 0, -5)",
    "other cpus": "os.sched_setaffinity(0, range(64))",
    "become root": "os.setuid(0)",
    "capabilities": "data = (ctypes.c_uint32 * 6)(*[2 ** 32 - 1] * 6); "
    "syscall(126, (ctypes.c_uint32 * 2)(0x20080522, 0), data)",
    "set the clock": "syscall(227, 0, b'\\0' * 16)",
    "host name": "syscall(170, b'x', 1)",
    "reboot": "syscall(169, 0xfee1dead, 672274793, 0, 0)",
    "kernel module": "syscall(175, b'', 0, b'')",
    "write to stdin": "os.write(0, b'x')",
    "reopen stdin for writing": "open('/proc/self/fd/0', 'wb')",
    "terminal injection": "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
    "environment": "\nif not os.environ and not libc.getenv(b'PATH'): raise OSError",
    "host name is known": "\nif os.uname().nodename == 'sandbox': raise OSError",
    "directories of the host": "\nif set(os.listdir('/')) <= {os.__file__.split('/')[1], 'dev'}: raise OSError",
    "installed packages": "\nimport glob\nif not glob.glob(os.path.dirname(os.__file__) + '/site-packages/*'): raise OSError",
    "inherited descriptors": "\nfor fd in range(3, 256):\n  try: os.fstat(fd); break\n  except OSError: pass\n"
    "else: raise OSError",
}
X86_ONLY = os.uname().machine != "x86_64"


def _source(name: str, canary: Path, decoy: int) -> str:
    attack = ATTACKS[name]
    body = (attack if attack.startswith("\n") else "\n" + attack).replace("\n", "\n    ")
    return (
        PRELUDE.format(canary=str(canary), decoy=decoy)
        + f"try:{body}\nexcept (OSError, ValueError) as error:\n    print('held', error)\n"
        + "else:\n    print('ESCAPED')\n"
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_is_held(bench: Bench, decoy: subprocess.Popen[bytes], canary: Path, name: str) -> None:
    if "syscall(" in ATTACKS[name] and X86_ONLY:
        pytest.skip("numbers are those of x86_64")
    result = bench.one(_source(name, canary, decoy.pid), cpu_s=1.0, wall_s=5.0)
    assert result.ok and result.stdout.startswith(b"held"), result


@pytest.mark.parametrize(
    "name",
    [
        "read a file", "write a file", "create a file beside it", "fork", "memory file", "socket", "socketpair",
        "pidfd of the decoy", "kill the decoy", "proc of itself", "file lock", "environment", "host name is known",
        "directories of the host", "subprocess", "other cpus",
    ],
)  # fmt: skip
def test_the_same_attack_escapes_where_there_is_no_jail(canary: Path, name: str) -> None:
    """The control: our attacks are real ones, and the check would notice."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]) as victim:
        command = [sys.executable, "-I", "-c", _source(name, canary, victim.pid)]
        done = subprocess.run(command, capture_output=True, timeout=20)
        victim.kill()
    assert b"ESCAPED" in done.stdout, done


def test_nothing_of_the_trainer_is_in_the_programs_memory(bench: Bench) -> None:
    source = (
        "import ctypes, gc, re, sys\nfound = []\npattern = re.compile('can[a]ry-[0-9a-f]{4}')\n"
        "frame = sys._getframe()\nwhile frame:\n  found += pattern.findall(repr(frame.f_locals)); frame = frame.f_back\n"
        "for o in gc.get_objects():\n  if type(o) in (dict, list, tuple): found += pattern.findall(repr(o)[:10 ** 6])\n"
        "environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')\n"
        "found += [environ[0]] if environ and environ[0] else []\nprint(found)"
    )
    result = bench.one(source, b"canary is not in stdin", cpu_s=10.0)
    assert result.stdout == b"[]\n", result


KILLED = {
    "32-bit system call": "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\n"
    "m.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
    "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
    "x32 system call": "import ctypes\nctypes.CDLL(None).syscall(0x40000027)",
}


@pytest.mark.skipif(X86_ONLY, reason="these ABIs exist on x86_64 only")
@pytest.mark.parametrize("name", KILLED)
def test_system_calls_of_another_abi_kill(bench: Bench, name: str) -> None:
    result = bench.one(KILLED[name] + "\nprint('ESCAPED')")
    assert (result.status, result.stdout) == (Status.SIGNALLED, b""), result


def test_a_program_cannot_reach_the_page_it_was_watched_through(bench: Bench) -> None:
    """A program that could write its stage would pass its failure off as the sandbox's."""
    source = (
        "import gc, mmap, sys\nfor o in gc.get_objects() + [sys._getframe(1).f_locals]:\n"
        "  for v in (o.values() if type(o) is dict else [o]):\n"
        "    if isinstance(v, mmap.mmap):\n"
        "      try: v[0] = 0\n      except ValueError: print('closed')\n"
        "      else: print('ESCAPED')\nsys.exit(1)"
    )
    result = bench.one(source)
    assert (result.status, result.exit_code) == (Status.EXITED, 1)
    assert b"closed" in result.stdout and b"ESCAPED" not in result.stdout


def test_a_killed_self_or_closed_streams_end_no_worse_than_a_failure(bench: Bench) -> None:
    for source in (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nprint('alive')",
        "import os\nos.close(0); os.close(1); os.close(2)\nprint('x')",
        "import os\nos.dup2(1, 2); os.dup2(0, 1)\nprint('x')",
        "import os\nos.ftruncate(1, 100000)",
        "import sys\nsys.modules.clear()",
        "import builtins\nbuiltins.__dict__.clear()",
        "import os\nos._exit = os.write = None\nraise SystemExit(7)",
        "import gc, sys\nsys.setprofile(lambda *a: 1 / 0)\nprint(1)",
    ):
        result = bench.one(source, cpu_s=1.0, wall_s=3.0)
        assert result.status in (Status.EXITED, Status.SIGNALLED), (source, result)


def test_the_filter_and_capabilities_are_really_on(shared: Bench) -> None:
    zygote = descendants(os.getpid())[-1]
    lines = Path(f"/proc/{zygote}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 1 << 21
    assert fields["Uid"].split()[0] != "0"
    environ = Path(f"/proc/{zygote}/environ").read_bytes()
    assert SECRET.encode() not in environ
