import asyncio
import json
from dataclasses import fields

import pytest

from evaluation_fakes import broken_for, config, fenced, player, problem, problems
from rlef.errors import DataError, TooManyJudgeErrors, UserError
from rlef.evaluation.evaluate import Progress, evaluate
from rlef.evaluation.measure import Counts, solved_at
from rlef.evaluation.table import Evaluation, Row, write_evaluation
from rlef.runs import Run


def measured(settings=None, *, rows=None, sandbox=None, policy=None, model="after", **options) -> Evaluation:
    playing = player(*([sandbox] if sandbox else []), policy=policy)
    settings = settings or config()
    return asyncio.run(evaluate(rows or problems(), playing, settings, model=model, **options))


def solved(found: Evaluation) -> dict[str, float]:
    return {row.condition: row.solved for row in found.rows}


def test_a_reader_of_feedback_solves_all_and_each_control_takes_it_away():
    """The guess 0 is right for one of ten secrets, the guesses 0, 1, 2 for three."""
    found = measured()
    assert solved(found) == {
        "multi_turn": pytest.approx(1.0),
        "single_turn": pytest.approx(0.1),
        "no_feedback": pytest.approx(0.3),
        "random_feedback": pytest.approx(0.1),
    }


def test_rows_carry_exactly_the_columns_of_the_table():
    columns = "model dataset split condition n k solved low high problems rollouts dropped turns"
    assert " ".join(field.name for field in fields(Row)) == columns
    multi, single, *_ = measured(config(rollouts=2)).rows
    assert (multi.model, multi.dataset, multi.split, multi.n, multi.k) == ("after", "toy", "test", 1, 3)
    assert (multi.problems, multi.rollouts, multi.dropped) == (10, 20, 0)
    assert (single.rollouts, single.k) == (60, 3), "single turns get the same budget of samples"


def test_single_turn_samples_are_chosen_by_the_public_tests():
    """Samples guess by their index, so of three the right one is submitted if it is there."""

    def policy(request, turn):
        return fenced(f"add {request.seed % 5}")

    rollouts = 4
    found = measured(config(rollouts=rollouts), policy=policy, conditions=["single_turn"])
    seen = {}
    asyncio.run(
        evaluate(
            problems(), player(policy=policy), config(rollouts=rollouts), model="x",
            conditions=["single_turn"], on_episode=lambda _, e: seen.setdefault(e.problem_id, []).append(e),
        )
    )  # fmt: skip
    for problem_id, episodes in seen.items():
        right = sum(episode.solved for episode in episodes)
        expected = solved_at(1, 3, Counts(len(episodes), right, right))
        assert len(episodes) == 12
        assert found.solved_by_problem["after"]["single_turn"][problem_id] == pytest.approx(expected)


def test_a_program_that_only_passes_the_public_test_is_submitted_and_not_solved():
    def sandbox(source, stdin):
        secret, value = map(int, stdin.split())
        return str(value + secret).encode() if value == 1 else b"nothing"

    found = measured(sandbox=sandbox, conditions=["multi_turn"])
    assert found.rows[0].solved == 0.0
    behaviour = found.per_turn["after"]["multi_turn"]
    assert behaviour.turns[0].public_passed == 1.0 and behaviour.solved_given_public == 0.0


def test_true_public_tests_stop_the_loop_whatever_feedback_is_shown():
    episodes = {}
    measured(on_episode=lambda condition, e: episodes.setdefault(condition, []).append(e))
    for condition in ("no_feedback", "random_feedback"):
        zero = next(e for e in episodes[condition] if e.problem_id.endswith("/0"))
        assert zero.stop == "public_passed" and len(zero.turns) == 1
    assert all("want" not in turn.feedback for e in episodes["no_feedback"] for turn in e.turns)


def test_random_feedback_comes_from_another_problem():
    episodes = []
    measured(conditions=["random_feedback"], on_episode=lambda _, e: episodes.append(e))
    for episode in episodes:
        own = episode.problem_id.rsplit("/", 1)[1]
        for turn in episode.turns[:-1]:
            assert turn.feedback.startswith("in: ") and not turn.feedback.startswith(f"in: {own} ")


def test_conditions_share_first_draws_and_rollouts_do_not():
    seeds = {}
    for condition in ("multi_turn", "single_turn", "no_feedback"):
        kept = seeds.setdefault(condition, {})
        measured(
            config(rollouts=2),
            conditions=[condition],
            on_episode=lambda _, e, kept=kept: kept.__setitem__((e.problem_id, e.sample), e.seed),
        )
    assert seeds["multi_turn"] == seeds["no_feedback"]
    assert seeds["multi_turn"].items() <= seeds["single_turn"].items()
    assert len(set(seeds["single_turn"].values())) == len(seeds["single_turn"]) == 60


def test_the_same_seed_gives_the_same_evaluation_and_another_one_other_feedback():
    assert measured().to_json() == measured().to_json()

    def told(seed):
        said = []
        measured(
            conditions=["random_feedback"],
            seed=seed,
            on_episode=lambda _, e: said.append(e.turns[0].feedback),
        )
        return said

    assert told(1) == told(1) != told(2)


def test_judge_errors_are_dropped_and_counted_and_never_scored():
    found = measured(
        build(max_judge_errors=0.5), sandbox=broken_for(3), conditions=["multi_turn", "single_turn"]
    )
    multi, single = found.rows
    assert (multi.problems, multi.rollouts, multi.dropped, multi.solved) == (9, 10, 1, 1.0)
    assert (single.problems, single.rollouts, single.dropped) == (9, 30, 3)
    assert single.solved == pytest.approx(1 / 9)
    assert "toy/test/3" not in found.solved_by_problem["after"]["multi_turn"]
    assert found.per_turn["after"]["multi_turn"].dropped == 1


def test_too_many_judge_errors_stop_the_evaluation_loudly():
    with pytest.raises(TooManyJudgeErrors, match="1 of 10 episodes of multi_turn"):
        measured(sandbox=broken_for(3))


def test_an_evaluation_stops_as_soon_as_too_many_judge_errors_are_certain():
    played = []
    with pytest.raises(TooManyJudgeErrors):
        measured(
            build(max_judge_errors=0.15),
            sandbox=broken_for(*range(10)),
            on_episode=lambda _, episode: played.append(episode),
        )
    assert len(played) == 2  # of ten


def test_when_every_episode_is_dropped_the_row_says_nothing_rather_than_zero():
    found = measured(
        build(max_judge_errors=1.0), rows=[problem(3)], sandbox=broken_for(3), conditions=["multi_turn"]
    )
    row = found.rows[0]
    assert (row.solved, row.low, row.high, row.problems, row.dropped) == (None, None, None, 0, 1)
    json.dumps(found.to_json(), allow_nan=False)


def test_larger_budgets_use_the_closed_form_over_rollouts():
    found = measured(config(rollouts=4), conditions=["no_feedback"], budgets=[(1, 3), (2, 6)])
    assert [(row.n, row.k) for row in found.rows] == [(1, 3), (2, 6)]
    assert found.rows[1].solved == pytest.approx(0.3), "the policy does the same in every rollout"


def test_families_split_the_rate_and_average_back_to_it():
    found = measured(conditions=["no_feedback"])
    families = {row.family: row for row in found.by_family}
    assert families["even"].solved == pytest.approx(2 / 5) and families["odd"].solved == pytest.approx(1 / 5)
    whole = sum(row.solved * row.problems for row in found.by_family) / 10
    assert whole == pytest.approx(found.rows[0].solved)


def test_progress_counts_every_episode_of_every_condition():
    seen: list[Progress] = []
    measured(conditions=["multi_turn", "single_turn"], on_progress=seen.append)
    assert [p.done for p in seen if p.condition == "multi_turn"] == list(range(1, 11))
    last = seen[-1]
    assert (last.condition, last.done, last.total, last.solved) == ("single_turn", 30, 30, 3)


def test_mistakes_get_one_line():
    with pytest.raises(UserError, match="no condition 'multi_trun'"):
        measured(conditions=["multi_trun"])
    with pytest.raises(DataError, match="two or more"):
        measured(rows=[problem(1)], conditions=["random_feedback"])
    with pytest.raises(DataError, match="no problems"):
        asyncio.run(evaluate([], player(), config(), model="x"))


def test_before_and_after_join_and_differ_by_problem(tmp_path):
    """Before: always guesses 0. After: reads. They differ on nine problems of ten."""
    before = measured(model="before", policy=lambda request, turn: fenced("add 0"))
    both = before + measured(model="after")
    assert [row.model for row in both.rows] == ["before"] * 4 + ["after"] * 4
    found = both.difference(("after", "multi_turn"), ("before", "multi_turn"))
    assert found.difference == pytest.approx(0.9) and found.problems == 10
    assert 0.4 < found.low < found.high == 1.0 and found.p_value < 0.01
    pairs = {(d.a_model, d.a_condition, d.b_model, d.b_condition) for d in both.differences()}
    assert ("after", "multi_turn", "after", "random_feedback") in pairs
    assert ("after", "single_turn", "before", "single_turn") in pairs

    write_evaluation(Run(tmp_path), both)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert isinstance(rows, list) and len(rows) == 8 and rows[0]["model"] == "before"
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert Evaluation.from_json(stored).to_json() == stored == json.loads(json.dumps(both.to_json()))


def test_measuring_again_replaces_the_old_figures():
    old = measured(policy=lambda request, turn: fenced("add 0"))
    new = measured(conditions=["multi_turn"])
    both = old + new
    rates = [(row.condition, row.solved) for row in both.rows]
    assert rates == [
        ("single_turn", 0.1),
        ("no_feedback", 0.1),
        ("random_feedback", 0.1),
        ("multi_turn", 1.0),
    ]
    assert len([row for row in both.by_family if row.condition == "multi_turn"]) == 2


def build(**top):
    return config().model_copy(update=top)
