"""What a slot must prove before it may run anything: the jail holds, honest programs run.

The attacks aim at nothing of value. They run in the sandbox like every other program.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlef.sandbox.profile import Profile
from rlef.sandbox.types import Rung, RunLimits, RunResult, Status
from rlef.sandbox.zygote import seccomp
from rlef.sandbox.zygote.files import WORK

# Before it: RUNG; SHOWN, directories to be seen; PACKAGES, whether there are any to be seen; CALLS, numbers
# of calls that must be refused.
_ATTACKS = """
import os, sys, ctypes, resource, signal, time
libc = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()
LIBRARY = os.path.dirname(os.__file__)

escapes = []

def attempt(name, action):
    try:
        escaped = action()
    except OSError:
        return
    except ValueError as error:
        if name != "raise a limit":
            raise
        return
    if escaped is not False:
        escapes.append(name)

def fork():
    if os.fork() == 0:
        os._exit(0)

def network():
    import _socket
    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)

def descriptors():
    for fd in range(3, 64):
        try:
            os.fstat(fd)
            return True
        except OSError:
            pass
    return False

def capabilities():
    data = (ctypes.c_uint32 * 6)()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    return libc.capget(header, data) != 0 or any(data)

def limits():
    r = resource
    most = {r.RLIMIT_CORE: 1, r.RLIMIT_MEMLOCK: 0, r.RLIMIT_NOFILE: 128, r.RLIMIT_NPROC: 10 ** 6,
            r.RLIMIT_FSIZE: 2 ** 31, r.RLIMIT_AS: 2 ** 36}
    return any(not 0 <= r.getrlimit(kind)[1] <= value for kind, value in most.items())

def refused(result, *errnos):
    return result < 0 and ctypes.get_errno() in errnos

def call():
    me = os.getpid()
    for number in CALLS:
        ctypes.set_errno(0)
        if not refused(libc.syscall(*[ctypes.c_long(n) for n in (number, -1, -1, -1, -1, -1, -1)]), 1):
            if os.getpid() != me:
                os._exit(0)
            escapes.append(f"make system call {number}")
    return False

def half_allowed():
    null = ctypes.c_char_p(b"\\0" * 64)
    return not (
        refused(libc.prctl(4, 1, 0, 0, 0), 1)
        and refused(libc.ioctl(0, 0x5412, null), 1)
        and refused(libc.fcntl(0, 6, null), 1)
        and refused(libc.fcntl(0, 8, 1), 1)
    )

def others():
    time.clock_gettime((~PARENT << 3) | 2)

attempt("fork", fork)
attempt("open a socket", network)
attempt("list the root", lambda: os.listdir("/"))
attempt("read /etc/passwd", lambda: open("/etc/passwd").close())
attempt("read /proc", lambda: os.listdir("/proc/self"))
attempt("see installed packages", lambda: not PACKAGES and bool(os.listdir(LIBRARY + "/site-packages")))
attempt("write to the root", lambda: open("/canary", "w").close())
attempt("write to the library", lambda: open(os.__file__ + ".canary", "w").close())
attempt("truncate the library", lambda: os.open(os.__file__, os.O_RDONLY | os.O_TRUNC))
attempt("raise a limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
attempt("run without limits", limits)
attempt("signal other processes", lambda: os.kill(-1, 0))
attempt("signal its parent", lambda: os.kill(PARENT or -1, 0))
attempt("signal its group", lambda: os.kill(0, 0) if RUNG < "L2" else False)
attempt("make a user namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("make a pid namespace", lambda: libc.unshare(0x20000000) == 0)
attempt("mount", lambda: libc.mount(b"x", b"/dev", b"tmpfs", 0, None) == 0)
attempt("ptrace", lambda: not refused(libc.ptrace(16, 2 ** 22, 0, 0), 1))
attempt("make a memory file", lambda: libc.memfd_create(b"x", 0) >= 0)
attempt("see descriptors", descriptors)
attempt("keep capabilities", capabilities)
attempt("see the environment", lambda: bool(os.environ))
attempt("execute a program", lambda: os.execv(sys.executable, ["python"]))
attempt("use a call of which only a part is allowed", half_allowed)
if RUNG >= "L2":
    attempt("see other processes", lambda: os.getpid() != 1 or PARENT != 0)
    SHOWN.append(LIBRARY.split("/")[1])
    for name in ("proc", "etc", "tmp", "sys", "usr", "home", "var"):
        attempt("see /" + name, lambda: name not in SHOWN and os.stat("/" + name))
    attempt("know the host", lambda: os.uname().nodename != "sandbox")
else:
    attempt("truncate what it may read", lambda: os.open("/dev/null", os.O_RDONLY | os.O_TRUNC))
    attempt("ask about its parent", lambda: os.getpgid(PARENT))
    attempt("ask about its parent's session", lambda: os.getsid(PARENT))
    attempt("read its parent's clock", others)
    attempt("read its parent's limits", lambda: resource.prlimit(PARENT, resource.RLIMIT_CPU))
    attempt("read its parent's priority", lambda: os.getpriority(os.PRIO_PROCESS, PARENT))
# What is left could end a program that is not jailed.
if not escapes:
    attempt("call", call)
    os.kill(os.getpid(), signal.SIGKILL)
print(*escapes, "sealed", sep="\\n")
"""

_HONEST = """
import sys, colorsys
print(sum(map(int, sys.stdin.read().split())))
sys.exit(colorsys.rgb_to_hsv(0, 0, 0)[2])
"""


@dataclass(frozen=True)
class Canary:
    """A program and what its results must look like."""

    name: str
    source: str
    stdins: Sequence[bytes]
    limits: RunLimits
    judge: Callable[[Sequence[RunResult]], str]
    """Empty if all is well, else what is wrong."""


def _judge_attacks(results: Sequence[RunResult]) -> str:
    lines = results[0].stdout.decode("utf-8", "replace").split("\n")
    if results[0].status is Status.EXITED and lines == ["sealed", ""]:
        return ""
    if escaped := [line for line in lines if line and line != "sealed"]:
        return f"a program in the sandbox could {', '.join(escaped)}"
    return f"the attacks did not run to their end: {_tell(results[0])}"


def _judge_honest(results: Sequence[RunResult]) -> str:
    wrong = [r for r, want in zip(results, (b"42\n", b"7\n"), strict=False) if not r.ok or r.stdout != want]
    return f"an honest program failed: {_tell(wrong[0])}" if wrong else ""


def _expect(status: Status) -> Callable[[Sequence[RunResult]], str]:
    def judge(results: Sequence[RunResult]) -> str:
        return "" if results[0].status is status else f"no {status}: {_tell(results[0])}"

    return judge


def _tell(result: RunResult) -> str:
    last = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"{result.status}, exit code {result.exit_code}, signal {result.signal} {last}".rstrip()


def canaries_for(profile: Profile, rung: Rung) -> tuple[Canary, ...]:
    """What a slot of ``profile`` must pass. All of them are Python: the zygote is, in every slot."""
    if rung is Rung.L0:
        return HONEST
    machine = os.uname().machine
    other = OTHER_ABI if machine == "x86_64" else ()
    return (_attacks(profile, rung, machine), *other, *HONEST)


@functools.cache
def _attacks(profile: Profile, rung: Rung, machine: str) -> Canary:
    paths = [*(inside for _, inside in profile.visible), *profile.import_paths]
    shown = {path.split("/")[1] for path in paths}
    if profile.work_bytes:
        shown.add(WORK.strip("/"))
    lines = _ATTACKS.splitlines(keepends=True)
    if profile.processes:
        lines = [line for line in lines if line != 'attempt("fork", fork)\n']
    grants = profile.grants()
    allowed = seccomp.numbers(machine, grants) if machine in seccomp.ARCHES else {}
    calls = sorted(set(range(_CALLS)) - set(allowed.values()) - _UNFILTERED) if allowed else []
    names = ("RUNG", "SHOWN", "PACKAGES", "CALLS")
    values = (rung.value, sorted(shown), bool(profile.import_paths), calls)
    head = "".join(f"{name} = {value!r}\n" for name, value in zip(names, values, strict=True))
    return Canary("attacks", head + "".join(lines), [b""], RunLimits(cpu_s=2.0), _judge_attacks)


_CALLS = 470
"""System call numbers that are tried; the last that Linux 6.18 knows is below."""
_UNFILTERED = {335, 336}
"""uretprobe and uprobe of x86_64: the kernel's own, exempt from filters, and deadly to others."""
OTHER_ABI = (
    Canary(
        "other ABI",
        "import ctypes\nctypes.CDLL(None).syscall(0x40000027)",
        [b""],
        RunLimits(),
        _expect(Status.SIGNALLED),
    ),
)
HONEST = (
    Canary("honest", _HONEST, [b"40 2", b"3\n4\n"], RunLimits(), _judge_honest),
    Canary("cpu", "while True: pass", [b""], RunLimits(cpu_s=0.02), _expect(Status.CPU_LIMIT)),
    Canary(
        "output",
        "while True: print('x' * 1000)",
        [b""],
        RunLimits(output_bytes=4096, stderr_bytes=4096),
        _expect(Status.OUTPUT_LIMIT),
    ),
    Canary("compiler", "(" * 5000, [b""], RunLimits(), _expect(Status.COMPILE_ERROR)),
)
