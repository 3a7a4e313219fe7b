"""The run directory: append-only JSONL, files that are whole or absent, a resume index.

runs/tiny--tiny--20261121-143000/
├── config.yaml        resolved; ``rlef train --config`` accepts it
├── provenance.json    versions, revision, host, command, isolation rung
├── metrics.jsonl      one line a step
├── traces.jsonl       one line an episode
├── results.json       the table
├── report.html
└── checkpoints/       checkpoint-000010/ …  final/
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TextIO

from rlef.errors import RunError

METRICS = "metrics.jsonl"
TRACES = "traces.jsonl"
LOCK = ".lock"


def runs_root() -> Path:
    """Where runs go: ``RLEF_RUNS`` or ``./runs``."""
    return Path(os.environ.get("RLEF_RUNS", "runs"))


def default_name(config_name: str, model: str) -> str:
    """``<config>--<model>--<date-time>``."""
    tidy = Path(model).name.replace(" ", "-") or "model"
    return f"{config_name}--{tidy}--{datetime.now():%Y%m%d-%H%M%S}"


class Run:
    """One run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, overwrite: bool = False, command: str | None = "train") -> Run:
        """Make a new directory. Raises ``RunError`` if it exists, with the ways out.

        ``command`` is the one that can go on with a run; None if there is none.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            if not overwrite and command is None:
                raise RunError(f"{path} exists already; choose another place with --out")
            if not overwrite:
                raise RunError(
                    f"{path} exists already: go on with `rlef {command} --resume {path}`, "
                    f"choose another place with --out, or replace it with --overwrite"
                )
            with cls.open(path, "is not a run directory; --overwrite only replaces runs").alone():
                shutil.rmtree(path)
        try:
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"can't write {path}: {error.strerror}; choose another place with --out") from None
        return cls(path)

    @classmethod
    def open(cls, path: Path, otherwise: str = "is not a run directory (no config.yaml in it)") -> Run:
        """Open an existing run. Raises ``RunError`` if it is none, with the words of ``otherwise``."""
        if not (path / "config.yaml").is_file():
            raise RunError(f"{path} {otherwise}")
        return cls(path)

    def command(self) -> str:
        """The ``rlef`` command that began the run, ``train``; empty if it does not say."""
        try:
            words = json.loads((self.path / "provenance.json").read_bytes())["command"].split()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return ""
        return words[1] if words[:1] == ["rlef"] and len(words) > 1 else ""

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the run for this process, until the block or the process ends.

        Two would do the same work, pay for it twice and write over each other: the second one gets a
        ``RunError``. On file systems without locks nobody is stopped.
        """
        with (self.path / LOCK).open("w") as file:
            hold(file, self.path)
            yield

    def tidy(self) -> None:
        """Remove the directory if nothing was written: a mistake found late leaves no trace."""
        if not (self.path / "config.yaml").exists():
            (self.path / LOCK).unlink(missing_ok=True)
            for folder in (self.path / "checkpoints", self.path):
                with contextlib.suppress(OSError):  # not empty: somebody's, and kept
                    folder.rmdir()

    def append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows to a JSONL file and flush them to disk."""
        with (self.path / name).open("a", encoding="ascii") as file:
            file.write(_lines(rows))
            file.flush()
            os.fsync(file.fileno())

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Rows of a JSONL file; nothing if it does not exist. A torn last line is left out."""
        yield from read_jsonl(self.path / name)

    def truncate(self, name: str, keep_below: int) -> None:
        """Drop rows whose ``step`` is ``keep_below`` or more: they will be made again."""
        path = self.path / name
        if path.exists():
            kept = [row for row in read_jsonl(path) if int(row["step"]) < keep_below]
            write_whole(path, _lines(kept))

    def write(self, name: str, text: str) -> Path:
        """Write a file whole or not at all."""
        return write_whole(self.path / name, text)

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file whole or not at all."""
        return self.write(name, json.dumps(value, indent=2, ensure_ascii=True) + "\n")


class Appender:
    """Appends rows to a JSONL file that stays open; each call's rows are on disk when it returns.

    A torn last line, left by a process that was killed, is taken away first: the next row would
    be written behind it and be lost with it.
    """

    def __init__(self, path: Path) -> None:
        mend(path)
        self._file = path.open("ab", buffering=0)

    def write(self, row: dict[str, Any]) -> int:
        """Append a row; returns where it begins, in bytes.

        What could not be written whole (a full disk) is taken back, and the ``OSError`` goes on.
        """
        data, start = _lines([row]).encode("ascii"), self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise
        return start

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def hold(file: IO[Any], what: Path) -> None:
    """Lock an open file for this process until it is closed.

    Raises ``RunError``, with the name of ``what`` it stands for, if another process holds it. On file
    systems without locks nobody is stopped.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"another process is writing {what}; wait for it, or stop it first") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def mend(path: Path) -> None:
    """Cut off a last line without its newline, if the file is there."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        end = at = file.seek(0, os.SEEK_END)
        while at > 0:
            start = max(0, at - 2**16)
            file.seek(start)
            found = file.read(at - start).rfind(b"\n")
            if found >= 0:
                at = start + found + 1
                break
            at = start
        if at < end:
            file.truncate(at)


def write_whole(path: Path, text: str) -> Path:
    """Write ``path`` through a temporary file and a rename."""
    with writing_whole(path) as file:
        file.write(text)
    return path


@contextlib.contextmanager
def writing_whole(path: Path) -> Iterator[TextIO]:
    """A file to write piece by piece; it takes the place of ``path`` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file. A last line without its newline is torn and is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and line.strip():
                yield json.loads(line)


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n" for row in rows)
