"""What a run's figures are about and what they are not: said on the page, before the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlef.views.rundata import RunData


def scope(data: RunData) -> list[str]:
    """One sentence for each thing that was left out of the problems or of the episodes."""
    again = data.provenance.get("rescored")
    rescored = [f"The episodes of {again}, judged once more; nothing was sampled."] if again else []
    return [*rescored, *_problems(data), *_quarantine(data), *_episodes(data)]


def _problems(data: RunData) -> Iterator[str]:
    chosen = data.settings.get("data")
    if not isinstance(chosen, Mapping):
        return
    if chosen.get("limit"):
        yield f"The first {chosen['limit']} problems of the split only (data.limit={chosen['limit']})."
    if chosen.get("after"):
        yield f"Problems published on {chosen['after']} or later; those without a date are left out."
    if chosen.get("before"):
        yield f"Problems published before {chosen['before']}; those without a date are left out."
    if chosen.get("families"):
        yield f"These families only: {', '.join(map(str, chosen['families']))}."


def _quarantine(data: RunData) -> Iterator[str]:
    told = data.provenance.get("quarantine")
    for one in told if isinstance(told, list) else []:
        if isinstance(one, Mapping) and one.get("excluded"):
            where = f"{one.get('dataset')}, list: {one.get('list')}"
            gone = _count(one["excluded"], "problem")
            yield f"{gone} left out by quarantine ({where}; see quarantine.json)."
    chosen = data.settings.get("data")
    if isinstance(chosen, Mapping) and chosen.get("quarantine") == "none":
        yield "No quarantine list was used: problems whose tests are known to be wrong are in the figures."


def _episodes(data: RunData) -> Iterator[str]:
    dropped = sum(int(row.get("dropped") or 0) for row in data.results)
    if dropped:
        yield f"{_count(dropped, 'episode')} dropped, scored nowhere: the judge or the model's server failed."
    most = max((int(row.get("problems") or 0) for row in data.results), default=0)
    fewer = [row for row in data.results if 0 < int(row.get("problems") or 0) < most]
    if fewer:
        yield f"Some rows are about fewer than {most} problems: the others lost too many rollouts."


def _count(number: Any, what: str) -> str:
    return f"{number} {what} was" if number == 1 else f"{number} {what}s were"
