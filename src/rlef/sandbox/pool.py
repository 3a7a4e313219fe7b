"""The sandbox as the rest of rlef sees it.

async with await Sandbox.open(config.sandbox) as sandbox:
    async for result in sandbox.run(source, stdins, RunLimits(cpu_s=2)):
        ...
"""

from __future__ import annotations

import asyncio
import os
import queue
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType

import rlef.config
from rlef.errors import SandboxError, SandboxUnavailable, UserError
from rlef.sandbox import bundle, cgroups
from rlef.sandbox.doctor import unavailable
from rlef.sandbox.inputs import Inputs
from rlef.sandbox.job import Delivery, Job
from rlef.sandbox.profile import PYTHON_FILES
from rlef.sandbox.supervisor import BootError, Supervisor
from rlef.sandbox.types import Rung, RunLimits, RunResult

_IN_FLIGHT, _IN_FLIGHT_A_SLOT = 256, 8
"""Most programs that are handed to the slots at a time. Many, because the slots have to live on
them for as long as the event loop stands still."""


class Sandbox:
    """A pool of slots. Any task of one event loop may use it; programs wait for a free slot.

    A bounded number of them wait with their inputs at hand. Further calls of ``run`` wait with
    nothing but what their callers hold.
    """

    def __init__(self, supervisor: Supervisor, slots: int) -> None:
        self._supervisor = supervisor
        self.rung: Rung = supervisor.rung
        """The isolation that every result of this sandbox was made under."""
        self.slots = slots
        """Programs that run at a time."""
        self._room = asyncio.Semaphore(max(_IN_FLIGHT, _IN_FLIGHT_A_SLOT * slots))

    @classmethod
    async def open(cls, config: rlef.config.Sandbox) -> Sandbox:
        """Start the slots and let each prove itself.

        Raises ``SandboxUnavailable`` with the missing layer and the step that gets it if the
        machine can't give ``config.floor``.
        """
        supervisor = _supervisor(config)
        supervisor.start()
        try:
            await asyncio.wrap_future(supervisor.opened)
        except (SandboxError, OSError) as error:
            await _close(supervisor)
            raise _explain(error) from None
        except asyncio.CancelledError:
            supervisor.close()
            raise
        return cls(supervisor, len(_cpus(config)))

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

        ``beside`` are files that lie beside the source, where it is run.

        With ``files`` (one mapping of name to content for each of ``stdins``) the program
        finds them in its working directory, may write there, and gets ``arguments`` as
        ``sys.argv[1:]``. ``collect`` names files to bring back in ``RunResult.files``, and the most
        bytes to take of each.

        With ``alone`` it runs while no other slot does anything: for clocks that are to be
        trusted. Everybody else waits meanwhile.

        A program that does not compile yields one COMPILE_ERROR result and no more. Closing
        the iterator early stops the program and frees the slot. Raises ``SandboxError`` if
        the sandbox failed; the slot is replaced, so a retry is worth while. Raises
        ``UserError`` for a language that is not known.
        """
        if language != "python":
            raise UserError(f"no language {language!r}; there is python")
        if beside:
            files = [{**beside, **some} for some in files or [{}] * len(stdins)]
        job = _job(source, stdins, limits)
        job.alone = alone
        if files is not None:
            _add_files(job, files, arguments, collect or {})
        async with aclosing(self._results(job)) as results:
            async for result in results:
                yield result if files is None else replace(result, files=bundle.outward(result.outward))

    async def _results(self, job: Job) -> AsyncGenerator[RunResult, None]:
        """The results of a job, as they arrive, once there is room for it; closing drops it."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        room = await _Room.taken(self._room)

        def take(item: Delivery) -> None:
            if not isinstance(item, RunResult):
                room.leave()  # whether or not the caller has read everything: it may wait for other runs
            arrived.put_nowait(item)

        def deliver(item: Delivery) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(take, item)

        job.deliver = deliver
        self._supervisor.submit(job)
        over = False
        try:
            while not over:
                item = await arrived.get()
                over = not isinstance(item, RunResult)
                if isinstance(item, RunResult):
                    yield item
                elif item is not None:
                    raise item
        finally:
            room.leave()
            if not over:
                self._supervisor.cancel(job)

    async def close(self) -> None:
        """Kill every slot. Runs in flight raise ``SandboxError``. Safe to call twice."""
        await _close(self._supervisor)

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def run_once(
    source: str,
    stdin: bytes = b"",
    limits: RunLimits | None = None,
    config: rlef.config.Sandbox | None = None,
) -> RunResult:
    """Run one program on one input in a slot of its own, without an event loop.

    For scripts: the slot costs a tenth of a second. Raises ``SandboxUnavailable`` and
    ``SandboxError``.
    """
    config = (config or rlef.config.Sandbox()).model_copy(update={"slots": 1})
    supervisor = _supervisor(config)
    supervisor.start()
    try:
        supervisor.opened.result()
        arrived: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        job = _job(source, [stdin], limits or RunLimits())
        job.deliver = arrived.put
        supervisor.submit(job)
        result = arrived.get()
    except (BootError, OSError) as error:
        raise _explain(error) from None
    finally:
        supervisor.close()
        supervisor.join()
    if isinstance(result, RunResult):
        return result
    raise result or SandboxError("the run ended without a result")


class _Room:
    """A place among the programs in flight, left once."""

    def __init__(self, semaphore: asyncio.Semaphore) -> None:
        self._semaphore: asyncio.Semaphore | None = semaphore

    @classmethod
    async def taken(cls, semaphore: asyncio.Semaphore) -> _Room:
        await semaphore.acquire()
        return cls(semaphore)

    def leave(self) -> None:
        if self._semaphore:
            self._semaphore.release()
        self._semaphore = None


def _add_files(
    job: Job, files: Sequence[Mapping[str, bytes]], arguments: Sequence[str], collect: Mapping[str, int]
) -> None:
    if len(files) != len(job.stdins):
        raise ValueError(f"{len(files)} mappings of files for {len(job.stdins)} inputs")
    job.profile = PYTHON_FILES
    bundle.check_names(collect, *files)
    job.inward = Inputs(len(files), lambda at: bundle.inward(files[at], arguments, collect))
    job.outward_bytes = bundle.most(collect)


def _job(source: str, stdins: Sequence[bytes], limits: RunLimits) -> Job:
    if not stdins:
        raise ValueError("a run needs at least one input")
    return Job(source.encode("utf-8", "surrogatepass"), stdins, limits, lambda item: None)


def _cpus(config: rlef.config.Sandbox) -> list[int]:
    cpus = sorted(os.sched_getaffinity(0))
    return [cpus[k % len(cpus)] for k in range(config.slots or len(cpus))]


def _supervisor(config: rlef.config.Sandbox) -> Supervisor:
    places = cgroups.find()
    if isinstance(places, str):
        if config.floor == Rung.L3:
            raise unavailable({"memory and pids cgroup": places})
        return Supervisor(_cpus(config), recycle=config.recycle, places=None)
    cgroups.sweep(places)
    return Supervisor(_cpus(config), recycle=config.recycle, places=places)


def _explain(error: Exception) -> Exception:
    if isinstance(error, BootError):
        return unavailable(error.steps) if any(error.steps.values()) else SandboxUnavailable(str(error))
    return SandboxUnavailable(f"the sandbox can't be started: {error}")


async def _close(supervisor: Supervisor) -> None:
    supervisor.close()
    await asyncio.wrap_future(supervisor.closed)
    supervisor.join()
