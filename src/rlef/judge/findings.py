"""What certification says of a problem: its findings, and the tests' names in them.

| kind                | what was found                                                          | then       |
|---------------------|-------------------------------------------------------------------------|------------|
| `nothing_passes`    | there are known-good solutions, and none passes every test in every run | quarantine |
| `contradiction`     | two tests with one input want outputs that exclude each other           | quarantine |
| `several_answers`   | the statement allows several outputs, and nothing checks them           | quarantine |
| `reference_fails`   | a known-good solution fails a test in every run                         | exit 3     |
| `flaky`             | two runs of one solution gave a test two verdicts                       | exit 3     |
| `bad_passes`        | a known-bad solution passes every test                                  | exit 3     |
| `other_verdict`     | a known-bad solution fails in another way than declared                 | exit 3     |
| `checker_fails`     | the checker itself fails on what a known solution prints, in every run  | exit 3     |
| `judge_error`       | the sandbox failed, so nothing is known                                 | exit 3     |
| `answers_differ`    | a known-good solution fails by its outputs only, where another passes   | warning    |
| `tight_time`        | each that passes takes over half the CPU limit, or it stops them all    | warning    |
| `tight_memory`      | the same of the memory limit                                            | warning    |
| `bad_passes_public` | a known-bad solution is stopped by hidden tests only                    | note       |
| `no_reference`      | no known-good solution                                                  | note       |
| `repeated_tests`    | a test is there twice                                                   | note       |
| `unfailed_tests`    | there are known-bad solutions, and none fails these tests               | note       |

The first two end in exit code 3 too. `several_answers` is a warning where functions are called, and where
two different known-good solutions pass and none differs by its outputs: the words were a figure of speech.

Why these go to quarantine and others not: there, no program can earn a verdict that is right, whatever it
does. A problem with one faulty solution of many, with limits that are tight, or whose tests let a wrong
program pass can still be learnt from; whoever wants it out says so (``rlef data validate --also``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Kinds of findings, the gravest first; see the table above."""

    NOTHING_PASSES = "nothing_passes"
    CONTRADICTION = "contradiction"
    SEVERAL_ANSWERS = "several_answers"
    REFERENCE_FAILS = "reference_fails"
    FLAKY = "flaky"
    BAD_PASSES = "bad_passes"
    OTHER_VERDICT = "other_verdict"
    CHECKER_FAILS = "checker_fails"
    JUDGE_ERROR = "judge_error"
    ANSWERS_DIFFER = "answers_differ"
    TIGHT_TIME = "tight_time"
    TIGHT_MEMORY = "tight_memory"
    BAD_PASSES_PUBLIC = "bad_passes_public"
    NO_REFERENCE = "no_reference"
    REPEATED_TESTS = "repeated_tests"
    UNFAILED_TESTS = "unfailed_tests"


QUARANTINED = frozenset({Kind.NOTHING_PASSES, Kind.CONTRADICTION, Kind.SEVERAL_ANSWERS})
"""Kinds that keep a problem out by default, if their finding says so."""
WRONG = frozenset(
    {
        Kind.NOTHING_PASSES,
        Kind.CONTRADICTION,
        Kind.REFERENCE_FAILS,
        Kind.FLAKY,
        Kind.BAD_PASSES,
        Kind.OTHER_VERDICT,
        Kind.CHECKER_FAILS,
        Kind.JUDGE_ERROR,
    }
)
"""Kinds that a data set should not have: the command's exit code is 3."""
NOTES = frozenset({Kind.BAD_PASSES_PUBLIC, Kind.NO_REFERENCE, Kind.REPEATED_TESTS, Kind.UNFAILED_TESTS})
"""Kinds that are counted and not printed for each problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. Holds nothing of a test's content, nor of the statement's but ``quote``."""

    kind: Kind
    text: str
    """A few words: which solutions, which verdict, how much."""
    solutions: tuple[int, ...] = ()
    """Positions in ``Problem.solutions``."""
    tests: tuple[str, ...] = ()
    """Names of tests: ``public[0]``, ``hidden[3]``."""
    quote: str = ""
    """Words of the statement that it rests on. Not part of a quarantine list."""
    harmless: bool = False
    """True if its kind would keep the problem out, and other evidence speaks against that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A known solution and what its runs showed."""

    index: int
    note: str
    declared: str
    found: str
    """Verdict of the first run."""
    steady: bool
    """True if all runs gave every test the same verdict."""
    failed: tuple[tuple[str, str], ...] = ()
    """Tests that it did not pass in one of the runs, each with the verdict."""
    cpu: float = 0.0
    """Most CPU time of a test, over the limit; the least of its runs, as noise only adds."""
    memory: float = 0.0
    """Largest peak of memory, over the limit; the least of its runs."""

    @property
    def good(self) -> bool:
        """True for a known-good solution."""
        return self.declared == "accepted"

    @property
    def passes(self) -> bool:
        """True if it passed every test in every run."""
        return self.found == "accepted" and self.steady


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """All that was found of one problem."""

    problem_id: str
    fingerprint: str
    public: int
    """How many public tests."""
    hidden: int
    solutions: tuple[Tried, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def wrong(self) -> bool:
        """True if there is a finding that a data set should not have."""
        return any(finding.kind in WRONG for finding in self.findings)

    def reasons(self, also: Collection[Kind] = ()) -> tuple[str, ...]:
        """Why the problem should be kept out; empty if it need not. ``also``: further kinds that do."""
        return tuple(
            f"{finding.kind}: {finding.text}"
            for finding in self.findings
            if finding.kind in also or (finding.kind in QUARANTINED and not finding.harmless)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; ``from_json`` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Certificate:
        """The certificate in a row. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for other rows."""
        tried = [
            Tried(**{**one, "failed": tuple((str(name), str(verdict)) for name, verdict in one["failed"])})
            for one in row["solutions"]
        ]
        findings = [
            Finding(
                **{
                    **one,
                    "kind": Kind(one["kind"]),
                    "solutions": tuple(one["solutions"]),
                    "tests": tuple(one["tests"]),
                }
            )
            for one in row["findings"]
        ]
        names = ("problem_id", "fingerprint", "public", "hidden")
        return cls(**{name: row[name] for name in names}, solutions=tuple(tried), findings=tuple(findings))


def names_of(public: int, hidden: int) -> list[str]:
    """Names of a problem's tests, public ones first."""
    return [f"public[{at}]" for at in range(public)] + [f"hidden[{at}]" for at in range(hidden)]


def listed(names: Iterable[str], most: int = 4) -> str:
    """Some names as words: ``public[0], hidden[2] and 7 more``."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
