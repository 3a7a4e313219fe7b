"""The benchmarks' own machinery: no figure is looked at here."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import module, peers, rounds, rows, run
from benchmarks.contestants import INPUT, Forker, Rlef, Worker, fresh
from benchmarks.rounds import WrongOutput
from benchmarks.rows import Question, Unavailable
from rlef.sandbox.host import interpreter

FIELDS = {"what", "value", "unit", "target", "met", "reason", "details"}
ROOT = Path(__file__).parents[1]
HEAD = """
import sys, time
sys.path.insert(0, {root!r})
from benchmarks.module import main
from benchmarks.rows import Question, Unavailable
A, B = Question("a", "ms", "<= 1"), Question("b", "times")
def measure(quick):
"""


def commands(monkeypatch, tmp_path, **bodies):
    """Let ``run`` start modules whose ``measure`` has the given bodies."""
    for name, body in bodies.items():
        text = HEAD.format(root=str(ROOT)) + f"    {body}\nmain('doc', (A, B), measure)\n"
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(run, "command", lambda name: [sys.executable, str(tmp_path / f"{name}.py")])


def call_run(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", ["run", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        run.main()
    return ended.value.code


def test_results_are_a_list_of_rows_that_begins_with_the_machine(monkeypatch, tmp_path, capsys):
    commands(monkeypatch, tmp_path, good="return [A.answer(0.5, more=1), B.answer(20)]")
    monkeypatch.setattr(run, "MODULES", ("good",))
    out = tmp_path / "results.json"
    assert call_run(monkeypatch, "--out", out) == 0
    found = json.loads(out.read_text())
    assert all(set(row) == FIELDS for row in found)
    assert found[0]["what"] == "this machine" and found[0]["details"].keys() >= {"kernel", "rung", "load"}
    short = [(row["what"], row["value"], row["unit"], row["target"], row["met"]) for row in found[1:]]
    assert short == [("a", 0.5, "ms", "<= 1", True), ("b", 20, "times", "", None)]
    assert found[1]["details"] == {"more": 1}
    printed = capsys.readouterr().out
    assert "yes" in printed and "kernel" in printed


def test_a_missed_target_is_told_and_is_no_failure(monkeypatch, tmp_path, capsys):
    commands(monkeypatch, tmp_path, slow="return [A.answer(1.5), B.answer(1)]")
    monkeypatch.setattr(run, "MODULES", ("slow",))
    assert call_run(monkeypatch, "--out", tmp_path / "results.json") == 0
    assert json.loads((tmp_path / "results.json").read_text())[1]["met"] is False
    assert "NO" in capsys.readouterr().out


def test_a_target_holds_for_the_measured_value_and_not_for_the_rounded_one():
    assert Question("x", "ms", "<= 1.2").answer(1.2).met is True
    assert Question("x", "ms", "<= 1.2").answer(1.2000001).met is False
    assert Question("x", "times", ">= 10").answer(9.99999).met is False
    assert Question("x", "times", ">= 10").answer(10).met is True


def test_a_module_that_crashes_leaves_null_rows_with_the_reason_and_the_others_go_on(monkeypatch, tmp_path):
    commands(
        monkeypatch,
        tmp_path,
        crash="raise ZeroDivisionError('half-way')",
        half="return [B.answer(3)]",
        good="return [A.answer(0.5), B.answer(2)]",
    )
    monkeypatch.setattr(run, "MODULES", ("crash", "half", "missing", "good"))
    out = tmp_path / "results.json"
    assert call_run(monkeypatch, "--out", out) == 1
    found = json.loads(out.read_text())[1:]
    assert [(row["what"], row["value"]) for row in found] == [
        ("a", None),
        ("b", None),
        ("b", 3),
        ("a", None),
        ("missing", None),
        ("a", 0.5),
        ("b", 2),
    ]
    assert all(row["reason"] and row["met"] is None for row in found if row["value"] is None)
    assert "half-way" in found[0]["reason"] and "half-way" in found[1]["reason"]


def test_a_module_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    commands(monkeypatch, tmp_path, slow="time.sleep(600)")
    monkeypatch.setattr(run, "LONGEST_S", {False: 1.0, True: 1.0})
    found, good = run.run_module("slow", False, tmp_path)
    assert not good and len(found) == 2 and all("longer than 1 s" in row.reason for row in found)


def test_an_unavailable_peer_is_named_and_is_no_failure(monkeypatch, tmp_path):
    commands(monkeypatch, tmp_path, lonely="raise Unavailable('no such peer; get it there')")
    found, good = run.run_module("lonely", False, tmp_path)
    assert good and [row.reason for row in found] == ["no such peer; get it there"] * 2


def test_a_peer_that_is_nowhere_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "INSTALLED", tmp_path / "installed")
    monkeypatch.delenv("RLEF_PEERS", raising=False)
    with pytest.raises(Unavailable, match=r"no Fusion \(RLEF_PEERS is not set\).*README"):
        peers.folder("Fusion", "server.py")
    monkeypatch.setenv("RLEF_PEERS", str(tmp_path))
    with pytest.raises(Unavailable, match="has no Fusion"):
        peers.folder("Fusion", "server.py")
    (tmp_path / "Fusion").mkdir()
    (tmp_path / "Fusion" / "server.py").touch()
    assert peers.folder("Fusion", "server.py") == tmp_path / "Fusion"
    with pytest.raises(Unavailable, match="no no-such-jail on the path"):
        peers.program("no-such-jail", "install it")


def test_the_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    rows.write(path, [Question("x", "ms").answer(1)])
    before = path.read_text()
    with pytest.raises(TypeError):
        rows.write(path, [Question("x", "ms").answer(1, odd=object())])
    assert path.read_text() == before and [p.name for p in tmp_path.iterdir()] == ["results.json"]
    assert rows.read(path) == [Question("x", "ms").answer(1)]


def test_ctrl_c_leaves_no_file_and_no_process(tmp_path):
    marker = tmp_path / "pid"
    body = f"import os, pathlib; pathlib.Path({str(marker)!r}).write_text(str(os.getpid())); time.sleep(600)"
    (tmp_path / "slow.py").write_text(
        HEAD.format(root=str(ROOT)) + f"    {body}\nmain('doc', (A, B), measure)\n"
    )
    code = (
        f"import sys; from benchmarks import run; run.MODULES = ('slow',); "
        f"run.command = lambda name: [sys.executable, {str(tmp_path / 'slow.py')!r}]; "
        f"sys.argv = ['run', '--out', {str(tmp_path / 'out.json')!r}]; run.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (marker.exists() and marker.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not (tmp_path / "out.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_every_module_asks_questions_of_its_own_and_every_target_of_the_table_is_asked():
    asked = []
    for name in run.MODULES:
        asked += list(__import__(f"benchmarks.{name}", fromlist=["QUESTIONS"]).QUESTIONS)
    with_target = [question for question in asked if question.target]
    assert len({question.what for question in with_target}) == len(with_target)
    targets = {question.target for question in with_target}
    wanted = {"<= 1.2", ">= 800", ">= 10", ">= 20", "<= 0.05", ">= 40", "<= 0.4", "<= 0.6", "<= 0", "<= 10"}
    assert targets == wanted | {"<= 25", ">= 1.9", "<= 300", ">= 100"}


# -- the rounds


def scripted(*values):
    left = list(values)

    def contestant():
        value = left.pop(0)
        if value is None:
            raise WrongOutput("no")
        return value

    return contestant


def test_the_ratio_is_the_middle_one_of_the_rounds_ratios():
    # The first value is the round that warms up. The machine is ten times slower in the second round.
    times = rounds.interleave(
        {"rlef": scripted(9, 1, 10, 1), "peer": scripted(9, 4, 50, 6)}, rounds=3, seconds=60
    )
    assert times.ratio("peer", "rlef") == 5
    assert times.median("rlef") == 1


def test_each_round_begins_with_another_contestant():
    order = []

    def contestant(name):
        return lambda: order.append(name) or 1.0

    rounds.interleave({name: contestant(name) for name in "abc"}, rounds=3, seconds=60)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"


def test_several_goes_count_as_their_mean_and_fail_together():
    assert rounds.repeated(scripted(1, 2, 6), 3)() == 3
    with pytest.raises(WrongOutput):
        rounds.repeated(scripted(1, None, 6), 3)()


def test_a_peers_wrong_outputs_count_for_nothing_and_are_told():
    times = rounds.interleave(
        {"rlef": scripted(1, 1, 1, 1), "peer": scripted(4, None, 5, 7)}, rounds=3, seconds=60
    )
    assert times.ratio("peer", "rlef") == 6
    assert times.details()["peer"]["wrong outputs"] == 1
    bad = rounds.interleave(
        {"rlef": scripted(1, 1, 1, 1), "peer": scripted(4, None, None, 7)}, rounds=3, seconds=60
    )
    with pytest.raises(WrongOutput, match="in 2 of 3 rounds"):
        bad.ratio("peer", "rlef")


def test_a_wrong_output_of_rlef_stops_the_benchmark():
    with pytest.raises(WrongOutput):
        rounds.interleave({"rlef, 1 test": scripted(1, None)}, rounds=3, seconds=60)


# -- the contestants


def test_contestants_check_what_the_program_printed():
    wrong = [interpreter(), "-I", "-S", "-c", "print(41)"]
    with pytest.raises(WrongOutput):
        fresh(wrong)()
    with Rlef() as rlef, pytest.raises(WrongOutput):
        rlef.per_test(1, source="print(41)")()
    with Forker("run") as forker:
        forker.expected = "41"
        with pytest.raises(WrongOutput):
            forker(1)


def test_contestants_run_the_program_and_give_its_time():
    right = [interpreter(), "-I", "-S", "-c", "print(sum(map(int, input().split())))"]
    with Rlef() as rlef, Forker("run") as forker, Forker("nothing") as idle:
        for contestant in (fresh(right), rlef.per_test(3), forker, idle):
            assert contestant() > 0
    assert INPUT == b"40 2\n"


def test_a_worker_that_ends_or_lacks_its_peer_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="can't be imported"):
        Worker("humaneval_worker", str(tmp_path), "evalplus")
    with pytest.raises(Unavailable, match="exit code"):
        Worker("no_such_worker")


def test_a_module_started_alone_prints_its_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", "--quick"])
    question = Question("it", "ms", "<= 1")
    module.main("doc", (question,), lambda quick: [question.answer(0.25 if quick else 2)])
    assert "0.25" in capsys.readouterr().out
