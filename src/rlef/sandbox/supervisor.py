"""One thread that runs all slots.

The trainer's event loop stands still for as long as torch computes. So nothing here waits
for it: the thread owns the slots, their sockets and the queue of waiting runs, hands a free
slot to the next run by itself, and only posts results outward. Commands come in through a
deque and an eventfd. The clocks of a running test are watched one level further down, in
the slot's own process; the deadlines here catch a slot that has gone silent.

A place is a CPU. It runs one program at a time, and holds a slot of each profile that it was
asked for: the plain Python slot from the start, the others booted when a job first wants one.
A job may ask to run alone (`sandbox.place`).

The thread is the parent of the slots' launchers, and they die with it: so a trainer that is
killed leaves no process.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rlef.errors import SandboxError
from rlef.sandbox import cgroups, native
from rlef.sandbox.canary import canaries_for
from rlef.sandbox.failures import BootError, one_line
from rlef.sandbox.job import Delivery, Job
from rlef.sandbox.layers import refusal
from rlef.sandbox.place import Alone, Place, working
from rlef.sandbox.profile import PYTHON, Profile
from rlef.sandbox.slot import Phase, Slot
from rlef.sandbox.types import Rung, RunResult

_PATIENCE = 5
"""Slots of another profile that may fail to boot, one after another, before jobs are told."""
_PATIENCE_S = 30.0
"""Seconds without any slot before the supervisor gives up: a host may be full for a while."""
_RETRY_S = 0.2
_PROFILES_MOST = 6
"""Slots that a place holds; the one used longest ago goes first."""


class Supervisor:
    """Runs jobs on one place for each of ``cpus``."""

    def __init__(
        self,
        cpus: Sequence[int],
        *,
        recycle: int,
        places: cgroups.Places | None,
        rung: Rung | None = None,
        home: Profile = PYTHON,
    ) -> None:
        self.opened: Future[None] = Future()
        """Done when every slot has proved itself; fails with ``BootError`` or ``OSError``."""
        self.closed: Future[None] = Future()
        self.rung = rung or (Rung.L3 if places else Rung.L2)
        self._recycle, self._groups = recycle, places
        self._home, self._library = home, native.library()
        self._places = [Place(cpu) for cpu in cpus]
        self._commands: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._slots: dict[Slot, Place] = {}
        self._waiting: deque[Job] = deque()
        self._alone = Alone(self._slots, self._places, self._waiting)
        self._retry_at = 0.0
        self._unbootable: dict[Profile, int] = {}
        self._failing_since = 0.0
        self._broken: Exception | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._main, name="rlef-sandbox", daemon=True)

    # -- called from any thread

    def start(self) -> None:
        """Start the thread; wait on ``opened``."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        if not self.post(lambda: self._accept(job)):
            job.deliver(SandboxError("the sandbox is closed"))

    def cancel(self, job: Job) -> None:
        """Drop a job: from the queue, or off its slot. Nothing more is delivered."""
        self.post(lambda: self._drop(job))

    def close(self) -> None:
        """Kill everything; wait on ``closed``."""
        self.post(self._shut)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def post(self, command: Callable[[], None]) -> bool:
        """Have the thread do something after all that it was told before; False if it is gone."""
        with self._lock:
            if self._wake < 0:
                return False
            self._commands.append(command)
            os.eventfd_write(self._wake, 1)
            return True

    # -- the thread

    def _main(self) -> None:
        error: Exception = SandboxError("the sandbox is closed")
        try:
            for place in self._places:
                self._boot(place, self._home)
            while not self._closing:
                self._fill()
                self._turn()
        except Exception as caught:
            error = caught
        finally:
            self._bury_all(error)

    def _turn(self) -> None:
        now = time.monotonic()
        soonest = min((s.deadline for s in self._slots if working(s)), default=now + 60)
        if self._retry_at:
            soonest = min(soonest, self._retry_at)
        for key, _ in self._selector.select(max(0.0, soonest - now)):
            if key.data is None:
                os.eventfd_read(self._wake)
            elif key.data in self._slots:
                self._guarded(key.data, self._read)
        while self._commands:
            self._commands.popleft()()
        now = time.monotonic()
        for slot in [s for s in self._slots if working(s) and s.deadline < now]:
            self._fail(slot, SandboxError("a slot has gone silent"))
        self._dispatch()
        for slot in self._alone.to_resume():
            self._guarded(slot, Slot.refill)

    def _boot(self, place: Place, profile: Profile) -> None:
        slot = Slot(place.cpu, self._groups, rung=self.rung, profile=profile, library=self._library)
        try:
            self._selector.register(slot.sock, selectors.EVENT_READ, slot)
        except OSError:
            slot.kill()
            slot.bury()
            raise
        place.slots[profile] = slot
        self._slots[slot] = place

    def _fill(self) -> None:
        """Start slots of the home profile in the places of those that went."""
        if time.monotonic() < self._retry_at:
            return
        self._retry_at = 0.0
        for place in self._places:
            if self._home in place.slots or not place.free:
                continue
            try:
                self._boot(place, self._home)
            except Exception as error:
                self._give_up_after_some(error)

    def _give_up_after_some(self, error: Exception) -> None:
        now = time.monotonic()
        self._retry_at = now + _RETRY_S
        self._failing_since = self._failing_since or now
        proven = any(slot.proven for slot in self._slots)
        if now - self._failing_since > _PATIENCE_S and not proven:
            self._closing = True
            self._broken = SandboxError(f"slots fail to start again and again: {one_line(error)}")

    def _guarded(self, slot: Slot, action: Callable[[Slot], None]) -> None:
        try:
            action(slot)
        except Exception as error:  # whatever it was, it concerns this slot alone
            self._fail(slot, error)

    def _read(self, slot: Slot) -> None:
        message = slot.sock.recv(4096)
        if not message:
            raise SandboxError(f"a slot died: {slot.log() or 'killed'}")
        if slot.phase is Phase.BOOTING:
            if slot.booted(message):
                self._prove(slot)
        elif slot.phase is Phase.STOPPING:
            if slot.stopped(message):
                slot.end()
        else:
            for outcome in slot.results(message):
                self._deliver(slot, *outcome)

    def _deliver(self, slot: Slot, result: RunResult, last: bool) -> None:
        job = slot.job
        assert job is not None
        job.deliver(result)
        if not last:
            if not self._alone.holds(job):
                slot.refill()
            return
        slot.end()
        job.deliver(None)
        if slot.runs >= self._recycle and slot.phase is Phase.IDLE:
            self._replace(slot)

    def _prove(self, slot: Slot) -> None:
        """Run the next canary on the slot, or declare it ready."""
        canaries = canaries_for(slot.profile, slot.rung)
        if slot.proofs == len(canaries):
            slot.runs, slot.phase, slot.proven = 0, Phase.IDLE, True
            self._failing_since = 0.0
            self._unbootable.pop(slot.profile, None)
            if all(s.phase is Phase.IDLE for s in self._slots) and not self.opened.done():
                self.opened.set_result(None)
            return
        canary = canaries[slot.proofs]
        slot.proofs += 1
        results: list[RunResult] = []

        def deliver(item: Delivery) -> None:
            if isinstance(item, RunResult):
                results.append(item)
            elif item is None and (wrong := canary.judge(results)):
                raise BootError(wrong, {**slot.steps, f"canary {canary.name}": wrong})
            elif item is None:
                self._prove(slot)

        slot.begin(Job(canary.source.encode(), canary.stdins, canary.limits, deliver, slot.profile))

    def _dispatch(self) -> None:
        """Give waiting jobs to free places, in order; boot the slots that they lack."""
        booting = [slot.profile for slot in self._slots if slot.phase is Phase.BOOTING]
        passed: deque[Job] = deque()
        while self._waiting and any(place.free for place in self._places):
            job = self._waiting[0]
            if (job.alone and passed) or not self._alone.may_start(job):
                break  # a job to run alone waits for those before it, and those behind it wait for it
            self._waiting.popleft()
            ready = [p for p in self._places if p.free and job.profile in p.slots]
            if ready:
                self._begin(ready[0], job)
                continue
            passed.append(job)
            if job.profile in booting:
                booting.remove(job.profile)  # that slot will be this job's
            else:
                self._boot_for(job)
            if job.alone:
                break
        self._waiting.extendleft(reversed(passed))

    def _begin(self, place: Place, job: Job) -> None:
        slot = place.slots.pop(job.profile)
        place.slots[job.profile] = slot  # now the last
        self._alone.started(job)
        try:
            slot.begin(job)
        except Exception as error:
            self._fail(slot, error)

    def _boot_for(self, job: Job) -> None:
        """Start a slot of the job's profile in the free place that has the fewest."""
        place = min((p for p in self._places if p.free), key=lambda p: len(p.slots))
        if len(place.slots) >= _PROFILES_MOST:
            self._replace(next(slot for profile, slot in place.slots.items() if profile != self._home))
        try:
            self._boot(place, job.profile)
        except Exception as error:
            self._unbooted(job.profile, error)

    def _unbooted(self, profile: Profile, error: Exception) -> None:
        """After some failures, tell those who wait for a slot of this profile."""
        failures = self._unbootable.get(profile, 0) + 1
        self._unbootable[profile] = failures
        if failures < _PATIENCE and not isinstance(error, BootError):
            self._retry_at = time.monotonic() + _RETRY_S
            return
        del self._unbootable[profile]
        for job in [job for job in self._waiting if job.profile == profile]:
            self._waiting.remove(job)
            job.fail(BootError(f"no slot for {profile.name}: {one_line(error)}", {}))

    def _accept(self, job: Job) -> None:
        if problem := self._broken or refusal(job.profile, self.rung):
            job.fail(problem)
        else:
            job.profile = self._home.like(job.profile)
            self._waiting.append(job)

    def _drop(self, job: Job) -> None:
        job.cancelled = True
        if job in self._waiting:
            self._waiting.remove(job)
        for slot in [s for s in self._slots if s.job is job and s.phase is Phase.BUSY]:
            self._guarded(slot, Slot.stop)

    def _fail(self, slot: Slot, error: Exception) -> None:
        """Give the run's holder the error and put a fresh slot in the place of this one."""
        job, booting = slot.job, not slot.proven
        if booting and not self.opened.done():
            failure = error if isinstance(error, BootError) else BootError(one_line(error), slot.steps)
            self.opened.set_exception(failure)
            self._closing = True
            return
        if booting and slot.profile == self._home:
            self._give_up_after_some(error)
        if job and not booting:
            job.fail(SandboxError(one_line(error)))
        self._replace(slot)
        if booting and slot.profile != self._home:
            self._unbooted(slot.profile, error)

    def _replace(self, slot: Slot) -> None:
        place = self._slots.pop(slot, None)
        if place is None:
            return  # it failed again while it was being replaced
        del place.slots[slot.profile]
        self._selector.unregister(slot.sock)
        slot.kill()
        slot.bury()

    def _shut(self) -> None:
        self._closing = True

    def _bury_all(self, error: Exception) -> None:
        with self._lock:
            wake, self._wake = self._wake, -1
        left = [slot.job for slot in self._slots if slot.job and slot.proven]
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            with contextlib.suppress(OSError):
                slot.bury()
        self._slots.clear()
        self._selector.close()
        os.close(wake)
        while self._commands:  # jobs that came too late to be queued
            self._commands.popleft()()
        reason = self._broken or SandboxError(one_line(error))
        for job in [*left, *self._waiting]:
            job.fail(reason)
        if not self.opened.done():
            self.opened.set_exception(error)
        self.closed.set_result(None)
