"""``data validate``: run every known solution, and say which problems can be trusted."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlef import __version__
from rlef.errors import DataError
from rlef.judge.findings import NOTES, QUARANTINED, Certificate, Kind
from rlef.problems.quarantine import Entry
from rlef.settings import load_config
from rlef.views.text import visible

if TYPE_CHECKING:
    from rlef.problems.importers import Skipped
    from rlef.problems.quarantine import Quarantine

NOT_ACCEPTED = 3


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
        typer.Option(
            "--quarantine",
            dir_okay=False,
            help="Write a quarantine list: data.quarantine=FILE. What one has of other problems stays in it.",
        ),
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
    from rlef.jobs.certify import Kept, certify_all
    from rlef.problems.load import load, usual_split
    from rlef.sandbox.languages import PYTHON, find
    from rlef.sandbox.languages.tools import tool

    settings = load_config(None, overrides or []).sandbox
    languages = list(dict.fromkeys([PYTHON, *(find(name) for name in language or ())]))
    for one in languages[1:]:
        tool(one)  # one that is not installed shows before anything runs
    problems = load(data, split or usual_split(data), families=family or (), limit=limit)
    if out and quarantine and out.absolute() == quarantine.absolute():
        raise DataError("--out and --quarantine are two files; give each a name")
    before = _list_before(quarantine, problems.name) if quarantine else None
    printer = _Printer(as_json=as_json, also=frozenset(also or ()))
    with Kept(out, [one.name for one in languages], most) as kept:
        try:
            asyncio.run(certify_all(list(problems), settings, kept, printer.add, _say))
        except KeyboardInterrupt:
            _say(f"stopped; {'the same command goes on' if out else '--out FILE keeps what is done'}")
            raise
    printer.finish(problems.name, [row for row in getattr(problems, "skipped", ()) if row.whole])
    if quarantine and before:
        _write_quarantine(quarantine, before, printer)
    return NOT_ACCEPTED if printer.wrong else 0


def _say(line: str) -> None:
    typer.echo(line, err=True)


class _Printer:
    """Prints findings as they come, and at the end what they add up to."""

    def __init__(self, *, as_json: bool, also: frozenset[Kind]) -> None:
        self._as_json, self._also = as_json, also
        self._kinds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self.looked_at: set[str] = set()
        """Ids of the problems that were taken in."""
        self.excluded: list[Entry] = []
        """Those among them that go to quarantine."""

    @property
    def wrong(self) -> int:
        """Problems with a finding that a data set should not have."""
        return self._counts["wrong"]

    def add(self, certificate: Certificate) -> None:
        """Take in one problem."""
        reasons = certificate.reasons(self._also)
        self.looked_at.add(certificate.problem_id)
        if reasons:
            entry = Entry(id=certificate.problem_id, fingerprint=certificate.fingerprint, reasons=reasons)
            self.excluded.append(entry)
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
            f"{_problems(counts['problems'])}, {counts['tests']} tests; "
            f"{counts['known_good_pass']} of {counts['known_good']} known-good solutions pass, "
            f"{counts['known_bad_pass']} of {counts['known_bad']} known-bad ones; "
            f"{_problems(len(self.excluded))} for quarantine"
        )
        for reason, count in Counter(one.reason for one in left_out).most_common():
            typer.echo(f"    {'not imported':20}{count:6} {visible(reason)}")
        for kind, count in kinds.items():
            typer.echo(f"    {kind:18}{_problems(count):>16}")


def _problems(count: int) -> str:
    return f"{count} problem" if count == 1 else f"{count} problems"


def _lines(certificate: Certificate, reasons: Sequence[str], also: frozenset[Kind]) -> Iterator[str]:
    """A problem's findings for people; those that are only counted are left out."""
    told = [one for one in certificate.findings if one.kind not in NOTES - also]
    if told:
        yield f"{visible(certificate.problem_id)}{': quarantine' if reasons else ''}"
    for finding in told:
        quote = f" (“…{visible(finding.quote)}…”)" if finding.quote else ""
        yield f"    {finding.kind.value:17}{visible(finding.text)}{quote}"


def _list_before(path: Path, name: str) -> Quarantine:
    """The list that is there, or an empty one. Raises ``DataError`` if this set's can't be written there."""
    from rlef.problems.quarantine import Quarantine, read

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise DataError(f"can't write {path}; choose another place")
        return Quarantine(dataset=name, made_by="")
    found = read(path)
    if found.dataset != name:
        raise DataError(f"{path} is the quarantine list of {found.dataset}; choose another place")
    return found


def _write_quarantine(path: Path, before: Quarantine, printer: _Printer) -> None:
    """Write what was found, and what was known before of problems that were not looked at now."""
    from rlef.problems.quarantine import write

    others = [one for one in before.problems if one.id not in printer.looked_at]
    entries = (*printer.excluded, *others)
    write(path, replace(before, made_by=f"rlef {__version__}", problems=entries))
    usual = ", ".join(sorted(QUARANTINED))
    stay = f"; {len(others)} of them from before" if others else ""
    _say(f"{_problems(len(entries))} in {path} (kept out for {usual}, and --also){stay}")
