"""Programs that attack, and programs that fail in every way there is, with what must come of them.

They aim at canaries made for the purpose: a broken guard harms nothing.
"""

# ruff: noqa: E501 (programs read better whole)

from __future__ import annotations

from dataclasses import dataclass, field

from rlef.sandbox import Status

MIB = 2**20

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
HELD = {
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
    "signal one thread of the decoy": "syscall(234, DECOY, DECOY, 9)",
    "signal a thread by its number": "syscall(200, DECOY, 9)",
    "queue a signal": "syscall(129, DECOY, 9, b'\\0' * 128)",
    "stop the decoy": "os.kill(DECOY, 19)",
    "the decoy's process group": "os.getpgid(DECOY)",
    "the decoy's session": "os.getsid(DECOY)",
    "the decoy's clock": "import time; time.clock_gettime((~DECOY << 3) | 2)",
    "the resolution of the decoy's clock": "import time; time.clock_getres((~DECOY << 3) | 2)",
    "sleep by the decoy's clock": "syscall(230, ((~DECOY << 3) | 2) & 0xffffffff, 0, b'\\0' * 8 + b'\\1' + b'\\0' * 7, 0)",
    "the decoy's limits": "import resource as r; r.prlimit(DECOY, r.RLIMIT_NOFILE)",
    "the decoy's priority": "os.getpriority(os.PRIO_PROCESS, DECOY)",
    "the decoy's scheduler": "os.sched_getscheduler(DECOY)",
    "the decoy's scheduling parameters": "os.sched_getparam(DECOY)",
    "the decoy's CPUs": "os.sched_getaffinity(DECOY)",
    "the decoy's robust list": "syscall(274, DECOY, b'\\0' * 8, b'\\0' * 8)",
    "proc of the decoy": "open('/proc/%d/environ' % DECOY).read()",
    "descriptors of the decoy": "os.listdir('/proc/%d/fd' % DECOY)",
    "program of the decoy": "os.readlink('/proc/%d/exe' % DECOY)",
    "root of the decoy": "os.listdir('/proc/%d/root/' % DECOY)",
    "own a descriptor's signals": "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, DECOY)",
    "truncate the library while reading it": "os.open(os.__file__, os.O_RDONLY | os.O_TRUNC)",
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

KNOWN_ON_L1 = {"host name is known"}
"""What takes a namespace to hide; see docs/sandbox.md."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A program and how it may end."""

    source: str
    ends: tuple[Status, ...] = (Status.EXITED,)
    code: int | None = 0
    """Exit code if it exits; None for any."""
    stdout: bytes | None = None
    """What must have been printed; None for anything."""
    limits: dict[str, float] = field(default_factory=dict)
    stdin: bytes = b"40 2\n"


_SIGNALLED, _CPU, _IDLE, _MEMORY = Status.SIGNALLED, Status.CPU_LIMIT, Status.IDLE_LIMIT, Status.MEMORY_LIMIT
_OUTPUT, _COMPILE, _EXITED = Status.OUTPUT_LIMIT, Status.COMPILE_ERROR, Status.EXITED
_THREAD = "import threading\nt = threading.Thread(target=f{})\nt.start()\n"

ENDS = {
    "sum": Row(source="print(sum(map(int, input().split())))", stdout=b"42\n"),
    "syntax error": Row(source="print(", ends=(_COMPILE,)),
    "NUL in the source": Row(source="print(1)\0", ends=(_COMPILE,)),
    "50,000 parentheses": Row(source="(" * 50_000, ends=(_COMPILE,)),
    "an expression of 1 MB": Row(
        source="x = " + "+".join(["1"] * 500_000), ends=(_COMPILE, _EXITED, _CPU, _MEMORY), code=None
    ),
    "a constant that the compiler folds": Row(
        source="x = 'a' * 4096 * 4096 * 4096", ends=(_COMPILE, _MEMORY)
    ),
    "an exception": Row(source="1 / 0", code=1),
    "exit 3": Row(source="import sys\nsys.exit(3)", code=3),
    "exit 256 is 0": Row(source="import sys\nsys.exit(256)", code=0),
    "no output": Row(source="raise SystemExit", stdout=b""),
    "right output, then _exit": Row(source="import os\nprint(42, flush=True)\nos._exit(0)", stdout=b"42\n"),
    "right output, then exit 1": Row(source="print(42)\nraise SystemExit(1)", code=1, stdout=b"42\n"),
    "right output, then a crash": Row(
        source="import ctypes\nprint(42, flush=True)\nctypes.string_at(0)", ends=(_SIGNALLED,), stdout=b"42\n"
    ),
    "right output, then a loop": Row(source="print(42, flush=True)\nwhile True: pass", ends=(_CPU,)),
    "a loop": Row(source="while True: pass", ends=(_CPU,)),
    "a loop in C": Row(source="import re\nre.match('(a+)+$', 'a' * 40 + 'b')", ends=(_CPU,)),
    "a loop that ignores signals": Row(
        source="import signal\nfor n in range(1, 64):\n  try: signal.signal(n, signal.SIG_IGN)\n  except (OSError, ValueError): pass\nwhile True: pass",
        ends=(_CPU,),
    ),
    "a loop with all signals blocked": Row(
        source="import signal\nsignal.pthread_sigmask(0, range(1, 64))\nwhile True: pass", ends=(_CPU,)
    ),
    "a loop at exit": Row(
        source="import atexit\ndef f():\n  while True: pass\natexit.register(f)", ends=(_CPU,)
    ),
    "a loop in __del__": Row(
        source="class A:\n  def __del__(self):\n    while True: pass\na = A()", ends=(_CPU,)
    ),
    "sleep": Row(source="import time\ntime.sleep(600)", ends=(_IDLE,)),
    "pause": Row(source="import signal\nsignal.pause()", ends=(_IDLE,)),
    "a deadlock": Row(
        source="import threading\nl = threading.Lock()\nl.acquire(); l.acquire()", ends=(_IDLE,)
    ),
    "stop itself": Row(
        source="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", ends=(_EXITED, _IDLE)
    ),
    "reads past the end": Row(source="input()\ninput()", code=1),
    "reads nothing of much": Row(source="print(1)", stdin=b"x" * 5 * MIB, stdout=b"1\n"),
    "a list without end": Row(
        source="x = []\nwhile True: x.append('y' * 1000)",
        ends=(_MEMORY,),
        limits={"cpu_s": 5.0, "wall_s": 20.0},
    ),
    "2 GiB at once": Row(source="x = bytearray(2 ** 31)", ends=(_MEMORY,)),
    "300 of 256 MiB": Row(
        source="x = bytearray(300 * 2 ** 20)\nfor i in range(0, len(x), 4096): x[i] = 1", ends=(_MEMORY,)
    ),
    "memory in a thread": Row(
        source="def f():\n  x = bytearray(2 ** 31)\n  x[::4096] = b'x' * (2 ** 19)\n" + _THREAD.format(""),
        ends=(_MEMORY, _EXITED),
        code=None,
    ),
    "shared memory of its own": Row(
        source="import mmap\nm = mmap.mmap(-1, 400 * 2 ** 20)\nfor i in range(0, len(m), 4096): m[i] = 1",
        ends=(_MEMORY,),
    ),
    "a MemoryError that it catches": Row(
        source="try:\n  x = bytearray(2 ** 40)\nexcept MemoryError:\n  print('caught')", stdout=b"caught\n"
    ),
    "a flood": Row(source="while True: print('x' * 1000)", ends=(_OUTPUT,)),
    "a flood of stderr": Row(source="import sys\nwhile True: sys.stderr.write('x' * 1000)", ends=(_OUTPUT,)),
    "a line of 1 GB": Row(source="import os\nwhile True: os.write(1, b'x' * 10 ** 6)", ends=(_OUTPUT,)),
    "a sparse gigabyte": Row(
        source="import os\nos.lseek(1, 2 ** 30, 0)\nos.write(1, b'x')", ends=(_OUTPUT, _EXITED), code=None
    ),
    "NULs and broken UTF-8": Row(
        source="import os\nos.write(1, b'\\0\\xff\\xfe' * 3)", stdout=b"\0\xff\xfe" * 3
    ),
    "200 kB of output": Row(source="print('x' * 199_999)", stdout=b"x" * 199_999 + b"\n"),
    "stdout closed": Row(source="import os\nos.close(1)", stdout=b"", code=None),
    "all streams closed": Row(
        source="import os\nos.close(0); os.close(1); os.close(2)\nprint('x')", stdout=b"", code=None
    ),
    "stdout rewound": Row(
        source="import os\nos.write(1, b'wrong'); os.lseek(1, 0, 0); os.ftruncate(1, 0); os.write(1, b'42')",
        stdout=b"42",
    ),
    "stdout put over stderr": Row(source="import os\nos.dup2(1, 2)\nos.write(2, b'42')", stdout=b"42"),
    "output at exit": Row(source="import atexit\natexit.register(print, 42)", stdout=b"42\n"),
    "1,000 threads": Row(
        source="import threading, time\nfor _ in range(1000): threading.Thread(target=time.sleep, args=(.2,)).start()",
        ends=(_EXITED, _MEMORY),
        code=None,
    ),
    "a daemon thread left behind": Row(
        source="import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\nprint(42)",
        stdout=b"42\n",
    ),
    "a thread that never ends": Row(
        source="import time\ndef f(): time.sleep(600)\n" + _THREAD.format(""), ends=(_IDLE,)
    ),
    "recursion without end": Row(source="def f(): f()\nf()", code=1),
    "recursion through the stack": Row(
        source="import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): f()\nf()",
        ends=(_SIGNALLED, _MEMORY, _CPU),
    ),
    "recursion in C": Row(
        source="import sys\nsys.setrecursionlimit(10 ** 9)\nx = []\nfor _ in range(10 ** 6): x = [x]\nrepr(x)",
        ends=(_SIGNALLED, _MEMORY, _CPU),
    ),
    "recursion in a big stack": Row(
        source="import sys\nsys.setrecursionlimit(10 ** 6)\nthreading = __import__('threading')\nthreading.stack_size(2 ** 27)\n"
        "def f(n): return n and 1 + f(n - 1)\nt = threading.Thread(target=lambda: print(f(20000)))\nt.start(); t.join()",
        stdout=b"20000\n",
    ),
    "abort": Row(source="import os\nos.abort()", ends=(_SIGNALLED,)),
    "a wild read": Row(source="import ctypes\nctypes.string_at(1)", ends=(_SIGNALLED,)),
    "kill itself": Row(source="import os\nos.kill(os.getpid(), 9)", ends=(_EXITED, _SIGNALLED)),
    "an alarm": Row(
        source="import signal\nsignal.setitimer(0, .01)\nwhile True: pass", ends=(_SIGNALLED, _CPU)
    ),
    "lower its CPU limit": Row(
        source="import resource as r\ntry: r.setrlimit(r.RLIMIT_CPU, (0, 0))\nexcept ValueError: raise\nwhile True: pass",
        code=1,
    ),
    "lower its memory limit": Row(
        source="import resource as r\nr.setrlimit(r.RLIMIT_AS, (1, 1))\nx = bytearray(10 ** 7)",
        ends=(_EXITED, _MEMORY, _SIGNALLED),
        code=None,
    ),
    "lower its stack": Row(
        source="import resource as r\nr.setrlimit(r.RLIMIT_STACK, (1, 1))\ndef f(n): return n and f(n - 1)\nprint(f(900))",
        ends=(_EXITED, _SIGNALLED),
        code=None,
    ),
    "lower its file size": Row(
        source="import resource as r\nr.setrlimit(r.RLIMIT_FSIZE, (0, 0))\nprint(42)",
        ends=(_EXITED, _SIGNALLED),
        code=None,
        stdout=b"",
    ),
    "no modules": Row(source="import sys\nsys.modules.clear()", code=None),
    "no builtins": Row(
        source="import builtins\nbuiltins.__dict__.clear()", ends=(_EXITED, _SIGNALLED), code=None
    ),
    "no _exit": Row(
        source="import os\nos._exit = os.write = None\nraise SystemExit(7)",
        ends=(_EXITED, _SIGNALLED),
        code=None,
    ),
    "a profiler that raises": Row(
        source="import sys\nsys.setprofile(lambda *a: 1 / 0)\nprint(1)", ends=(_EXITED,), code=None
    ),
    "an exit code that is a class": Row(
        source="import sys\nclass A:\n  def __str__(self): 1 / 0\nsys.exit(A())", code=None
    ),
    "an exception that can't be printed": Row(
        source="class A(Exception):\n  def __str__(self): raise MemoryError\nraise A",
        ends=(_EXITED, _MEMORY),
        code=1,
    ),
    "an audit hook that exits": Row(
        source="import sys, os\nsys.addaudithook(lambda *a: os._exit(0))\nprint(42)", code=None
    ),
    "a hash flood": Row(source="x = {n * (2 ** 61 - 1): n for n in range(50_000)}", ends=(_CPU,)),
    "a great number printed": Row(source="print(10 ** 10 ** 5)", code=1),
}
ROWS_MOST = {"cpu_s": 0.4, "wall_s": 1.0}
"""Limits of a row that names none."""
