"""Starts the service: listens, prints where, serves until a signal, leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

import rlef.config
from rlef.errors import ConfigError
from rlef.judge.schedule import Order
from rlef.sandbox import Sandbox
from rlef.service import token as tokens
from rlef.service.app import Service
from rlef.service.order import Ceilings

_HEADERS_S = 20.0
_IDLE_S = 75
_SHUTDOWN_S = 5
_SPARE_FILES = 512
"""Descriptors kept for slots, memory files and the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a service is to be had, for whoever prints it."""

    url: str
    token_file: Path | None
    """The file of a token that was made; None if the user gave one."""
    rung: str
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve."""

    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    open_run_code: bool = False
    ceilings: Ceilings = field(default_factory=Ceilings)
    sandbox: rlef.config.Sandbox = field(default_factory=rlef.config.Sandbox)
    order: Order = "kill_rate"
    """Of hidden tests."""


def serve(settings: Settings, started: Callable[[Listening], None]) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, and return the number of the signal.

    ``started`` is called when requests are taken. Raises ``ConfigError`` if the port can't
    be had or the token can't be used, ``SandboxUnavailable`` as the sandbox does.
    """
    local = is_loopback(settings.host)
    if settings.open_run_code and not local:
        raise ConfigError(f"--open-run-code is for this machine alone, not for --host {settings.host}")
    token = tokens.read_token(settings.token_file)
    if token is None and not local:
        raise ConfigError(
            f"--host {settings.host} lets other machines in: give the token that they will send, "
            f"with --token-file FILE or in {tokens.VARIABLE}"
        )
    with listen(settings.host, settings.port) as sock:
        return asyncio.run(_serve(settings, sock, token, started))


def is_loopback(host: str) -> bool:
    """True if only this machine can reach ``host``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``ConfigError`` with what to do."""
    if not 0 <= port < 65536:
        raise ConfigError(f"there is no port {port}; choose one below 65536, or 0 for any")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"can't listen on port {port} of {host}: {error.strerror}; choose another with --port, 0 for any"
        ) from None
    # A peer whose machine died without a word is noticed, and what it asked for is cancelled.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    return sock


async def _serve(
    settings: Settings, sock: socket.socket, token: str | None, started: Callable[[Listening], None]
) -> int:
    async with await Sandbox.open(settings.sandbox) as sandbox:
        file = None
        if token is None:
            token, file = tokens.new_token()
        try:
            service = Service(sandbox, settings.ceilings, settings.order)
            server = _Server(service, service.app(token, open_run_code=settings.open_run_code))
            name, port = sock.getsockname()[:2]
            url = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
            started(Listening(url=url, token_file=file, rung=sandbox.rung.value, slots=sandbox.slots))
            await server.serve(sockets=[sock])
            return server.signal
        finally:
            if file is not None:
                file.unlink(missing_ok=True)


def http_config(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves ``app``."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not a line a malformed request
    return uvicorn.Config(
        app,
        http=_Patient,
        loop="asyncio",  # uvloop makes starting processes slow
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # the token may be in the path
        server_header=False,
        limit_concurrency=_connections(),
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


class _Server(uvicorn.Server):
    """uvicorn with our signals: the sandbox must be closed before the process may end."""

    def __init__(self, service: Service, app: ASGIApp) -> None:
        super().__init__(http_config(app))
        self.service = service
        self.signal = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the service and nothing else."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._ask_to_end, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _ask_to_end(self, number: int) -> None:
        self.force_exit = self.should_exit  # a second signal does not wait for clients
        self.should_exit = True
        self.signal = number

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell every client, then close."""
        self.service.stop()
        await super().shutdown(sockets)


class _Patient(H11Protocol):
    """Closes a connection that takes too long to say what it wants."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        asking = self.cycle is None or self.cycle.response_complete
        if not asking:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(_HEADERS_S, self.transport.abort)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _connections() -> int:
    """Raise the limit of open files and return how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(64, (wanted if soft == resource.RLIM_INFINITY else soft) - _SPARE_FILES)
