"""The parts of a job that need neither model nor sandbox."""

import asyncio
import json
from dataclasses import replace

import pytest

from evaluation_fakes import broken_for, config, interpret, player, problems
from rlef.errors import RunError, SandboxError
from rlef.evaluation.evaluate import evaluate
from rlef.jobs.data import Sets
from rlef.jobs.train import HELD_OUT, held_out_figures, train_job
from rlef.problems.jsonl import write_problems
from rlef.problems.quarantine import Entry, Quarantine, fingerprint, write
from rlef.runs import Run
from rlef.settings import load_config
from rlef.views.watcher import Watcher


def read(script, **changes):
    settings = config().model_copy(update=changes)
    work = evaluate(problems(), player(script), settings, model=HELD_OUT, conditions=["multi_turn"])
    return held_out_figures(asyncio.run(work))


def test_held_out_figures_are_the_share_solved_at_last_and_at_once():
    # The reader solves the one problem whose secret is 0 at once and believes its feedback after that.
    assert read(interpret) == {"heldout/solved": 1.0, "heldout/first": pytest.approx(0.1)}
    assert read(broken_for(3), max_judge_errors=0.5) == {
        "heldout/solved": 1.0,
        "heldout/first": pytest.approx(1 / 9),
    }


def test_where_the_judge_failed_on_all_episodes_nothing_was_measured():
    def broken(source: str, stdin: bytes) -> bytes:
        raise SandboxError("the slot died")

    assert read(broken, max_judge_errors=1.0) == {}


def test_a_run_that_another_process_trains_is_left_alone(tmp_path):
    run = Run.create(tmp_path / "run")
    with run.alone(), pytest.raises(RunError, match="another process is writing"):
        train_job(load_config("tiny"), run, Watcher(), command="rlef train")
    assert not (run.path / "config.yaml").exists()


def test_problems_in_quarantine_are_left_out_and_said(tmp_path):
    rows = problems()
    data = tmp_path / "toy.jsonl"
    write_problems(data, rows)
    listed = (rows[3], replace(rows[4], statement="another one"))
    entries = [Entry(id=p.id, fingerprint=fingerprint(p), reasons=("flaky: test 1",)) for p in listed]
    path = write(tmp_path / "list.json", Quarantine(dataset="toy", made_by="a test", problems=tuple(entries)))
    said = []
    settings = load_config(None, [f"data.train={data}", f"data.quarantine={path}"])
    sets = Sets(settings, said.append)
    assert sets.test().ids() == [p.id for p in rows if p.id != rows[3].id]
    sets.test()
    assert len(said) == 1 and rows[3].id in said[0] and "data.quarantine=none" in said[0]
    assert sets.facts["quarantine"] == [
        {"dataset": "toy.jsonl (test)", "list": str(path), "excluded": 1},
    ]
    run = Run(tmp_path)
    sets.note(run)
    noted = json.loads((tmp_path / "quarantine.json").read_text())["toy.jsonl (test)"]
    assert [one["changed"] for one in noted] == [False, True]
    everything = Sets(load_config(None, [f"data.train={data}", "data.quarantine=none"]))
    assert len(everything.test()) == len(rows) and everything.facts == {"quarantine": []}
