"""Rows of an RL corpus as problems, and problems as rows, nothing lost unsaid.

These corpora do not say which tests may be shown, so rlef shares them out (`shared`). A row that rlef
wrote carries a note (`Form.note`) with what its form has no place for; other readers pass over it, rlef's
reads it, and the problem is the same. Every row is read back before it is given away: a problem that
would not come back is left out, with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rlef.errors import DataError
from rlef.problems.asserts import Inexpressible
from rlef.problems.checks import CODE
from rlef.problems.corpora.dialects import every_test
from rlef.problems.corpora.form import Draft, Form, Row, inner, name_of
from rlef.problems.importers import Skipped
from rlef.problems.jsonl import problem_to_row, row_to_problem
from rlef.problems.tables import parse_json
from rlef.problems.types import Problem, Provenance, TestCase

_GROUPS = ("public_tests", "private_tests", "generated_tests")
_SAID = ("statement", "form", "entry_point", *_GROUPS)
"""What every form says itself; the note never does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Rows of problems, and what is not in them."""

    rows: list[dict[str, Any]]
    skipped: list[Skipped]
    """Problems that the form can't say, each with the reason."""
    noted: Counter[str] = field(default_factory=Counter)
    """Problems by what the form has no place for: in rlef's note, or lost if there is none."""


def import_rows(
    form: Form, rows: Iterable[tuple[str, Row]], *, public: int | None = None
) -> tuple[list[Problem], list[Skipped]]:
    """Problems of the rows, given as pairs of a place and a row, and those left out.

    ``public`` as in `shared`. Raises ``DataError`` for a row without the form's columns, and if
    no row becomes a problem.
    """
    problems: dict[str, Problem] = {}
    skipped = []
    for where, row in rows:
        missing = [name for name in form.columns if name not in row]
        if missing:
            raise DataError(f"{where}: not in the form {form.name!r}, it has no column {missing[0]!r}")
        try:
            problem = read_row(form, row, public=public)
            earlier = problems.setdefault(problem.id, problem)
            if earlier is not problem:
                what = "the same problem" if earlier == problem else f"another problem {problem.id}"
                raise Inexpressible(f"{what} stands in an earlier row")
        except (Inexpressible, DataError) as reason:
            skipped.append(Skipped(id=where, reason=str(reason)))
    if not problems:
        first = f"; {skipped[0].id}: {skipped[0].reason}" if skipped else ""
        raise DataError(f"none of {len(skipped)} rows is a problem in the form {form.name!r}{first}")
    return list(problems.values()), skipped


def read_row(form: Form, row: Row, *, public: int | None = None) -> Problem:
    """The problem in a row. Raises ``Inexpressible`` with the reason, ``DataError`` for a broken note."""
    draft = form.read(row)
    note = inner(row, *form.note)
    return _with_note(form, draft, note) if note else _shared_out(form, draft, public)


def export_rows(form: Form, problems: Iterable[Problem], *, bare: bool = False) -> Export:
    """Rows in this form. ``bare`` leaves out rlef's notes.

    Raises ``DataError`` if the form is only read.
    """
    if form.write is None:
        raise DataError(f"the form {form.name!r} is read, not written")
    export = Export(rows=[], skipped=[])
    for index, problem in enumerate(problems):
        try:
            row, note = _written(form, problem, index)
        except Inexpressible as reason:
            export.skipped.append(Skipped(id=problem.id, reason=str(reason)))
            continue
        export.noted.update(name for name in note if name not in ("id", "tests"))
        if not bare:
            _place(row, form.note, json.dumps(note))
        export.rows.append(row)
    return export


def form_of(row: Row, forms: Iterable[Form]) -> Form | None:
    """The form whose columns the row has; the one with most columns of several."""
    found = [form for form in forms if all(name in row for name in form.columns)]
    return max(found, key=lambda form: len(form.columns), default=None)


# -- reading


def shared(draft: Draft, public: int | None = None) -> tuple[list[TestCase], list[TestCase], str]:
    """Public and private tests, and the rule in words.

    Public are the examples that the set names; or else the first ``public`` tests, if that is given;
    or else those that stand in the statement as examples (`_standing`); or else the first. Equal tests count
    once; at least one test speaks and one judges. Raises ``Inexpressible`` if there are fewer than two, or
    if one input has two outputs, so that inputs are disjoint.
    """
    tests: dict[tuple[str, str], TestCase] = {}
    for test in draft.tested.tests:
        if tests.setdefault((test.input, test.check), test) != test:
            raise Inexpressible("two tests have the same input and other outputs")
    every = list(tests.values())
    if len(every) < 2:
        raise Inexpressible("fewer than two different tests")
    named = len({(test.input, test.check) for test in draft.tested.tests[: draft.public or 0]})
    standing = _standing(draft.statement, every) if not named and public is None else []
    if standing:
        shown, rule = standing[: len(every) - 1], "the tests in the statement speak"
    else:
        shown = every[: max(1, min(named or public or 1, len(every) - 1))]
        rule = "the set's examples speak" if named else f"the first {len(shown)} speak"
    hidden = [test for test in every if test not in shown]
    return shown, hidden, f"{rule}, {len(hidden)} judge"


_BEFORE, _AFTER = 60, 24
"""Most characters from an example's input to the word *output*, and on to the output: the room that
``-----Sample Output 1-----`` needs."""


def _standing(statement: str, tests: list[TestCase]) -> list[TestCase]:
    """Tests that are examples of the statement: the input, a label that says *output*, the output.

    Without the label, 3 and 0 would make an example of most statements.
    """
    words = f" {' '.join(statement.split())} "

    def stands(test: TestCase) -> bool:
        given, wanted = (" ".join(text.split()) for text in (test.input, test.output))
        return bool(given and wanted) and _exemplified(words, f" {given} ", f" {wanted} ")

    return [test for test in tests if stands(test)]


def _exemplified(words: str, given: str, wanted: str) -> bool:
    at = words.find(given) if wanted in words else -1
    while at >= 0:
        end = at + len(given) - 1
        label = words[end : end + _BEFORE].lower()
        said = label.find("output")
        if said >= 0 and "input" not in label[:said]:
            after = end + said
            if words.find(wanted, after, after + _AFTER + len(wanted)) >= 0:
                return True
        at = words.find(given, end)
    return False


def _shared_out(form: Form, draft: Draft, public: int | None) -> Problem:
    shown, hidden, rule = shared(draft, public)
    own = draft.id or name_of([draft.statement, [[t.input, t.output, t.check] for t in shown + hidden]])
    return _checked(
        replace(
            _drafted(draft),
            id=f"{form.name}/{own}",
            public_tests=tuple(shown),
            private_tests=tuple(hidden),
            provenance=Provenance(
                dataset=form.name,
                family=draft.family,
                difficulty=draft.difficulty,
                source=draft.source,
                date=draft.date,
                tags=draft.tags,
                meta={"tests": rule, **draft.meta},
            ),
        )
    )


def _with_note(form: Form, draft: Draft, note: object) -> Problem:
    """The problem that was written: what the row says, and what the note adds."""
    try:
        said: dict[str, Any] = parse_json(str(note))
        groups = _grouped(draft.tested.tests, said.pop("tests"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"rlef's note in a row of the form {form.name!r} is damaged") from None
    row = problem_to_row(replace(_drafted(draft), **groups)) | said
    return row_to_problem(row, "a row with a note")


def _grouped(tests: tuple[TestCase, ...], counts: Any) -> dict[str, Any]:
    if len(counts) != 3 or not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != len(tests):
        raise ValueError("the note counts other tests than the row has")
    public, private, _ = counts
    edges = (0, public, public + private, len(tests))
    return {name: tests[edges[i] : edges[i + 1]] for i, name in enumerate(_GROUPS)}


def _drafted(draft: Draft) -> Problem:
    """The problem of a draft, with all tests public and no provenance."""
    return Problem(
        id="row",
        statement=draft.statement,
        public_tests=draft.tested.tests,
        form=draft.tested.form,
        entry_point=draft.tested.entry_point,
        comparison=draft.comparison,
        checker=draft.checker,
        input_file=draft.files[0],
        output_file=draft.files[1],
        limits=draft.limits,
        solutions=draft.solutions,
    )


def _checked(problem: Problem) -> Problem:
    """The problem, held to the rules of the JSONL form. Raises ``DataError``."""
    if not problem.statement.strip():
        raise Inexpressible("no statement")
    return row_to_problem(problem_to_row(problem), "a row")


# -- writing


def _written(form: Form, problem: Problem, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
    assert form.write is not None
    if problem.checker or problem.comparison == "checker":
        raise Inexpressible("a checker decides, the form compares outputs")
    if problem.comparison == "unordered":
        raise Inexpressible("the order of the output is free, the form compares it in order")
    if problem.input_file or problem.output_file:
        raise Inexpressible("it reads or writes a file, the form has stdin and stdout")
    row = form.write(problem, index)
    draft = form.read(row)
    back = _drafted(draft)
    if back.statement != problem.statement or back.form != problem.form:
        raise Inexpressible("the statement would not come back the same")
    tests = every_test(problem) if problem.form == "stdin" else tuple(map(_tidy, every_test(problem)))
    if back.entry_point != problem.entry_point or back.public_tests != tests:
        raise Inexpressible("the tests would not come back the same")
    here, there = problem_to_row(problem), problem_to_row(back)
    note: dict[str, Any] = {"tests": [len(getattr(problem, name)) for name in _GROUPS]}
    for name in sorted({*here, *there} - set(_SAID)):
        if here.get(name) != there.get(name):
            note[name] = here.get(name, _DEFAULTS.get(name))
    return row, note


_DEFAULTS: dict[str, Any] = {"solutions": [], "limits": {}}
"""What stands in a note for a field that holds its default, where the row says otherwise."""


def _place(row: dict[str, Any], way: tuple[str, ...], text: str) -> None:
    for key in way[:-1]:
        row = row.setdefault(key, {})
    row[way[-1]] = text


def _tidy(test: TestCase) -> TestCase:
    """The test of a call with its JSON spaced as rlef spaces it: the one thing that rows do not keep."""
    if test.check == CODE:
        return test
    also = tuple(map(_spaced, test.also))
    return replace(test, input=_spaced(test.input), output=_spaced(test.output), also=also)


def _spaced(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False)
