"""Who may come in: the token, in a header or in the path.

The token comes as ``Authorization: Bearer TOKEN``, or, for clients that can only be given a URL, as
the path prefix ``/t/TOKEN``. It is compared in constant time and never logged.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from rlef.service.errors import Answer, Refused

_PREFIX = "/t/"
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")


class Gate:
    """Lets requests with the token in; strips it from the path.

    ``/health`` needs none. With ``open_run_code`` neither does ``/run_code``, for programs on
    this machine that can't send one. Browsers are still kept out of it: a page from anywhere
    can make them send requests to this machine.
    """

    def __init__(self, app: ASGIApp, token: str, *, open_run_code: bool) -> None:
        self.app, self._open = app, open_run_code
        self._digest = _digest(token.encode("ascii"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        path, headers = scope["path"], Headers(scope=scope)
        kind, _, word = headers.get("authorization", "").partition(" ")
        offered = word.strip() if kind.lower() == "bearer" else ""
        if path.startswith(_PREFIX):
            offered, _, rest = path.removeprefix(_PREFIX).partition("/")
            path = f"/{rest}"
            scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")}
        right = hmac.compare_digest(_digest(offered.encode("utf-8", "surrogateescape")), self._digest)
        if right or path == "/health" or (path == "/run_code" and self._open and _is_local(headers)):
            await self.app(scope, receive, send)
            return
        message = (
            f"{'the token is wrong' if offered else 'a token is needed'}: "
            "send it as Authorization: Bearer TOKEN, or as /t/TOKEN before the path"
        )
        refused = Refused(
            401,
            "unauthorized",
            message,
        )
        await Answer(refused.body(), refused.status, refused.headers())(scope, receive, send)


def _is_local(headers: Headers) -> bool:
    return "origin" not in headers and _LOOPBACK.fullmatch(headers.get("host", "")) is not None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
