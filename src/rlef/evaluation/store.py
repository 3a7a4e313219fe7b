"""The episodes of an evaluation on disk: written as they end, and never played twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rlef.episode.record import Episode
from rlef.episode.trace import from_row, to_row
from rlef.errors import DataError, RunError
from rlef.runs import Appender, Run


class Store:
    """``episodes-<label>.jsonl`` of a run: one row an episode, with its condition.

    Rows of conditions, problems or samples that are asked for again are read, not played.
    Use as a context manager.
    """

    def __init__(self, run: Run, label: str) -> None:
        self.label = label
        self.path = run.path / f"episodes-{label}.jsonl"
        self._run = run
        self._file: Appender | None = None

    def __enter__(self) -> Store:
        self._file = Appender(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, condition: str, episode: Episode) -> None:
        """Write an episode down; it is on disk when this returns."""
        assert self._file is not None, "the store is open"
        self._file.write({"phase": self.label, "condition": condition} | to_row(episode))

    def episodes(self) -> Iterator[tuple[str, Episode]]:
        """Condition and episode of every row, in the order in which they ended.

        Raises ``RunError`` for a row that is no episode.
        """
        for number, row in enumerate(self._rows(), 1):
            try:
                yield str(row.get("condition")), from_row(row)
            except DataError as error:
                raise RunError(f"{self.path}:{number}: {error}") from None

    def latest(self) -> Iterator[tuple[str, Episode]]:
        """As ``episodes``; of one that was played again after the judge had failed, the last alone."""
        left = Counter(
            (row.get("condition"), row.get("problem_id"), row.get("sample")) for row in self._rows()
        )
        for condition, episode in self.episodes():
            key = condition, episode.problem_id, episode.sample
            left[key] -= 1
            if not left[key]:
                yield condition, episode

    def _rows(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._run.rows(self.path.name)
        except ValueError as error:
            raise RunError(f"{self.path} is damaged: {error}") from None
