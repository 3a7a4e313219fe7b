"""What the service answers: endpoints over the desk, the jobs, the store and the judge."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from rlef import __version__
from rlef.errors import DataError, RlefError, SandboxError
from rlef.judge import Judge, Verdict, schedule
from rlef.judge.judge import TRIES
from rlef.judge.types import HiddenReport, PublicReport
from rlef.problems.types import Problem
from rlef.sandbox import RunResult, Sandbox
from rlef.service import answers, fusion, order, wire
from rlef.service.desk import Desk, Ticket
from rlef.service.errors import Answer, Refused
from rlef.service.gate import Gate
from rlef.service.intake import Intake
from rlef.service.jobs import Jobs, Work
from rlef.service.languages import Spoken
from rlef.service.order import Ceilings, Order
from rlef.service.store import TestStore
from rlef.service.wire import Tell

_PATIENCE_S = 5.0
"""Seconds beyond its own limits that a ``/run_code`` request waits for a place."""


class Service:
    """A running service: its state and its endpoints."""

    def __init__(self, sandbox: Sandbox, ceilings: Ceilings, order: schedule.Order = "kill_rate") -> None:
        self.sandbox, self.ceilings = sandbox, ceilings
        # Twice the slots: while the judge compares one program's output, its slot runs another.
        self.desk = Desk(2 * sandbox.slots, ceilings.queue, ceilings.bodies_bytes)
        self.jobs = Jobs()
        self.store = TestStore(ceilings.store_bytes)
        self.intake = Intake(ceilings.bodies_bytes)
        self.presence = answers.Presence()
        self._unpacking = asyncio.Lock()  # contrived JSON takes thirty times its size in memory
        self.spoken = Spoken()
        # Without a memory of its own: that of `jobs` has a limit in bytes.
        self.judges = {
            name: Judge(sandbox, cache=0, order=order, language=name) for name in self.spoken.names
        }

    def app(self, token: str, *, open_run_code: bool) -> ASGIApp:
        """The ASGI application."""
        routes = [
            Route("/health", self.health, methods=["GET"]),
            Route("/tests/{name}", self.put_tests, methods=["PUT"]),
            Route("/tests/{name}", self.get_tests, methods=["GET"]),
            Route("/judge", self.judge, methods=["POST"]),
            Route("/run_code", self.run_code, methods=["POST"]),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={
                Refused: answers.refused,
                HTTPException: answers.no_route,
                Exception: answers.failed,
            },
        )
        return Gate(app, token, open_run_code=open_run_code)

    def stop(self) -> None:
        """Take nothing more and cancel what runs."""
        self.desk.stopped = True
        self.jobs.cancel_all()
        self.presence.cancel_all()

    async def health(self, request: Request) -> Response:
        """How the service does. Needs no token and tells no secret."""
        row = {
            "status": "stopping" if self.desk.stopped else "ok",
            "version": __version__,
            "rung": self.sandbox.rung.value,
            "slots": self.sandbox.slots,
            "languages": self.spoken.names,
            "running": self.desk.running,
            "queued": self.desk.queued,
            "queue": self.desk.queue,
            "programs": self.desk.counts,
            "tests": {"sets": len(self.store), "bytes": self.store.bytes},
        }
        return Answer(row, 503 if self.desk.stopped else 200)

    async def put_tests(self, request: Request) -> Response:
        """Keep a test set under its hash."""
        name = order.digest_of(request.path_params["name"])
        async with self.intake.body(request, self.ceilings.tests_bytes) as body:
            if await asyncio.to_thread(wire.digest, body) != name:
                raise Refused(400, "wrong_hash", "the body's SHA-256 is not the name in the path")
            fresh = name not in self.store
            if fresh:
                async with self._unpacking:
                    problem = await asyncio.to_thread(self._tests, body, name)
                self.store.put(name, problem, len(body))
        return Answer({"tests": name}, 201 if fresh else 200)

    async def get_tests(self, request: Request) -> Response:
        """Whether a test set is there, and how many tests it has. HEAD works as well."""
        problem = self.store.get(order.digest_of(request.path_params["name"]))
        return Answer({"public": len(problem.public_tests), "hidden": len(problem.hidden_tests)})

    async def judge(self, request: Request) -> Response:
        """Judge a program; its events are streamed as they come."""
        async with self.intake.body(request, self.ceilings.program_bytes) as body:
            wanted = order.read(body)
            language = self.spoken.name(wanted.language)
            if language is None:
                raise order.bad(f"language: there are {', '.join(self.judges)}, not {wanted.language!r}")
            wanted = replace(wanted, language=language)
            content = wanted.fingerprint()
            job = self.jobs.find(wanted.id, content)
            if job is None:
                problem = self.store.get(wanted.tests)
                order.check_tests(problem, wanted)
                ticket = self.desk.admit(len(body))
                job = self.jobs.start(wanted.id, content, self._judging(problem, wanted, ticket), ticket)
        return answers.Events(self.jobs, job, lambda: {"event": "wait", "queued": self.desk.queued})

    async def run_code(self, request: Request) -> Response:
        """Run one program on one input, in SandboxFusion's form."""
        async with self.intake.body(request, self.ceilings.program_bytes) as body:
            wanted = fusion.read(order.json_of(body, 422))
            limits = wanted.limits()
            self.ceilings.check(limits.cpu_s, limits.memory_bytes, limits.output_bytes)
            if reason := fusion.unable(wanted, self.spoken):
                return Answer(fusion.sandbox_error(reason))
            with self.desk.admit(len(body), even_if_full=True) as ticket:
                try:
                    result = await self.presence.unless_gone(request, self._running(wanted, ticket))
                except RlefError as error:
                    return Answer(fusion.sandbox_error(str(error)))
        return Answer(fusion.answer(wanted, result))

    def _tests(self, body: bytes, name: str) -> Problem:
        try:
            problem = wire.unpack(body, name)
        except DataError as error:
            raise Refused(400, "bad_tests", str(error)) from None
        limits = problem.limits
        self.ceilings.check(limits.cpu_s, limits.memory_bytes, limits.output_bytes)
        return problem

    def _judging(self, problem: Problem, wanted: Order, ticket: Ticket) -> Work:
        judge = self.judges[wanted.language]

        async def work(tell: Tell) -> bool:
            await ticket.enter()
            public: PublicReport | None = None
            hidden: HiddenReport | None = None
            if wanted.which != "hidden":
                watch = wire.teller(problem, "public", tell)
                public = await judge.public(problem, wanted.code, watch=watch)
            more = public is not None and public.passed and bool(problem.hidden_tests)
            if wanted.which == "hidden" or (wanted.which == "both" and more):
                watch = wire.teller(problem, "hidden", tell)
                hidden = await judge.hidden(problem, wanted.code, watch=watch)
            last = wire.done(public, hidden)
            tell(last)
            return bool(last["verdict"] != Verdict.JUDGE_ERROR)  # who asks again may have more luck

        return work

    async def _running(self, wanted: fusion.RunCode, ticket: Ticket) -> RunResult:
        try:
            await ticket.enter(wanted.run_timeout + wanted.compile_timeout + _PATIENCE_S)
        except TimeoutError:
            # The one status after which verl's client tries again.
            wait = self.desk.retry_s()
            raise Refused(504, "busy", "no place became free in time", retry_s=wait) from None
        files = wanted.contents()
        collect = dict.fromkeys(wanted.fetch_files, fusion.FILE_BYTES)
        for attempt in range(TRIES):
            run = self.sandbox.run(
                wanted.code,
                [wanted.input()],
                wanted.limits(),
                language=wanted.spoken,
                beside=files if wanted.compiled else None,
                files=None if files is None else [files],
                collect=collect,
            )
            try:
                async with aclosing(run) as results:
                    return await anext(results)
            except SandboxError:
                if attempt == TRIES - 1:
                    raise
        raise AssertionError
