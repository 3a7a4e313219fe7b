"""What a slot must prove before it may run anything: the jail holds, honest programs run.

The attacks aim at nothing of value. They run in the sandbox like every other program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlef.sandbox.profile import PYTHON, Profile
from rlef.sandbox.types import RunLimits, RunResult, Status

_ATTACKS = """
import os, sys, ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)

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
        print(name)

def fork():
    if os.fork() == 0:
        os._exit(0)

def network():
    import _socket
    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)

def outside():
    return bool(set(os.listdir("/")) - {os.__file__.split("/")[1], "dev", *SHOWN})

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

attempt("fork", fork)
attempt("open a socket", network)
attempt("list directories outside the library", outside)
attempt("read /etc/passwd", lambda: open("/etc/passwd").close())
attempt("read /proc", lambda: os.listdir("/proc/self"))
attempt("write to the root", lambda: open("/canary", "w").close())
attempt("write to the library", lambda: open(os.__file__ + ".canary", "w").close())
attempt("raise a limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
attempt("see other processes", lambda: os.getpid() != 1 or os.getppid() != 0)
attempt("signal other processes", lambda: os.kill(-1, 0))
attempt("make a user namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("make a pid namespace", lambda: libc.unshare(0x20000000) == 0)
attempt("mount", lambda: libc.mount(b"x", b"/dev", b"tmpfs", 0, None) == 0)
attempt("ptrace", lambda: libc.ptrace(0, 0, 0, 0) == 0)
attempt("make a memory file", lambda: libc.memfd_create(b"x", 0) >= 0)
attempt("see descriptors", descriptors)
attempt("keep capabilities", capabilities)
attempt("see the environment", lambda: bool(os.environ))
attempt("execute a program", lambda: os.execv(sys.executable, ["python"]))
print("sealed")
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


def canaries_for(profile: Profile) -> tuple[Canary, ...]:
    """What a slot of ``profile`` must pass. All of them are Python: the zygote is, in every slot."""
    return CANARIES if profile is PYTHON else (_attacks(profile), *CANARIES[1:])


def _attacks(profile: Profile) -> Canary:
    paths = [*(inside for _, inside in profile.visible), *profile.import_paths]
    shown = {path.split("/")[1] for path in paths}
    if profile.work_bytes:
        shown.add("work")
    lines = _ATTACKS.splitlines(keepends=True)
    if profile.processes:
        lines = [line for line in lines if line != 'attempt("fork", fork)\n']
    return Canary(
        "attacks", f"SHOWN = {sorted(shown)}\n{''.join(lines)}", [b""], RunLimits(cpu_s=2.0), _judge_attacks
    )


CANARIES = (
    _attacks(PYTHON),
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
