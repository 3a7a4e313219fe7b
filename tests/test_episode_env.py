"""The environment as a person meets it: text in, text out."""

import asyncio
import itertools

import pytest

from episode_fakes import answer, run_toy, toy
from rlef.config import Episode, Reward
from rlef.episode import env, prompts
from rlef.judge.judge import Judge
from rlef.judge.scripted import ScriptedSandbox
from rlef.judge.types import Verdict
from rlef.problems.types import Solution

REWARDS = Reward(solved=1.0, failed=-1.0, invalid=-0.2)


def play(texts, problem=None, *, foreign=None, seed=0, finish="stop", sandbox=None, **settings):
    """All transitions of an episode with these turns."""
    config = Episode(style="terse", **settings)
    judge = Judge(sandbox or ScriptedSandbox(run_toy))
    state, _ = env.start(problem or toy(), config, foreign=foreign, seed=seed)

    async def go():
        nonlocal state
        moves = []
        for text in texts:
            moves.append(await env.step(state, text, finish, judge, config, REWARDS))
            state = moves[-1].state
        return moves

    return asyncio.run(go())


def test_a_right_program_ends_the_episode_and_is_paid():
    (move,) = play([answer("double")])
    assert move.done and move.state.done and move.stop == "public_passed"
    assert move.reward == 1.0 and move.observation is None
    assert move.code == "double\n" and move.public.passed and move.hidden.passed


def test_a_program_that_only_passes_the_public_tests_ends_the_episode_as_a_failure():
    (move,) = play([answer("small")])
    assert (
        move.stop == "public_passed" and move.reward == -1.0 and move.hidden.verdict is Verdict.WRONG_ANSWER
    )


def test_a_failed_turn_is_answered_with_its_feedback_and_a_second_attempt_can_win():
    first, second = play([answer("one"), answer("double")])
    assert not first.done and first.reward == 0.0 and first.hidden is None
    assert first.observation == "in: 2\nwant: 4\ngot: 1\nin: 3\nwant: 6\ngot: 1"
    assert second.reward == 1.0 and second.stop == "public_passed"


def test_the_turn_limit_ends_the_episode_as_a_failure_without_hidden_tests():
    moves = play([answer("one"), answer("slow"), answer("crash")], turns=3)
    assert [move.done for move in moves] == [False, False, True]
    assert [move.reward for move in moves] == [0.0, 0.0, -1.0]
    assert moves[-1].stop == "turn_limit" and moves[-1].hidden is None and moves[-1].observation is None


def test_a_win_on_the_last_turn_counts():
    assert play([answer("one"), answer("double")], turns=2)[-1].reward == 1.0


@pytest.mark.parametrize(
    "text, invalid, message",
    [
        ("no program", "no_code", "error: no code"),
        (answer("broken"), "syntax", "error: SyntaxError: broken"),
    ],
)
def test_invalid_code_costs_a_fifth_on_the_way_and_only_the_failure_at_the_end(text, invalid, message):
    first, last = play([text, text], turns=2)
    assert (first.invalid, first.code, first.reward) == (invalid, None, -0.2)
    assert first.observation == message
    assert (last.invalid, last.code, last.reward, last.stop) == (invalid, None, -1.0, "turn_limit")


def test_a_cut_off_turn_is_invalid_even_if_its_program_is_whole():
    (move,) = play([answer("double")], finish="length")
    assert (move.invalid, move.reward, move.public) == ("truncated", -0.2, None)
    assert move.observation == "error: too long"


def test_a_crash_is_valid_code():
    (move,) = play([answer("crash")])
    assert move.invalid == "" and move.reward == 0.0 and move.code == "crash\n"


@pytest.mark.parametrize("program", ["lost", "lost 3", "lost 11"])
def test_a_judge_error_anywhere_ends_the_episode_unpaid(program):
    (move,) = play([answer(program)])
    assert move.stop == "judge_error" and move.done
    assert move.reward == 0.0 and move.observation is None


def test_a_judge_error_on_the_last_turn_is_still_no_failure():
    assert [move.reward for move in play([answer("one"), answer("lost")], turns=2)] == [0.0, 0.0]


def test_without_feedback_every_turn_reads_the_same_request():
    moves = play([answer("one"), "nothing", answer("crash")], feedback="none", turns=4)
    request = prompts.retry_only(Episode(style="terse"))
    assert [move.observation for move in moves] == [request] * 3
    assert [move.reward for move in moves] == [0.0, -0.2, 0.0]


def test_no_early_stop_when_it_is_off_and_the_last_program_decides():
    moves = play([answer("double"), answer("double")], feedback="none", stop_on_public_pass=False, turns=2)
    assert not moves[0].done and moves[0].hidden is None
    assert moves[1].stop == "turn_limit" and moves[1].reward == 1.0
    moves = play([answer("double"), answer("one")], stop_on_public_pass=False, turns=2)
    assert moves[0].observation == "try again" and moves[1].reward == -1.0


def test_an_episode_that_is_over_takes_no_more_turns():
    with pytest.raises(ValueError, match="over"):
        play([answer("double"), answer("double")])


def test_what_is_read_depends_on_public_tests_only():
    worlds = [toy(private=(4,)), toy(private=(99, 12)), toy(private=(7,), statement="double it")]
    for programs in itertools.product(["one", "small", "crash", "nothing"], repeat=2):
        texts = [answer(program) for program in programs]
        if "small" in programs:  # ends there
            texts = texts[: programs.index("small") + 1]
        read = [[move.observation for move in play(texts, world)] for world in worlds]
        assert read[0] == read[1] == read[2]


foreign = toy(
    (7,),
    id="other",
    solutions=(
        Solution(code="double"),
        Solution(code="small", verdict="wrong_answer"),
        Solution(code="one", verdict="wrong_answer"),
        Solution(code="crash", verdict="runtime_error"),
    ),
)


def test_random_feedback_is_about_another_problem_while_the_own_tests_decide():
    moves = play([answer("crash"), "nothing", answer("double")], foreign=foreign, feedback="random")
    about_seven = {"in: 7\nwant: 14\ngot: 1", "in: 7\nerror: NameError: crash"}
    assert {moves[0].observation, moves[1].observation} <= about_seven
    assert moves[1].reward == -0.2 and moves[2].reward == 1.0


def test_random_feedback_is_drawn_by_the_seed_and_draws_every_failing_program():
    def said(seed):
        return play([answer("one")], foreign=foreign, feedback="random", seed=seed)[0].observation

    seen = [said(seed) for seed in range(12)]
    assert seen == [said(seed) for seed in range(12)]
    assert len(set(seen)) == 2  # `one` and `crash`; `small` fails no public test of `other`


def test_where_no_known_program_fails_a_public_test_one_that_was_never_written_does():
    easy = toy((7,), solutions=(Solution(code="small", verdict="wrong_answer"),))
    (move,) = play([answer("one")], foreign=easy, feedback="random")
    assert move.observation == "in: 7\nerror: NameError: crash"


def test_a_judge_error_in_foreign_feedback_drops_the_episode():
    lost = toy((7,), solutions=(Solution(code="lost", verdict="wrong_answer"),))
    (move,) = play([answer("one")], foreign=lost, feedback="random")
    assert move.stop == "judge_error" and move.reward == 0.0


def test_random_feedback_without_another_problem_is_refused():
    with pytest.raises(ValueError, match="another problem"):
        play([], feedback="random")
