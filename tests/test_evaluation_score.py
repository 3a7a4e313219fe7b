import asyncio
import json
import random

import pytest

from evaluation_fakes import broken_for, config, fenced, interpret, player, problems
from outcome_fakes import outcome, played
from rlef.episode.record import Episode, Turn, Usage
from rlef.episode.trace import from_row, to_row
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.measure import Counts, solved_at
from rlef.evaluation.outcome import MEASURED_SAMPLES, Outcome
from rlef.evaluation.score import score
from rlef.evaluation.table import Evaluation

CONDITIONS = ("multi_turn", "single_turn", "no_feedback")


def scored(outcomes, condition="multi_turn", turns=3, budgets=((1, 3),)) -> Evaluation:
    return score(
        outcomes, model="m", condition=condition, dataset="toy", split="test", turns=turns, budgets=budgets
    )


def sample(problems_: int = 12, rollouts: int = 4, dropped: float = 0.1) -> list[Outcome]:
    draw = random.Random(0)
    return [
        outcome(
            f"toy/{at}",
            played("x", 3, draw, passes=0.3, solves=0.7),
            sample=number,
            dropped=draw.random() < dropped,
        )
        for at in range(problems_)
        for number in range(rollouts)
    ]


def everything(sandbox=interpret, policy=None):
    """An evaluation, and the episodes it was made of, by condition."""
    episodes = {}
    found = asyncio.run(
        evaluate(
            problems(),
            player(sandbox, policy),
            config(rollouts=2).model_copy(update={"max_judge_errors": 1.0}),
            model="m",
            conditions=CONDITIONS,
            on_episode=lambda condition, one: episodes.setdefault(condition, []).append(one),
        )
    )
    return found, episodes


def test_a_stream_in_any_order_scores_the_same():
    some = sample()
    shuffled = random.Random(1).sample(some, len(some))
    assert scored(iter(shuffled)).to_json() == scored(some).to_json()


def test_what_is_read_back_from_disk_scores_the_same():
    """Rescoring reads the episodes' rows, and not the memory of the run."""
    found, episodes = everything(sandbox=broken_for(3))
    again = Evaluation()
    for condition, some in episodes.items():
        rows = [json.loads(json.dumps(to_row(episode))) for episode in some]
        outcomes = (Outcome.of(from_row(row)) for row in sorted(rows, key=lambda row: row["sample"]))
        turns = 1 if condition == "single_turn" else 3
        again += scored(outcomes, condition, turns)
    assert [row.solved for row in again.rows] == [pytest.approx(row.solved) for row in found.rows]
    assert [row.dropped for row in again.rows] == [2, 6, 2]
    assert again.solved_by_turn == found.solved_by_turn


def test_a_dropped_episode_is_counted_and_changes_no_figure():
    some = sample(dropped=0.0)
    lost = [outcome(f"toy/{at}", "s", sample=9, dropped=True) for at in range(12)]
    with_lost, without = scored(some + lost), scored(some)
    assert (with_lost.rows[0].rollouts, with_lost.rows[0].dropped) == (60, 12)
    assert with_lost.rows[0].solved == without.rows[0].solved
    assert with_lost.budgets == without.budgets and with_lost.pass_at == without.pass_at
    assert with_lost.solved_by_turn == without.solved_by_turn
    assert with_lost.per_turn["m"]["multi_turn"].turns == without.per_turn["m"]["multi_turn"].turns


def test_a_problem_whose_rollouts_were_all_dropped_is_left_out_of_every_figure():
    found = scored([outcome("toy/1", "s"), outcome("toy/2", "www", dropped=True)])
    assert (found.rows[0].problems, found.rows[0].solved) == (1, 1.0)
    assert {row.problems for row in found.budgets} == {row.problems for row in found.pass_at} == {1}
    nothing = scored([outcome("toy/2", "www", dropped=True)])
    assert nothing.rows[0].solved is None and not nothing.budgets and not nothing.pass_at
    json.dumps(nothing.to_json(), allow_nan=False)


def test_the_row_says_what_a_rollout_costs():
    assert scored(sample(), turns=3).rows[0].turns == 3
    single = [outcome(f"toy/{at}", "s", sample=number, limit=1) for at in range(3) for number in range(3)]
    assert scored(single, "single_turn", turns=1).rows[0].turns == 1


def test_the_row_and_the_axis_agree_where_they_meet():
    found = scored(sample(), budgets=((1, 3), (1, 6)))
    axis = {(row.turns, row.n, row.k): row for row in found.budgets}
    for row in found.rows:
        point = axis[row.turns, row.n, row.k]
        assert point.solved == pytest.approx(row.solved) and point.problems == row.problems


def test_another_budget_than_that_of_the_turns_changes_no_comparison():
    """100 samples of one kind, three turns of the other: what both have is compared, up to turn 3."""
    some = [outcome(f"toy/{at}", "ws", sample=number) for at in range(4) for number in range(3)]
    single = [outcome(f"toy/{at}", "s", sample=number, limit=1) for at in range(4) for number in range(9)]
    trees = []
    for budgets in (((1, 3), (2, 9)), ((2, 9), (1, 3))):
        found = scored(some, budgets=budgets) + scored(single, "single_turn", 1, budgets)
        trees.append(found.to_json())
    assert trees[0]["sensitivity"] == trees[1]["sensitivity"] and len(trees[0]["sensitivity"]) == 3
    gaps = [[row["difference"] for row in tree["recovery"] if row["turn"] <= 3] for tree in trees]
    assert gaps[0] == gaps[1]


def test_a_budget_below_the_cost_of_a_rollout_is_refused():
    with pytest.raises(ValueError, match="0 rollouts"):
        scored(sample(), turns=3, budgets=((1, 2),))


def test_independent_samples_have_a_curve_over_budgets_in_the_place_of_turns():
    kinds = {"toy/1": "wsw", "toy/2": "pws", "toy/3": "www"}
    some = [
        outcome(name, kind, sample=at, limit=1) for name, row in kinds.items() for at, kind in enumerate(row)
    ]
    curve = scored(some, "single_turn", turns=1).solved_by_turn["m"]["single_turn"]
    assert curve["toy/1"] == pytest.approx([solved_at(1, t, Counts(3, 1, 1)) for t in (1, 2, 3)])
    assert curve["toy/2"] == pytest.approx([solved_at(1, t, Counts(3, 2, 1)) for t in (1, 2, 3)])
    assert curve["toy/3"] == [0.0, 0.0, 0.0]


def test_curves_end_at_the_solve_rate():
    found, _ = everything()
    for condition in CONDITIONS:
        rates = found.solved_by_problem["m"][condition]
        last = {name: curve[-1] for name, curve in found.solved_by_turn["m"][condition].items()}
        assert last == pytest.approx(rates)


def test_an_outcome_keeps_the_numbers_of_an_episode_and_none_of_its_texts():
    _, episodes = everything(policy=lambda request, turn: fenced(f"add {turn}"))
    for episode in episodes["multi_turn"]:
        reduced = Outcome.of(episode)
        assert (reduced.problem_id, reduced.family, reduced.stop) == (
            episode.problem_id,
            episode.family,
            episode.stop,
        )
        assert (reduced.solved, reduced.dropped) == (episode.solved, episode.dropped)
        assert [turn.tokens for turn in reduced.turns] == [turn.end - turn.start for turn in episode.turns]
        assert [turn.characters for turn in reduced.turns] == [len(turn.text) for turn in episode.turns]
        assert not any("add" in repr(turn) for turn in reduced.turns)


def text_turn(code: str | None, usage: Usage | None) -> Turn:
    turn = Turn(start=0, end=0, text="abc", offsets=(), finish="stop", code=code, usage=usage)
    turn.invalid = "" if code else "no_code"
    return turn


def test_an_endpoints_own_count_of_tokens_is_used_and_a_missing_one_is_unknown():
    turns = [text_turn("a", Usage(read=90, wrote=17)), text_turn("b", Usage(read=100)), text_turn("c", None)]
    reduced = Outcome.of(Episode(problem_id="p", turns=turns, stop="turn_limit"))
    assert [turn.tokens for turn in reduced.turns] == [17, None, None]


def test_edits_are_measured_in_the_first_samples_and_between_valid_programs_alone():
    def edits(number: int, *codes: str | None):
        turns = [text_turn(code, None) for code in codes]
        return [turn.edit for turn in Outcome.of(Episode(problem_id="p", sample=number, turns=turns)).turns]

    assert edits(0, "a b", "a b", "xyz", None, "xyz") == [None, 0.0, 1.0, None, None]
    assert edits(MEASURED_SAMPLES - 1, "a", "a") == [None, 0.0]
    assert edits(MEASURED_SAMPLES, "a", "a") == [None, None]
