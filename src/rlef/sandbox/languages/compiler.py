"""Compilers in their jail: programs, precompiled headers, and the slot's own spawner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlef.sandbox import bundle
from rlef.sandbox.host import jail_uid
from rlef.sandbox.job import Job, first_result
from rlef.sandbox.languages.record import Language, words
from rlef.sandbox.languages.store import Kept, Store
from rlef.sandbox.languages.tools import Tool, tool
from rlef.sandbox.profile import Profile
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import RunLimits, RunResult, Status
from rlef.sandbox.zygote.protocol import Mode

_MIB = 2**20
_OUTPUT = "program"
_WORK_BYTES = 256 * _MIB
_MESSAGE_BYTES = 4000
_HEADER_AT = "/header"
_HEADER_BYTES = 400 * _MIB
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "TMPDIR": "/work", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of a source: a binary, or else the compiler's refusal as a result."""

    binary: bytes = b""
    refusal: RunResult | None = None


def run_command(
    supervisor: Supervisor,
    profile: Profile,
    command: Sequence[str],
    files: Mapping[str, bytes],
    limits: RunLimits,
    collect: Mapping[str, int],
    environment: Mapping[str, str],
) -> RunResult:
    """Run a command on files in a slot of ``profile`` and wait for it. Raises ``SandboxError``."""
    order = {
        "path": command[0],
        "arguments": list(command),
        "environment": dict(environment),
        "stack_bytes": 64 * _MIB,
    }
    job = Job(json.dumps(order).encode(), [b""], limits, profile=profile, mode=Mode.EXEC)
    job.inward, job.outward_bytes = [bundle.inward(files, [], collect)], bundle.most(collect)
    result = first_result(supervisor.submit, job)
    return replace(result, files=bundle.outward(result.outward), outward=b"")


def compile_source(
    supervisor: Supervisor, language: Language, files: Mapping[str, bytes], header: Kept | None
) -> Compiled:
    """Compile in a jail; ``files`` are the source, by its name, and what it includes.

    Raises ``SandboxError`` and ``SandboxUnavailable``.
    """
    found = tool(language)
    extra = [f"-I{_HEADER_AT}"] if header else []
    result = _compile(
        supervisor, language, found, files, extra=extra, header=header,
        collect={_OUTPUT: language.output_bytes},
    )  # fmt: skip
    binary = result.files.get(_OUTPUT, b"")
    return Compiled(binary) if result.ok and binary else Compiled(refusal=_refusal(result, language))


def _compile(
    supervisor: Supervisor,
    language: Language,
    found: Tool,
    files: Mapping[str, bytes],
    *,
    source: str = "",
    extra: Sequence[str] = (),
    header: Kept | None = None,
    collect: Mapping[str, int],
    limits: RunLimits | None = None,
    work_bytes: int = _WORK_BYTES,
) -> RunResult:
    visible = found.visible
    if header:
        visible += ((str(header.path), f"{_HEADER_AT}/{language.precompile}.gch"),)
    profile = Profile(
        name=f"{language.name} compiler", visible=visible, work_bytes=work_bytes, execute=True, processes=True
    )
    program, *rest = words(
        language.compile, program=found.path, source=source or language.source, output=_OUTPUT
    )
    environment = _ENVIRONMENT | dict(language.environment)
    command = [program, *extra, *rest]
    return run_command(
        supervisor, profile, command, files, limits or language.compile_limits, collect, environment
    )


def _refusal(result: RunResult, language: Language) -> RunResult:
    """A compiler's failure as the one result of a program."""
    message = result.stderr
    if len(message) > _MESSAGE_BYTES:
        head = message[:_MESSAGE_BYTES].rpartition(b"\n")[0] or message[:_MESSAGE_BYTES]
        message = head + b"\n... and more\n"
    if why := _stopped(result, language):
        message = f"the compiler {why}\n".encode() + message
    return replace(
        result, status=Status.COMPILE_ERROR, exit_code=1, signal=0, stdout=b"", stderr=message, files={}
    )


def _stopped(result: RunResult, language: Language) -> str:
    if result.status is Status.CPU_LIMIT:
        return f"was stopped after {language.compile_limits.cpu_s:.0f} s of CPU time"
    if result.status is Status.IDLE_LIMIT:
        return f"was stopped after {result.wall_s:.0f} s"
    if result.status is Status.MEMORY_LIMIT:
        return f"ran out of memory ({language.compile_limits.memory_bytes // _MIB} MiB)"
    if result.status is Status.SIGNALLED:
        return f"ended with signal {result.signal}"
    if result.ok:
        return "made no program"
    return "" if result.stderr else f"ended with exit code {result.exit_code}"


def header_for(supervisor: Supervisor, store: Store, language: Language) -> Kept | None:
    """The language's precompiled header, built if it is not there; None if that can't be had."""
    found = tool(language)
    prefix = f"header-{language.name}-"
    name = f"{prefix}{found.identity[:24]}"
    if not _readable(store.folder):
        return None
    with store.locked(name):
        kept = store.get(name)
        if kept and _unchanged(kept.about.get("headers")):
            return kept
        result = _compile(
            supervisor, language, found, {"all.h": f"#include <{language.precompile}>\n".encode()},
            source="all.h", extra=["-x", "c++-header", "-MD", "-MF", "headers"],
            collect={_OUTPUT: _HEADER_BYTES, "headers": 8 * _MIB},
            limits=RunLimits(cpu_s=60.0, wall_s=600.0, memory_bytes=2048 * _MIB),
            work_bytes=2 * _HEADER_BYTES,
        )  # fmt: skip
        if not result.ok or not result.files.get(_OUTPUT):
            return None
        listed = result.files["headers"].decode(errors="replace").split()
        stamps = {path: _stamp(path) for path in listed if path.startswith("/")}
        kept = store.put(name, result.files[_OUTPUT], headers=stamps)
        store.drop_others(prefix, name)
        return kept


def _readable(folder: Path) -> bool:
    """True if the jail's user may go to ``folder``."""
    return not jail_uid() or all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _stamp(path: str) -> list[int]:
    found = Path(path).stat()
    return [found.st_size, found.st_mtime_ns]


def _unchanged(stamps: Any) -> bool:
    try:
        return bool(stamps) and all(_stamp(path) == stamp for path, stamp in stamps.items())
    except (OSError, AttributeError):
        return False
