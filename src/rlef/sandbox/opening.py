"""From settings to slots that are ready, on the best rung that machine and settings allow."""

from __future__ import annotations

import os
from collections.abc import Sequence

import rlef.config
from rlef.errors import SandboxError
from rlef.sandbox.interpreter import home_profile
from rlef.sandbox.rungs import Ladder
from rlef.sandbox.supervisor import Supervisor


def cpus_of(config: rlef.config.Sandbox) -> list[int]:
    """The CPU of each slot."""
    cpus = sorted(os.sched_getaffinity(0))
    return [cpus[k % len(cpus)] for k in range(config.slots or len(cpus))]


def supervisor_of(config: rlef.config.Sandbox, ladder: Ladder) -> Supervisor:
    """A supervisor, not yet started, for what the machine is taken to give."""
    return Supervisor(
        cpus_of(config),
        recycle=config.recycle,
        places=ladder.places,
        rung=ladder.rung,
        home=home_profile(config),
    )


def opened(config: rlef.config.Sandbox) -> Supervisor:
    """A supervisor whose slots are ready. Raises ``SandboxUnavailable``."""
    ladder = Ladder(config.floor)
    while True:
        supervisor = supervisor_of(config, ladder)
        supervisor.start()
        try:
            supervisor.opened.result()
        except (SandboxError, OSError) as error:
            end(supervisor)
            ladder.descend(error)
        except BaseException:
            end(supervisor)
            raise
        else:
            ladder.warn()
            return supervisor


def end(supervisor: Supervisor) -> None:
    """Kill every slot and wait."""
    supervisor.close()
    supervisor.join()


def encoded(source: str, stdins: Sequence[bytes]) -> bytes:
    """A program's text as the slots take it. Raises ``ValueError`` without an input."""
    if not stdins:
        raise ValueError("a run needs at least one input")
    return source.encode("utf-8", "surrogatepass")
