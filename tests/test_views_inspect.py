"""Logs for inspect: the fields are checked against facts held here, and by inspect_ai itself where it is."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rlef.cli import run as run_cli
from rlef.episode.trace import to_row
from rlef.errors import RunError
from rlef.runs import Run
from rlef.views.inspect import export
from views_fakes import HOSTILE, episode, episodes, labelled, turn, write_evaluation_run
from views_fakes import test_report as report_of

PYTHON = os.environ.get("RLEF_INSPECT_PYTHON", sys.executable)
"""An interpreter that may have inspect_ai."""

# Names of fields of inspect_ai 0.3.285's records (EvalLog version 2), those that rlef writes.
# Required ones first; a reader ignores a name that it does not know, so a slip would go unseen.
FIELDS = {
    "log": ({"eval"}, {"version", "status", "plan", "results", "stats", "samples"}),
    "eval": (
        {"created", "task", "dataset", "model", "config"},
        {"eval_id", "run_id", "task_id", "task_args", "solver", "tags", "packages", "metadata", "scorers"}
        | {"model_generate_config"},
    ),
    "dataset": (set(), {"name", "samples", "sample_ids", "shuffled"}),
    "plan": (set(), {"name", "steps", "config"}),
    "step": ({"solver"}, {"params"}),
    "config": (set(), {"epochs", "log_samples"}),
    "generate": (set(), {"temperature", "top_p", "max_tokens"}),
    "results": (set(), {"total_samples", "completed_samples", "scores", "headline"}),
    "score": ({"name", "scorer"}, {"metrics", "scored_samples", "unscored_samples"}),
    "metric": ({"name", "value"}, {"metadata"}),
    "stats": (set(), {"started_at", "completed_at", "model_usage"}),
    "usage": (set(), {"input_tokens", "output_tokens", "total_tokens"}),
    "sample": (
        {"id", "epoch", "input", "target"},
        {"messages", "output", "scores", "metadata", "model_usage", "uuid", "turn_count", "error"},
    ),
    "message": ({"role", "content"}, {"id", "source", "metadata", "model"}),
    "output": (set(), {"model", "choices", "completion", "usage"}),
    "choice": ({"message"}, {"stop_reason"}),
    "sample_score": ({"value"}, {"answer", "explanation", "reason", "metadata"}),
    "error": ({"message", "traceback", "traceback_ansi"}, set()),
}
ROLES, SOURCES = {"system", "user", "assistant"}, {None, "input", "generate"}
STOPS = {"stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"}


def fits(kind: str, record: dict) -> None:
    required, others = FIELDS[kind]
    assert required <= set(record) <= required | others, (kind, set(record))


def check(log: dict) -> None:
    """Every record has the fields of its kind, and values of the closed lists."""
    fits("log", log)
    # inspect reads the head of a log before its samples, in this order.
    assert list(log) == ["version", "status", "eval", "plan", "results", "stats", "samples"]
    assert log["version"] == 2 and log["status"] in ("success", "cancelled")
    fits("eval", log["eval"])
    fits("dataset", log["eval"]["dataset"])
    fits("config", log["eval"]["config"])
    fits("generate", log["eval"]["model_generate_config"])
    fits("plan", log["plan"])
    for step in log["plan"]["steps"]:
        fits("step", step)
    fits("stats", log["stats"])
    if log["results"] is not None:
        fits("results", log["results"])
        for score in log["results"]["scores"]:
            fits("score", score)
            for metric in score["metrics"].values():
                fits("metric", metric)
    for sample in log["samples"]:
        check_sample(sample)


def check_sample(sample: dict) -> None:
    fits("sample", sample)
    fits("output", sample["output"])
    for usage in sample["model_usage"].values():
        fits("usage", usage)
    for message in [*sample["input"], *sample["messages"]]:
        fits("message", message)
        assert message["role"] in ROLES and message.get("source") in SOURCES
    for choice in sample["output"]["choices"]:
        fits("choice", choice)
        assert choice["stop_reason"] in STOPS
    for score in sample["scores"].values():
        fits("sample_score", score)
        assert score["value"] in ("C", "I")
    if "error" in sample:
        fits("error", sample["error"])


def logs(folder: Path) -> dict[str, dict]:
    """By condition; strict JSON only."""

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    found = [json.loads(path.read_text(), parse_constant=refuse) for path in sorted(folder.iterdir())]
    return {log["eval"]["task_args"]["condition"]: log for log in found}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return write_evaluation_run(tmp_path_factory.mktemp("runs") / "custom--tiny")


@pytest.fixture(scope="module")
def written(run, tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("logs")
    export(run, folder)
    return logs(folder)


def made(tmp_path: Path, *rows: dict) -> Run:
    run = Run.create(tmp_path / "run")
    run.write("config.yaml", "model: {system: Be brief., demonstrations: [{user: Q, assistant: A}]}\n")
    run.append("episodes-tiny.jsonl", rows)
    return run


def only(run: Run, tmp_path: Path) -> dict:
    export(run, tmp_path / "logs")
    (log,) = logs(tmp_path / "logs").values()
    check(log)
    return log


def test_there_is_a_log_for_each_condition_and_its_fields_are_inspects(written):
    assert set(written) == {"multi_turn", "single_turn", "no_feedback", "random_feedback"}
    for log in written.values():
        check(log)


def test_every_episode_is_a_sample_and_the_scores_are_the_runs_own(run, written):
    rows = list(run.rows("episodes-tiny.jsonl"))
    results = {row["condition"]: row for row in json.loads((run.path / "results.json").read_text())}
    for condition, log in written.items():
        mine = [row for row in rows if row["condition"] == condition]
        names = Counter((sample["id"], sample["epoch"]) for sample in log["samples"])
        assert names == Counter((row["problem_id"], row["sample"] + 1) for row in mine)
        assert max(names.values()) == 1, "inspect tells samples apart by id and epoch"
        assert log["eval"]["config"]["epochs"] == max(epoch for _, epoch in names)
        solved = next(score for score in log["results"]["scores"] if score["name"] == "solved")
        row = results[condition]
        assert solved["metrics"][f"{row['n']}@{row['k']}"]["value"] == row["solved"]
        right = sum(sample["scores"]["solved"]["value"] == "C" for sample in log["samples"])
        assert solved["metrics"]["accuracy"]["value"] == pytest.approx(right / len(log["samples"]))


def test_messages_are_the_conversation(run, written):
    rows = {
        (row["problem_id"], row["sample"] + 1): row
        for row in run.rows("episodes-tiny.jsonl")
        if row["condition"] == "multi_turn"
    }
    seen_feedback = 0
    for sample in written["multi_turn"]["samples"]:
        row = rows[sample["id"], sample["epoch"]]
        said = [message["content"] for message in sample["messages"] if message["role"] == "assistant"]
        heard = [message["content"] for message in sample["messages"] if message["role"] == "user"]
        assert said == [turn["text"] for turn in row["turns"]]
        assert heard == [row["prompt"], *(turn["feedback"] for turn in row["turns"] if turn["feedback"])]
        assert sample["output"]["completion"] == said[-1]
        seen_feedback += len(heard) - 1
    assert seen_feedback


def test_hidden_results_are_in_the_scores_metadata_and_nowhere_else(written):
    secret = 0
    for log in written.values():
        for sample in log["samples"]:
            kept = sample["scores"]["solved"]["metadata"]["hidden_tests"]
            assert kept["shown"] == "never shown to the model"
            secret += sum(len(turn["tests"]) for turn in kept["turns"])
            rest = {name: value for name, value in sample.items() if name != "scores"}
            assert "hidden" not in json.dumps(rest)
    assert secret


def test_where_hidden_tests_spoke_nothing_claims_that_they_were_not_shown(tmp_path):
    log = only(made(tmp_path, labelled("tiny", "hidden_feedback", episodes()["fixed"])), tmp_path)
    assert "never shown" not in json.dumps(log) and "feedback the model read" in json.dumps(log["samples"])


def test_system_message_and_demonstrations_stand_before_the_prompt(tmp_path):
    log = only(made(tmp_path, labelled("tiny", "multi_turn", episodes()["fixed"])), tmp_path)
    (sample,) = log["samples"]
    told = [(message["role"], message["content"]) for message in sample["input"]]
    assert told == [
        ("system", "Be brief."), ("user", "Q"), ("assistant", "A"), ("user", "Sort the words of the line."),
    ]  # fmt: skip
    assert [m["content"] for m in sample["messages"][:4]] == [content for _, content in told]


def test_a_dropped_episode_has_an_error_and_no_score(tmp_path):
    silent = episode("silent", stop="no_reply")
    silent.meta["no_reply"] = "device-side assert"
    three = (episodes()["plain"], episodes()["dropped"], silent)
    log = only(made(tmp_path, *(labelled("tiny", "multi_turn", one) for one in three)), tmp_path)
    by_id = {sample["id"].rsplit("/", 1)[1]: sample for sample in log["samples"]}
    assert by_id["dropped"]["scores"] == {} and "judge failed" in by_id["dropped"]["error"]["message"]
    assert by_id["silent"]["scores"] == {}
    assert "gave no reply (device-side assert)" in by_id["silent"]["error"]["message"]
    assert "error" not in by_id["plain"]


def test_tokens_are_those_of_the_ids_or_as_the_endpoint_counted_them(tmp_path):
    local = labelled("tiny", "multi_turn", episodes()["fixed"])
    remote = json.loads(json.dumps(local)) | {"ids": [], "sample": 1}
    for each, usage in zip(
        remote["turns"], ({"read": 100, "wrote": 7}, {"read": 130, "wrote": 9}), strict=True
    ):
        each |= {"start": 0, "end": 0, "offsets": [], "logprobs": [], "usage": usage}
    log = only(made(tmp_path, local, remote), tmp_path)
    first, second = (next(iter(sample["model_usage"].values())) for sample in log["samples"])
    starts = [each["start"] for each in local["turns"]]
    assert (first["input_tokens"], first["output_tokens"]) == (sum(starts), 6)
    assert (second["input_tokens"], second["output_tokens"]) == (230, 16)
    (total,) = log["stats"]["model_usage"].values()
    assert total["total_tokens"] == first["total_tokens"] + second["total_tokens"]


def test_hostile_text_is_kept_and_lone_surrogates_are_escaped(tmp_path):
    log = only(made(tmp_path, labelled("tiny", "multi_turn", episodes()["hostile"])), tmp_path)
    (sample,) = log["samples"]
    assert sample["messages"][-1]["content"] == HOSTILE.replace("\ud800", "\\ud800")
    (path,) = (tmp_path / "logs").iterdir()
    assert not re.search(r"[^\x09\x0a\x20-\x7e]", path.read_text(encoding="utf-8")), "plain ASCII on disk"
    assert "\\ud800" in sample["messages"][-1]["content"]


def test_of_two_rows_for_one_sample_the_later_counts(tmp_path):
    older = labelled("tiny", "multi_turn", episodes()["silent"]) | {"problem_id": "same"}
    newer = labelled("tiny", "multi_turn", episodes()["plain"]) | {"problem_id": "same"}
    log = only(made(tmp_path, older, newer), tmp_path)
    assert [sample["scores"]["solved"]["value"] for sample in log["samples"]] == ["C"]


def test_damaged_rows_are_left_out_and_counted(tmp_path):
    good = labelled("tiny", "multi_turn", episodes()["plain"])
    run = made(tmp_path, good, {"phase": "tiny", "condition": "multi_turn"}, {"problem_id": "x", "turns": 3})
    with (run.path / "episodes-tiny.jsonl").open("a") as file:
        file.write('{"torn":')
    done = export(run, tmp_path / "logs")
    assert done.episodes == 1 and done.notes == ("2 damaged episodes were left out",)


def test_a_run_without_episodes_is_one_clear_line(tmp_path):
    run = Run.create(tmp_path / "run")
    run.write("config.yaml", "name: x\n")
    with pytest.raises(RunError, match="rlef evaluate"):
        export(run, tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_the_command_writes_beside_the_run_and_says_how_to_look(run, capsys):
    assert run_cli(["export", "inspect", str(run.path)]) == 0
    told = capsys.readouterr()
    paths = [Path(line) for line in told.out.split()]
    assert len(paths) == 4 and all(path.parent == run.path / "inspect" for path in paths)
    # The names by which inspect finds logs in a folder: a time of day first.
    assert all(re.match(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}.*\.json$", path.name) for path in paths)
    assert "inspect view --log-dir" in told.err
    before = [path.read_bytes() for path in paths]
    assert run_cli(["export", "inspect", str(run.path)]) == 0
    assert [path.read_bytes() for path in paths] == before, "the same run gives the same logs"


READ = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log
found = []
for info in list_eval_logs(sys.argv[1]):
    log = read_eval_log(info.name)
    solved = [sample for sample in log.samples if sample.scores and sample.scores["solved"].value == "C"]
    texts = [message.text for sample in log.samples for message in sample.messages]
    found.append([log.eval.task_args["condition"], log.status, len(log.samples), len(solved), texts])
print(json.dumps(found))
"""


@pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import inspect_ai.log"], capture_output=True).returncode != 0,
    reason="inspect_ai is not installed; RLEF_INSPECT_PYTHON may name a Python that has it",
)
def test_inspect_itself_reads_the_logs(run, written, tmp_path):
    export(run, tmp_path / "logs")
    odd = made(tmp_path, *(labelled("tiny", "odd", one) for one in episodes().values()))
    export(odd, tmp_path / "logs")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [PYTHON, "-c", READ, str(tmp_path / "logs")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    read = {condition: rest for condition, *rest in json.loads(done.stdout)}
    assert read.pop("odd")[:3] == ["cancelled", len(episodes()), 2], "no results, hostile text, a drop"
    for condition, log in written.items():
        status, samples, solved, texts = read[condition]
        assert status == "success" and samples == len(log["samples"])
        assert solved == sum(sample["scores"]["solved"]["value"] == "C" for sample in log["samples"])
        said = [message["content"] for sample in log["samples"] for message in sample["messages"]]
        assert Counter(texts) == Counter(said)


def test_a_run_that_has_not_finished_is_a_cancelled_log_of_its_data(run, tmp_path):
    half = made(
        tmp_path, *(row for row in run.rows("episodes-tiny.jsonl") if row["condition"] == "multi_turn")
    )
    half.write("config.yaml", "data: {train: toy}\n")
    log = only(half, tmp_path)
    assert log["status"] == "cancelled" and log["results"] is None
    assert log["eval"]["task"] == "toy multi_turn" and len(log["samples"]) == 30


def test_an_episode_of_nothing_is_still_a_sample(tmp_path):
    empty = episode("empty", stop="context_full")
    mute = episode("mute", turn(report_of("wrong_answer"), hidden="wrong_answer"), stop="turn_limit")
    rows = [{"phase": "tiny", "condition": "multi_turn"} | to_row(one) for one in (empty, mute)]
    log = only(made(tmp_path, *rows), tmp_path)
    assert [sample["turn_count"] for sample in log["samples"]] == [0, 1]
    assert [sample["scores"]["solved"]["value"] for sample in log["samples"]] == ["I", "I"]
