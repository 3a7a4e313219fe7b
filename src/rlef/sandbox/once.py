"""One program on one input, for scripts."""

from __future__ import annotations

import rlef.config
from rlef.sandbox import languages
from rlef.sandbox.job import Job, first_result
from rlef.sandbox.languages.workshop import Workshop
from rlef.sandbox.opening import encoded, end, opened
from rlef.sandbox.supervisor import Supervisor
from rlef.sandbox.types import RunLimits, RunResult


def run_once(
    source: str,
    stdin: bytes = b"",
    limits: RunLimits | None = None,
    config: rlef.config.Sandbox | None = None,
    *,
    language: str = "python",
) -> RunResult:
    """Run one program on one input in a slot of its own, without an event loop.

    For scripts: the slot costs a tenth of a second. Raises what ``Sandbox.run`` raises.
    """
    config = (config or rlef.config.Sandbox()).model_copy(update={"slots": 1})
    tongue = languages.find(language)
    supervisor = opened(config)
    workshop = Workshop(supervisor, 1)
    try:
        return _run_once(supervisor, workshop, tongue, encoded(source, [stdin]), stdin, limits or RunLimits())
    finally:
        end(supervisor)
        workshop.close()


def _run_once(
    supervisor: Supervisor,
    workshop: Workshop,
    language: languages.Language,
    source: bytes,
    stdin: bytes,
    limits: RunLimits,
) -> RunResult:
    if language is languages.PYTHON:
        return first_result(supervisor.submit, Job(source, [stdin], limits))
    program = workshop.prepare(language, source).result()
    if isinstance(program, RunResult):
        return program
    result = first_result(supervisor.submit, program.job([stdin], limits))
    if program.may_be_refused(result):
        checked = first_result(supervisor.submit, program.check_job())
        result = program.refusal(checked) or result
    program.close()
    return result
