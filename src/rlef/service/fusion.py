"""SandboxFusion's ``POST /run_code``: one program, one input, in its words.

For clients that were written for SandboxFusion: they change a URL. What differs from it is on
purpose: ``run_timeout`` counts CPU time (a program that sleeps is stopped by wall time as there),
programs are isolated, and output is complete up to `OUTPUT_BYTES`.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

from pydantic import BaseModel, ValidationError

from rlef.sandbox import languages
from rlef.sandbox.types import RunLimits, RunResult, Status
from rlef.service.errors import Refused
from rlef.service.languages import Spoken

OUTPUT_BYTES = 16 * 2**20
FILE_BYTES = 16 * 2**20
"""Most that is brought back of a file."""
DEFAULT_MEMORY = 1024 * 2**20
"""Bytes where the client sets no limit."""

_NAMES = {"cpp": "cpp17", "nodejs": "javascript"}
"""SandboxFusion's names of languages where ours differ."""


class RunCode(BaseModel):
    """A request. Unknown fields are ignored, as by SandboxFusion."""

    code: Any
    """Text; checked apart, as it may hold lone surrogates."""
    language: str
    stdin: Any = None
    compile_timeout: float = 10
    run_timeout: float = 10
    memory_limit_MB: int = -1
    files: dict[str, str | None] = {}
    fetch_files: list[str] = []

    @property
    def spoken(self) -> str:
        """The language by one of the names that rlef knows it by."""
        return _NAMES.get(self.language, self.language)

    @property
    def compiled(self) -> bool:
        """True if there is a step before the run. For Python there is none: a syntax error ends the run."""
        return bool(languages.find(self.spoken).compile)

    def input(self) -> bytes:
        """Standard input."""
        return (self.stdin or "").encode("utf-8", "surrogatepass")

    def contents(self) -> dict[str, bytes] | None:
        """Files for the working directory, or None if the program needs none.

        Raises ``Refused`` if one is not base64.
        """
        found = {}
        for name, content in self.files.items():
            if content is not None:
                try:
                    found[name] = base64.b64decode(content, validate=True)
                except (binascii.Error, ValueError):
                    raise Refused(422, "bad_request", f"files.{name}: input should be base64") from None
        return found if found or self.fetch_files else None

    def limits(self) -> RunLimits:
        """Limits of the run. A sleeping program is stopped after the same time as a busy one."""
        memory = self.memory_limit_MB * 2**20 if self.memory_limit_MB > 0 else DEFAULT_MEMORY
        return RunLimits(
            cpu_s=self.run_timeout,
            wall_s=self.run_timeout,
            memory_bytes=memory,
            output_bytes=OUTPUT_BYTES,
            stderr_bytes=2**20,
        )


def read(value: object) -> RunCode:
    """A request from its JSON. Raises ``Refused`` with the field that is wrong."""
    try:
        request = RunCode.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise Refused(422, "bad_request", f"{where}: {first['msg'].lower()}") from None
    for name in ("code", "stdin"):
        text = getattr(request, name)
        if not isinstance(text, str) and (name == "code" or text is not None):
            raise Refused(422, "bad_request", f"{name}: input should be a valid string")
    for name in ("run_timeout", "compile_timeout"):
        seconds = getattr(request, name)
        if not math.isfinite(seconds) or seconds <= 0:
            raise Refused(422, "bad_request", f"{name}: input should be a positive number of seconds")
    return request


def unable(request: RunCode, spoken: Spoken) -> str:
    """Why the request can't be served here, in a sentence; empty if it can."""
    if spoken.name(request.spoken) is None:
        return f"language {request.language!r} can't be run here; there are {', '.join(spoken.names)}"
    for name in (*request.files, *request.fetch_files):
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            return f"{name!r} is not the name of a file in the working directory; folders can't be made"
    return ""


def sandbox_error(message: str) -> dict[str, Any]:
    """The answer when nothing can be said about the program."""
    return _answer("SandboxError", message, None, None)


def answer(request: RunCode, result: RunResult) -> dict[str, Any]:
    """The answer for a run."""
    if result.status is Status.COMPILE_ERROR and request.compiled:
        failed = _step("Finished", 1, b"", result.stderr, result.wall_s, result.cpu_s)
        return _answer("Failed", "", failed, None)
    step = _run_step(result)
    first = _step("Finished", 0, b"", b"", 0.0, 0.0) if request.compiled else None
    good = step["status"] == "Finished" and step["return_code"] == 0
    files = {name: base64.b64encode(data).decode("ascii") for name, data in result.files.items()}
    return {**_answer("Success" if good else "Failed", "", first, step), "files": files}


def _run_step(result: RunResult) -> dict[str, Any]:
    error, status = result.stderr, result.status
    if status in (Status.CPU_LIMIT, Status.IDLE_LIMIT):
        return _step("TimeLimitExceeded", None, result.stdout, error, result.wall_s, result.cpu_s)
    code = -result.signal or result.exit_code
    if status is Status.COMPILE_ERROR:
        code = 1
    elif not result.ok:
        code = code or -9  # what a program ends with that is killed for a limit
    if status in (Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT):
        what = "memory" if status is Status.MEMORY_LIMIT else "output"
        error += f"\nrlef: the program passed its {what} limit\n".encode()
    return _step("Finished", code, result.stdout, error, result.wall_s, result.cpu_s)


def _step(
    status: str, code: int | None, stdout: bytes, stderr: bytes, wall_s: float, cpu_s: float
) -> dict[str, Any]:
    return {
        "status": status,
        "execution_time": wall_s,
        "cpu_time": cpu_s,
        "return_code": code,
        "stdout": stdout.decode("utf-8", "replace"),
        "stderr": stderr.decode("utf-8", "replace"),
    }


def _answer(
    status: str, message: str, compiled: dict[str, Any] | None, ran: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "status": status,
        "message": message,
        "compile_result": compiled,
        "run_result": ran,
        "executor_pod_name": None,
        "files": {},
    }
