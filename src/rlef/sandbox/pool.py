"""The sandbox as the rest of rlef sees it.

async with await Sandbox.open(config.sandbox) as sandbox:
    async for result in sandbox.run(source, stdins, RunLimits(cpu_s=2)):
        ...
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType

import rlef.config
from rlef.errors import SandboxError
from rlef.sandbox import bundle, calls, languages
from rlef.sandbox.job import Delivery, Job, python_job
from rlef.sandbox.languages.workshop import Program, Workshop
from rlef.sandbox.opening import cpus_of, encoded, supervisor_of
from rlef.sandbox.room import Room
from rlef.sandbox.rungs import Ladder
from rlef.sandbox.status import file_limit
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import Rung, RunLimits, RunResult
from rlef.sandbox.zygote.protocol import Mode

CHUNK = 256
"""Most calls that share a process."""

_IN_FLIGHT, _IN_FLIGHT_A_SLOT = 256, 8
"""Most programs that are handed to the slots at a time. Many, because the slots have to live on
them for as long as the event loop stands still."""


class Sandbox:
    """A pool of slots. Any task of one event loop may use it; programs wait for a free slot.

    A bounded number of them wait in the slots' queue. Further calls of ``run`` wait with nothing
    but what their callers hold.
    """

    def __init__(self, supervisor: Supervisor, slots: int, missing: Mapping[str, str]) -> None:
        self._supervisor = supervisor
        self._workshop = Workshop(supervisor, slots)
        self.rung: Rung = supervisor.rung
        """The isolation that every result of this sandbox was made under."""
        self.missing = dict(missing)
        """Why it is no higher: layer to reason; empty on L3."""
        self.slots = slots
        """Programs that run at a time."""
        self._room = asyncio.Semaphore(max(_IN_FLIGHT, _IN_FLIGHT_A_SLOT * slots))

    @classmethod
    async def open(cls, config: rlef.config.Sandbox) -> Sandbox:
        """Start the slots and let each prove itself, on the highest rung that the machine gives.

        Raises ``SandboxUnavailable`` with the missing layer and the step that gets it if that is
        below ``config.floor``. A line on stderr says so if programs are not isolated (rung L0).
        """
        ladder = Ladder(config.floor)
        while True:
            supervisor = supervisor_of(config, ladder)
            supervisor.start()
            try:
                await asyncio.wrap_future(supervisor.opened)
            except (SandboxError, OSError) as error:
                await _close(supervisor)
                ladder.descend(error)
            except asyncio.CancelledError:
                supervisor.close()
                raise
            else:
                ladder.warn()
                return cls(supervisor, len(cpus_of(config)), ladder.missing)

    async def run(
        self,
        source: str,
        stdins: Sequence[bytes],
        limits: RunLimits,
        *,
        language: str = "python",
        beside: Mapping[str, bytes] | None = None,
        files: Sequence[Mapping[str, bytes]] | None = None,
        arguments: Sequence[str] = (),
        collect: Mapping[str, int] | None = None,
        alone: bool = False,
    ) -> AsyncGenerator[RunResult, None]:
        """Run ``source`` once on each of ``stdins``, in order, holding one slot meanwhile.

        ``language`` is a name that ``rlef.sandbox.languages`` knows; a program that must be
        compiled is compiled first, in a slot of its own kind, and once. ``beside`` are files
        that lie beside the source, where it is compiled or run: headers, modules.

        With ``files`` (one mapping of name to content for each of ``stdins``) the program
        finds them in its working directory, may write there, and gets ``arguments`` as
        ``sys.argv[1:]``. ``collect`` names files to bring back in ``RunResult.files``, and the most
        bytes to take of each.

        With ``alone`` it runs while no other slot does anything: for clocks that are to be
        trusted. Everybody else waits meanwhile.

        A program that does not compile yields one COMPILE_ERROR result and no more. Closing
        the iterator early stops the program and frees the slot. Raises ``SandboxError`` if
        the sandbox failed; the slot is replaced, so a retry is worth while. Raises
        ``UserError`` for a language that is not known, ``SandboxUnavailable`` for one that is
        not installed.
        """
        if files is not None and len(files) != len(stdins):
            raise ValueError(f"{len(files)} mappings of files for {len(stdins)} inputs")
        tongue = languages.find(language)
        text = encoded(source, stdins)
        if tongue is languages.PYTHON:
            job = python_job(text, stdins, limits, beside, files, arguments, collect)
            job.alone = alone
            runs = self._results(job)
        else:
            runs = self._run_foreign(tongue, text, stdins, limits, beside, files, arguments, collect, alone)
        async with aclosing(runs):
            async for result in runs:
                yield result

    async def call(
        self,
        source: str,
        function: str,
        arguments: Sequence[bytes],
        limits: RunLimits,
        *,
        chunk: int = CHUNK,
        together_s: float = math.inf,
        alone: bool = False,
    ) -> AsyncGenerator[RunResult, None]:
        """Call ``function`` of ``source`` with each of ``arguments``; one result a call, in order.

        A text of ``arguments`` is a list as plain data (`problems.plain`); ``outward`` of a result is
        the value that the call returned, in the same form, written by a hostile program, and
        empty if there is none. Where there is no ``function`` the texts are code to execute after
        the program, and the value is ``true`` or ``false``; nothing parts such code from the program.

        Up to ``chunk`` calls share a process if nothing can pass between them (`sandbox.calls`), as
        long as they take less than ``together_s`` of CPU time. Otherwise as ``run``.
        """
        text = encoded(source, arguments)

        def start(chunks: list[bytes], own: RunLimits) -> AsyncGenerator[RunResult, None]:
            job = Job(text, [b""] * len(chunks), own, mode=Mode.CALL, inward=chunks)
            job.outward_bytes, job.alone = file_limit(own), alone
            return self._results(job)

        async with aclosing(calls.made(start, function, arguments, limits, chunk, together_s)) as results:
            async for result in results:
                yield result

    async def _run_foreign(
        self,
        language: languages.Language,
        source: bytes,
        stdins: Sequence[bytes],
        limits: RunLimits,
        beside: Mapping[str, bytes] | None,
        files: Sequence[Mapping[str, bytes]] | None,
        arguments: Sequence[str],
        collect: Mapping[str, int] | None,
        alone: bool,
    ) -> AsyncGenerator[RunResult, None]:
        """``run`` for a language that is not the slots' own."""
        room = await Room.taken(self._room)
        try:
            program = await self._prepared(language, source, beside)
        except BaseException:
            room.leave()
            raise
        if isinstance(program, RunResult):
            room.leave()
            yield program
            return
        try:
            # The first test apart, if a failure of it may mean that the source does not parse.
            first = 1 if language.check else len(stdins)
            for portion in [slice(first), slice(first, None)][: 1 + (first < len(stdins))]:
                some = None if files is None else files[portion]
                job = program.job(stdins[portion], limits, files=some, arguments=arguments, collect=collect)
                job.alone = alone
                async with aclosing(self._results(job, None if portion.start else room)) as results:
                    async for result in results:
                        if not portion.start and (refusal := await self._refusal(program, result)):
                            yield refusal
                            return
                        yield result
        finally:
            room.leave()
            # Behind whatever the job still has waiting in the supervisor's queue.
            if not self._supervisor.post(program.close):
                program.close()

    async def _results(self, job: Job, room: Room | None = None) -> AsyncGenerator[RunResult, None]:
        """The results of a job, as they arrive, once there is room for it; closing drops the job."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        held = room or await Room.taken(self._room)

        def take(item: Delivery) -> None:
            if not isinstance(item, RunResult):
                held.leave()  # whether or not the caller has read everything: it may wait for other runs
            arrived.put_nowait(item)

        def deliver(item: Delivery) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(take, item)

        job.deliver = deliver
        self._supervisor.submit(job)
        over = False
        try:
            while not over:
                item = await arrived.get()
                over = not isinstance(item, RunResult)
                if isinstance(item, RunResult):
                    bundled = job.inward is not None and job.mode is not Mode.CALL
                    yield replace(item, files=bundle.outward(item.outward)) if bundled else item
                elif item is not None:
                    raise item
        finally:
            held.leave()
            if not over:
                self._supervisor.cancel(job)

    async def _prepared(
        self, language: languages.Language, source: bytes, beside: Mapping[str, bytes] | None
    ) -> Program | RunResult:
        future = self._workshop.prepare(language, source, beside)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.add_done_callback(_let_go)
            raise

    async def _refusal(self, program: Program, first: RunResult) -> RunResult | None:
        """The compile error that the first test's failure was, if it was one."""
        if not program.may_be_refused(first):
            return None
        async with aclosing(self._results(program.check_job())) as results:
            return program.refusal(await anext(results))

    async def close(self) -> None:
        """Kill every slot. Runs in flight raise ``SandboxError``. Safe to call twice."""
        await _close(self._supervisor)
        await asyncio.to_thread(self._workshop.close)

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _let_go(future: Future[Program | RunResult]) -> None:
    """Close a program that was made for someone who no longer wants it."""
    if not future.cancelled() and not future.exception() and isinstance(made := future.result(), Program):
        made.close()


async def _close(supervisor: Supervisor) -> None:
    supervisor.close()
    await asyncio.wrap_future(supervisor.closed)
    supervisor.join()
