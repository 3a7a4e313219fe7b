"""A second judgement of recorded episodes: the same where nothing changed, and right where it did."""

import asyncio
from dataclasses import replace

import pytest

from evaluation_fakes import config, interpret, player, problems
from rlef.errors import SandboxError
from rlef.evaluation.conditions import CONDITIONS
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.rescore import Changes, rescored
from rlef.judge.judge import Judge
from rlef.judge.scripted import ScriptedSandbox
from rlef.problems.types import TestCase


@pytest.fixture(scope="module")
def played():
    """Episodes of every condition, as they were played."""
    kept = {name: [] for name in CONDITIONS}
    settings = config(conditions=list(CONDITIONS), rollouts=2)
    work = evaluate(
        problems(), player(), settings, model="x", on_episode=lambda name, e: kept[name].append(e)
    )
    asyncio.run(work)
    return kept


def again(episodes, rows, script=interpret, condition="multi_turn"):
    changes = Changes()
    judge = Judge(ScriptedSandbox(script))
    recorded = [(condition, episode) for episode in episodes]

    async def all_of_them():
        found = [one async for one in rescored(recorded, rows, judge, config(), changes)]
        assert {name for name, _ in found} <= {condition}
        return [episode for _, episode in found]

    return asyncio.run(all_of_them()), changes


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_judge_and_problems_give_the_same_episodes(played, condition):
    now, changes = again(played[condition], problems(), condition=condition)
    assert now == played[condition]
    assert (changes.changed, changes.cut_short, changes.missing) == (0, 0, 0)
    assert changes.solved_now == changes.solved_before == sum(e.solved for e in now)


def test_stricter_hidden_tests_take_what_they_fail(played):
    """A test that no program passes, on the problems with odd secrets."""
    impossible = TestCase(input="0 0", output="no number")
    rows = [
        replace(p, private_tests=(*p.private_tests, impossible)) if p.provenance.family == "odd" else p
        for p in problems()
    ]
    now, changes = again(played["multi_turn"], rows)
    assert {episode.solved for episode in now if episode.family == "odd"} == {False}
    assert {episode.solved for episode in now if episode.family == "even"} == {True}
    assert (changes.solved_before, changes.solved_now, changes.changed) == (20, 10, 10)
    assert changes.cut_short == 0, "they ended as they did: by their public tests"


def test_public_tests_that_pass_earlier_end_an_episode_earlier(played):
    rows = [replace(p, public_tests=(echo(),)) for p in problems()]
    now, changes = again(played["multi_turn"], rows, script=anything)
    assert all(len(episode.turns) == 1 and episode.stop == "public_passed" for episode in now)
    assert all(len(episode.ids_T) == episode.turns[0].end for episode in now)
    assert all(not episode.turns[0].feedback for episode in now)
    for episode in now:
        episode.assert_whole()
    assert changes.cut_short == 0


def echo():
    return TestCase(input="0 0", output="0")


def anything(source, stdin):
    """Right on the new public test whatever the program is, else what it was."""
    return b"0" if stdin == b"0 0" else interpret(source, stdin)


def test_programs_that_would_have_been_asked_again_are_counted(played):
    rows = [replace(p, public_tests=(TestCase(input="0 0", output="never"),)) for p in problems()]
    now, changes = again(played["multi_turn"], rows)
    assert not any(episode.solved for episode in now)
    assert changes.cut_short == sum(len(episode.turns) < 3 for episode in now) > 0
    assert all(episode.stop == "turn_limit" and episode.turns[-1].reward == -1 for episode in now)


def test_a_failing_judge_is_no_verdict_here_either(played):
    def script(source, stdin):
        if int(stdin.split()[0]) == 3:
            raise SandboxError("gone")
        return interpret(source, stdin)

    now, _ = again(played["multi_turn"], problems(), script=script)
    assert {episode.problem_id for episode in now if episode.dropped} == {"toy/test/3"}


def test_an_episode_that_had_no_reply_stays_dropped(played):
    first = next(episode for episode in played["multi_turn"] if len(episode.turns) == 2)
    lost = replace(first, turns=first.turns[:1], stop="no_reply", meta={"no_reply": "gone"})
    (now,), changes = again([lost], problems())
    assert now.dropped and now.stop == "no_reply" and now.meta == {"no_reply": "gone"}
    assert not changes.cut_short


def test_episodes_of_problems_that_are_gone_are_left_out_and_counted(played):
    now, changes = again(played["multi_turn"], problems()[:4])
    assert len(now) == 8 and changes.missing == 12
