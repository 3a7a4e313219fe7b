"""Where jobs run, and when one of them may have everything to itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlef.sandbox.job import Job
from rlef.sandbox.profile import Profile
from rlef.sandbox.slot import Phase, Slot

_IN_A_ROW = 4
"""Jobs that run alone one after another before runs under way go on."""


def paused(slot: Slot) -> bool:
    """True if a run is under way and waits for us to send its further tests."""
    return slot.phase is Phase.BUSY and slot.job is not None and slot.job.sent == slot.job.received


def working(slot: Slot) -> bool:
    """True if the slot's processes do something, and have to answer in time."""
    return slot.phase is not Phase.IDLE and not paused(slot)


class Place:
    """A CPU and its slots, the one used last at the end. At most one of them is not idle."""

    def __init__(self, cpu: int) -> None:
        self.cpu = cpu
        self.slots: dict[Profile, Slot] = {}

    @property
    def free(self) -> bool:
        """True if a program can start here."""
        return all(slot.phase is Phase.IDLE for slot in self.slots.values())


class Alone:
    """Who may start and who may go on, for the sake of jobs that are to run alone.

    Such a job waits its turn like any other. When it is the next and a place is free for it,
    nothing else starts, and runs under way get no further tests until it is over. So it waits
    for one program and a window of tests of the others, and holds them up no longer than it
    runs. After some such jobs in a row the runs under way get a window of tests.
    """

    def __init__(self, slots: Iterable[Slot], places: Sequence[Place], waiting: Sequence[Job]) -> None:
        self._slots, self._places, self._waiting = slots, places, waiting
        self._in_a_row = 0
        self._job: Job | None = None
        """The job that was alone last."""
        self._held = False
        """True if runs may be waiting for `to_resume`."""

    @property
    def running(self) -> bool:
        """True while a job is alone."""
        if self._job and not any(slot.job is self._job for slot in self._slots):
            self._job = None
        return self._job is not None

    def may_start(self, job: Job) -> bool:
        """True if ``job``, the next, can start now as far as others are concerned."""
        if self.running:
            return False
        if not job.alone:
            return True
        if self._in_a_row >= _IN_A_ROW and any(paused(slot) for slot in self._slots):
            return False
        return not any(working(slot) for slot in self._slots)

    def started(self, job: Job) -> None:
        """To be told of each job that starts."""
        self._in_a_row = self._in_a_row + 1 if job.alone else 0
        self._job = job if job.alone else self._job

    def holds(self, job: Job) -> bool:
        """True if ``job``, which is under way, gets no further tests for now."""
        held = not job.alone and self._holding
        self._held = self._held or held
        return held

    @property
    def _holding(self) -> bool:
        if self.running:
            return True
        due = bool(self._waiting) and self._waiting[0].alone and self._in_a_row < _IN_A_ROW
        return due and any(place.free for place in self._places)

    def to_resume(self) -> list[Slot]:
        """Slots whose runs have waited and are to go on now."""
        if not self._held or self._holding:
            return []
        self._held = False
        found = [slot for slot in self._slots if paused(slot)]
        self._in_a_row = 0 if found else self._in_a_row
        return found
