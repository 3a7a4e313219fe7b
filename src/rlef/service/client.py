"""A judge whose sandboxes are elsewhere, on one machine or on many.

async with RemoteJudge(["http://node1:8080", "http://node2:8080"], token) as judging:
    report = await judging.public(problem, code)

Each program goes to the service with the least of this client's work. A service that dies, hangs up or
stops in the middle costs nothing but time: the program goes to another one, under the same request
id, and only a complete answer counts. So every program gets exactly one verdict, or, if no service
answers, ``SandboxError``, which is none.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType

import httpx2

from rlef.errors import ConfigError, DataError, SandboxError
from rlef.judge.types import HiddenReport, PublicReport, Verdict
from rlef.problems.types import Problem
from rlef.sandbox import languages
from rlef.service import wire
from rlef.service.node import TIMEOUT, Busy, Node
from rlef.service.reading import Reports, Unserved
from rlef.service.wire import Kind, Which

_AT_A_TIME = 4
"""Programs for each slot of a service that this client sends there: two run, two wait. What
waits here instead may still go to another service."""
_DOUBT_S = 2.0
_NAMES = 1024


class RemoteJudge:
    """Implements ``judge.Judging`` over services; for one event loop.

    ``token`` is sent to every service; a URL may carry its own as ``http://host:port/t/TOKEN``.
    ``language`` is that of the programs, by a name that ``rlef.sandbox.languages`` knows.
    ``patience_s`` is how long a program waits while no service answers at all.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str | None = None,
        *,
        language: str = "python",
        patience_s: float = 30.0,
    ) -> None:
        if not urls:
            raise ConfigError("give at least one URL of a judge service")
        # No proxy from the environment: it would read the token.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)
        self._http = httpx2.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False)
        self._nodes = [Node(_checked(url), token, self._http) for url in dict.fromkeys(urls)]
        self._language, self._patience_s = languages.find(language).name, patience_s
        self._names: OrderedDict[tuple[object, ...], str] = OrderedDict()
        self._changed = asyncio.Event()

    async def check(self) -> None:
        """Ask every service how it does.

        Raises ``ConfigError`` if none answers, one refuses the token or can't run the language.
        """
        await asyncio.gather(*(self._probe(node) for node in self._nodes))
        if all(node.reason for node in self._nodes):
            raise ConfigError(f"no judge service answers: {self._reasons()}")

    async def public(self, problem: Problem, code: str) -> PublicReport:
        """All public tests. Raises as `judge` does."""
        report, _ = await self._ask(problem, code, "public")
        assert report is not None
        return report

    async def hidden(self, problem: Problem, code: str) -> HiddenReport:
        """Private and generated tests up to the first failure. Raises as `judge` does."""
        _, report = await self._ask(problem, code, "hidden")
        assert report is not None
        return report

    async def judge(self, problem: Problem, code: str) -> tuple[PublicReport, HiddenReport | None]:
        """Public tests, then the hidden ones if all public tests passed, in one request.

        Raises ``SandboxError`` if no service answers, ``DataError`` if the problem can't be
        judged, ``ConfigError`` if a service refuses the token.
        """
        public, hidden = await self._ask(problem, code, "both")
        assert public is not None
        return public, hidden

    async def close(self) -> None:
        """Close all connections; what is in flight is cancelled by the services."""
        await self._http.aclose()

    async def __aenter__(self) -> RemoteJudge:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, problem: Problem, code: str, which: Which) -> Reports:
        name = self._name(problem, which)
        order = {
            "tests": name,
            "code": code,
            "language": self._language,
            "which": which,
            "id": secrets.token_hex(16),
        }
        doubtful: Reports | None = None
        doubts: set[Node] = set()
        deadline: float | None = None
        while True:
            if doubtful and all(node in doubts or node.reason for node in self._nodes):
                return doubtful
            node = await self._choose(deadline, doubts)
            node.load += 1
            try:
                await node.probe(self._language)
                reports = await node.judge(order, problem, name, lambda: wire.pack(problem))
            except Busy:
                deadline = None  # it lives
                continue
            except Unserved as error:
                node.failed(str(error))
                deadline = deadline or time.monotonic() + self._patience_s
                continue
            finally:
                node.load -= 1
                self._wake()
            node.answered()
            if all(report is None or report.verdict is not Verdict.JUDGE_ERROR for report in reports):
                return reports
            # Its sandbox failed. Another machine's may not; if all do, that is the answer.
            doubtful = reports
            doubts.add(node)
            node.doubted_until = time.monotonic() + _DOUBT_S

    async def _choose(self, deadline: float | None, but: set[Node]) -> Node:
        """The service to ask next. Raises ``SandboxError`` if all are dead at the deadline."""
        while True:
            now = time.monotonic()
            rested = [node for node in self._nodes if node.next_try <= now and node not in but]
            ready = [node for node in rested if node.load < _AT_A_TIME * node.slots]
            if ready:
                return min(ready, key=lambda node: (node.doubted_until > now, node.load / node.slots))
            if deadline is not None and now >= deadline and all(node.reason for node in self._nodes):
                raise SandboxError(f"no judge service answers: {self._reasons()}")
            waits = [node.next_try - now for node in self._nodes if node.next_try > now]
            if deadline is not None:
                waits.append(max(0.01, deadline - now))
            try:
                async with asyncio.timeout(min(waits, default=None)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _probe(self, node: Node) -> None:
        try:
            await node.probe(self._language)
        except Unserved as error:
            node.failed(str(error))

    def _name(self, problem: Problem, which: Which) -> str:
        """The hash of the problem's tests, which is what the services know it by."""
        kind: Kind = "hidden" if which == "hidden" else "public"
        if not wire.tests_of(problem, kind):
            raise DataError(f"problem {problem.id} has no {kind} tests, so nothing can pass it")
        key = wire.identity(problem)
        if key not in self._names:
            self._names[key] = wire.digest(wire.pack(problem))
        self._names.move_to_end(key)
        while len(self._names) > _NAMES:
            self._names.popitem(last=False)
        return self._names[key]

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _reasons(self) -> str:
        return "; ".join(f"{node.shown}: {node.reason}" for node in self._nodes)


def _checked(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise ConfigError(f"{url!r} is not the URL of a judge service; give one like http://127.0.0.1:8080")
    return url
