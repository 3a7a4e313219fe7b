"""The journal: what was answered once is not asked again."""

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from rlef.errors import EndpointError, RunError
from rlef.policy.chat import ChatRequest, ContextFullError, Message, Reply
from rlef.policy.journal import Journal


def request(text, seed=1):
    return ChatRequest(messages=(Message("user", text),), seed=seed, max_tokens=7)


class Counted:
    """A model that says how often it was asked."""

    concurrency = 4

    def __init__(self, fails=()):
        self.asked, self.fails = Counter(), fails

    async def reply(self, wanted):
        text = wanted.messages[-1].content
        self.asked[text] += 1
        await asyncio.sleep(0)
        if text in self.fails:
            raise self.fails[text]
        return Reply(text=f"re: {text}", finish="stop", read=10, wrote=len(text))


def through(path, model, *requests):
    with Journal(path, model) as journal:
        return asyncio.run(_all(journal, requests)), journal


async def _all(journal, requests):
    return await asyncio.gather(*map(journal.reply, requests))


def test_what_is_in_the_journal_is_not_asked_again(tmp_path):
    path, model = tmp_path / "replies.jsonl", Counted()
    first, journal = through(path, model, request("a"), request("b"), request("a"))
    assert model.asked == {"a": 1, "b": 1}, "the same request at the same time is one"
    assert (journal.spent.requests, journal.spent.read, journal.spent.wrote) == (2, 20, 2)
    again, journal = through(path, model, request("a"), request("b"), request("c"), request("a", seed=2))
    assert again[:2] == first[:2] and model.asked == {"a": 2, "b": 1, "c": 1}
    assert (journal.spent.requests, journal.spent.reused) == (4, 2)


def test_a_torn_line_costs_its_own_reply_and_no_other(tmp_path):
    path, model = tmp_path / "replies.jsonl", Counted()
    through(path, model, request("a"), request("b"))
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, whole.index(b"\n"), -40):
        path.write_bytes(whole[:cut])
        model.asked.clear()
        through(path, model, request("a"), request("b"))
        assert model.asked == {"b": 1} and len(path.read_bytes().splitlines()) == 2


def test_a_conversation_that_did_not_fit_is_remembered_too(tmp_path):
    path, model = tmp_path / "replies.jsonl", Counted({"long": ContextFullError()})
    for _ in range(2):
        with pytest.raises(ContextFullError):
            through(path, model, request("long"))
    assert model.asked["long"] == 1


def test_a_failure_is_not_written_down(tmp_path):
    path, model = tmp_path / "replies.jsonl", Counted({"a": EndpointError("gone")})
    with pytest.raises(EndpointError, match="gone"):
        through(path, model, request("a"), request("a"))
    model.fails = ()
    (reply,), _ = through(path, model, request("a"))
    assert reply.text == "re: a"


def test_what_was_too_long_is_counted_and_the_clock_goes_on_from_sitting_to_sitting(tmp_path, monkeypatch):
    path, model = tmp_path / "replies.jsonl", Counted({"long": ContextFullError()})
    path.write_text('{"request": "old", "text": "x", "finish": "stop", "read": 1, "wrote": 1}\n')
    for sitting, (text, seconds) in enumerate((("a", 30), ("b", 50)), 1):
        ticks = iter((1000 * sitting, 1000 * sitting + seconds))  # each sitting's clock is another
        clock = SimpleNamespace(monotonic=lambda ticks=ticks: next(ticks))
        monkeypatch.setattr("rlef.policy.journal.time", clock)
        _, journal = through(path, model, request(text))
    assert (journal.spent.requests, journal.spent.seconds, journal.spent.too_long) == (3, 80, 0)
    monkeypatch.undo()
    with pytest.raises(ContextFullError):
        through(path, model, request("long"))
    _, journal = through(path, model, request("a"))
    assert (journal.spent.requests, journal.spent.too_long) == (4, 1) and journal.spent.seconds >= 80


@pytest.mark.parametrize("line", ["", "3", "{", "[" * 100_000, '{"request": "x", "text": 3}'])
def test_a_file_that_is_no_journal_is_refused(line, tmp_path):
    path, model = tmp_path / "replies.jsonl", Counted()
    through(path, model, request("a"))
    whole = path.read_text()
    path.write_text(whole + line + "\n")
    with pytest.raises(RunError, match=r"replies.jsonl:2 is no reply"):
        Journal(path, model)
    path.write_text(whole)
    through(path, model, request("a"))
    assert model.asked["a"] == 1
