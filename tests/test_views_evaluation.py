"""The report of an evaluation: what it shows that a training run's does not."""

import json
import re
import shutil
from pathlib import Path

import pytest

from rlef.runs import Run
from rlef.views.report import render
from test_views_report import Page
from views_fakes import episodes, labelled, write_evaluation_run


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> Run:
    return write_evaluation_run(tmp_path_factory.mktemp("runs") / "custom--tiny")


@pytest.fixture(scope="module")
def evaluation_page(evaluated) -> Page:
    return Page(render(evaluated))


def test_an_evaluation_has_its_own_headline_and_no_learning_curves(evaluated, evaluation_page):
    rows = {row["condition"]: row for row in json.loads((evaluated.path / "results.json").read_text())}
    several, single = (f"{rows[name]['solved']:.2f}" for name in ("multi_turn", "single_turn"))
    head = " ".join(evaluation_page.text.split("Results")[0].split())
    assert f"Solve rate 1@3, multi-turn: {several}" in head
    assert f"As many independent samples: {single}" in head and "difference" in head
    assert "Learning curves" not in evaluation_page.text and "No steps yet" not in evaluation_page.text


def test_an_evaluation_shows_budgets_controls_problems_and_cost(evaluation_page):
    for words in (
        "1@k over the sample budget, tiny",
        "pass@k, tiny",
        "Feedback sensitivity, tiny",
        "Recovery, tiny",
        "Problems that separate the conditions",
        "How far a program is from the one before",
        "Length of the answers",
        "Invalid answers and time limits",
        "Failures of the first turn, by the turn that fixed them",
        "tokens written",
    ):
        assert words in evaluation_page.text, words


def test_the_budget_chart_has_every_row_of_the_file(evaluated, evaluation_page):
    rows = json.loads((evaluated.path / "evaluation.json").read_text())["budgets"]
    shown = [row for row in rows if row["condition"] in ("multi_turn", "single_turn")]
    assert {row["turns"] for row in shown} == {1, 3} and {row["n"] for row in shown} >= {1}
    for row in shown:
        assert f"{row['solved']:.3f} ({row['low']:.2f}–{row['high']:.2f})" in evaluation_page.text


def test_cost_adds_up_the_rows(evaluated):
    rows = list(evaluated.rows("episodes-tiny.jsonl"))
    turns = [one for row in rows for one in row["turns"]]
    wrote, read = sum(one["end"] - one["start"] for one in turns), sum(one["start"] for one in turns)
    (last,) = re.findall(r"<tr><td>all</td>.*?</tr>", render(evaluated))
    cells = re.findall(r">([\d,.]+)</td>", last)
    assert cells[:4] == [f"{number:,}" for number in (len(rows), len(turns), read, wrote)]


def test_reasons_for_invalid_answers_are_added_up_over_the_turns(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    evaluation = json.loads((run.path / "evaluation.json").read_text())
    turns = evaluation["per_turn"]["tiny"]["multi_turn"]["turns"]
    for number, turn in enumerate(turns, 1):
        turn["invalid_reasons"] = {"no_code": 10 * number, f"other{number}": 1}
    run.write_json("evaluation.json", evaluation)
    others = ", ".join(f"other{number} 1" for number, _ in enumerate(turns, 1))
    assert f"no code {10 * sum(range(len(turns) + 1))}, {others}" in Page(render(run)).text


def test_of_several_budgets_the_headline_is_about_the_first_as_the_differences_are(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    results = json.loads((run.path / "results.json").read_text())
    run.write_json("results.json", results + [row | {"n": 10, "k": 30, "solved": 0.99} for row in results])
    assert "Solve rate 1@3" in Page(render(run)).text and "Solve rate 10@30" not in Page(render(run)).text


def test_what_was_left_out_is_said_before_the_figures(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    text = (run.path / "config.yaml").read_text()
    run.write("config.yaml", re.sub(r"(?m)^  limit: .*$", "  limit: 12", text, count=1))
    told = json.loads((run.path / "provenance.json").read_text())
    run.write_json(
        "provenance.json",
        told | {"quarantine": [{"dataset": "toy (test)", "list": "toy.json", "excluded": 3}]},
    )
    rows = json.loads((run.path / "results.json").read_text())
    run.write_json("results.json", [rows[0] | {"dropped": 1}, *rows[1:]])
    head = Page(render(run)).text.split("Results")[0]
    assert (
        "first 12 problems" in head
        and "3 problems were left out by quarantine (toy (test), list: toy.json" in head
    )
    assert "1 episode was dropped" in head
    assert "left out" not in Page(render(evaluated)).text.split("Results")[0]


def test_where_no_first_turn_failed_there_is_no_recovery_and_a_page(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    evaluation = json.loads((run.path / "evaluation.json").read_text())
    nothing = {"failed": 0.0, "recovered": None, "low": None, "high": None}
    evaluation["recovery"] = [row | nothing for row in evaluation["recovery"]]
    run.write_json("evaluation.json", evaluation)
    page = Page(render(run)).text
    assert "Feedback sensitivity, tiny" in page and "Recovery, tiny" not in page


@pytest.mark.parametrize(
    ("key", "title"), [("budgets", "over the sample budget"), ("pass_at", "pass@k, tiny")]
)
def test_figures_that_nothing_is_known_of_have_no_chart(evaluated, tmp_path, key, title):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    evaluation = json.loads((run.path / "evaluation.json").read_text())
    nothing = {"solved": None, "low": None, "high": None}
    evaluation[key] = [row | nothing for row in evaluation[key]]
    run.write_json("evaluation.json", evaluation)
    assert title in Page(render(evaluated)).text and title not in Page(render(run)).text


def test_a_run_that_was_judged_again_says_so_and_has_no_curves(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    told = json.loads((run.path / "provenance.json").read_text())
    again = {"command": "rlef judge --rescore runs/old", "rescored": "runs/old"}
    run.write_json("provenance.json", told | again)
    page = Page(render(run))
    assert "The episodes of runs/old, judged once more" in page.text and "Solve rate 1@3" in page.text
    assert "Learning curves" not in page.text


def test_a_run_of_an_older_version_still_makes_a_page(evaluated, tmp_path):
    run = Run(Path(shutil.copytree(evaluated.path, tmp_path / "run")))
    tree = json.loads((run.path / "evaluation.json").read_text())
    for key in ("budgets", "pass_at", "sensitivity", "recovery", "solved_by_turn", "failed_first"):
        del tree[key]
    for found in tree["per_turn"]["tiny"].values():
        for key in ("edit", "recovered", "identical", "timed_out", "public_passed"):
            found.pop(key, None)
        for one in found["turns"]:
            for key in ("invalid_reasons", "timed_out", "tokens", "characters", "edit", "fixed_from"):
                one.pop(key, None)
    run.write_json("evaluation.json", tree)
    page = Page(render(run))
    assert "Solve rate by turn" in page.text and "over the sample budget" not in page.text


def test_episodes_of_an_endpoint_have_no_ids_and_are_shown(tmp_path):
    row = labelled("gpt", "multi_turn", episodes()["fixed"]) | {"ids": []}
    for one in row["turns"]:
        one |= {"start": 0, "end": 0, "offsets": [], "logprobs": [], "usage": {"read": 1234, "wrote": 56}}
    run = Run(tmp_path)
    run.append("episodes-gpt.jsonl", [row])
    run.write_json("usage.json", {"requests": 1234567, "read": 5, "wrote": 6, "reused": 0})
    page = Page(render(run))
    assert "Asked for: 1,234,567 requests, 5 tokens read, 6 written." in page.text
    assert "112 tokens written" in page.text and "2,468" in page.text
