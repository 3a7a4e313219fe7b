"""The one seccomp filter of a slot: a list of what an ordinary single-process program needs.

It is loaded once, in the zygote, and inherited. Two calls matter to the zygote and not to
the program: ``clone`` into a new pid namespace and ``capset``. The program may try them
too, but it holds no capability, and without one the kernel refuses the first and has
nothing left to give in the second. All other ways to a new process, a socket, a mount, a
key, a memory file or another process's memory are absent from the list.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Collection

from . import bpf, kernel

# name/x86_64/aarch64; the test compares them with the kernel's headers.
_TABLE = """
read/0/63 write/1/64 readv/19/65 writev/20/66 pread64/17/67 pwrite64/18/68 preadv/295/69 pwritev/296/70
lseek/8/62 close/3/57 fstat/5/80 newfstatat/262/79 stat/4/- lstat/6/- statx/332/291 statfs/137/43
fstatfs/138/44 open/2/- openat/257/56 access/21/- faccessat/269/48 faccessat2/439/439 readlink/89/-
readlinkat/267/78 getdents64/217/61 getcwd/79/17 chdir/80/49 fchdir/81/50 dup/32/23 dup2/33/-
dup3/292/24 pipe/22/- pipe2/293/59 ftruncate/77/46 fsync/74/82 fdatasync/75/83 umask/95/166 mmap/9/222
mprotect/10/226 munmap/11/215 mremap/25/216 madvise/28/233 brk/12/214 msync/26/227 mincore/27/232
rt_sigaction/13/134 rt_sigprocmask/14/135 rt_sigreturn/15/139 rt_sigpending/127/136
rt_sigtimedwait/128/137 rt_sigsuspend/130/133 sigaltstack/131/132 kill/62/129 tgkill/234/131
tkill/200/130 pause/34/- alarm/37/- setitimer/38/103 getitimer/36/102 futex/202/98
set_robust_list/273/99 get_robust_list/274/100 rseq/334/293 set_tid_address/218/96 membarrier/324/283
restart_syscall/219/128 getpid/39/172 gettid/186/178 getppid/110/173 getuid/102/174 geteuid/107/175
getgid/104/176 getegid/108/177 getresuid/118/148 getresgid/120/150 getgroups/115/158 getpgrp/111/-
getpgid/121/155 getsid/124/156 uname/63/160 times/100/153 getrusage/98/165 sysinfo/99/179
getrlimit/97/163 setrlimit/160/164 prlimit64/302/261 getpriority/140/141 clock_gettime/228/113
clock_getres/229/114 clock_nanosleep/230/115 nanosleep/35/101 gettimeofday/96/169 time/201/-
getrandom/318/278 sched_yield/24/124 sched_getaffinity/204/123 sched_getparam/143/121
sched_getscheduler/145/120 sched_get_priority_max/146/125 sched_get_priority_min/147/126 getcpu/309/168
poll/7/- ppoll/271/73 select/23/- pselect6/270/72 epoll_create/213/- epoll_create1/291/20
epoll_ctl/233/21 epoll_wait/232/- epoll_pwait/281/22 eventfd/284/- eventfd2/290/19 recvmsg/47/212
sendmsg/46/211 wait4/61/260 waitid/247/95 capget/125/90 capset/126/91 close_range/436/436 exit/60/93
exit_group/231/94 arch_prctl/158/- clone/56/220 clone3/435/435 prctl/157/167 ioctl/16/29 fcntl/72/25
"""

# What a profile may grant besides; see ``profile.py``.
_GRANTS = {
    "work": """
mkdir/83/- mkdirat/258/34 unlink/87/- unlinkat/263/35 rmdir/84/- rename/82/- renameat/264/38
renameat2/316/276 truncate/76/45 creat/85/- fallocate/285/47 utimensat/280/88 chmod/90/- fchmod/91/52
fchmodat/268/53
""",
    "execute": "execve/59/221 execveat/322/281",
    "processes": "fork/57/- vfork/58/- sendfile/40/71 copy_file_range/326/285 setpgid/109/154",
}

ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = {"x86_64": 0x40000000, "aarch64": 0}

_CLONE_THREAD = 0x10000
_CLONE_NEW_ANY = 0x7E020000 | 0x80
_CHECKS = {
    "clone": (
        bpf.Check(0, [_CLONE_THREAD], mask=_CLONE_THREAD | _CLONE_NEW_ANY),
        bpf.Check(0, [kernel.SPAWN_FLAGS]),
    ),
    # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (glibc names its arenas)
    "prctl": (bpf.Check(0, [15, 16, 0x53564D41]),),
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX
    "ioctl": (bpf.Check(1, [0x5401, 0x5413, 0x541B, 0x5421, 0x5451, 0x5450]),),
    # All but RLIMIT_CPU, at which the kernel kills: it would look like a kill from outside, and so
    # like a failure of ours. The parent watches the clock.
    "setrlimit": (bpf.Check(0, range(1, 16)),),
    "prlimit64": (bpf.Check(1, range(1, 16)),),
    # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_GET_SEALS: no locks
    "fcntl": (bpf.Check(1, [0, 1, 2, 3, 4, 1030, 1032, 1034]),),
}
# The first flags of a new pid namespace are program.py's, the second those of spawn.c.
_EXECUTE_CHECKS = {"clone": (*_CHECKS["clone"], bpf.Check(0, [kernel.BORROW_FLAGS]))}
_PROCESS_CHECKS = {
    "clone": (
        bpf.Check(0, [0], mask=_CLONE_NEW_ANY),
        bpf.Check(0, [kernel.SPAWN_FLAGS, kernel.BORROW_FLAGS]),
    ),
    "setrlimit": (bpf.Check(0, range(16)),),
    "prlimit64": (bpf.Check(1, range(16)),),
}
# glibc asks for clone3 first and falls back to clone, whose flags a filter can read.
_ERRNOS = {"clone3": errno.ENOSYS}


def numbers(machine: str, grants: Collection[str] = ()) -> dict[str, int]:
    """System call numbers of the list, and of what ``grants`` add to it, on ``machine``."""
    column = 1 if machine == "x86_64" else 2
    table = " ".join([_TABLE, *(_GRANTS[grant] for grant in grants)])
    rows = [cell.split("/") for cell in table.split()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def policy(machine: str, grants: Collection[str] = ()) -> bpf.Policy:
    """The slot's policy on ``machine``. Raises ``KeyError`` on an unknown one."""
    table = numbers(machine, grants)
    limited = _CHECKS
    for grant, checks in (("execute", _EXECUTE_CHECKS), ("processes", _PROCESS_CHECKS)):
        if grant in grants:
            limited = limited | checks
    plain = [number for name, number in table.items() if name not in limited and name not in _ERRNOS]
    return bpf.Policy(
        arch=ARCHES[machine],
        allow=plain,
        checks={table[name]: checks for name, checks in limited.items()},
        errnos={table[name]: number for name, number in _ERRNOS.items()},
        otherwise=errno.EPERM,
        x32_bit=_X32_BIT[machine],
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load(grants: Collection[str] = ()) -> None:
    """Load the filter into this process and all it will spawn. Needs no-new-privileges."""
    if kernel.MACHINE not in ARCHES:
        raise OSError(errno.ENOSYS, f"no system call table for {kernel.MACHINE}")
    code = bpf.assemble(policy(kernel.MACHINE, grants))
    program = _Program(len(code), bpf.encode(code))
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.byref(program))
