"""Serves the viewer: GET only, nothing but one run's episodes, to whoever has the token.

The standard library's threading server does it: a few requests a second from one person's browser, no
bodies, no paths that lead to files. So ``rlef view`` needs no extra, and what listens is small enough to
be read. What keeps others out: it binds loopback unless told otherwise; the token in the address that is
printed, a cookie after its first use; the Host header, which a rebound DNS name gives away; and headers
that forbid scripts but ours, framing and any request elsewhere.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rlef.errors import ConfigError
from rlef.runs import Run
from rlef.views.text import visible
from rlef.views.viewer.index import Entry, Index
from rlef.views.viewer.page import Pages
from rlef.views.viewer.query import Query

_LOOK_S = 1.0
"""How often the files are looked at for new episodes."""
_PATIENCE_S = 30
"""A connection that says nothing for so long is closed."""
_CONNECTIONS = 64
_PIECE = 2**20
"""Bytes of a row that are sent at once."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTML, _TEXT, _JSON = "text/html", "text/plain", "application/json"


class Viewer:
    """The service. Listens from the start; ``serve`` answers until ``close``."""

    def __init__(self, run: Run, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        """Raises ``ConfigError`` if the address can't be had."""
        self.pages = Pages(Index(run))
        self.token = token or secrets.token_urlsafe(32)
        self.host = host
        self._ended = threading.Event()
        self._server = _listen(host, port, self)
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address that opens it, with the token."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else "::1" if self.host == "::" else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={self.token}"

    def serve(self) -> None:
        """Answer until ``close``, or an exception such as ``KeyboardInterrupt`` in this thread.

        Connections are taken in by another thread. Where one is taken in, socketserver holds whatever a
        signal handler raises for a failure of that connection, and goes on.
        """
        trouble: list[BaseException] = []

        def take_in() -> None:
            try:
                self._server.serve_forever(poll_interval=0.2)
            except BaseException as error:
                trouble.append(error)

        watcher = threading.Thread(target=self._watch, name="rlef-view-index", daemon=True)
        door = threading.Thread(target=take_in, name="rlef-view", daemon=True)
        try:
            watcher.start()
            watcher.join(0.3)  # a small run is read whole before its first page
            door.start()
            try:
                while door.is_alive():
                    door.join(0.5)  # not for ever: on some systems a signal does not wake this thread
            finally:
                self._server.shutdown()
        finally:
            self._ended.set()
            self._server.server_close()
        if trouble:
            raise trouble[0]

    def close(self) -> None:
        """End ``serve``; to be called from another thread."""
        self._server.shutdown()

    def _watch(self) -> None:
        while True:
            # A file that vanishes under us is a run being replaced: look again.
            with contextlib.suppress(OSError):
                self.pages.index.refresh()
            if self._ended.wait(_LOOK_S):
                return

    def welcome(self, host: str | None) -> bool:
        """True for a Host header that names an address, this machine, or the host that was asked for."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            port = urlsplit(f"//{host}").port
        except ValueError:
            return False
        if not host or (80 if port is None else port) != self.port:
            return False
        return name in ("localhost", self.host.lower()) or _is_address(name)

    @property
    def cookie(self) -> str:
        """Name of the cookie: cookies know no ports, and several viewers may run."""
        return f"rlef-view-{self.port}"

    def known(self, cookies: str) -> bool:
        """True if the token is among the cookies."""
        pairs = (part.strip().partition("=") for part in cookies.split(";"))
        return any(name == self.cookie and self.is_token(value) for name, _, value in pairs)

    def is_token(self, text: str) -> bool:
        """True if this is the token."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    def answer(self, path: str, address: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, media type and body for a path and what stands after its question mark."""
        query = Query.parse(address)
        pages = self.pages
        makers: dict[str, Callable[[], tuple[str, str | bytes]]] = {
            "/": lambda: (_HTML, pages.page(query)),
            "/list": lambda: (_HTML, pages.list(query)),
            "/episode": lambda: (_HTML, pages.episode(query)),
            "/status": lambda: (_JSON, self._status()),
            "/viewer.css": lambda: ("text/css", asset("viewer.css")),
            "/viewer.js": lambda: ("text/javascript", asset("viewer.js")),
        }
        if path not in makers:
            return HTTPStatus.NOT_FOUND, _TEXT, b"There is nothing here.\n"
        kind, body = makers[path]()
        return HTTPStatus.OK, kind, body if isinstance(body, bytes) else body.encode("utf-8", "replace")

    def row(self, address: str) -> Entry | None:
        """The episode whose row is asked for as it stands in its file."""
        snapshot = self.pages.index.snapshot()
        row = snapshot.find(Query.parse(address).episode)
        return None if row is None else snapshot.entries[row]

    def _status(self) -> str:
        snapshot = self.pages.index.snapshot()
        return json.dumps({"stamp": snapshot.stamp, "count": snapshot.count, "reading": self.pages.reading()})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _CONNECTIONS
    viewer: Viewer

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], viewer: Viewer) -> None:
        self.address_family = family
        self.viewer = viewer
        self._seats = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own also looks up the name of this machine, which may take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._seats.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._seats.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "rlef"
    sys_version = ""
    timeout = _PATIENCE_S
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Check who asks, then answer."""
        viewer = self.server.viewer
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body is never read, and must not pass for the next request
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not viewer.welcome(hosts[0]):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This address is not this viewer's.")
            return
        path, _, address = self.path.partition("?")
        tokens = [value for name, value in parse_qsl(address[:20_000]) if name == "token"]
        if tokens and path == "/" and viewer.is_token(tokens[-1]):
            self._welcome(address)
        elif not viewer.known("; ".join(self.headers.get_all("Cookie") or [])):
            self._say(HTTPStatus.UNAUTHORIZED, "Open the address that rlef view printed: it holds the token.")
        else:
            self._answer(path, address)

    def _welcome(self, address: str) -> None:
        """Move the token from the address, where it may be copied along, into a cookie."""
        viewer = self.server.viewer
        cookie = f"{viewer.cookie}={viewer.token}; Path=/; HttpOnly; SameSite=Lax"
        more = {"Location": f"/{Query.parse(address).address()}".removesuffix("?"), "Set-Cookie": cookie}
        self._send(HTTPStatus.SEE_OTHER, _TEXT, b"", more)

    def _answer(self, path: str, address: str) -> None:
        entry = self.server.viewer.row(address) if path == "/raw" else None
        try:
            if entry is not None:
                self._pour(entry)
                return
            status, kind, body = self.server.viewer.answer(path, address)
        except (ConnectionError, TimeoutError):
            raise  # the browser went away
        except Exception as error:  # whatever it is, the next request may fare better
            what = visible(" ".join(f"{type(error).__name__}: {error}".split()))[:500]
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, f"The page could not be made: {what}")
            return
        self._send(status, kind, body)

    def _pour(self, entry: Entry) -> None:
        """A row piece by piece: it may be longer than what should be held. A damaged one is no JSON."""
        kind = _TEXT if entry.facts.outcome == "damaged" else _JSON
        with self.server.viewer.pages.index.open(entry) as file:
            self._send(HTTPStatus.OK, kind, b"", {"Content-Length": str(entry.length)})
            left = entry.length
            while left and (piece := file.read(min(_PIECE, left))):
                self.wfile.write(piece)
                left -= len(piece)
        self.close_connection |= left > 0  # the file was cut back in the middle of it

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the parent refuses: a method other than GET, or what is no request."""
        wrong_method = code == HTTPStatus.NOT_IMPLEMENTED
        status = HTTPStatus.METHOD_NOT_ALLOWED if wrong_method else HTTPStatus(code)
        self.close_connection = True
        self.request_version = "HTTP/1.1"
        more = {"Connection": "close"} | ({"Allow": "GET"} if wrong_method else {})
        self._send(status, _TEXT, f"{status.phrase}\n".encode(), more)

    def _say(self, status: HTTPStatus, message: str) -> None:
        self._send(status, _TEXT, f"{message}\n".encode("utf-8", "replace"))

    def _send(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            **HEADERS,
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            **(more or {}),
        }.items():
            self.send_header(name, value)
        head = b"".join([*self._headers_buffer, b"\r\n"])
        self._headers_buffer: list[bytes] = []
        self.wfile.write(head + body)  # at once: two packets would wait for each other

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: addresses hold the token."""


def is_loopback(host: str) -> bool:
    """True if only this machine can reach ``host``."""
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


@cache
def asset(name: str) -> str:
    """A file of the page."""
    return (resources.files("rlef.views.viewer") / "assets" / name).read_text(encoding="utf-8")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _listen(host: str, port: int, viewer: Viewer) -> _Server:
    try:
        family, *_, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, (str(address[0]), port), viewer)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"can't listen on {host}:{port} ({why}); choose another port with --port, 0 takes a free one"
        ) from None
