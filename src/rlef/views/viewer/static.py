"""The viewer as one HTML file: some episodes of a run, the same page, nothing loaded from elsewhere.

Every episode is laid out in the file, so it can be read without JavaScript too; with it, the filters
work on what is there. The policy in the file allows the one script and the one style by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from markupsafe import Markup

from rlef.errors import RunError
from rlef.runs import Run, write_whole
from rlef.views.rundata import opening_messages, settings_of
from rlef.views.text import TEXT_CHARS
from rlef.views.viewer.index import Entry, Index, values_of
from rlef.views.viewer.page import CODES, HELP, render, render_episode, render_list
from rlef.views.viewer.query import Query, search
from rlef.views.viewer.server import asset


def write_static(run: Run, path: Path, query: Query, *, most: int = 200) -> Path:
    """Write the first ``most`` episodes that a query finds to ``path``; returns the path.

    Raises ``RunError`` if there is none, or the file can't be written.
    """
    index = Index(run)
    index.refresh()
    hits = search(index, query)
    entries = [hits.snapshot.entries[row] for row in hits.rows[:most]]
    if not entries:
        raise RunError(f"{run.path} has no episodes{' that fit the filters' if query.filters else ''}")
    note = "" if len(entries) == hits.snapshot.count else _note(len(entries), hits.total, hits.snapshot.count)
    try:
        return write_whole(path, one_file(index, entries, note))
    except OSError as error:
        raise RunError(f"can't write {path}: {error.strerror}; choose another place") from None


def one_file(index: Index, entries: list[Entry], note: str = "") -> str:
    """The file as text."""
    few = index.only(entries)
    hits = search(few, Query())
    rows = [(entry, f"#e-{entry.key}", json.dumps(_facts(entry))) for entry in entries]
    names = [entry.key for entry in entries]
    before = opening_messages(settings_of(index.run, [])[1])
    pages = [
        render_episode(
            index,
            entry,
            place=f"{n + 1:,} of {len(entries):,}",
            previous=f"#e-{names[n - 1]}" if n else "",
            next=f"#e-{names[n + 1]}" if n + 1 < len(names) else "",
            before=before,
            shaded=TEXT_CHARS,  # the file holds all of them
        )
        for n, entry in enumerate(entries)
    ]
    css, js = asset("viewer.css"), asset("offline.js") + asset("viewer.js")
    name = index.run.path.resolve().name
    return render(
        "page",
        mode="static",
        policy=f"default-src 'none'; script-src {_hash(js)}; style-src {_hash(css)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        title=f"{name} · rlef view",
        name=name,
        path=index.run.path,
        reading=100,
        note=note,
        list=Markup(render_list(Query(), hits, rows, 1, 100, root="#")),
        episode=Markup("\n".join(pages)),
        help=[line for line in HELP if line[0] != ("r",)],
        codes=CODES.items(),
        css=Markup(css),
        js=Markup(js),
    )


def _facts(entry: Entry) -> dict[str, object]:
    """What the script needs in order to filter and sort."""
    facts = entry.facts
    reward = facts.reward if abs(facts.reward) < float("inf") else 0.0  # JSON has no infinity, and no NaN
    return values_of(facts) | {"step": facts.step, "reward": reward, "tokens": facts.tokens}


def _note(shown: int, found: int, total: int) -> str:
    return (
        f"This file holds {shown:,} of the run's {total:,} episodes"
        + (f", the first of {found:,} that fit the filters it was made with" if found != total else "")
        + ". rlef view shows all of them."
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
