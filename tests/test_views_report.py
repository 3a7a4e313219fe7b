import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from rlef.episode import record
from rlef.episode.trace import to_row
from rlef.runs import METRICS, TRACES, Run
from rlef.views.episodes import DROPPED, choose
from rlef.views.report import render, write_report
from views_fakes import (
    HOSTILE,
    episode,
    episodes,
    turn,
    write_metrics,
    write_run,
)
from views_fakes import test_report as report_of

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """The page's tags and text; fails on a tag that is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny--tiny--20261121-120000")


@pytest.fixture
def copy(finished, tmp_path) -> Run:
    """A run of one's own to damage."""
    shutil.copytree(finished.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="module")
def page(finished) -> Page:
    return Page(write_report(finished).read_text(encoding="utf-8"))


def test_the_page_holds_everything_that_was_promised(page):
    for words in (
        "Held-out solve rate",
        "no-feedback ceiling",
        "multi-turn, random feedback",
        "single-turn, same budget",
        "Learning curves",
        "KL to the initial policy",
        "Clip fraction",
        "Entropy",
        "Explained variance of the value, by turn",
        "Solve rate by turn",
        "What a turn makes of the one before",
        "Verdict of the public tests, by turn",
        "Episodes in full",
        "never shown to the policy",
        "rlef train --config tiny seed=0",
        "packages torch",
        "stop_on_public_pass: true",
    ):
        assert words in page.text, words


def test_the_page_is_one_file_without_scripts_or_anything_from_elsewhere(page):
    assert not {"script", "link", "iframe", "img", "object", "base", "form"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes), (
            tag,
            attributes,
        )
        assert attributes.get("href", "#").startswith("#")


def test_every_figure_has_a_text_alternative_and_its_numbers(page):
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(charts) >= 12 and len(ids) == len(set(ids))
    for chart in charts:
        assert chart["role"] == "img" and set(chart["aria-labelledby"].split()) <= set(ids)
    assert page.text.count("numbers") >= 12


def test_the_table_shows_the_results_file(finished, page):
    for row in json.loads((finished.path / "results.json").read_text()):
        assert f"{row['solved']:.3f}" in page.text


def test_hostile_text_is_shown_for_what_it_is(page, finished):
    html = (finished.path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html and "\x1b" not in html and "\u202e" not in html and "\x07" not in html
    assert "<script>alert('owned')</script>\\x1b[31mred\\x07 \\u202e\\ud800 & \"quoted\"" in page.text


def test_a_megabyte_in_one_line_is_cut_with_a_note(page, finished):
    assert (finished.path / TRACES).stat().st_size > 1_000_000
    assert (finished.path / "report.html").stat().st_size < 300_000
    assert re.search(r"[\d,]+ characters cut", page.text)


def test_the_same_files_give_the_same_page(finished):
    assert render(finished) == render(finished)


def test_the_ends_that_drop_an_episode_are_those_of_its_record():
    assert tuple(DROPPED) == record.DROPPED


def test_six_episodes_are_chosen_and_each_says_why(finished):
    shown, total = choose(finished, notes := [])
    assert total == 7 and not notes
    found = {view.problem_id.rsplit("/", 1)[1]: view.reason for view in shown}
    assert found.pop("fixed") == "best: solved, most reward; first fixed"
    assert found.pop("hostile") == "worst: unsolved, least reward"
    assert found.pop("broken") == "first broken"
    assert found.pop("long") == "longest"
    assert found.pop("dropped") == "dropped: not the model's fault"
    assert list(found.values()) == ["picked at random"]


def test_an_episode_shows_what_happened_in_it(finished):
    shown = {view.problem_id.rsplit("/", 1)[1]: view for view in choose(finished, [])[0]}
    fixed = shown["fixed"]
    assert (fixed.outcome, [t.verdict for t in fixed.turns]) == ("solved", ["wrong_answer", "accepted"])
    assert fixed.turns[0].feedback == episodes()["fixed"].turns[0].feedback
    assert fixed.turns[1].hidden == "accepted" and fixed.turns[0].hidden == ""
    assert ("del", "print(*sorted(words))") in fixed.turns[1].lines
    assert ("add", "print(*words)") in fixed.turns[1].lines
    assert ("same", "import sys") in fixed.turns[1].lines
    assert shown["dropped"].outcome == "dropped" and "neither paid nor scored" in shown["dropped"].facts


def test_turns_without_code_show_their_text(tmp_path):
    run = Run(tmp_path)
    run.append(TRACES, [{"step": 0, "phase": "train"} | to_row(episodes()["silent"])])
    (shown,) = choose(run, [])[0]
    assert [t.verdict for t in shown.turns] == ["invalid"] * 3
    assert "I would rather not." in Page(render(run)).text


def test_the_trained_model_is_shown_best_and_the_first_repair_comes_from_training(tmp_path):
    run = Run(tmp_path)
    right = report_of("accepted")
    good = episode("good", turn(right, hidden="accepted", reward=1.0))
    best = episode("best", turn(right, hidden="accepted", reward=0.5))
    for step, one in enumerate([good, episodes()["fixed"]]):
        run.append(TRACES, [{"step": step, "phase": "train"} | to_row(one)])
    run.append("episodes-after.jsonl", [{"phase": "after", "condition": "multi_turn"} | to_row(best)])
    shown = {view.reason.split(":")[0]: view for view in choose(run, [])[0]}
    assert shown["best"].problem_id.endswith("best") and shown["best"].facts.startswith("after · ")
    assert shown["first fixed"].problem_id.endswith("fixed") and "train step 1" in shown["first fixed"].facts


def test_values_and_advantages_are_shown_where_they_were_recorded(tmp_path):
    run = Run(tmp_path)
    row = {"step": 0, "phase": "train"} | to_row(episodes()["plain"])
    row["turns"][0] |= {"value": 0.25, "advantage": -0.75}
    run.append(TRACES, [row])
    assert dict(choose(run, [])[0][0].turns[0].figures) == {
        "reward": "+1.00", "value": "+0.25", "advantage": "−0.75",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("results.json", "No results yet"),
        ("results_ceiling.json", "no-feedback ceiling of this split is not known"),
        ("evaluation.json", "No multi-turn evaluation yet"),
        (METRICS, "No steps yet"),
        (TRACES, "No episodes"),
        ("provenance.json", "provenance.json is missing"),
        ("config.yaml", "config.yaml is missing"),
    ],
)
def test_a_missing_file_costs_its_section_and_nothing_else(copy, name, said):
    (copy.path / name).unlink()
    page = Page(render(copy))
    assert said in page.text and "To reproduce" in page.text


def test_an_empty_directory_still_makes_a_page(tmp_path):
    page = Page(write_report(Run(tmp_path)).read_text(encoding="utf-8"))
    assert page.count("section") == 5 and "No results yet" in page.text


@pytest.mark.parametrize("name", ["results.json", "evaluation.json", "config.yaml", METRICS, TRACES])
def test_a_damaged_file_is_named_and_the_page_is_made(copy, name):
    for junk in ("{\n", "[1, 2]\n", '"text"\n', "\x00\xff: [\n"):
        (copy.path / name).write_text(junk, encoding="latin-1")
        page = Page(render(copy))
        assert "To reproduce" in page.text
        assert name in page.text.split("To reproduce")[1] or junk in ("[1, 2]\n", '"text"\n')


def test_a_run_that_stopped_shows_what_was_measured_before(copy):
    (copy.path / "results.json").unlink()
    (copy.path / "evaluation.json").rename(copy.path / "evaluation-before.json")
    page = Page(render(copy))
    assert "results.json is not there yet" in page.text and "0.967" in page.text


def test_one_step_and_constant_figures_make_charts(tmp_path):
    run = Run(tmp_path)
    write_metrics(run, 1)
    page = Page(render(run))
    charts = [attributes for tag, attributes in page.tags if tag in ("circle", "polyline", "line")]
    assert page.count("svg") >= 8
    assert not any("nan" in value or "inf" in value for each in charts for value in each.values())


def test_hostile_names_and_settings_are_escaped(tmp_path):
    run = Run.create(tmp_path / "<b>run")
    run.write("config.yaml", "name: '<script>alert(1)</script>'\n")
    run.write_json("provenance.json", {"command": HOSTILE, "packages": {"<i>": "</pre><script>"}})
    html = render(run)
    assert "<script>" not in html and "<i>" not in html and "<b>run" not in html
    assert "<script>alert(1)</script>" in Page(html).text
