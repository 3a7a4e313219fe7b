"""``rlef evaluate`` from outside: endpoints, Ctrl-C, kills, resuming, replaying."""

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import rlef.cli
from chat_server import MODEL, ChatServer
from rlef.episode.trace import from_row
from rlef.errors import RunError
from rlef.jobs.rescore import target_of
from rlef.problems.load import load
from rlef.runs import read_jsonl
from rlef.settings import load_config

PROBLEMS = 24
SETTINGS = (
    f"data.limit={PROBLEMS}",
    "evaluation.rollouts=2",
    "endpoint.concurrency=4",
    "sandbox.slots=1",
    "evaluation.conditions=[multi_turn,single_turn,pass_fail]",
)


def guesses():
    """Says one of a problem's known programs, the same for the same request."""
    quick = ("accepted", "wrong_answer")
    by_statement = {
        p.statement.strip(): [s.code for s in p.solutions if s.verdict in quick][:3]
        for p in load("conventions", "test", limit=PROBLEMS)
    }

    def script(body):
        text = body["messages"][0]["content"]
        programs = next(found for statement, found in by_statement.items() if statement in text)
        draw = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()[0]
        return f"```python\n{programs[draw % len(programs)]}\n```"

    return script


def start(*words, env=None):
    environment = {**os.environ, "OPENAI_API_KEY": "", **(env or {})}
    return subprocess.Popen(
        [sys.executable, "-m", "rlef", "evaluate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def evaluate(server, out):
    words = ["--base-url", server.url, "--model", MODEL, "--data", "conventions", "--out", str(out)]
    return start(*words, *SETTINGS)


def results(out):
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An evaluation that nobody disturbed, its server, and how long it took the server's requests."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with ChatServer(guesses(), delay_s=0.005) as server:
        code, _, err = finish(evaluate(server, out))
    assert code == 0, err
    return out, server


def test_an_endpoint_is_measured_without_torch(whole):
    out, server = whole
    assert [row["condition"] for row in results(out)] == ["multi_turn", "single_turn", "pass_fail"]
    assert all(row["problems"] == PROBLEMS and not row["dropped"] for row in results(out))
    assert set(server.answered.values()) == {1}
    spent = json.loads((out / "usage.json").read_text())
    assert spent["requests"] == len(server.answered) and spent["wrote"] > 0
    notes = json.loads((out / "provenance.json").read_text())
    assert notes["endpoint"] == server.url and notes["model"] == MODEL
    assert "chat_fingerprint" not in notes
    loaded = "import sys, rlef.jobs.evaluate as e; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.slow
def test_killed_ten_times_at_random_the_table_is_the_same_and_nothing_is_paid_twice(whole, tmp_path):
    out = tmp_path / "run"
    chance = random.Random(20)
    with ChatServer(guesses(), delay_s=0.005) as server:
        process = evaluate(server, out)
        for _ in range(10):
            wanted = sum(server.asked.values()) + chance.randrange(1, 30)
            while sum(server.asked.values()) < wanted and process.poll() is None:
                time.sleep(0.002)
            process.kill()
            finish(process)
            process = start("--resume", str(out))
        code, _, err = finish(process)
    assert code == 0, err
    assert results(out) == results(whole[0])
    twice = {name: n for name, n in server.asked.items() if n > 1}
    assert sum(twice.values()) - len(twice) <= 10 * 4, "at most what was on its way at each kill"
    journal = Counter(row["request"] for row in read_jsonl(out / "replies.jsonl"))
    assert set(journal.values()) == {1} and journal.keys() == whole_journal(whole)


def whole_journal(whole):
    return {row["request"] for row in read_jsonl(whole[0] / "replies.jsonl")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_schedulers_end_says_how_to_go_on_and_the_table_is_the_same(number, whole, tmp_path):
    out = tmp_path / "run"
    with ChatServer(guesses(), delay_s=0.005) as server:
        process = evaluate(server, out)
        while sum(server.asked.values()) < 20:
            time.sleep(0.005)
        process.send_signal(number)
        code, _, err = finish(process)
        assert code == 130
        assert f"rlef evaluate --resume {out}" in err
        code, _, err = finish(start("--resume", str(out)))
    assert code == 0 and results(out) == results(whole[0])


def test_a_recorded_run_is_measured_again_without_its_server(whole, tmp_path):
    out, again = whole[0], tmp_path / "again"
    words = ["--model", f"replay:{out}", "--data", "conventions", "--out", str(again), *SETTINGS]
    code, _, err = finish(start(*words))
    assert code == 0, err
    strip = [{key: value for key, value in row.items() if key != "model"} for row in results(again)]
    assert strip == [{key: value for key, value in row.items() if key != "model"} for row in results(out)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "other"], "no model 'other'"),
        (["--data", "conventionss"], "no data set 'conventionss'"),
        (["endpoint.concurency=2"], "did you mean 'endpoint.concurrency'"),
        (["--base-url", "localhost:8000"], "must begin with http://"),
        (["--base-url", "https://me:secret@host/v1"], "must hold no password"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(words, says, tmp_path):
    with ChatServer(guesses()) as server:
        code, _, err = finish(start("--base-url", server.url, "--out", str(tmp_path / "run"), *words))
    assert code == 2 and says in err.splitlines()[-1]
    assert not (tmp_path / "run").exists() and not server.asked


def test_a_finished_evaluation_is_judged_again_without_a_model(whole, tmp_path):
    source, out = whole[0], tmp_path / "again"
    words = [sys.executable, "-m", "rlef", "judge", "--rescore", str(source), "--out", str(out)]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)
    assert changes["changed"] == changes["cut_short"] == changes["missing"] == 0
    assert changes["episodes"] == sum(row["rollouts"] for row in results(source))
    assert results(out) == results(source)
    assert (out / "report.html").is_file()
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "exists already" in done.stderr


def test_a_second_judgement_that_was_cut_off_is_begun_anew(whole, tmp_path):
    source = tmp_path / "run"
    source.mkdir()
    (source / "config.yaml").write_text("name: test\n")
    target = target_of(source, None)
    assert target.path == tmp_path / "run--rescored"
    target.write("config.yaml", "name: test\n")
    target.write("provenance.json", '{"command": "rlef judge --rescore run"}')
    target.write("episodes-x.jsonl", "")
    assert not (target_of(source, None).path / "episodes-x.jsonl").exists()
    target.write("provenance.json", '{"command": "rlef judge --rescore run"}')
    target.write("rescored.json", "{}")
    with pytest.raises(RunError, match="exists already"):
        target_of(source, None)


def test_only_an_evaluation_can_be_judged_again(tmp_path):
    (tmp_path / "config.yaml").write_text("name: empty\n")
    words = [sys.executable, "-m", "rlef", "judge", "--rescore", str(tmp_path), "--out", str(tmp_path / "x")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "holds no episodes" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_finished_evaluation_needs_its_server_no_more(whole):
    out = whole[0]
    (out / "report.html").unlink()
    before = results(out)
    code, _, err = finish(start("--resume", str(out)))  # the server is gone
    assert code == 0, err
    assert results(out) == before and (out / "report.html").is_file()


def test_without_a_name_the_servers_only_model_is_measured(tmp_path):
    out = tmp_path / "run"
    with ChatServer(guesses()) as server:
        words = ["--base-url", server.url, "--out", str(out), "data.limit=2", "sandbox.slots=1"]
        code, _, err = finish(start(*words, "evaluation.conditions=[multi_turn]"))
    assert code == 0, err
    assert [row["model"] for row in results(out)] == [MODEL]
    assert (out / f"episodes-{MODEL}.jsonl").is_file()
    assert load_config(out / "config.yaml").model.path == MODEL, "and asked for by name when it goes on"


def test_a_conversation_that_is_too_long_ends_there_and_is_counted(tmp_path):
    """The server takes opening messages and nothing after them."""
    out, guess = tmp_path / "run", guesses()

    def script(body):
        too_long = 400, {"error": {"message": "This model's maximum context length is 99 tokens."}}
        return guess(body) if len(body["messages"]) == 1 else too_long

    with ChatServer(script) as server:
        code, _, err = finish(evaluate(server, out))
    assert code == 0, err
    rows = list(read_jsonl(out / f"episodes-{MODEL}.jsonl"))
    ended = [from_row(row) for row in rows if row["stop"] == "context_full"]
    assert ended and all(len(episode.turns) == 1 and not episode.solved for episode in ended)
    spent = json.loads((out / "usage.json").read_text())
    assert 0 < spent["too_long"] <= len(ended) and spent["seconds"] > 0
    page = (out / "report.html").read_text()
    assert f"context was too short for {spent['too_long']}" in page and "tokens a second" in page


def test_a_full_disk_is_one_line_and_when_there_is_room_again_it_goes_on(whole, tmp_path):
    out = tmp_path / "run"
    with ChatServer(guesses(), delay_s=0.005) as server:
        process = evaluate(server, out)
        while sum(server.asked.values()) < 20:
            time.sleep(0.005)
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2048, hard))  # of a file, not of the disk
        code, _, err = finish(process)
        assert code == 2 and "go on with: rlef evaluate --resume" in err
        assert "Traceback" not in err and "what was finished is kept" in err.splitlines()[-1]
        code, _, err = finish(start("--resume", str(out)))
    assert code == 0, err
    assert results(out) == results(whole[0])


def mistake(capsys, *words):
    """Exit code and last line of ``rlef WORDS``, run in this process."""
    code = rlef.cli.run(list(words))
    return code, capsys.readouterr().err.splitlines()[-1]


def test_a_run_goes_on_with_its_own_settings_alone(whole, capsys):
    out = str(whole[0])
    for words in (["--model", "x"], ["--data", "basics"], ["seed=1"], ["--out", "x"], ["--overwrite"]):
        name = "key=value" if words == ["seed=1"] else words[0]
        code, line = mistake(capsys, "evaluate", "--resume", out, *words)
        assert code == 2 and line.endswith(f"the run's own settings; leave out {name}")
    code, line = mistake(capsys, "train", "--resume", out)
    assert code == 2 and "was made by `rlef evaluate`" in line
    assert (whole[0] / "config.yaml").exists()


def test_a_measured_training_run_is_not_written_over_by_an_evaluation(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("name: test\n")
    (tmp_path / "provenance.json").write_text('{"command": "rlef train"}')
    (tmp_path / "results.json").write_text("[1]")
    (tmp_path / "evaluation-after.json").write_text("{}")
    code, line = mistake(capsys, "evaluate", "--resume", str(tmp_path))
    assert code == 2 and "was made by `rlef train`" in line
    assert (tmp_path / "results.json").read_text() == "[1]"


def test_a_dry_run_says_how_much_would_be_asked_at_most(capsys, tmp_path):
    words = ["--base-url", "http://127.0.0.1:1/v1", "--out", str(tmp_path / "run"), "--dry-run", *SETTINGS]
    code, line = mistake(capsys, "evaluate", *words)
    assert code == 0 and "24 problems, 2 rollouts of 3 turns under 3 conditions: at most 432 replies" in line
    assert not (tmp_path / "run").exists()


def test_conversations_that_a_server_never_answers_are_dropped_and_too_many_stop_it(whole, tmp_path):
    few, many, says, lost = tmp_path / "few", tmp_path / "many", guesses(), []

    def script(body):
        told = body["messages"][0]["content"]
        if told == "Hello":
            return "Hi!"
        if not lost:
            lost.append(told)
        return (500, {"error": {"message": "device-side assert"}}) if told == lost[0] else says(body)

    with ChatServer(script, delay_s=0.005) as server:
        words = ["--base-url", server.url, "--model", MODEL, "--data", "conventions", *SETTINGS]
        words += ["endpoint.retries=0"]
        code, _, err = finish(start(*words, "endpoint.max_unanswered=0.5", "--out", str(few)))
        assert code == 0, err
        same = sum(p.statement.strip() in lost[0] for p in load("conventions", "test", limit=PROBLEMS))
        assert [row["dropped"] for row in results(few)] == [2 * same, 6 * same, 2 * same]
        assert f"{10 * same} episodes were dropped" in (few / "report.html").read_text()

        code, _, err = finish(start(*words, "--out", str(many)))
        assert code == 1 and "device-side assert), more than the share endpoint.max_unanswered=0.05" in err
        lost[:] = ["nothing"]
        code, _, err = finish(start("--resume", str(many)))
        assert code == 0, err
    assert results(many) == results(whole[0])


def test_one_run_is_not_written_by_two(tmp_path):
    out = tmp_path / "run"
    with ChatServer(guesses(), delay_s=0.05) as server:
        first = evaluate(server, out)
        while sum(server.asked.values()) < 8:
            time.sleep(0.005)
        code, _, err = finish(start("--resume", str(out)))
        assert code == 2 and "another process is writing" in err.splitlines()[-1]
        assert first.poll() is None, "and the first goes on"
        first.send_signal(signal.SIGINT)
        assert finish(first)[0] == 130


def test_ctrl_c_does_not_wait_for_a_server_that_hangs(tmp_path):
    with ChatServer(guesses(), delay_s=60) as server:
        process = evaluate(server, tmp_path / "run")
        while not server.asked:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        finish(process)
