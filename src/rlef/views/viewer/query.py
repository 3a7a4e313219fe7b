"""What stands in the address: which episodes, in which order, and which one is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np
from numpy.typing import NDArray

from rlef.errors import ConfigError
from rlef.views.text import visible
from rlef.views.viewer.index import FACETS, Entry, Index, Ints, Snapshot

Mask = NDArray[np.bool_]
SORTS = {
    "played": "as played",
    "-played": "last played first",
    "-reward": "most reward first",
    "reward": "least reward first",
    "-turns": "most turns first",
    "turns": "fewest turns first",
    "-tokens": "longest first",
    "tokens": "shortest first",
    "problem": "by problem",
}
PAGE = 60
"""Episodes on one page of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One address, parsed. What it can't mean is left out: an address never fails."""

    text: str = ""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Facet, and the values of which an episode must have one."""
    first: int | None = None
    """Training steps from here on."""
    last: int | None = None
    sort: str = "played"
    page: int | None = None
    """Page of the list, from 1; that of the open episode if not given."""
    episode: str = ""

    @classmethod
    def parse(cls, address: str) -> Query:
        """Read the part of an address after the question mark."""
        pairs = _pairs(address)
        chosen: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if name in FACETS and value:
                chosen[name] = tuple(dict.fromkeys((*chosen.get(name, ()), visible(value))))
        one = dict(pairs)
        sort = one.get("sort", "")
        return cls(
            text=one.get("q", "").strip(),
            chosen=chosen,
            first=_number(one.get("from")),
            last=_number(one.get("to")),
            sort=sort if sort in SORTS else "played",
            page=_number(one.get("page")),
            episode=one.get("e", ""),
        )

    @classmethod
    def strict(cls, address: str) -> Query:
        """The same for who writes it on a command line. Raises ``ConfigError`` for what means nothing."""
        known = (*FACETS, "q", "from", "to", "sort", "page", "e")
        for name, value in parse_qsl(address, keep_blank_values=True):
            wrong = name in ("from", "to", "page") and _number(value) is None
            if name not in known:
                raise ConfigError(f"there is no filter {name!r}; there are {', '.join(known)}")
            if wrong or (name == "sort" and value not in SORTS):
                raise ConfigError(f"a filter {name} can't be {value!r}; see docs/viewer.md")
        return cls.parse(address)

    def address(self, **changes: Any) -> str:
        """``?…`` of this query with some of it changed; the same query has one address."""
        new = replace(self, **changes)
        pairs: list[tuple[str, object]] = [("q", new.text)]
        pairs += [(name, value) for name in FACETS for value in new.chosen.get(name, ())]
        pairs += [("from", new.first), ("to", new.last)]
        pairs += [("sort", "" if new.sort == "played" else new.sort), ("page", new.page), ("e", new.episode)]
        kept = [f"{name}={_quoted(str(value))}" for name, value in pairs if value not in ("", None)]
        return "?" + "&".join(kept)

    def without(self, name: str) -> str:
        """The address in which one facet is free again."""
        chosen = {other: values for other, values in self.chosen.items() if other != name}
        return self.address(chosen=chosen, page=None)

    @property
    def filters(self) -> bool:
        """True if some episodes may be left out."""
        return bool(self.text or self.chosen or self.first is not None or self.last is not None)


@dataclass(frozen=True, slots=True)
class Hits:
    """What a query finds."""

    snapshot: Snapshot
    rows: Ints
    """Places of the episodes among the entries, in the order asked for."""
    counts: dict[str, list[tuple[str, int]]]
    """Per facet its values, each with how many episodes there would be with it and all other filters."""

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.rows)

    def entries(self, page: int) -> list[Entry]:
        """The episodes of one page, from 1."""
        return [self.snapshot.entries[row] for row in self.rows[(page - 1) * PAGE : page * PAGE]]

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // PAGE))

    def place(self, row: int | None) -> int | None:
        """Position of an episode among those found, from 0; None if it is not."""
        if row is None:
            return None
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None

    def at(self, place: int) -> Entry | None:
        """The episode at a position; None beyond both ends."""
        return self.snapshot.entries[self.rows[place]] if 0 <= place < self.total else None


def search(index: Index, query: Query) -> Hits:
    """All episodes that a query asks for, sorted, with the counts for its choices."""
    snapshot = index.snapshot()
    base = _steps(snapshot, query)
    if query.text:
        base &= _texts(index, snapshot, query.text.lower(), base)
    masks = {name: _having(snapshot, name, values) for name, values in query.chosen.items()}
    # An episode that fails one filter still counts for the choices of that filter.
    failed = np.zeros(snapshot.count, dtype=np.int64)
    for mask in masks.values():
        failed += ~mask
    all_but = {name: base & (failed - ~mask == 0) for name, mask in masks.items()}
    hits = base & (failed == 0)
    counts = {name: _counts(snapshot, name, all_but.get(name, hits)) for name in FACETS[:-1]}
    return Hits(snapshot, _sorted(snapshot, hits, query.sort), counts)


def _steps(snapshot: Snapshot, query: Query) -> Mask:
    mask = np.ones(snapshot.count, dtype=bool)
    if query.first is not None:
        mask &= snapshot.step >= max(query.first, 0)
    if query.last is not None:
        mask &= (snapshot.step <= query.last) & (snapshot.step >= 0)
    return mask


def _having(snapshot: Snapshot, name: str, values: Iterable[str]) -> Mask:
    facet = snapshot.facets[name]
    codes = [facet.codes[value] for value in values if value in facet.codes]
    mask = np.zeros(snapshot.count, dtype=bool)
    mask[facet.rows[np.isin(facet.values, codes)]] = True
    return mask


def _counts(snapshot: Snapshot, name: str, mask: Mask) -> list[tuple[str, int]]:
    facet = snapshot.facets[name]
    counts = np.bincount(facet.values[mask[facet.rows]], minlength=len(facet.names))
    return [(value, int(count)) for value, count in zip(facet.names, counts, strict=True)]


def _texts(index: Index, snapshot: Snapshot, needle: str, base: Mask) -> Mask:
    """Episodes in whose name, opening message, answers or feedback the text stands."""
    prompts: dict[str, bool] = {}
    mask = np.zeros(snapshot.count, dtype=bool)
    for row in np.flatnonzero(base):
        entry = snapshot.entries[row]
        facts = entry.facts
        if facts.prompt not in prompts:
            prompts[facts.prompt] = needle in facts.prompt
        mask[row] = (
            prompts[facts.prompt]
            or needle in facts.problem_id.lower()
            or needle in facts.family.lower()
            or index.says(entry, needle)
        )
    return mask


def _sorted(snapshot: Snapshot, mask: Mask, sort: str) -> Ints:
    rows = snapshot.order[mask[snapshot.order]]
    name = sort.removeprefix("-")
    if name == "played":
        return rows[::-1] if sort.startswith("-") else rows
    if name == "problem":
        names = snapshot.facets["problem"].names
        rank = np.empty(len(names), dtype=np.int64)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        keys: NDArray[Any] = rank[
            snapshot.facets["problem"].values[rows]
        ]  # one problem an episode: pairs are rows
    else:
        keys = {"reward": snapshot.reward, "turns": snapshot.turns, "tokens": snapshot.tokens}[name][rows]
    found: Ints = rows[np.argsort(-keys if sort.startswith("-") else keys, kind="stable")]
    return found


def _pairs(address: str) -> list[tuple[str, str]]:
    address = address[:20_000]
    try:
        return parse_qsl(address, errors="surrogatepass", max_num_fields=100)
    except UnicodeDecodeError:
        return parse_qsl(address, errors="replace", max_num_fields=100)
    except ValueError:  # too many fields
        return []


def _number(text: str | None) -> int | None:
    return int(text) if text and len(text) < 16 and text.isdecimal() and text.isascii() else None


def _quoted(text: str) -> str:
    # Ids may hold halves of surrogate pairs; slashes and colons may stand in a query as they are.
    return quote(text, safe="/:", errors="surrogatepass")
