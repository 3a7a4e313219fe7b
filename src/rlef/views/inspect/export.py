"""Write a run's evaluation episodes as inspect logs: one for each model and condition.

The episodes are read twice, row by row: once for what the header says, once to be
written. They are never held together, so a run of any size can be exported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rlef.errors import RunError
from rlef.runs import Run, writing_whole
from rlef.views.episodes import outcome, usage, verdict
from rlef.views.inspect.header import Kept, Tally, file_name, header, model_name
from rlef.views.inspect.samples import counted, sample, tidy
from rlef.views.rundata import RunData, opening_messages, read_run

Json = Mapping[str, Any]
Key = tuple[str, str]
"""Label of the model, and condition."""
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    paths: tuple[Path, ...]
    episodes: int
    notes: tuple[str, ...]
    """What was left out, a sentence each."""


def export(run: Run, out: Path) -> Exported:
    """Write the logs into the folder ``out``, each whole or not at all.

    The same run gives the same files. Raises ``RunError`` if it holds no evaluated episodes.
    """
    data = read_run(run)
    names = sorted(path.name for path in run.path.glob("episodes-*.jsonl"))
    notes: list[str] = []
    tallies = _tallied(run, names, notes)
    if not tallies:
        raise RunError(
            f"{run.path} holds no evaluated episodes (episodes-*.jsonl); `rlef evaluate` writes them"
        )
    opening = [message | {"source": "input"} for message in opening_messages(data.settings)]
    ended = _time(max((run.path / name).stat().st_mtime for name in names))
    created = _created(data) or ended
    paths = {key: out / file_name(data, tally, created) for key, tally in tallies.items()}
    with contextlib.ExitStack() as open_files:
        logs = {
            key: _Log(
                open_files.enter_context(writing_whole(paths[key])),
                header(data, tally, opening, created=created, ended=ended),
            )
            for key, tally in tallies.items()
        }
        for key, place, row in _rows(run, names):
            if _counts(tallies.get(key), row, place):
                logs[key].add(sample(row, model=model_name(data, tallies[key]), opening=opening))
        for log in logs.values():
            log.close()
    return Exported(
        paths=tuple(paths.values()),
        episodes=sum(len(tally.kept) for tally in tallies.values()),
        notes=tuple(dict.fromkeys(notes)),
    )


class _Log:
    """One log file, written sample by sample."""

    def __init__(self, file: TextIO, head: Json) -> None:
        self._file, self._first = file, True
        self._file.write(_json(tidy(head))[:-1] + ',"samples":[')

    def add(self, one: Json) -> None:
        self._file.write(("\n" if self._first else ",\n") + _json(one))
        self._first = False

    def close(self) -> None:
        self._file.write("\n]}\n")


def _tallied(run: Run, names: Sequence[str], notes: list[str]) -> dict[Key, Tally]:
    found: dict[Key, Tally] = {}
    damaged = 0
    for key, place, row in _rows(run, names, notes.append):
        try:
            sample(row, model="", opening=())  # a row that can't be written is not counted
            found.setdefault(key, Tally(label=key[0], condition=key[1])).kept[_name(row)] = _kept(row, place)
        except _DAMAGE:
            damaged += 1
    if damaged:
        notes.append(f"{damaged} damaged episodes were left out")
    return found


def _kept(row: Json, place: int) -> Kept:
    last = row["turns"][-1] if row["turns"] else {}
    tokens = counted(usage(row))
    return Kept(
        place=place,
        outcome=outcome(row),
        public=verdict(last.get("public")) == "accepted",
        read=tokens["input_tokens"],
        wrote=tokens["output_tokens"],
    )


def _rows(
    run: Run, names: Sequence[str], told: Callable[[str], object] = lambda note: None
) -> Iterator[tuple[Key, int, Json]]:
    """Every row with its log and its place; nothing more of a file after a line that is no JSON."""
    place = 0
    for name in names:
        label = name.removeprefix("episodes-").removesuffix(".jsonl")
        try:
            for row in run.rows(name):
                place += 1
                if isinstance(row, dict):
                    yield (str(row.get("phase", label)), str(row.get("condition", "multi_turn"))), place, row
        except ValueError as error:
            told(f"{name} is damaged: {error}")


def _counts(tally: Tally | None, row: Json, place: int) -> bool:
    """True if this row is the one that counts for its problem and sample."""
    if tally is None:
        return False
    try:
        kept = tally.kept.get(_name(row))
        return kept is not None and kept.place == place
    except _DAMAGE:
        return False


def _name(row: Json) -> tuple[str, int]:
    return str(row["problem_id"]), int(row.get("sample", 0))


def _created(data: RunData) -> str:
    """When the run began; empty if it doesn't say."""
    try:
        return _time(datetime.fromisoformat(str(data.provenance.get("started"))).timestamp())
    except ValueError:
        return ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
