"""The C part of a slot, compiled once on this machine and kept.

It makes a test about a third cheaper and changes nothing else: without a compiler, or with
``RLEF_NATIVE=0`` in the environment, the same is done in Python.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCES = tuple(Path(__file__).with_name("zygote") / name for name in ("hot.c", "spawn.c"))
_FLAGS = ("-O2", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang", "g++")
_PATIENCE_S = 60.0


def library() -> str:
    """Path of the compiled library; empty if there is none."""
    return _built()[0] if os.environ.get("RLEF_NATIVE", "1") != "0" else ""


def reason() -> str:
    """Why there is no library; empty if there is one."""
    return _built()[1] if os.environ.get("RLEF_NATIVE", "1") != "0" else "RLEF_NATIVE=0 forbids it"


@functools.cache
def _built() -> tuple[str, str]:
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        return "", "there is no C compiler"
    sources = [source.read_bytes() for source in _SOURCES]
    key = hashlib.sha256(b"\0".join((*sources, compiler.encode(), " ".join(_FLAGS).encode()))).hexdigest()
    try:
        folder = _folder()
        target = folder / f"hot-{key[:32]}.so"
        if not target.exists():
            _compile(compiler, target)
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"the C part can't be compiled: {_short(error)}"
    return str(target), ""


def _folder() -> Path:
    """A directory that nobody else can write to: what lies there is loaded as code."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home, "rlef", "native")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.stat()
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise PermissionError(f"{folder} is not ours alone")
    return folder


def _compile(compiler: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch, "hot.so")
        command = [compiler, *_FLAGS, "-x", "c", "-o", str(built), *map(str, _SOURCES)]
        subprocess.run(
            command, check=True, capture_output=True, timeout=_PATIENCE_S, stdin=subprocess.DEVNULL
        )
        built.replace(target)


def _short(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return lines[0] if lines else str(error)
    return " ".join(str(error).split())
