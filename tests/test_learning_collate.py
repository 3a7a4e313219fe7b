"""Packing: every token once, flags where they belong, flat answers back to their episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_fakes import make_episode, random_episode
from rlef.learning.collate import behaviour_logprobs, pack, plan, turn_lengths, usable

lengths = st.lists(st.integers(1, 30), min_size=1, max_size=25)


@settings(max_examples=100, deadline=None)
@given(lengths=lengths, most=st.integers(1, 90), packed=st.booleans())
def test_a_plan_holds_every_episode_once_within_the_token_limit(lengths, most, packed):
    batches = plan(lengths, max_tokens=most, packed=packed)
    assert sorted(e for rows in batches for row in rows for e in row) == list(range(len(lengths)))
    for rows in batches:
        width = max(sum(lengths[e] for e in row) for row in rows)
        alone = len(rows) == 1 and len(rows[0]) == 1
        assert width * len(rows) <= most or alone
        assert packed or all(len(row) == 1 for row in rows)


def test_a_plan_is_first_fit_by_decreasing_length():
    assert plan([3, 9, 5, 1, 6], max_tokens=18) == [[[1], [4, 0]], [[2], [3]]]
    assert plan([7, 4, 3, 3, 2, 2], max_tokens=14) == [[[0], [1, 2]], [[3], [4], [5]]]
    assert plan([2, 2, 2, 2], max_tokens=4) == [[[0], [1]], [[2], [3]]]
    assert plan([2, 2, 2, 2], max_tokens=1000) == [[[0], [1], [2], [3]]]
    assert plan([], max_tokens=10) == []


def test_one_long_episode_does_not_widen_every_batch():
    batches = plan([100] + [10] * 40, max_tokens=100)
    assert [len(rows) for rows in batches] == [1, 10, 10, 10, 10]


def spans(packed):
    """(episode, row, column of its first token, of its end) of each segment, in order."""
    batch, found = packed.batch, []
    for b in range(batch.ids_BT.shape[0]):
        row = batch.segment_BT[b].tolist()
        found += [(b, row.index(s), row.index(s) + row.count(s)) for s in sorted(set(row) - {0})]
    return [(e, *where) for e, where in zip(packed.order, found, strict=True)]


@pytest.mark.parametrize("most", [1, 40, 10_000])
@pytest.mark.parametrize("packed", [True, False])
def test_rows_hold_the_episodes_own_tokens_positions_and_segments(most, packed):
    rng = np.random.default_rng(0)
    episodes = [random_episode(rng) for _ in range(20)]
    seen = []
    for one in pack(episodes, max_tokens=most, packed=packed):
        padding = one.batch.segment_BT == 0
        assert not (one.batch.is_action_BT & padding).any()
        assert not (one.batch.read_value_BT & padding).any()
        for e, b, first, end in spans(one):
            seen.append(e)
            assert one.batch.ids_BT[b, first:end].tolist() == episodes[e].ids_T
            assert one.batch.is_action_BT[b, first:end].tolist() == episodes[e].is_action_T
            assert one.batch.position_BT[b, first:end].tolist() == list(range(end - first))
    assert sorted(seen) == list(range(20))


def test_the_value_of_a_turn_is_read_at_its_last_prompt_token():
    episode = make_episode(([10, 11, 12], [20, 21], 0.0), ([13, 14], [22, 23, 24], 1.0))
    (one,) = pack([episode], max_tokens=100)
    assert one.batch.ids_BT[one.batch.read_value_BT].tolist() == [12, 14]
    assert one.reads == (2,) and one.actions == (5,)
    assert [episode.ids_T[turn.start - 1] for turn in episode.turns] == [12, 14]


def test_token_values_are_read_before_each_action_token():
    episode = make_episode(([10, 11, 12], [20, 21], 0.0), ([13, 14], [22, 23, 24], 1.0))
    (one,) = pack([episode], max_tokens=100, read="token")
    assert one.batch.ids_BT[one.batch.read_value_BT].tolist() == [12, 20, 14, 22, 23]
    assert one.reads == one.actions == (5,)


def test_the_last_turn_alone_can_be_flagged():
    episode = make_episode(([10], [20, 21], 0.0), ([13, 14], [22, 23], 1.0))
    (one,) = pack([episode], max_tokens=100, which="last")
    assert one.batch.ids_BT[one.batch.is_action_BT].tolist() == [22, 23]
    assert one.batch.ids_BT[one.batch.read_value_BT].tolist() == [14]


def test_observations_after_the_last_turn_are_left_out():
    episode = make_episode(([10], [20, 21], 0.0))
    episode.append_observation([30, 31, 32])
    (one,) = pack([episode], max_tokens=100)
    assert one.batch.ids_BT.tolist() == [[10, 20, 21]]


@pytest.mark.parametrize("read", ["turn", "token"])
def test_columns_gathered_into_a_batch_scatter_back_to_their_episodes(read):
    rng = np.random.default_rng(1)
    episodes = [random_episode(rng) for _ in range(15)]
    columns = [behaviour_logprobs(episode) for episode in episodes]
    reads = [
        rng.normal(size=len(turn_lengths(e)) if read == "turn" else sum(turn_lengths(e))) for e in episodes
    ]
    back, reads_back = [np.zeros(0)] * 15, [np.zeros(0)] * 15
    for one in pack(episodes, max_tokens=60, read=read):
        one.scatter(one.gather(columns), one.actions, back)
        one.scatter(one.gather(reads), one.reads, reads_back)
    for found, expected in zip(back + reads_back, columns + reads, strict=True):
        assert np.array_equal(found, expected.astype(np.float32))


def test_a_gathered_column_lines_up_with_the_flags_of_the_batch():
    rng = np.random.default_rng(2)
    episodes = [random_episode(rng) for _ in range(15)]
    ids = [np.array(e.ids_T, dtype=np.float64)[np.array(e.is_action_T)] for e in episodes]
    before = [np.array([e.ids_T[t.start - 1] for t in e.turns], dtype=np.float64) for e in episodes]
    for one in pack(episodes, max_tokens=60):
        assert torch.equal(one.gather(ids).long(), one.batch.ids_BT[one.batch.is_action_BT])
        assert torch.equal(one.gather(before).long(), one.batch.ids_BT[one.batch.read_value_BT])


def test_members_are_packed_under_their_own_indices():
    rng = np.random.default_rng(3)
    episodes = [random_episode(rng) for _ in range(6)]
    packs = pack(episodes, max_tokens=30, members=[4, 1, 5])
    assert sorted(e for one in packs for e in one.order) == [1, 4, 5]
    for one in packs:
        for e, b, first, end in spans(one):
            assert one.batch.ids_BT[b, first:end].tolist() == episodes[e].ids_T


def test_an_episode_whose_judge_failed_or_that_has_no_turn_is_refused():
    failed = make_episode(([10], [20], 1.0), problem="broken")
    failed.stop = "judge_error"
    silent = make_episode(problem="silent")
    assert not usable(failed) and not usable(silent)
    for episode in (failed, silent):
        with pytest.raises(ValueError, match=episode.problem_id):
            pack([episode], max_tokens=100)
