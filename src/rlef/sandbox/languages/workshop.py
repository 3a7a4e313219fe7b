"""Makes programs of any language ready to run: compiles in a jail, keeps what was compiled.

A compiler is given hostile text, so it runs like every program: in a slot of its own kind,
with limits, and sees nothing but its own parts, the headers and a working directory that is
emptied afterwards. Each source is compiled once, also when several ask at the same time.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from rlef.errors import SandboxError
from rlef.sandbox import bundle
from rlef.sandbox.inputs import Inputs
from rlef.sandbox.job import Job
from rlef.sandbox.languages import compiler
from rlef.sandbox.languages.binaries import Binaries
from rlef.sandbox.languages.record import Language, words
from rlef.sandbox.languages.store import Kept, open_store
from rlef.sandbox.languages.tools import Tool, tool
from rlef.sandbox.profile import PROGRAM, PROGRAM_FILES, WORK_BYTES, Profile
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import RunLimits, RunResult, Status
from rlef.sandbox.zygote.files import STDIN
from rlef.sandbox.zygote.protocol import Mode

_MIB = 2**20
_REFUSALS_MOST = 1024
_STDIN = STDIN.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is ready to run. ``close`` it."""

    language: Language
    sources: Mapping[str, bytes]
    """The source, by its name, and what lies beside it."""
    tool: Tool
    executable: int = -1
    """Descriptor of the compiled binary; -1 for an interpreted language."""

    def close(self) -> None:
        """Let go of the binary."""
        if self.executable >= 0:
            os.close(self.executable)

    def job(
        self,
        stdins: Sequence[bytes],
        limits: RunLimits,
        *,
        files: Sequence[Mapping[str, bytes]] | None = None,
        arguments: Sequence[str] = (),
        collect: Mapping[str, int] | None = None,
    ) -> Job:
        """The job of running it on ``stdins``; see ``Sandbox.run``."""
        language, wanted = self.language, collect or {}
        own: dict[str, bytes] = {}
        if self.executable >= 0:
            profile = PROGRAM if files is None else PROGRAM_FILES
            path, command = "", [f"./{_name(language)}", *arguments]
        else:
            profile = interpreted(language)
            own |= self.sources
            command = [*self._command(language.run, limits), *arguments]
            path = command[0]
        order = {
            "path": path,
            "arguments": command,
            "environment": dict(language.environment),
            "stack_bytes": language.stack_bytes,
        }
        limits = replace(limits, memory_bytes=limits.memory_bytes + language.own_bytes)
        job = Job(json.dumps(order).encode(), stdins, limits, profile=profile, mode=Mode.EXEC)
        job.executable, job.reserved_bytes = self.executable, language.reserved_bytes
        if files is not None or own:
            each = files if files is not None else [{}] * len(stdins)
            bundle.check_names(own, wanted, *each)
            job.inward = Inputs(
                len(stdins), lambda at: bundle.inward({**own, _STDIN: stdins[at], **each[at]}, [], wanted)
            )
            job.outward_bytes = bundle.most(wanted)
        return job

    def _command(self, command: Sequence[str], limits: RunLimits) -> list[str]:
        memory_mb = max(16, limits.memory_bytes // _MIB)
        return words(command, program=self.tool.path, source=self.language.source, memory_mb=memory_mb)

    def may_be_refused(self, first: RunResult) -> bool:
        """True if the first test may have failed because the source does not parse."""
        failed = first.status is Status.EXITED and not first.ok and not first.stdout
        return failed and bool(self.language.check)

    def check_job(self) -> Job:
        """The job of asking the interpreter whether it can read the source."""
        checking = replace(self.language, run=self.language.check, check=())
        return Program(checking, self.sources, self.tool).job([b""], self.language.compile_limits)

    def refusal(self, checked: RunResult) -> RunResult | None:
        """The compile error that the answer of ``check_job`` means, if any."""
        if checked.status is Status.EXITED and not checked.ok:
            return replace(checked, status=Status.COMPILE_ERROR, stdout=b"", files={})
        return None


def _name(language: Language) -> str:
    return language.source.rpartition(".")[0]


def interpreted(language: Language) -> Profile:
    """The slots in which programs of an interpreted language run."""
    return Profile(name=language.name, visible=tool(language).visible, work_bytes=WORK_BYTES, execute=True)


class Workshop:
    """Makes programs ready for one supervisor's slots. ``threads`` sources are compiled at a time."""

    def __init__(self, supervisor: Supervisor, threads: int) -> None:
        self._supervisor = supervisor
        self._threads = ThreadPoolExecutor(threads, "rlef-compile")
        self._lock = threading.Lock()
        self._binaries = Binaries()
        self._refusals: OrderedDict[str, RunResult] = OrderedDict()
        self._compiling: dict[str, Future[compiler.Compiled]] = {}
        self._headers = _Headers(supervisor)

    def prepare(
        self, language: Language, source: bytes, beside: Mapping[str, bytes] | None = None
    ) -> Future[Program | RunResult]:
        """The program, or the one COMPILE_ERROR result that it gets.

        ``beside`` are files that lie beside the source, by their names: headers, modules.

        The future may raise ``SandboxUnavailable`` if the language is not installed,
        ``SandboxError`` if the sandbox failed, ``UserError``.
        """
        return self._threads.submit(self._prepare, language, {**(beside or {}), language.source: source})

    def close(self) -> None:
        """Forget what was compiled. The supervisor must be closed before."""
        self._threads.shutdown(wait=True)
        self._binaries.close()

    def _prepare(self, language: Language, sources: Mapping[str, bytes]) -> Program | RunResult:
        found = tool(language)
        if not language.compile:
            return Program(language, sources, found)
        key = _key(found, sources)
        with self._lock:
            if key in self._refusals:
                self._refusals.move_to_end(key)
                return self._refusals[key]
            if (fd := self._binaries.lease(key)) is not None:
                return Program(language, sources, found, fd)
            waiting = self._compiling.get(key)
            mine = waiting or self._compiling.setdefault(key, Future())
        if waiting is None:
            self._compile(mine, key, language, sources)
        made = mine.result()
        if made.refusal:
            return made.refusal
        fd = self._binaries.lease(key)
        return Program(language, sources, found, self._binaries.keep(key, made.binary) if fd is None else fd)

    def _compile(
        self, done: Future[compiler.Compiled], key: str, language: Language, sources: Mapping[str, bytes]
    ) -> None:
        try:
            header = self._headers.of(language) if _includes(sources, language) else None
            try:
                made = compiler.compile_source(self._supervisor, language, sources, header)
            except SandboxError:
                if header is None:
                    raise
                self._headers.forget(language)  # it may be what keeps the slot from booting
                made = compiler.compile_source(self._supervisor, language, sources, None)
            with self._lock:
                if made.refusal:
                    self._refusals[key] = made.refusal
                    if len(self._refusals) > _REFUSALS_MOST:
                        self._refusals.popitem(last=False)
                else:
                    os.close(self._binaries.keep(key, made.binary))
            done.set_result(made)
        except BaseException as error:
            done.set_exception(error)
        finally:
            with self._lock:
                del self._compiling[key]


def _key(found: Tool, sources: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(found.identity.encode())
    for name, content in sorted(sources.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _includes(sources: Mapping[str, bytes], language: Language) -> bool:
    name = language.precompile.encode()
    return bool(name) and any(name in content for content in sources.values())


class _Headers:
    """Precompiled headers, each looked for or built at most once in a process."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._found: dict[str, Kept | None] = {}

    def of(self, language: Language) -> Kept | None:
        """The language's header, or None if that can't be had."""
        with self._lock:
            if language.name not in self._found:
                store = open_store()
                self._found[language.name] = (
                    None if isinstance(store, str) else compiler.header_for(self._supervisor, store, language)
                )
            return self._found[language.name]

    def forget(self, language: Language) -> None:
        """Do without from now on."""
        with self._lock:
            self._found[language.name] = None
