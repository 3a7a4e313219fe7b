"""Run directories: whole or not at all, and never over somebody's files."""

import json
import resource

import pytest

from rlef.errors import RunError
from rlef.runs import Appender, Run, read_jsonl


def test_an_existing_directory_is_refused_with_the_three_ways_out(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(RunError) as caught:
        Run.create(tmp_path / "run")
    assert all(way in str(caught.value) for way in ("--resume", "--out", "--overwrite"))
    Run.create(tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_overwrite_never_replaces_what_is_not_a_run(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("…")
    with pytest.raises(RunError, match="only replaces runs"):
        Run.create(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").exists()


def test_an_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't write"):
        Run.create(tmp_path / "file" / "run")


def test_a_torn_last_line_is_left_out(tmp_path):
    run = Run.create(tmp_path / "run")
    run.append("metrics.jsonl", [{"step": 0}, {"step": 1}])
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "rew')
    assert [row["step"] for row in run.rows("metrics.jsonl")] == [0, 1]
    run.truncate("metrics.jsonl", keep_below=1)
    run.append("metrics.jsonl", [{"step": 1}])
    assert (run.path / "metrics.jsonl").read_text() == '{"step":0}\n{"step":1}\n'


def test_writing_whole_leaves_the_old_file_or_the_new_one(tmp_path):
    run = Run.create(tmp_path / "run")
    run.write_json("results.json", [1])
    with pytest.raises(TypeError):
        run.write_json("results.json", object())
    assert json.loads((run.path / "results.json").read_text()) == [1]
    assert [p.name for p in run.path.iterdir() if p.name.startswith(".")] == []


def test_a_run_is_held_by_one_at_a_time(tmp_path):
    run = Run.create(tmp_path / "run")
    run.write("config.yaml", "seed: 0\n")
    with run.alone():
        with pytest.raises(RunError, match="another process is writing"), Run(run.path).alone():
            pass
        with pytest.raises(RunError, match="another process is writing"):
            Run.create(run.path, overwrite=True)
        assert (run.path / "config.yaml").exists()
    with run.alone():
        pass


def test_a_run_without_anything_leaves_no_trace(tmp_path):
    run = Run.create(tmp_path / "run")
    with run.alone():
        run.tidy()
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"command": "rlef train --config tiny"}', "train"),
        ('{"command": "a notebook"}', ""),
        ('{"command": 3}', ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_a_run_knows_the_command_that_began_it(text, command, tmp_path):
    assert Run(tmp_path).command() == ""
    (tmp_path / "provenance.json").write_text(text)
    assert Run(tmp_path).command() == command


def test_a_row_for_which_there_is_no_room_leaves_the_file_as_it_was(tmp_path):
    file = Appender(tmp_path / "rows.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        assert (file.write({"a": 1}), file.write({"a": 2})) == (0, 8)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        with pytest.raises(OSError):
            file.write({"a": "long" * 10})
        assert (tmp_path / "rows.jsonl").read_bytes() == b'{"a":1}\n{"a":2}\n'
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert file.write({"a": 3}) == 16
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        file.close()
    assert [row["a"] for row in read_jsonl(tmp_path / "rows.jsonl")] == [1, 2, 3]


def test_text_that_is_no_valid_unicode_is_kept(tmp_path):
    run = Run.create(tmp_path / "run")
    run.append("traces.jsonl", [{"text": "a\ud800b\u2028"}])
    assert next(read_jsonl(run.path / "traces.jsonl")) == {"text": "a\ud800b\u2028"}
