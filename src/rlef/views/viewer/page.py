"""HTML of the viewer. Every text passes through ``visible`` on its way out and is then escaped by jinja.

The page is complete without JavaScript: filters are a form, episodes are links. ``viewer.js`` only saves
the reload, adds keys and shades tokens.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from rlef.views.rundata import opening_messages, settings_of
from rlef.views.text import clipped, figure, visible
from rlef.views.viewer.episode import SHADED_CHARS, EpisodePage, episode_page, shortened
from rlef.views.viewer.facts import Facts, read_row
from rlef.views.viewer.index import LONGEST_LINE, Entry, Index
from rlef.views.viewer.query import PAGE, SORTS, Hits, Query, search

CODES = {
    "accepted": "AC",
    "wrong_answer": "WA",
    "runtime_error": "RE",
    "compile_error": "CE",
    "time_limit": "TL",
    "idle_limit": "IL",
    "memory_limit": "ML",
    "output_limit": "OL",
    "invalid": "NC",
    "judge_error": "JE",
}
"""Verdicts as two letters, so that no meaning hangs on a colour. ``NC``: no code."""
MARKS = {"solved": "✓", "unsolved": "✗", "dropped": "!", "damaged": "?"}
HELP = (
    (("j", "k"), "next, previous episode (also ↓ and ↑ in the list)"),
    (("g", "G"), "first, last episode of this page of the list"),
    (("n", "p"), "next, previous turn"),
    (("/",), "search"),
    (("x",), "clear the filters"),
    (("s",), "shade tokens: by log-probability, by advantage, not"),
    (("c",), "copy a link to this episode"),
    (("r",), "show what was played since"),
    (("?",), "these keys"),
)
_CHOICES = {
    "outcome": "outcome",
    "verdict": "a turn's verdict",
    "change": "a turn's effect",
    "stop": "stopped by",
    "phase": "phase",
    "condition": "condition",
    "turns": "turns",
    "family": "family",
}
_FIRST = (*MARKS, *CODES, "fixed", "closer", "unchanged", "identical", "broken", "before", "train", "after")
_PLAIN = 5
"""Boxes that are always in sight."""
_OPTIONS = 200
"""Choices of one facet that are listed; the address takes any."""
_KEPT = 8
"""Searches whose result is kept for the next page, or the next episode."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One selection box."""

    name: str
    label: str
    value: str
    options: list[tuple[str, str, int]]


class Pages:
    """Makes the pages of one run."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.name = index.run.path.resolve().name
        self.before = opening_messages(settings_of(index.run, [])[1])
        self._found: OrderedDict[tuple[str, str], Hits] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, query: Query) -> Hits:
        """What a query finds. Kept, since all pages of a list and all its episodes ask the same."""
        key = self.index.snapshot().stamp, query.address(page=None, episode="")
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        hits = search(self.index, query)
        with self._lock:
            self._found[key] = hits
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return hits

    def page(self, query: Query) -> str:
        """The whole page: the list, and the episode that is open, the first one if none is."""
        query = self.opened(query)
        title = f"{query.episode} · {self.name}" if query.episode else self.name
        return render(
            "page",
            mode="served",
            policy="",
            title=f"{title} · rlef view",
            name=self.name,
            path=self.index.run.path,
            reading=self.reading(),
            note="",
            list=Markup(self.list(query)),
            episode=Markup(self.episode(query)),
            help=HELP,
            codes=CODES.items(),
        )

    def opened(self, query: Query) -> Query:
        """The query with an episode open, if there is any to open."""
        if query.episode:
            return query
        found = self.find(query).entries(query.page or 1)
        return replace(query, episode=found[0].key) if found else query

    def list(self, query: Query) -> str:
        """Filters and one page of episodes."""
        hits = self.find(query)
        page = min(query.page or _page(hits, query), hits.pages)
        entries = hits.entries(page)
        rows = [(entry, query.address(episode=entry.key, page=None), "") for entry in entries]
        return render_list(query, hits, rows, page, self.reading())

    def episode(self, query: Query) -> str:
        """The episode that is open, between its neighbours among those that the filters leave."""
        hits = self.find(query)
        row = hits.snapshot.find(query.episode)
        if row is None:
            what = f"There is no episode {query.episode} in this run." if query.episode else "No episode."
            return str(Markup('<p class="nothing">{}</p>').format(visible(clipped(what, text_chars=200))))
        entry, place = hits.snapshot.entries[row], hits.place(row)
        before = hits.at(place - 1) if place is not None else None
        after = hits.at(place + 1) if place is not None else hits.at(0)
        siblings = hits.snapshot.facets["problem"]
        problem = visible(entry.facts.problem_id)
        code = siblings.codes.get(problem, -1)
        return render_episode(
            self.index,
            entry,
            page=_page(hits, query),
            place=f"{place + 1:,} of {hits.total:,}" if place is not None else "outside the filters",
            previous=query.address(episode=before.key, page=None) if before else "",
            next=query.address(episode=after.key, page=None) if after else "",
            problem_link=Query(chosen={"problem": (problem,)}, episode=entry.key).address(),
            siblings=int((siblings.values == code).sum()),
            raw_link=f"raw{Query(episode=entry.key).address()}",
            before=self.before,
        )

    def reading(self) -> int:
        """How much of the files has been read, in percent."""
        snapshot = self.index.snapshot()
        return 100 * snapshot.bytes_read // snapshot.bytes_total if snapshot.bytes_total else 100


def render_list(
    query: Query, hits: Hits, rows: list[tuple[Entry, str, str]], page: int, reading: int, root: str = "./"
) -> str:
    """Filters and these rows, each an episode, its link and what a script is to know of it."""
    choices = _choices(query, hits)
    steps_set = query.first is not None or query.last is not None
    with_steps = hits.snapshot.step[hits.snapshot.step >= 0]
    return render(
        "list",
        root=root,
        query=query,
        hits=hits,
        page=page,
        first=(page - 1) * PAGE + 1,
        rows=rows,
        choices=choices[:_PLAIN],
        further=choices[_PLAIN:],
        further_set=steps_set or any(choice.value for choice in choices[_PLAIN:]),
        chips=_chips(query),
        sorts=SORTS.items(),
        steps=(int(with_steps.min()), int(with_steps.max())) if len(with_steps) else None,
        cleared=Query(sort=query.sort, episode=query.episode).address(),
        reading=reading,
    )


def render_episode(index: Index, entry: Entry, *, shaded: int = SHADED_CHARS, **more: Any) -> str:
    """One episode; its raw row alone where it is damaged. ``shaded`` as ``episode_page`` has it."""
    row, damage = _row(index, entry)
    episode: EpisodePage | None = None
    if row is not None:
        episode, damage = _laid_out(row, shaded)
    if row is None:
        raw = index.line(entry, 20_000).decode("utf-8", "backslashreplace")
    else:
        raw = json.dumps(shortened(row), indent=1, ensure_ascii=False)
    names: dict[str, Any] = {
        "page": 1,
        "previous": "",
        "next": "",
        "raw_link": "",
        "problem_link": "",
        "siblings": 0,
        "before": (),
        "key": entry.key,
        "anchor": f"e-{entry.key}",
        "episode": episode,
        "damage": damage,
        "shades": _shades(episode),
        "raw": raw,
        "size": entry.length,
    }
    return render("episode", **{**names, **more})


def render(template: str, /, **names: Any) -> str:
    """One of the viewer's templates, filled in."""
    return _template(template).render(**names)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("rlef.views.viewer", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        # Before escaping, on everything that is printed: no template can forget it.
        finalize=lambda value: value if isinstance(value, Markup) else visible(str(value)),
    )
    environment.globals["marks"] = MARKS
    environment.filters |= {
        "clipped": clipped,
        "short": lambda text, most: text if len(text) <= most else text[: most - 1] + "…",
        "signed": lambda value: figure(value, "+.2f"),
        "code": lambda name: CODES.get(name, "??"),
        "css": lambda name: name.replace("_", "-") if name in _FIRST else "other",
        "where": _where,
    }
    return environment.get_template(f"{name}.html.j2")


def _row(index: Index, entry: Entry) -> tuple[dict[str, Any] | None, str]:
    if entry.length > LONGEST_LINE:
        return None, f"This line is longer than the {LONGEST_LINE:,} bytes that are read; it begins as below."
    row = read_row(index.line(entry))
    return (
        row,
        "" if row is not None else "This line of the file is no JSON object; it stands below as it is.",
    )


def _laid_out(row: dict[str, Any], shaded: int) -> tuple[EpisodePage | None, str]:
    try:
        return episode_page(row, shaded=shaded), ""
    except Exception as error:  # a row may be wrong in any way, and each is shown
        return (
            None,
            f"This row is no episode's ({type(error).__name__}: {clipped(str(error), text_chars=200)}).",
        )


def _shades(episode: EpisodePage | None) -> tuple[str, ...]:
    tokens = [turn.tokens for turn in episode.turns if turn.tokens] if episode else []
    if not tokens:
        return ()
    return ("logprob", "advantage") if any(one.advantages for one in tokens) else ("logprob",)


def _page(hits: Hits, query: Query) -> int:
    """The page of the list on which the open episode is."""
    place = hits.place(hits.snapshot.find(query.episode)) if query.episode else None
    return 1 if place is None else place // PAGE + 1


def _choices(query: Query, hits: Hits) -> list[Choice]:
    found = []
    for name, label in _CHOICES.items():
        values = query.chosen.get(name, ())
        options = hits.counts[name]
        if len(values) > 1 or (len(options) < 2 and not values):
            continue
        ranked = sorted(options, key=lambda option: _rank(name, option[0]))[:_OPTIONS]
        if values and values[0] not in dict(ranked):
            ranked.append((values[0], 0))
        shown = [(value, _short(value.replace("_", " ")), count) for value, count in ranked]
        found.append(Choice(name, label, values[0] if values else "", shown))
    return found


def _rank(name: str, value: str) -> tuple[int, int, str]:
    number = int(value) if name == "turns" else 0
    return number, _FIRST.index(value) if value in _FIRST else len(_FIRST), value


def _chips(query: Query) -> list[tuple[str, str, str]]:
    """Filters that no selection box shows: one problem, or several values of a facet."""
    return [
        (name, value, query.without(name))
        for name, values in query.chosen.items()
        if name == "problem" or len(values) > 1
        for value in values
    ]


def _where(facts: Facts) -> str:
    found = [
        facts.phase,
        facts.condition.replace("_", " "),
        f"step {facts.step}" if facts.step is not None else "",
        f"#{facts.sample}" if facts.sample else "",
        facts.stop.replace("_", " "),
    ]
    return _short(" · ".join(part for part in found if part))


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:119] + "…"
