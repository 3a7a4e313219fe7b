"""The command line: results on stdout, one line for a mistake, and nothing lost."""

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rlef.cli import run, share_the_cores
from rlef.cli.work import _interruptible
from rlef.problems.conventions import open_split


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_threads_wait_asleep_unless_the_user_says_otherwise(given, spins):
    environ = dict(given)
    share_the_cores(environ)
    assert environ.get("GOMP_SPINCOUNT") == spins


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_ends_with_its_step_when_it_is_asked_to_and_at_once_when_asked_again(number, capsys):
    before = signal.getsignal(number)
    with _interruptible() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop() and "finishing the step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--config", "tinny"], "did you mean 'tiny'"),
        (["train", "--config", "tiny", "algorithm.lrr=1"], "did you mean 'algorithm.lr'"),
        (["train", "--config", "tiny", "data.train=convention"], "did you mean 'conventions'"),
        (["train", "--config", "tiny", "data.families=[scal]"], "did you mean 'scale'"),
        (["train", "--config", "tiny", "--out", "/proc/nowhere/run"], "can't write"),
        (["train", "--resume", "/nowhere"], "not a run directory"),
        (["train", "--resume", "/nowhere", "--config", "tiny"], "leave out --config"),
        (["evaluate", "--config", "tiny", "--model", "./no/such/folder"], "no/such/folder"),
        (["judge"], "give a program with --problem"),
        (["judge", "nothing.py", "--problem", "conventions/test/scale/0"], "no program nothing.py"),
        (["play", "conventions/test/scal/0"], "did you mean 'conventions/test/scale/0'"),
        (["play", "what"], "can't tell the data set"),
        (["data", "show", "conventions/test/scale/999"], "no problem"),
        (["data", "list", "basic"], "did you mean 'basics'"),
        (["data", "list", "empty.jsonl"], "empty.jsonl"),
        (["model", "get", "smollm3"], "no recipe"),
        (["report", "/nowhere"], "not a run directory"),
        (["train"], "give --config"),
        (["evaluate"], "give --config"),
        (["train", "--config", "tiny", "evaluation.conditions=multi_turn"], "give a list"),
        (["data", "stats", "mbpp.jsonl.gz"], "mbpp:mbpp.jsonl.gz"),
        (["judge", "--rescore", "run", "--set", "sandbox.slots=1"], "--rescore goes with"),
        (["judge", "--rescore", "run", "--problem", "p"], "--rescore goes with"),
        (["data", "validate", "conventions", "--out", "."], "is a directory"),
        (["view", ".", "--static", "."], "is a directory"),
        (["trian"], "trian"),
        (["train", "--confg", "tiny"], "--confg"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    with gzip.open(tmp_path / "mbpp.jsonl.gz", "wt") as file:
        file.write('{"task_id": 1, "text": "what a benchmark calls its columns"}\n')
    code, out, err = call(capsys, *words)
    assert code == 2
    assert says in err and err.startswith("error: ") and err.count("\n") == 1, err
    assert not out and not list(tmp_path.glob("runs/*"))


def test_a_package_of_an_extra_that_is_missing_is_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python does where there is none, but for the text
    for name in [
        name for name in sys.modules if name.startswith(("rlef.learning", "rlef.policy", "rlef.jobs"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    code, out, err = call(capsys, "train", "--config", "tiny-smoke", "--out", str(tmp_path / "run"))
    assert code == 2 and not out and not (tmp_path / "run").exists()
    assert err.splitlines()[-1] == "error: this needs the package torch: pip install 'rlef[train]'"


@pytest.mark.parametrize("words", [[], ["data"], ["export"]])
def test_a_command_without_its_command_shows_its_help_in_lines(capsys, words):
    code, out, err = call(capsys, *words)
    assert code == 2 and not out
    assert err.startswith("Usage: ") and "\nCommands:\n" in err and "error" not in err


def test_a_dry_run_of_an_evaluation_says_how_much_the_evaluation_would_be(capsys, tmp_path):
    rows = [{"id": name, "statement": "s", "public_tests": [{"input": "", "output": "1"}]} for name in "abc"]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["evaluation.rollouts=5", "evaluation.turns=2", "evaluation.conditions=[multi_turn, single_turn]"]
    code, out, err = call(capsys, "evaluate", "--data", str(path), *words, "--dry-run")
    assert code == 0 and "rollouts: 5" in out
    assert "3 problems, 5 rollouts of 2 turns under 2 conditions: at most 60 replies" in err


def test_an_evaluation_that_has_not_finished_is_not_judged_again_as_if_it_had(capsys, tmp_path):
    run_, out = tmp_path / "half", tmp_path / "again"
    run_.mkdir()
    (run_ / "config.yaml").write_text("data: {test: conventions}\n")
    (run_ / "episodes-m.jsonl").write_text("")
    code, _, err = call(capsys, "judge", "--rescore", str(run_), "--out", str(out))
    assert code == 2 and f"rlef evaluate --resume {run_}" in err and not out.exists()


def test_a_run_directory_that_exists_is_kept(capsys, tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    code, _, err = call(capsys, "train", "--config", "tiny", "--out", str(tmp_path))
    assert code == 2 and "--resume" in err and "--overwrite" in err
    assert (tmp_path / "config.yaml").exists()


def test_a_dry_run_prints_the_settings_and_touches_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "train", "--config", "tiny", "steps=5", "--dry-run")
    assert code == 0 and "steps: 5" in out and "nothing was run" in err
    assert not list(tmp_path.iterdir())


def test_config_lists_presets_and_prints_one_resolved(capsys):
    assert "tiny" in call(capsys, "config")[1].split()
    code, out, _ = call(capsys, "config", "tiny", "seed=5")
    assert code == 0 and "seed: 5" in out


def judge_file(capsys: pytest.CaptureFixture[str], path: Path, code: str) -> tuple[int, dict[str, object]]:
    path.write_text(code)
    exit_code, out, _ = call(capsys, "judge", str(path), "--problem", "conventions/test/scale/0", "--json")
    return exit_code, json.loads(out)


def test_judge_gives_each_known_program_its_verdict_and_exit_code(capsys, tmp_path):
    problem = open_split("test").get("conventions/test/scale/0")
    for solution in problem.solutions:
        code, row = judge_file(capsys, tmp_path / "p.py", solution.code)
        assert row["verdict"] == solution.verdict, solution.note
        assert code == (0 if solution.verdict == "accepted" else 3)


def test_judge_many_prints_a_row_for_each_in_order(capsys, tmp_path):
    problems = list(open_split("test"))[:6]
    rows = [{"problem_id": p.id, "code": p.solutions[i % 2].code} for i, p in enumerate(problems)]
    path = tmp_path / "solutions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = call(capsys, "judge", "--data", "conventions", "--solutions", str(path), "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [r["problem_id"] for r in results] == [p.id for p in problems]
    assert [r["verdict"] for r in results] == [p.solutions[i % 2].verdict for i, p in enumerate(problems)]


def test_judge_says_how_many_tests_the_program_could_have_forged(capsys, tmp_path):
    tests = [{"input": "[1]", "output": "1"}, {"input": "assert f(2) == 2", "output": "", "check": "code"}]
    rows = {"id": "a", "statement": "s", "form": "call", "entry_point": "f"}
    rows |= {"public_tests": tests[:1], "private_tests": tests}
    (tmp_path / "set.jsonl").write_text(json.dumps(rows) + "\n")
    program = tmp_path / "p.py"
    program.write_text("def f(x): return x\n")
    code, out, _ = call(
        capsys, "judge", str(program), "--data", str(tmp_path / "set.jsonl"), "--problem", "a", "--json"
    )
    row = json.loads(out)
    assert (code, row["verdict"], row["hidden_passed"], row["weak"]) == (0, "accepted", 2, 1)


@pytest.mark.parametrize("line", ['{"problem_id": 1}', '{"code": ', "[]"])
def test_a_bad_row_is_named_by_file_and_line(capsys, tmp_path, line):
    path = tmp_path / "solutions.jsonl"
    path.write_text(line + "\n")
    code, _, err = call(capsys, "judge", "--data", "conventions", "--solutions", str(path))
    assert code == 2 and "solutions.jsonl:1" in err


def test_a_person_can_play_and_sees_what_a_model_sees(tmp_path):
    problem = open_split("test").get("conventions/test/scale/1")
    wrong, right = problem.solutions[1].code, problem.solutions[0].code
    done = subprocess.run(
        [sys.executable, "-m", "rlef", "play", problem.id],
        input=f"{wrong}\n.\n{right}\n.\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert problem.statement in done.stdout and "it should print" in done.stdout
    assert "solved after 2 attempts; reward +1" in done.stdout


def test_doctor_names_the_rung_as_json_too(capsys):
    code, out, _ = call(capsys, "doctor", "--json")
    report = json.loads(out)
    assert code == 0 and report["rung"] in ("L2", "L3") and report["layers"]


def test_exported_problems_come_back_the_same(capsys, tmp_path):
    path = tmp_path / "some.jsonl"
    assert call(capsys, "data", "export", "conventions", str(path), "--limit", "5")[0] == 0
    code, out, _ = call(capsys, "data", "list", str(path))
    assert code == 0 and out.split() == open_split("test").ids()[:5]
    assert call(capsys, "data", "export", "conventions", str(path))[0] == 2


def test_show_names_every_output_that_is_right(capsys, tmp_path):
    test = {"input": "1\n", "output": "a\n", "also": ["b\n", "c"]}
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"id": "either", "statement": "Say one.", "public_tests": [test]}) + "\n")
    code, out, _ = call(capsys, "data", "show", "either", "--data", str(path))
    assert code == 0 and "  expected: a\n        or: b\n        or: c\n" in out
