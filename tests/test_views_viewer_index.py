"""The viewer's index and its filters, against plain loops over the same rows."""

import itertools
import json
import os
from urllib.parse import urlencode

import pytest

from evaluation_fakes import fenced
from rlef.episode.record import Turn
from rlef.errors import ConfigError
from rlef.evaluation.outcome import flow as flow_of_turns
from rlef.runs import TRACES, Run
from rlef.views.viewer import facts, index, page
from rlef.views.viewer.index import Index
from rlef.views.viewer.page import Pages
from rlef.views.viewer.query import PAGE, SORTS, Query, search
from test_views_report import Page
from viewer_fakes import DAMAGED, attacked, huge, measured, rows, whole, write
from views_fakes import episodes, turn
from views_fakes import test_report as report_of


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return whole(tmp_path_factory.mktemp("run"))


def read(run: Run) -> Index:
    found = Index(run)
    found.refresh()
    return found


def keys(run_index: Index, address: str) -> list[str]:
    hits = search(run_index, Query.parse(address))
    return [entry.key for page in range(hits.pages) for entry in hits.entries(page + 1)]


def test_every_episode_is_found_in_the_order_played_and_read_back_byte_for_byte(run):
    found = read(run)
    lines = {
        f"{name.removesuffix('.jsonl')}.{number}": line
        for name in ("episodes-before.jsonl", TRACES, "episodes-after.jsonl")
        for number, line in enumerate((run.path / name).read_bytes().splitlines(keepends=True))
    }
    assert keys(found, "") == list(lines)
    snapshot = found.snapshot()
    assert {e.key: found.line(e) for e in snapshot.entries} == lines


def test_the_facts_of_an_episode_are_those_of_its_row(run):
    snapshot = read(run).snapshot()
    for entry in snapshot.entries:
        row = json.loads(read(run).line(entry))
        known = entry.facts
        assert (known.problem_id, known.phase, known.stop) == (row["problem_id"], row["phase"], row["stop"])
        assert known.tokens == len(row["ids"]) and known.step == row.get("step")
        assert known.reward == sum(turn["reward"] for turn in row["turns"])
        assert len(known.verdicts) == len(row["turns"])
    outcomes = {e.facts.problem_id.rsplit("/", 1)[1]: e.facts.outcome for e in snapshot.entries}
    assert (outcomes["fixed"], outcomes["broken"], outcomes["dropped"]) == ("solved", "unsolved", "dropped")


def test_numbers_are_cut_from_a_row_only_where_they_are_numbers():
    row = rows()[0] | {"prompt": '"ids":[1,2,3] \\"ids\\":[4]', "meta": {"ids": "x", 'a "ids': [1, 2]}}
    row["turns"][0]["text"] = 'say "offsets":[1] "logprobs": [2]'
    known = facts.read_facts(json.dumps(row, separators=(",", ":")).encode())
    assert known.outcome == "solved" and known.tokens == len(row["ids"])
    assert known.prompt == row["prompt"].lower() and row["turns"][0]["text"] in known.said


def test_what_a_turn_made_of_the_last_is_what_the_evaluation_says():
    right, wrong = report_of("accepted"), report_of("wrong_answer")
    made = [
        turn(wrong, wrong),
        turn(wrong, right),
        turn(right, right),
        turn(right, wrong, code="other\n"),
        turn(code=None, text="no"),
        turn(code=None, text="never"),
        turn(code=None, text=fenced("x")),
    ]
    seen = set()
    for old, new in itertools.product(made, made):
        assert isinstance(old, Turn)
        expected = flow_of_turns(old, new)
        seen.add(expected)
        assert facts.flow(_row(old), _row(new)) == expected
    assert seen == set(facts.FLOWS)


def _row(one: Turn) -> dict:
    public = one.public and {
        "total": one.public.total,
        "tests": [{"verdict": str(test.verdict)} for test in one.public.tests],
    }
    return {"code": one.code, "text": one.text, "public": public}


FILTERS = {
    "outcome=solved": lambda r: _last(r, "public") == _last(r, "hidden") == "accepted",
    "stop=turn_limit": lambda r: r["stop"] == "turn_limit",
    "verdict=time_limit": lambda r: any(_verdicts(t) == ["time_limit"] for t in r["turns"]),
    "verdict=invalid&verdict=time_limit": lambda r: any(
        t["invalid"] or _verdicts(t) == ["time_limit"] for t in r["turns"]
    ),
    "turns=3": lambda r: len(r["turns"]) == 3,
    "phase=train": lambda r: r["phase"] == "train",
    "phase=after&condition=multi_turn": lambda r: (r["phase"], r.get("condition")) == ("after", "multi_turn"),
    "from=2&to=4": lambda r: 2 <= r.get("step", -1) <= 4,
    "from=3": lambda r: r.get("step", -1) >= 3,
    "problem=toy/train/fixed": lambda r: r["problem_id"] == "toy/train/fixed",
    "q=APPLE%20FIG": lambda r: any("apple fig" in t["feedback"].lower() for t in r["turns"]),
    "q=toy/train/lo": lambda r: r["problem_id"] == "toy/train/long",
    "q=sort+the+WORDS": lambda r: True,
    "family=order&outcome=dropped": lambda r: r["stop"] == "judge_error",
    "outcome=nonsense": lambda r: False,
}


def _last(row, name):
    return (_verdicts(row["turns"][-1], name) or [""])[0]


def _verdicts(one, name="public"):
    return [test["verdict"] for test in one[name]["tests"]] if one[name] else []


@pytest.mark.parametrize("address", FILTERS)
def test_a_filter_finds_what_a_loop_over_the_rows_finds(run, address):
    found = read(run)
    everything = {e.key: json.loads(found.line(e)) for e in found.snapshot().entries}
    expected = [key for key in keys(found, "") if FILTERS[address](everything[key])]
    assert keys(found, address) == expected
    assert address in ("outcome=nonsense",) or expected


def test_the_count_of_a_choice_is_what_choosing_it_would_find(run):
    found = read(run)
    for address in ("", "outcome=unsolved", "phase=train&outcome=unsolved&verdict=wrong_answer", "turns=1"):
        query = Query.parse(address)
        for name, counts in search(found, query).counts.items():
            for value, count in counts:
                chosen = query.address(chosen={**query.chosen, name: (value,)})
                assert count == len(keys(found, chosen[1:])), (address, name, value)


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_is_a_stable_sort(run, sort):
    found = read(run)
    keyed = {e.key: e.facts for e in found.snapshot().entries}
    by = {
        "reward": lambda key: keyed[key].reward,
        "turns": lambda key: len(keyed[key].verdicts),
        "tokens": lambda key: keyed[key].tokens,
        "problem": lambda key: keyed[key].problem_id,
        "played": lambda key: 0,
    }[sort.lstrip("-")]
    expected = sorted(keys(found, ""), key=by, reverse=sort.startswith("-"))
    if sort.startswith("-") and sort != "-played":  # reverse=True keeps equals in order, as we do
        assert keys(found, f"sort={sort}") == expected
    elif sort == "-played":
        assert keys(found, f"sort={sort}") == keys(found, "")[::-1]
    else:
        assert keys(found, f"sort={sort}") == expected


def test_a_growing_run_is_watched_and_a_torn_line_waits(tmp_path):
    run = write(tmp_path, TRACES, rows()[:2])
    found = read(run)
    first = found.snapshot()
    line = json.dumps(rows()[2]).encode() + b"\n"
    with (run.path / TRACES).open("ab") as file:
        file.write(line[:50])
        file.flush()
        found.refresh()
        assert found.snapshot().count == 2
        file.write(line[50:])
    run.append("episodes-after.jsonl", measured("multi_turn")[:1])
    found.refresh()
    now = found.snapshot()
    assert [entry.key for entry in now.entries][2:] == ["traces.2", "episodes-after.0"]
    assert found.line(now.entries[2]) == line and now.stamp != first.stamp
    assert (first.count, len(first.order)) == (2, 2)  # what somebody is looking at stays as it was


def test_a_run_that_was_cut_back_is_read_anew(tmp_path):
    run = write(tmp_path, TRACES, rows())
    found = read(run)
    run.truncate(TRACES, keep_below=3)
    found.refresh()
    assert keys(found, "") == ["traces.0", "traces.1", "traces.2"]
    (run.path / TRACES).unlink()
    found.refresh()
    assert keys(found, "") == []


def test_damaged_lines_are_listed_as_damaged_and_no_other_is_lost(tmp_path):
    run = attacked(tmp_path)
    found = read(run)
    broken = search(found, Query.parse("outcome=damaged"))
    assert broken.total == len(DAMAGED)
    assert [found.line(entry) for entry in broken.entries(1)] == list(DAMAGED)
    assert keys(found, "problem=huge/line") and keys(found, "problem=huge/episode")


def test_a_line_too_long_to_read_is_passed_over_and_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "LONGEST_LINE", 100_000)
    run = write(tmp_path, TRACES, [rows()[0], huge()[0], rows()[1]])
    entries = read(run).snapshot().entries
    assert [entry.facts.outcome for entry in entries] == ["solved", "damaged", "solved"]


ODD = ("../'a\"b\nc", "a\r\nb", "\u202eevil", "\ud800x", "a&b=c#d", "%2e%2e/x", "{{7*7}}", "x" * 5000)


def test_what_a_form_sends_back_finds_the_episodes_that_its_page_showed(tmp_path):
    run = write(tmp_path, TRACES, [rows()[0] | {"problem_id": odd, "family": odd} for odd in ODD])
    pages = Pages(read(run))
    for entry in pages.index.snapshot().entries:
        tags = Page(pages.episode(Query(episode=entry.key))).tags
        (link,) = [attrs["href"] for tag, attrs in tags if "problem=" in attrs.get("href", "")]
        query = Query.parse(link.partition("?")[2])
        assert [one.key for one in pages.find(query).entries(1)] == [entry.key], entry.facts.problem_id
        fields = Page(pages.list(query)).tags
        (sent,) = [attrs["value"] for tag, attrs in fields if attrs.get("name") == "problem"]
        form = urlencode({"problem": sent.replace("\n", "\r\n")}, errors="surrogatepass")
        assert [one.key for one in pages.find(Query.parse(form)).entries(1)] == [entry.key]
        families = {attrs["value"] for tag, attrs in fields if tag == "option"}
        assert set(pages.find(query).snapshot.facets["family"].names) & families


def test_a_line_too_long_to_read_is_called_that(tmp_path, monkeypatch):
    for module in (index, page):
        monkeypatch.setattr(module, "LONGEST_LINE", 100_000)
    html = Pages(read(write(tmp_path, TRACES, huge()))).episode(Query(episode="traces.0"))
    assert "longer than the 100,000 bytes" in html and "no JSON" not in html
    assert "huge/line" in html or "problem_id" in html  # how it begins


@pytest.mark.parametrize(
    "address", ["outcom=solved", "sort=up", "from=x", "to=", "page=first", "token=1", "outcome=solved&x=1"]
)
def test_a_filter_of_the_command_line_that_means_nothing_is_one_clear_line(address):
    with pytest.raises(ConfigError, match="filter"):
        Query.strict(address)


def test_a_filter_of_the_command_line_is_what_the_address_is():
    address = "q=a+b&outcome=solved&verdict=time_limit&verdict=invalid&from=1&to=2&sort=-reward&e=traces.1"
    assert Query.strict(address) == Query.parse(address)


def test_beyond_its_memory_the_search_reads_the_files(run, monkeypatch):
    expected = keys(read(run), "q=indexerror")
    prompted = keys(read(run), "q=sort+the+words")
    monkeypatch.setattr(index, "TEXT_BYTES", 10)
    found = read(run)
    assert not any(entry.facts.said or entry.facts.prompt for entry in found.snapshot().entries)
    assert keys(found, "q=indexerror") == expected != []
    assert keys(found, "q=sort+the+words") == prompted != []


def test_prompts_count_once_for_all_episodes_of_a_problem(tmp_path, monkeypatch):
    one = rows()[0] | {"prompt": "long " * 20_000}
    other = rows()[0] | {"prompt": "other " * 20_000}
    monkeypatch.setattr(index, "TEXT_BYTES", 150_000)
    run = write(tmp_path, TRACES, [one, one, one, other])
    assert [bool(entry.facts.prompt) for entry in read(run).snapshot().entries] == [True, True, True, False]


def test_links_and_pipes_are_not_followed(tmp_path):
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"problem_id": "secret"}\n')
    run = write(tmp_path / "run", TRACES, rows()[:1])
    (run.path / "episodes-x.jsonl").symlink_to(secret)
    os.mkfifo(run.path / "episodes-y.jsonl")
    assert keys(read(run), "") == ["traces.0"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "?q=%ff%fe",
        "q=%ED%A0%80&problem=%ED%B0%80",
        "&&&==&",
        "from=x&to=-1&page=0x2",
        "turns=" + "9" * 50,
        "e=" + "a" * 9000,
        "&".join(["verdict=x"] * 500),
        "sort=../../etc",
        "page=99999999",
        "q=" + "(" * 5000,
    ],
)
def test_no_address_is_an_error_and_each_is_read_as_it_was_written(run, address):
    query = Query.parse(address.removeprefix("?"))
    assert Query.parse(query.address()[1:]) == query
    search(read(run), query)


def test_a_page_of_the_list_holds_no_more_than_it_should(tmp_path):
    run = write(tmp_path, TRACES, rows() * 60)
    hits = search(read(run), Query())
    assert hits.total == 60 * len(episodes()) and hits.pages == -(-hits.total // PAGE)
    sizes = [len(hits.entries(page)) for page in range(1, hits.pages + 1)]
    assert sizes[:-1] == [PAGE] * (hits.pages - 1) and sum(sizes) == hits.total
