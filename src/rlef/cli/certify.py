"""``data validate``: run every known solution, and say which problems can be trusted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlef import __version__
from rlef.errors import DataError
from rlef.judge.findings import NOTES, QUARANTINED, Certificate, Kind
from rlef.runs import read_jsonl, write_whole
from rlef.settings import load_config

if TYPE_CHECKING:
    from rlef.config import Sandbox
    from rlef.problems.importers import Skipped
    from rlef.problems.types import Problem

NOT_ACCEPTED = 3
_EVERY_S = 10.0
"""Seconds between lines of progress."""


def register(data_app: typer.Typer) -> None:
    """Add ``validate`` to the commands of ``data``."""
    data_app.command()(validate)


def validate(
    data: Annotated[str, typer.Argument(help="Data set: humaneval, verl:rows.parquet, problems.jsonl.")],
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test or all; else all of a file, test of a bundled set."),
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", help="Only this family; may be repeated.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first so many problems.")
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--most", min=1, help="Run at most so many known-good, and known-bad, solutions of a problem."
        ),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="Run solutions in this language too: cpp17; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a row a problem, then a summary.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            dir_okay=False,
            help="Keep the rows in this file; what is in it already is not run again.",
        ),
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", dir_okay=False, help="Write a list for data.quarantine=FILE."),
    ] = None,
    also: Annotated[
        list[Kind] | None,
        typer.Option("--also", help="Put problems with this finding on the list, too; may be repeated."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="sandbox.slots=1 and the like.")
    ] = None,
) -> int:
    """Run every known solution twice, and list what is wrong with problems, tests and limits."""
    from rlef.problems.load import ALL, BUNDLED, load
    from rlef.sandbox.languages import find

    split = split or ("test" if data in BUNDLED else ALL)
    problems = load(data, split, families=family or (), limit=limit)
    printer = _Printer(as_json=as_json, also=frozenset(also or ()), problems=len(problems))
    spoken = ("python", *(find(name).name for name in language or ()))
    kept = _Kept.open(out, most, spoken)
    settings = load_config(None, overrides or []).sandbox
    asyncio.run(_run(list(problems), settings, kept, printer))
    left_out = [row for row in getattr(problems, "skipped", ()) if row.whole]
    printer.finish(problems.name, left_out)
    if quarantine:
        _write_quarantine(quarantine, problems.name, printer)
    return NOT_ACCEPTED if printer.wrong else 0


async def _run(problems: Sequence[Problem], settings: Sandbox, kept: _Kept, printer: _Printer) -> None:
    async for certificate in _certified(problems, settings, kept):
        printer.add(certificate)


async def _certified(
    problems: Sequence[Problem], settings: Sandbox, kept: _Kept
) -> AsyncIterator[Certificate]:
    """Certificates in the order of the problems, as soon as they are there."""
    from rlef.judge.certify import Certifier
    from rlef.sandbox import Sandbox as Jail

    async with await Jail.open(settings) as sandbox:
        certifier = Certifier(sandbox, spoken=kept.spoken, most=kept.most)
        waiting = asyncio.Semaphore(2 * sandbox.slots)

        async def one(problem: Problem) -> Certificate:
            async with waiting:
                return kept.find(problem) or kept.add(problem, await certifier.certify(problem))

        tasks = [asyncio.ensure_future(one(problem)) for problem in problems]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class _Kept:
    """Certificates of an earlier, interrupted run, and the file to which new ones are added."""

    path: Path | None
    most: int | None
    spoken: tuple[str, ...]
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None, most: int | None, spoken: tuple[str, ...]) -> _Kept:
        """Raises ``DataError`` if the file is another kind of file."""
        rows = {}
        if path and path.exists():
            try:
                every = list(read_jsonl(path))
                rows = {row["key"]: row["certificate"] for row in every}
                for row in rows.values():
                    Certificate.from_json(row)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError(f"{path} is not what --out writes; choose another name") from None
            # Written anew: a torn last line would spoil the next.
            write_whole(path, "".join(json.dumps(row) + "\n" for row in every))
        return cls(path, most, spoken, rows)

    def find(self, problem: Problem) -> Certificate | None:
        """The certificate of this very problem and its solutions."""
        row = self.rows.get(self._key(problem)) if self.rows else None
        return Certificate.from_json(row) if row else None

    def add(self, problem: Problem, certificate: Certificate) -> Certificate:
        """Write a certificate to the file. One with a failure of the sandbox is tried again next time."""
        if self.path and all(finding.kind is not Kind.JUDGE_ERROR for finding in certificate.findings):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            row = {"key": self._key(problem), "certificate": certificate.to_json()}
            with self.path.open("a", encoding="ascii") as file:
                file.write(json.dumps(row) + "\n")
        return certificate

    def _key(self, problem: Problem) -> str:
        from rlef.problems.jsonl import problem_to_row

        text = json.dumps([__version__, self.most, self.spoken, problem_to_row(problem)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class _Printer:
    """Prints findings as they come, progress to stderr, and at the end what they add up to."""

    def __init__(self, *, as_json: bool, also: frozenset[Kind], problems: int) -> None:
        self._as_json, self._also, self._problems = as_json, also, problems
        self._started = self._told = time.monotonic()
        self._kinds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self.excluded: list[tuple[Certificate, tuple[str, ...]]] = []

    @property
    def wrong(self) -> int:
        """Problems with a finding that a data set should not have."""
        return self._counts["wrong"]

    def add(self, certificate: Certificate) -> None:
        """Take in one problem."""
        reasons = certificate.reasons(self._also)
        if reasons:
            self.excluded.append((certificate, reasons))
        self._kinds.update({finding.kind.value for finding in certificate.findings})
        good = [one for one in certificate.solutions if one.good]
        self._counts.update(
            problems=1,
            wrong=certificate.wrong,
            tests=certificate.public + certificate.hidden,
            known_good=len(good),
            known_good_pass=sum(one.passes for one in good),
            known_bad=len(certificate.solutions) - len(good),
            known_bad_pass=sum(one.passes for one in certificate.solutions if not one.good),
        )
        if self._as_json:
            typer.echo(json.dumps({**certificate.to_json(), "quarantine": reasons}))
        else:
            for line in _lines(certificate, reasons, self._also):
                typer.echo(line)
        self._progress()

    def finish(self, name: str, left_out: Sequence[Skipped]) -> None:
        """Print the summary. ``left_out``: what its file holds besides."""
        counts = dict.fromkeys(
            ("problems", "tests", "known_good", "known_good_pass", "known_bad", "known_bad_pass", "wrong"), 0
        )
        counts |= dict(self._counts)
        kinds = {kind.value: self._kinds[kind.value] for kind in Kind if self._kinds[kind.value]}
        row = {"dataset": name, **counts, "quarantined": len(self.excluded), "findings": kinds}
        if self._as_json:
            skipped = [{"id": one.id, "reason": one.reason} for one in left_out]
            typer.echo(
                json.dumps({"summary": {**row, "not_imported": skipped, "made_by": f"rlef {__version__}"}})
            )
            return
        typer.echo(
            f"{counts['problems']} problems, {counts['tests']} tests; "
            f"{counts['known_good_pass']} of {counts['known_good']} known-good solutions pass, "
            f"{counts['known_bad_pass']} of {counts['known_bad']} known-bad ones; "
            f"{len(self.excluded)} problems for quarantine"
        )
        for reason, count in Counter(one.reason for one in left_out).most_common():
            typer.echo(f"    {'not imported':20}{count:6} {reason}")
        for kind, count in kinds.items():
            typer.echo(f"    {kind:20}{count:6} {'problem' if count == 1 else 'problems'}")

    def _progress(self) -> None:
        now = time.monotonic()
        done = self._counts["problems"]
        if now - self._told < _EVERY_S or done == self._problems:
            return
        self._told = now
        left = (now - self._started) / done * (self._problems - done)
        typer.echo(
            f"{done} of {self._problems} problems, {self.wrong} with something wrong, {left:.0f} s to go",
            err=True,
        )


def _lines(certificate: Certificate, reasons: Sequence[str], also: frozenset[Kind]) -> Iterator[str]:
    """A problem's findings for people; those that are only counted are left out."""
    from rlef.views.text import visible

    told = [one for one in certificate.findings if one.kind not in NOTES - also]
    if told:
        yield f"{certificate.problem_id}{': quarantine' if reasons else ''}"
    for finding in told:
        quote = f" (“…{visible(finding.quote)}…”)" if finding.quote else ""
        yield f"    {finding.kind.value:17}{visible(finding.text)}{quote}"


def _write_quarantine(path: Path, name: str, printer: _Printer) -> None:
    from rlef.problems.quarantine import Entry, Quarantine, write

    entries = tuple(
        Entry(id=one.problem_id, fingerprint=one.fingerprint, reasons=reasons)
        for one, reasons in printer.excluded
    )
    write(path, Quarantine(dataset=name, made_by=f"rlef {__version__}", problems=entries))
    usual = ", ".join(sorted(QUARANTINED))
    typer.echo(f"{len(entries)} problems in {path} (kept out for {usual}, and --also)", err=True)
