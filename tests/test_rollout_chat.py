"""Episodes with models that give text: the same game as with a model in this process."""

import asyncio
import random

import pytest

from chat_server import MODEL, ChatServer
from evaluation_fakes import config, fenced, interpret, player, problems, reader, world
from rlef.config import Endpoint as Settings
from rlef.config import Model, Reward
from rlef.episode.trace import from_row, to_row
from rlef.errors import EndpointError, ModelError
from rlef.evaluation.conditions import CONDITIONS, episode_settings, plan
from rlef.evaluation.evaluate import evaluate
from rlef.evaluation.store import Store
from rlef.judge.judge import Judge
from rlef.judge.scripted import ScriptedSandbox
from rlef.policy.chat import ContextFullError, Message, NoReplyError, Reply
from rlef.policy.endpoint import Endpoint
from rlef.policy.journal import Journal
from rlef.rollout.chat import ChatPlayer, opening_messages
from rlef.rollout.replay import Replay
from rlef.runs import Run

ALL = list(CONDITIONS)


class Guesser:
    """Guesses 0 and then believes what it reads, as `evaluation_fakes.reader` does, after a random wait."""

    concurrency = 3

    def __init__(self, fits=99):
        self.codec = world()[1]
        self.policy = reader(self.codec)
        self.fits = fits
        self.seen = []

    async def reply(self, request):
        await asyncio.sleep(random.random() / 1000)
        self.seen.append(request)
        if len(request.messages) > self.fits:
            raise ContextFullError
        turn = sum(message.role == "assistant" for message in request.messages)

        class Asked:
            observation = self.codec.opening(request.messages[-1].content, max_tokens=10**6)

        return Reply(text=self.policy(Asked, turn), finish="stop", read=10 * turn, wrote=5)


def chat_player(model, script=interpret, before=()):
    return ChatPlayer(model=model, judge=Judge(ScriptedSandbox(script)), rewards=Reward(), before=before)


def table(found):
    return [(row.condition, row.solved, row.low, row.high, row.rollouts) for row in found.rows]


def test_a_text_model_plays_the_same_game_as_a_model_in_this_process():
    settings = config(conditions=ALL, rollouts=2)
    by_text = asyncio.run(evaluate(problems(), chat_player(Guesser()), settings, model="x"))
    in_process = asyncio.run(evaluate(problems(), player(), settings, model="x"))
    assert table(by_text) == table(in_process)
    assert {row.condition: row.solved for row in by_text.rows} == {
        "multi_turn": pytest.approx(1.0),
        "single_turn": pytest.approx(0.1),
        "no_feedback": pytest.approx(0.3),
        "random_feedback": pytest.approx(0.1),
        "pass_fail": pytest.approx(0.3),
        "hidden_feedback": pytest.approx(1.0),
    }


def test_an_episode_of_text_is_written_down_and_read_again_whole():
    kept = []
    settings = config(conditions=["multi_turn"])
    work = evaluate(
        problems(), chat_player(Guesser()), settings, model="x", on_episode=lambda _, e: kept.append(e)
    )
    asyncio.run(work)
    assert len(kept) == 10 and all(from_row(to_row(episode)) == episode for episode in kept)
    two = next(episode for episode in kept if len(episode.turns) == 2)
    assert [turn.usage.read for turn in two.turns] == [0, 10] and two.turns[0].tokens == 5
    assert two.turns[0].feedback and not two.ids_T


def test_what_stands_before_every_conversation_is_sent_with_each():
    demonstration = {"user": "question", "assistant": "answer"}
    before = opening_messages(Model(system="be brief", demonstrations=(demonstration,)))
    assert [message.role for message in before] == ["system", "user", "assistant"]
    model = Guesser()
    asyncio.run(evaluate(problems(), chat_player(model, before=before), config(), model="x"))
    assert all(request.messages[:3] == before for request in model.seen)
    roles = [message.role for message in max(model.seen, key=lambda r: len(r.messages)).messages[3:]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_a_conversation_that_has_grown_too_long_is_a_failure_and_not_an_error():
    settings = config(conditions=["multi_turn"])
    kept = []
    work = evaluate(
        problems(),
        chat_player(Guesser(fits=1)),
        settings,
        model="x",
        on_episode=lambda _, e: kept.append(e),
    )
    found = asyncio.run(work)
    assert found.rows[0].solved == pytest.approx(0.1) and found.rows[0].dropped == 0
    long = [episode for episode in kept if episode.stop == "context_full"]
    assert len(long) == 9
    assert all(e.turns[-1].reward == -1 and not e.turns[-1].feedback for e in long)


class Stumbler(Guesser):
    """Has no reply for the first second turn that it is asked for, however often."""

    lost, well = None, False

    async def reply(self, request):
        if len(request.messages) > 1 and not self.well:
            self.lost = self.lost or request
            if request == self.lost:
                raise NoReplyError("list index out of range")
        return await super().reply(request)


def without(settings, share):
    endpoint = Settings(url="http://127.0.0.1:9/v1", max_unanswered=share)
    return settings.model_copy(update={"endpoint": endpoint})


def test_a_conversation_without_a_reply_is_dropped_and_tried_again(run):
    settings = without(config(conditions=["multi_turn"]), 0.1)
    model = Stumbler()
    found = stored(run, model, settings)
    assert (found.rows[0].problems, found.rows[0].rollouts, found.rows[0].dropped) == (9, 10, 1)
    assert found.rows[0].solved == pytest.approx(1.0)
    (lost,) = [episode for _, episode in Store(run, "x").latest() if episode.dropped]
    assert (lost.stop, lost.meta["no_reply"]) == ("no_reply", "list index out of range")
    assert len(lost.turns) == 1 and not lost.turns[0].feedback and lost.turns[0].code
    plain = config(conditions=["multi_turn"])  # no server, and no share that it may owe
    replayed = asyncio.run(evaluate(problems(), chat_player(Replay(run)), plain, model="x"))
    assert table(replayed) == table(found) and replayed.rows[0].dropped == 1
    model.well = True
    again = stored(run, model, settings)
    assert (again.rows[0].problems, again.rows[0].dropped) == (10, 0)


def test_too_many_conversations_without_a_reply_end_the_evaluation(run):
    with pytest.raises(EndpointError, match=r"1 of 10 .*multi_turn.*out of range.*max_unanswered=0.09 of"):
        stored(run, Stumbler(), without(config(conditions=["multi_turn"]), 0.09))
    with pytest.raises(EndpointError, match="max_unanswered=0 "):
        stored(run, Stumbler(), without(config(conditions=["multi_turn"], rollouts=20), 0.0))


def test_a_server_that_goes_away_ends_the_evaluation_and_keeps_what_was_said(tmp_path):
    left = [60]

    def script(body):
        left[0] -= 1
        return fenced("add 0") if left[0] > 0 else (401, {"error": {"message": "expired"}})

    async def through(server):
        async with Endpoint(MODEL, Settings(url=server.url, concurrency=4, retries=0)) as endpoint:
            with Journal(tmp_path / "replies.jsonl", endpoint) as journal:
                await evaluate(problems(), chat_player(journal), config(), model="x")

    with ChatServer(script) as server, pytest.raises((EndpointError, ValueError), match="OPENAI_API_KEY"):
        asyncio.run(through(server))
    assert len((tmp_path / "replies.jsonl").read_text().splitlines()) == 59


def stored(run, model, settings, label="x", script=interpret):
    with Store(run, label) as store:
        work = evaluate(problems(), chat_player(model, script), settings, model=label, store=store)
        return asyncio.run(work)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text("name: test\n")
    return Run.open(tmp_path)


def test_episodes_that_are_there_are_not_played_again_wherever_it_was_cut(run):
    settings = config(conditions=ALL, rollouts=2)
    whole = stored(run, Guesser(), settings)
    path = run.path / "episodes-x.jsonl"
    text = path.read_bytes()
    lines = text.splitlines(keepends=True)
    assert len(lines) == 10 * 2 * (1 + 3 + 4), "every episode of every condition"
    for cut in (0, 1, len(text) // 3, len(text) // 2 + 17, len(text) - 1):
        path.write_bytes(text[:cut])
        model = Guesser()
        assert table(stored(run, model, settings)) == table(whole)
        rows = [from_row(row) for row in run.rows(path.name)]
        assert len(rows) == len(lines) and len({(e.problem_id, e.sample) for e in rows}) == 60
        assert bool(model.seen) == (cut < len(text))


def test_an_episode_that_the_judge_failed_on_is_played_again(run):
    from rlef.errors import SandboxError

    settings = config(conditions=["multi_turn"]).model_copy(update={"max_judge_errors": 1.0})
    trouble = [True]

    def script(source, stdin):
        if trouble[0] and int(stdin.split()[0]) == 3:
            raise SandboxError("gone")
        return interpret(source, stdin)

    assert stored(run, Guesser(), settings, script=script).rows[0].dropped == 1
    trouble[0] = False
    again = stored(run, Guesser(), settings, script=script)
    assert again.rows[0].dropped == 0 and again.rows[0].problems == 10
    with_both = [(e.problem_id, e.dropped) for _, e in Store(run, "x").episodes()]
    assert with_both.count(("toy/test/3", True)) == with_both.count(("toy/test/3", False)) == 1
    latest = list(Store(run, "x").latest())
    assert len(latest) == 10 and not any(episode.dropped for _, episode in latest)


def test_what_is_there_is_read_once_however_many_conditions_there_are(run):
    settings = config(conditions=ALL)
    whole, reads = stored(run, Guesser(), settings), []

    class Watched(Run):
        def rows(self, name):
            reads.append(name)
            return super().rows(name)

    assert table(stored(Watched(run.path), Guesser(), settings)) == table(whole)
    assert reads == ["episodes-x.jsonl"]


def test_a_recorded_run_plays_itself_again(run):
    settings = config(conditions=ALL, rollouts=2)
    whole = stored(run, Guesser(fits=3), settings)
    again = asyncio.run(evaluate(problems(), chat_player(Replay(run)), settings, model="x"))
    assert table(again) == table(whole)
    before = (Message("system", "brief"),)
    replay = chat_player(Replay(run, skip=1), before=before)
    assert table(asyncio.run(evaluate(problems(), replay, settings, model="x"))) == table(whole)


def test_a_run_in_this_process_can_be_replayed_as_text(run):
    settings = config(conditions=ALL)
    with Store(run, "x") as store:
        whole = asyncio.run(evaluate(problems(), player(), settings, model="x", store=store))
    again = asyncio.run(evaluate(problems(), chat_player(Replay(run)), settings, model="x"))
    assert table(again) == table(whole)


def test_a_transcript_says_nothing_that_was_not_said(run):
    settings = config(conditions=["multi_turn"])
    stored(run, Guesser(), settings)
    with pytest.raises(ModelError, match="never asked this"):
        work = evaluate(problems(), chat_player(Replay(run)), settings, model="x", seed=1)
        asyncio.run(work)
    empty = run.path / "other"
    empty.mkdir()
    with pytest.raises(ModelError, match="no episodes"):
        Replay(Run(empty))


def test_first_attempts_of_one_rollout_are_one_request_under_every_condition(tmp_path):
    """Of 3 conditions with 1 rollout each and 3 single turns, 10 problems: 3 first requests each."""
    model = Guesser()
    settings = config(conditions=["multi_turn", "single_turn", "no_feedback", "pass_fail"])
    with Journal(tmp_path / "replies.jsonl", model) as journal:
        asyncio.run(evaluate(problems(), chat_player(journal), settings, model="x"))
    first = [request for request in model.seen if len(request.messages) == 1]
    assert len(first) == 30 and len({request.digest() for request in model.seen}) == len(model.seen)


def test_hidden_tests_speak_only_under_the_condition_that_says_so():
    settings = config()
    rows = problems()
    for name in ALL:
        specs = plan(name, rows, settings, seed=0)
        more = {len(spec.problem.public_tests) for spec in specs}
        assert more == ({3} if name == "hidden_feedback" else {1})
        assert all(spec.problem.hidden_tests for spec in specs)
    assert episode_settings("hidden_feedback", settings).shown_failures == 8


def test_random_feedback_comes_from_the_models_own_failures_where_no_wrong_program_is_known():
    from dataclasses import replace

    rows = [replace(problem, solutions=()) for problem in problems()]
    model = Guesser()
    settings = config(conditions=["multi_turn", "random_feedback"])
    asyncio.run(evaluate(rows, chat_player(model), settings, model="x"))
    said = [request.messages[-1].content for request in model.seen if len(request.messages) == 3]
    assert any("want:" in text for text in said), "and not the words of a program that does nothing"
    specs = plan("random_feedback", rows, settings, 0, {"toy/test/4": "add 0"})
    assert {spec.foreign.id for spec in specs if spec.problem.id != "toy/test/4"} == {"toy/test/4"}
    assert all(spec.foreign.id != spec.problem.id for spec in specs)
