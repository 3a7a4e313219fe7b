"""Which paths of the host a program needs to see: as few as will do.

These commands are the system's own and run outside the jail; no program under test is
involved.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

_LINKS_MOST = 40
Shown = tuple[tuple[str, str], ...]
"""Pairs of a path of the host and the same path inside, as ``Profile.visible`` wants them."""


def output_of(*command: str, stderr: bool = False) -> str:
    """What a command of the system prints; empty if it fails or is not there."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return "" if done.returncode else done.stderr if stderr else done.stdout


def program(name: str) -> str | None:
    """The path of a program on PATH, links resolved; None if there is none."""
    found = shutil.which(name)
    return os.path.realpath(found) if found else None


def libraries(path: str) -> list[str]:
    """The shared libraries of a program, and its loader; none if it is static."""
    return re.findall(r"(?:^|\s)(/\S+)", output_of("ldd", path), re.MULTILINE)


def gcc(path: str) -> list[str]:
    """What gcc and g++ need: their parts, the assembler and linker, headers, libraries to link."""
    # The linker is run with a plugin for link-time optimisation even where there is none to do.
    questions = [
        f"-print-prog-name={name}" for name in ("cc1plus", "cc1", "collect2", "as", "ld", "lto-wrapper")
    ]
    parts = {_asked(path, question) for question in (*questions, "-print-file-name=liblto_plugin.so")}
    parts |= {f"{part}.gold" for part in parts if part.endswith("/ld")}
    found = [part for part in parts if Path(part).is_file()]
    files = ("libgcc.a", "libstdc++.a", "libc.a", "crt1.o")
    folders = [Path(_asked(path, f"-print-file-name={name}")).parent for name in files]
    folders += _include_folders(path)
    shared = [library for part in found for library in libraries(part)]
    return [*found, *shared, *(str(folder) for folder in folders if folder.is_absolute() and folder.is_dir())]


def _asked(compiler: str, question: str) -> str:
    answer = output_of(compiler, question).strip()
    return answer if answer.startswith("/") else shutil.which(answer) or ""


def _include_folders(compiler: str) -> list[Path]:
    text = output_of(compiler, "-E", "-x", "c++", "-v", "/dev/null", stderr=True)
    listed = re.search(r"^#include <\.\.\.>.*?$(.*?)^End of search list", text, re.MULTILINE | re.DOTALL)
    folders = listed[1].split() if listed else []
    return [Path(folder) for folder in folders if not folder.startswith("/usr/local")]


def shown(paths: Iterable[str]) -> Shown:
    """Those paths, and every link on the way to them; nothing that lies below another one."""
    links: list[str] = []
    ends: list[str] = []
    for path in paths:
        ends.append(_resolve(path, links))
    ends = [end for end in dict.fromkeys(ends) if end != "/" and not _below(end, set(ends) - {end})]
    links = [link for link in dict.fromkeys(links) if not _below(link, ends)]
    return tuple((path, path) for path in [*sorted(ends), *sorted(links)])


def _resolve(path: str, links: list[str]) -> str:
    """The path without links; those that were followed are added to ``links``."""
    left, done = path.split("/")[::-1], Path("/")
    for _ in range(_LINKS_MOST * len(left)):
        if not left:
            break
        part = left.pop()
        if part in ("", "."):
            continue
        here = done.parent if part == ".." else done / part
        if not here.is_symlink():
            done = here
            continue
        links.append(str(here))
        target = here.readlink()
        done = Path("/") if target.is_absolute() else done
        left += str(target).split("/")[::-1]
    return str(done)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(folder + "/") for folder in folders)
