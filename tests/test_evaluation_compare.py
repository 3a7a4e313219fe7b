import json
import random
import re

import numpy as np
import pytest

from rlef.cli import run as command_line
from rlef.errors import DataError
from rlef.evaluation.compare import compare, verdict
from rlef.evaluation.intervals import Difference, paired_difference
from rlef.evaluation.seeds import mean_difference
from rlef.evaluation.table import Evaluation, Row, write_evaluation
from rlef.runs import Run
from rlef.settings import build_config, dump_config


def write(path, solved, *, model="small", condition="multi_turn", seed=0, row=None, settings=None):
    """A measured run: n@k of each problem is all that a comparison reads of it."""
    rates = (
        solved if isinstance(solved, dict) else {f"p{at}": float(value) for at, value in enumerate(solved)}
    )
    made = Run.create(path)
    made.write("config.yaml", dump_config(build_config({"seed": seed, **(settings or {})})))
    one = {
        "model": model, "dataset": "toy", "split": "test", "condition": condition, "n": 1, "k": 3, "turns": 3,
        "solved": sum(rates.values()) / len(rates), "low": 0.0, "high": 1.0,
        "problems": len(rates), "rollouts": len(rates), "dropped": 0,
    }  # fmt: skip
    found = Evaluation(rows=[Row(**one | (row or {}))], solved_by_problem={model: {condition: rates}})
    write_evaluation(made, found)
    return path


def coins(chance, seed, problems=60):
    draw = random.Random(seed)
    return [draw.random() < chance for _ in range(problems)]


def test_two_runs_are_paired_by_problem_with_their_discordant_counts(tmp_path):
    a = write(tmp_path / "a", [1, 1, 1, 0, 0, 1])
    b = write(tmp_path / "b", [1, 0, 0, 0, 1, 0])
    found = compare([a, b])
    (row,) = found.differences
    assert (row.a, row.b, row.problems, row.left_out) == ("a", "b", 6, 0)
    assert (row.only_a, row.only_b) == (["p1", "p2", "p5"], ["p4"])
    assert (row.higher_a, row.higher_b) == (3, 1)
    assert (row.a_solved, row.b_solved, row.difference) == pytest.approx((4 / 6, 2 / 6, 2 / 6))
    assert row.p_value == pytest.approx(2 * 5 / 16), (
        "a fair coin, four throws, three heads or more, both sides"
    )
    assert [side.solved for side in found.sides] == pytest.approx([4 / 6, 2 / 6])


def test_a_pair_of_runs_has_the_figures_of_the_paired_difference(tmp_path):
    ours, theirs = coins(0.6, 1), coins(0.3, 2)
    found = compare([write(tmp_path / "a", ours), write(tmp_path / "b", theirs)]).differences[0]
    names = [f"p{at}" for at in range(60)]
    expected = paired_difference(
        dict(zip(names, map(float, ours), strict=True)), dict(zip(names, map(float, theirs), strict=True)),
        repeats=10_000,
    )  # fmt: skip
    assert (found.difference, found.low, found.high, found.p_value) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.p_value)
    )
    assert found.verdict.startswith("a solves more than b (+0.")
    assert "another training seed is not covered" in found.verdict


def test_turned_round_the_difference_turns_its_sign(tmp_path):
    a, b = write(tmp_path / "a", coins(0.6, 1)), write(tmp_path / "b", coins(0.3, 2))
    there, back = compare([a, b]).differences[0], compare([b, a]).differences[0]
    assert back.difference == pytest.approx(-there.difference)
    assert back.p_value == pytest.approx(there.p_value, abs=0.005)
    assert (back.only_a, back.higher_b) == (there.only_b, there.higher_a)
    assert back.verdict.startswith("a solves more than b"), "who is better does not depend on who is first"


def test_a_folder_of_runs_is_a_group_over_seeds(tmp_path):
    for seed in range(3):
        write(tmp_path / "ours" / f"s{seed}", coins(0.6, seed), seed=seed, model="after")
        write(tmp_path / "theirs" / f"s{seed}", coins(0.4, 10 + seed), seed=seed, model="after")
    found = compare([tmp_path / "ours", tmp_path / "theirs"])
    (row,) = found.differences
    ours_SP, theirs_SP = (
        np.array([coins(chance, base + seed) for seed in range(3)], dtype=float)
        for chance, base in ((0.6, 0), (0.4, 10))
    )
    expected = mean_difference(ours_SP, theirs_SP, repeats=10_000)
    assert (row.difference, row.low, row.high, row.p_value) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.p_value)
    )
    assert (row.a_models, row.b_models, found.sides[0].runs, found.sides[0].seeds) == (3, 3, 3, [0, 1, 2])
    assert "not covered" not in row.verdict
    alone = compare([tmp_path / "ours" / "s0", tmp_path / "theirs"]).differences[0]
    assert "s0 is one model: another seed of it is not covered." in alone.verdict


def test_one_model_measured_with_other_seeds_is_one_model_with_more_rollouts(tmp_path):
    """Its runs differ by what is drawn for each problem anew, so problems alone say how sure one can be."""
    several = [coins(0.6, seed) for seed in range(3)]
    for seed, solved in enumerate(several):
        write(tmp_path / "ours" / f"s{seed}", solved, seed=seed)
    found = compare([tmp_path / "ours", write(tmp_path / "b", coins(0.3, 9))])
    rates = np.mean(several, axis=0)
    expected = paired_difference(
        {str(at): rate for at, rate in enumerate(rates)},
        {str(at): float(rate) for at, rate in enumerate(coins(0.3, 9))},
        repeats=10_000,
    )
    (row,) = found.differences
    assert (row.low, row.high, row.p_value) == pytest.approx((expected.low, expected.high, expected.p_value))
    assert (found.sides[0].runs, found.sides[0].models, row.a_models) == (3, 1, 1)
    assert "One model each: another training seed is not covered." in row.verdict


def test_every_further_run_is_held_against_the_first(tmp_path):
    paths = [
        write(tmp_path / name, coins(chance, 3)) for name, chance in (("a", 0.2), ("b", 0.5), ("c", 0.7))
    ]
    found = compare(paths)
    assert [(row.a, row.b) for row in found.differences] == [("a", "b"), ("a", "c")]
    assert [side.side for side in found.sides] == ["a", "b", "c"]


@pytest.mark.parametrize(("changes", "said"), [
    ({"dataset": "other"}, "dataset toy and other"),
    ({"split": "valid"}, "split test and valid"),
    ({"k": 5, "turns": 5}, "k 3 and 5, turns 3 and 5"),
    ({"n": 2}, "n 1 and 2"),
])  # fmt: skip
def test_runs_that_don_t_share_data_or_budget_are_refused_with_what_differs(tmp_path, changes, said):
    a, b = write(tmp_path / "a", [1, 0]), write(tmp_path / "b", [1, 0], row=changes)
    with pytest.raises(DataError, match=rf"a and b can't be compared under multi_turn: .*{said}"):
        compare([a, b])


def test_runs_without_a_common_condition_or_problem_are_refused(tmp_path):
    a = write(tmp_path / "a", [1, 0])
    other = write(tmp_path / "b", [1, 0], condition="single_turn")
    with pytest.raises(DataError, match="share no condition: a has multi_turn; b has single_turn"):
        compare([a, other])
    with pytest.raises(DataError, match="b was not measured under multi_turn; there are single_turn"):
        compare([a, other], conditions=["multi_turn"])
    with pytest.raises(DataError, match="a and c share no problem under multi_turn"):
        compare([a, write(tmp_path / "c", {"x": 1.0, "y": 0.0})])
    with pytest.raises(DataError, match="two runs or more"):
        compare([a])


def test_problems_of_one_side_alone_are_left_out_and_counted(tmp_path):
    a = write(tmp_path / "a", {"x": 1.0, "y": 0.0, "z": 1.0})
    b = write(tmp_path / "b", {"z": 0.0, "y": 0.0, "w": 1.0, "v": 1.0})
    (row,) = compare([a, b]).differences
    assert (row.problems, row.left_out, row.difference) == (2, 3, pytest.approx(0.5))


def test_a_group_is_the_same_thing_with_other_seeds(tmp_path):
    write(tmp_path / "g" / "1", [1, 0], seed=1)
    write(tmp_path / "g" / "2", [1, 0], seed=1)
    alone = write(tmp_path / "a", [1, 0])
    with pytest.raises(DataError, match="have the same seed 1: one run counted twice"):
        compare([alone, tmp_path / "g"])
    write(tmp_path / "h" / "1", [1, 0], seed=1, settings={"evaluation": {"temperature": 0.2}})
    write(tmp_path / "h" / "2", [1, 0], seed=2, settings={"evaluation": {"temperature": 0.8}})
    with pytest.raises(DataError, match=r"more than their seeds: evaluation.temperature is 0.2 and 0.8"):
        compare([alone, tmp_path / "h"])
    write(tmp_path / "i" / "1", [1, 0], seed=1, settings={"endpoint": {"concurrency": 4}})
    write(tmp_path / "i" / "2", [1, 0], seed=2, settings={"endpoint": {"concurrency": 9, "retries": 2}})
    assert compare([alone, tmp_path / "i"]).sides[1].runs == 2, "how it is asked for changes no answer"


def test_checkpoints_of_several_trainings_are_a_group_though_their_paths_differ(tmp_path):
    for seed in range(2):
        write(tmp_path / "g" / str(seed), [1, 0, 1], settings={"model": {"path": f"runs/t{seed}/final"}})
    assert compare([write(tmp_path / "a", [0, 0, 1]), tmp_path / "g"]).sides[1].runs == 2


def test_what_is_no_measured_run_gets_one_line(tmp_path):
    a = write(tmp_path / "a", [1, 0])
    with pytest.raises(DataError, match="neither a run directory nor a folder of them"):
        compare([a, tmp_path / "nowhere"])
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.yaml").write_text("name: x\n")
    with pytest.raises(DataError, match=r"has no evaluation.json: it has not been measured to the end"):
        compare([a, bare])
    (bare / "evaluation.json").write_text('{"rows": [{}]}')
    with pytest.raises(DataError, match=r"evaluation.json can't be read"):
        compare([a, bare])


@pytest.mark.parametrize("damage", ['"x"', "null", "NaN", "2", "-0.1"])
def test_a_rate_that_is_none_gets_one_line(tmp_path, damage):
    a, b = write(tmp_path / "a", [1, 0]), write(tmp_path / "b", [1, 0])
    text = (b / "evaluation.json").read_text()
    (b / "evaluation.json").write_text(re.sub(r'"p1": 0.0', f'"p1": {damage}', text))
    with pytest.raises(DataError, match=r"evaluation.json can't be read: multi_turn of p1 is .*, no rate"):
        compare([a, b])


def test_a_run_is_not_compared_with_itself(tmp_path):
    group = tmp_path / "g"
    a, b = write(group / "a", [1, 0]), write(group / "b", [1, 1], seed=1)
    for twice in ([a, a], [a, group], [group, b], [a, group / "b" / ".." / "a"]):
        with pytest.raises(DataError, match="is given twice"):
            compare(twice)


def test_a_damaged_configuration_gets_one_line(tmp_path):
    a, b = write(tmp_path / "a", [1, 0]), write(tmp_path / "b", [1, 0])
    (b / "config.yaml").write_text("name: [")
    with pytest.raises(DataError, match=r"config.yaml can't be read"):
        compare([a, b])


def test_the_trained_model_is_compared_unless_another_is_named(tmp_path):
    run = Run(write(tmp_path / "t", [0, 0, 0, 1], model="before"))
    before, after = (
        Evaluation.from_json(json.loads((path / "evaluation.json").read_text()))
        for path in (run.path, write(tmp_path / "x", [1, 1, 0, 1], model="after"))
    )
    write_evaluation(run, before + after)
    other = write(tmp_path / "o", [1, 0, 0, 1], model="after")
    assert compare([run.path, other]).differences[0].difference == pytest.approx(0.25)
    with pytest.raises(DataError, match="o has no rows of 'before'; there are after"):
        compare([run.path, other], model="before")


def test_settings_that_differ_are_told_and_seeds_are_not(tmp_path):
    a = write(tmp_path / "a", [1, 0], seed=1, settings={"evaluation": {"temperature": 0.2}})
    b = write(tmp_path / "b", [1, 0], seed=2, settings={"evaluation": {"temperature": 1.0}})
    assert compare([a, b]).settings == {"evaluation.temperature": [0.2, 1.0]}


def test_folders_of_the_same_name_are_told_apart(tmp_path):
    a, b = write(tmp_path / "x" / "run", [1, 0]), write(tmp_path / "y" / "run", [0, 0])
    row = compare([a, b]).differences[0]
    assert (row.a, row.b) == (str(a), str(b))


@pytest.mark.parametrize(("difference", "differ", "said"), [
    (Difference(0.2, 0.1, 0.3, 0.001, 50), 20, "a solves more than b"),
    (Difference(-0.2, -0.3, -0.1, 0.001, 50), 20, "b solves more than a"),
    (Difference(0.2, 0.1, 0.3, 3e-7, 50), 20, "p < 0.0001"),
    (Difference(0.1, -0.1, 0.3, 0.4, 50), 20, "No difference shown between a and b"),
    (Difference(0.2, 0.01, 0.3, 0.06, 50), 20, "interval and p-value disagree"),
    (Difference(0.0, -0.07, 0.07, 1.0, 50), 0, "the same rate on every problem (+0.000, 95 % interval"),
    (Difference(0.1, 0.02, 0.3, 0.25, 50), 3, "Only 3 problems differ, too few for p below 0.05"),
])  # fmt: skip
def test_the_verdict_says_no_more_than_the_figures(difference, differ, said):
    assert said in verdict("a", "b", difference, differ)


def test_the_command_prints_the_verdict_and_json(tmp_path, capsys):
    a, b = write(tmp_path / "a", coins(0.7, 1)), write(tmp_path / "b", coins(0.2, 2))
    assert command_line(["compare", str(a), str(b)]) == 0
    text = capsys.readouterr().out
    assert "multi_turn: a solves more than b" in text and "1@3" in text
    assert command_line(["compare", str(a), str(b), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree == compare([a, b]).to_json()
    assert command_line(["compare", str(a), str(tmp_path / "c")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
