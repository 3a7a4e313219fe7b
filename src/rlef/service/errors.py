"""One form for every mistake: a status, a word for programs, a sentence for people."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from rlef.service import wire


class Answer(JSONResponse):
    """A JSON value and the end of a line, for people at a terminal."""

    def render(self, content: object) -> bytes:
        """The body."""
        return wire.dumps(content) + b"\n"


class Refused(Exception):
    """A request that is not served.

    ``status`` is the HTTP status, ``code`` a word that never changes, ``message`` says what to do.
    ``retry_s`` becomes ``Retry-After``; ``more`` goes into the body beside them.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_s: int | None = None, **more: object
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_s, self.more = status, code, message, retry_s, more

    def body(self) -> dict[str, Any]:
        """The JSON that the client reads."""
        return {"error": {"code": self.code, "message": self.message, **self.more}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to the refusal."""
        headers = {} if self.retry_s is None else {"Retry-After": str(self.retry_s)}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def stopping() -> Refused:
    """The service is shutting down; another one may take the program."""
    return Refused(503, "stopping", "this service is stopping; send the program to another one", retry_s=5)
