"""What a client may ask for: the request of ``POST /judge``, and the most that is granted."""

from __future__ import annotations

import hashlib
import typing
from dataclasses import dataclass
from typing import Any

from rlef.problems.types import Problem
from rlef.service import wire
from rlef.service.errors import Refused
from rlef.service.wire import Which

_LONGEST_ID = 200
_FIELDS = {"tests", "code", "language", "which", "id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The most that the service takes from one client, or from all."""

    queue: int = 1024
    """Programs that may wait."""
    program_bytes: int = 16 * 2**20
    """Body of a program with its input."""
    tests_bytes: int = 64 * 2**20
    """Body of a test set."""
    bodies_bytes: int = 512 * 2**20
    """All bodies that are being read; also, all programs that wait or run."""
    store_bytes: int = 1024 * 2**20
    """Bodies of all test sets that are kept."""
    cpu_s: float = 300.0
    memory_bytes: int = 4 * 2**30
    output_bytes: int = 64 * 2**20

    def check(self, cpu_s: float, memory_bytes: int, output_bytes: int) -> None:
        """Raise ``Refused`` if a run may not have these limits."""
        for name, value, most in (
            ("CPU seconds", cpu_s, self.cpu_s),
            ("bytes of memory", memory_bytes, self.memory_bytes),
            ("bytes of output", output_bytes, self.output_bytes),
        ):
            if not 0 < value <= most:
                raise Refused(422, "limits", f"{value} {name} can't be had; this service gives up to {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A program to be judged on a test set."""

    tests: str
    """The set's hash."""
    code: str
    language: str
    which: Which
    id: str | None
    """Request id: the same one never runs twice."""

    def fingerprint(self) -> str:
        """The same for equal orders, whatever their id."""
        parts = (self.tests, self.language, self.which, self.code)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def read(body: bytes) -> Order:
    """The order in a body. Raises ``Refused`` with the field that is wrong."""
    row = json_of(body)
    if not isinstance(row, dict):
        raise bad("the body must be a JSON object with `tests` and `code`")
    if unknown := row.keys() - _FIELDS:
        raise bad(f"unknown field {min(unknown)!r}; there are {', '.join(sorted(_FIELDS))}")
    fields = {"language": "python", "which": "both", "id": None, **row}
    for name, value in fields.items():
        if not isinstance(value, str) and not (name == "id" and value is None):
            raise bad(f"{name} must be text")
    if missing := {"tests", "code"} - row.keys():
        raise bad(f"{min(missing)} is missing")
    if fields["which"] not in typing.get_args(Which):
        raise bad(f"which must be one of {', '.join(typing.get_args(Which))}")
    if fields["id"] is not None and not 0 < len(fields["id"]) <= _LONGEST_ID:
        raise bad(f"id must have 1 to {_LONGEST_ID} characters")
    return Order(**{**fields, "tests": digest_of(fields["tests"])})


def digest_of(name: str) -> str:
    """``name`` if it can be a test set's. Raises ``Refused``."""
    if not wire.DIGEST.fullmatch(name):
        raise bad("a test set is named by its SHA-256: 64 hexadecimal digits, lower case")
    return name


def check_tests(problem: Problem, order: Order) -> None:
    """Raise ``Refused`` if the set has no tests of the kind that is asked for."""
    if not problem.hidden_tests if order.which == "hidden" else not problem.public_tests:
        kind = "hidden" if order.which == "hidden" else "public"
        raise bad(f"the test set has no {kind} tests, so nothing can pass it")
    if problem.form == "call" and order.language != "python":
        raise bad(f"the tests call a Python function, so the program can't be {order.language}")


def json_of(body: bytes, status: int = 400) -> Any:
    """A body as JSON. Raises ``Refused``."""
    try:
        return wire.loads(body)
    except ValueError as error:
        raise Refused(status, "bad_json", f"the body is not JSON: {error}") from None


def bad(message: str) -> Refused:
    """A mistake in the request."""
    return Refused(400, "bad_request", message)
