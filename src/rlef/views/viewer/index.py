"""Where the episodes of a run are in its files, and their facts as columns. Read once, then what is added.

A run that is still going may be looked at: ``refresh`` reads the lines that have been added since, and a
last line without its newline is left for the next time.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rlef.runs import TRACES, Run
from rlef.views.text import visible
from rlef.views.viewer.facts import Facts, read_facts

Ints = NDArray[np.int64]
LONGEST_LINE = 64 * 2**20
"""Longer lines are listed as damaged and never read whole."""
TEXT_BYTES = 256 * 2**20
"""Memory for texts that the search looks through. What is beyond is read from the files at every search."""
_AS_IT_IS = re.compile(r"[ !#-\[\]-~]*")
"""Texts that stand in a row of JSON as they are."""
_REST_S = 1.0
FACETS = ("outcome", "verdict", "change", "stop", "turns", "phase", "condition", "family", "problem")
"""The last has too many values for a choice; a link in an episode asks for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One episode: which file, which line, which bytes."""

    file: str
    number: int
    """Line of the file, from 0: with ``file`` the name that an address has for it."""
    offset: int
    length: int
    facts: Facts

    @property
    def key(self) -> str:
        """``traces.17``."""
        return f"{self.file.removesuffix('.jsonl')}.{self.number}"


@dataclass(slots=True)
class _Facet:
    """Values of one facet, by number, and the (episode, value) pairs that there are."""

    codes: dict[str, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, row: int, values: Sequence[str]) -> None:
        for value in values:
            self.rows.append(row)
            self.values.append(self.codes.setdefault(value, len(self.codes)))


@dataclass(frozen=True, slots=True)
class Facet:
    """The same, as arrays that no longer change."""

    names: tuple[str, ...]
    codes: dict[str, int]
    rows: Ints
    values: Ints


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index at one moment. ``stamp`` differs between any two that hold different episodes."""

    stamp: str
    entries: list[Entry]
    """May hold more than ``count``: it goes on growing."""
    keys: dict[str, int]
    count: int
    facets: dict[str, Facet]
    order: Ints
    """Played first, first."""
    step: Ints
    """-1 where there is none."""
    reward: NDArray[np.float64]
    turns: Ints
    tokens: Ints
    bytes_read: int
    bytes_total: int

    def find(self, key: str) -> int | None:
        """Place of an episode among the entries by its name in addresses."""
        row = self.keys.get(key)
        return row if row is not None and row < self.count else None


@dataclass(slots=True)
class _File:
    inode: int = 0
    offset: int = 0
    number: int = 0


@dataclass(slots=True)
class _Columns:
    """Everything that is thrown away when a file was replaced."""

    files: dict[str, _File] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    facets: dict[str, _Facet] = field(default_factory=lambda: {name: _Facet() for name in FACETS})
    prompts: set[str] = field(default_factory=set)
    text_bytes: int = 0


class Index:
    """All recorded episodes of a run. Safe to use from several threads."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._lock = threading.Lock()  # held while columns grow by one episode, or are copied
        self._reading = threading.Lock()  # one reader at a time
        self._columns = _Columns()
        self._generation = 0
        self._snapshot: Snapshot | None = None
        self._busy, self._taken = False, 0.0
        self._bytes = 0  # of all files, as they were when they were last looked at

    def refresh(self) -> None:
        """Read what was added to the files. A file that was replaced or cut makes it start anew."""
        with self._reading:
            found = self._found()
            self._bytes = sum(stat.st_size for stat in found.values())
            if any(self._is_new(name, stat) for name, stat in found.items()) or (
                set(self._columns.files) - set(found)
            ):
                with self._lock:
                    self._columns, self._snapshot = _Columns(), None
                    self._generation += 1
            self._busy = True
            try:
                for name, stat in found.items():
                    self._columns.files.setdefault(name, _File(inode=stat.st_ino))
                    self._read(name)
            finally:
                self._busy = False

    def snapshot(self) -> Snapshot:
        """What has been read so far, as arrays."""
        with self._lock:
            columns, last = self._columns, self._snapshot
            read = sum(file.offset for file in columns.files.values())
            stale = last is None or (last.count, last.bytes_read) != (len(columns.entries), read)
            # While a large run is being read, every page would pay for a new one.
            rests = self._busy and time.monotonic() < self._taken + _REST_S
            if last is None or (stale and not rests):
                self._taken = time.monotonic()
                stamp = f"{self._generation}.{len(columns.entries)}"
                self._snapshot = last = _take(columns, stamp, read, self._bytes)
        return last

    def line(self, entry: Entry, most: int = LONGEST_LINE) -> bytes:
        """The row as it stands in the file, up to ``most`` bytes; empty if it is there no more."""
        try:
            with self.open(entry) as file:
                return file.read(min(entry.length, most))
        except OSError:
            return b""

    def open(self, entry: Entry) -> BinaryIO:
        """The entry's file, at the entry. Raises ``OSError`` if it is there no more."""
        file = (self.run.path / entry.file).open("rb")
        file.seek(entry.offset)
        return file

    def says(self, entry: Entry, needle: str) -> bool:
        """True if a text in lower case is in what was written or told, or in a prompt that is not kept."""
        if entry.facts.said or entry.facts.prompt or entry.length > LONGEST_LINE:
            return needle in entry.facts.said
        line = self.line(entry)
        if _AS_IT_IS.fullmatch(needle) and needle.encode() not in line.lower():
            return False  # ten times as fast as to parse it
        found = read_facts(line)
        return needle in found.prompt or needle in found.said

    def only(self, entries: Sequence[Entry]) -> Index:
        """An index of these episodes, in this order unless they are sorted. It is not to be refreshed."""
        few = Index(self.run)
        for entry in entries:
            _add(few._columns, entry)
        return few

    def _found(self) -> dict[str, os.stat_result]:
        """Files of episodes in the order in which they are played. Only regular files of this run."""
        home = self.run.path.resolve()
        names = {path.name for path in home.glob("episodes-*.jsonl")} | {TRACES}
        found = {}
        for name in sorted(names, key=_played):
            path = home / name
            if path.is_file() and path.resolve().parent == home:  # no links that lead out of the run
                found[name] = path.stat()
        return found

    def _is_new(self, name: str, stat: os.stat_result) -> bool:
        known = self._columns.files.get(name)
        return known is not None and (known.inode != stat.st_ino or known.offset > stat.st_size)

    def _read(self, name: str) -> None:
        state = self._columns.files[name]
        for line, length in _lines(self.run.path / name, state.offset):
            facts = None if line is None else read_facts(line) if line.strip() else Facts()
            with self._lock:
                if line is None or line.strip():
                    _add(self._columns, Entry(name, state.number, state.offset, length, facts or Facts()))
                state.offset += length
                state.number += 1


def values_of(facts: Facts) -> dict[str, list[str]]:
    """The values that an episode has, by facet, each once."""
    one = {
        "outcome": facts.outcome,
        "stop": facts.stop,
        "turns": str(len(facts.verdicts)),
        "phase": facts.phase,
        "condition": facts.condition,
        "family": facts.family,
    }
    many = {"verdict": facts.verdicts, "change": facts.flows, "problem": (facts.problem_id,)}
    found = {name: (value,) if value else () for name, value in one.items()} | many
    # As a page shows them: what a form sends back is what its page said.
    return {name: list(dict.fromkeys(map(visible, values))) for name, values in found.items()}


def _add(columns: _Columns, entry: Entry) -> None:
    prompt, said = entry.facts.prompt, entry.facts.said
    columns.text_bytes += sys.getsizeof(said)
    if prompt not in columns.prompts:  # episodes of one problem share theirs
        columns.text_bytes += sys.getsizeof(prompt)
    if columns.text_bytes > TEXT_BYTES:
        entry = replace(entry, facts=replace(entry.facts, prompt="", said=""))
    else:
        columns.prompts.add(prompt)
    row = len(columns.entries)
    columns.entries.append(entry)
    columns.keys[entry.key] = row
    values = values_of(entry.facts)
    for name in FACETS:
        columns.facets[name].add(row, values[name])


def _take(columns: _Columns, stamp: str, read: int, total: int) -> Snapshot:
    entries = columns.entries
    ranks = {name: rank for rank, name in enumerate(sorted({e.file for e in entries}, key=_played))}
    places = np.array([(e.number, ranks[e.file]) for e in entries], dtype=np.int64).reshape(-1, 2)
    steps = [-1 if e.facts.step is None else e.facts.step for e in entries]
    return Snapshot(
        stamp=stamp,
        entries=entries,
        keys=columns.keys,
        count=len(entries),
        facets={name: _frozen(facet) for name, facet in columns.facets.items()},
        order=np.lexsort(places.T),
        step=np.array(steps, dtype=np.int64),
        reward=np.array([e.facts.reward for e in entries], dtype=np.float64),
        turns=np.array([len(e.facts.verdicts) for e in entries], dtype=np.int64),
        tokens=np.array([e.facts.tokens for e in entries], dtype=np.int64),
        bytes_read=read,
        bytes_total=total,
    )


def _played(name: str) -> tuple[int, str]:
    """Files in the order in which a run plays what is in them."""
    return {"episodes-before.jsonl": 0, TRACES: 1, "episodes-after.jsonl": 3}.get(name, 2), name


def _frozen(facet: _Facet) -> Facet:
    rows, values = np.array(facet.rows, dtype=np.int64), np.array(facet.values, dtype=np.int64)
    return Facet(tuple(facet.codes), dict(facet.codes), rows, values)


def _lines(path: Path, offset: int) -> Iterator[tuple[bytes | None, int]]:
    """Whole lines from ``offset`` on with their lengths in bytes; None for one that is too long to read."""
    try:
        file = path.open("rb")
    except OSError:  # gone since we looked
        return
    with file:
        file.seek(offset)
        while line := file.readline(LONGEST_LINE):
            length, last = len(line), line[-1:]
            if last != b"\n" and length < LONGEST_LINE:
                return  # torn, or just being written
            while last != b"\n" and (more := file.readline(2**20)):
                length, last = length + len(more), more[-1:]
            if last != b"\n":
                return
            yield (line if length == len(line) else None), length
