"""Models behind servers: what is asked, what comes back, and what is said when it does not."""

import asyncio
import contextlib
import json
import threading

import pytest

from chat_server import MODEL, ChatServer, completion
from rlef.config import Endpoint as Settings
from rlef.errors import ConfigError, EndpointError, ModelError
from rlef.policy.chat import ChatRequest, ContextFullError, Message, NoReplyError, Reply
from rlef.policy.endpoint import Endpoint


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Retries without the pauses that are good manners towards a real server."""
    monkeypatch.setattr("rlef.policy.endpoint.PAUSES", (0.001, 0.002))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def request(text="hello", seed=1, **more):
    return ChatRequest(messages=(Message("user", text),), seed=seed, max_tokens=7, **more)


def ask(server, *requests, model=MODEL, check=False, **settings):
    async def work():
        async with Endpoint(model, Settings(url=server.url, **settings)) as endpoint:
            if check:
                await endpoint.check()
            return await asyncio.gather(*map(endpoint.reply, requests))

    return asyncio.run(work())


def test_a_request_says_everything_and_the_reply_is_counted():
    with ChatServer(lambda body: "hi") as server:
        (reply,) = ask(server, request(temperature=0.2, top_p=0.95))
    assert reply == Reply(text="hi", finish="stop", read=5, wrote=2)
    assert server.bodies == [
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "hello"}],
            "seed": 1,
            "max_tokens": 7,
            "temperature": 0.2,
            "top_p": 0.95,
        }
    ]


def said(**changes):
    return lambda body: (200, completion(body, "hi", **changes))


def counted(usage):
    return lambda body: (200, completion(body, "hi") | {"usage": usage})


def message(content, **more):
    return said(message={"role": "assistant", "content": content, **more})


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        (said(finish_reason="length"), Reply(text="hi", finish="length", read=5, wrote=2)),
        (said(finish_reason="content_filter"), Reply(text="hi", finish="stop", read=5, wrote=2)),
        (message(None), Reply(text="", finish="stop", read=5, wrote=2)),
        (said(message={"role": "assistant"}), Reply(text="", finish="stop", read=5, wrote=2)),
        (message(None, reasoning_content="hm"), Reply(text="", finish="stop", read=5, wrote=2)),
        (
            message([{"type": "thinking", "thinking": []}, {"type": "text", "text": "ab"}]),
            Reply(text="ab", finish="stop", read=5, wrote=2),
        ),
        (counted(None), Reply(text="hi", finish="stop")),
        (counted("none"), Reply(text="hi", finish="stop")),
        (counted({"prompt_tokens": 4}), Reply(text="hi", finish="stop", read=4)),
        (
            counted({"prompt_tokens": -1, "completion_tokens": 10**400}),
            Reply(text="hi", finish="stop"),
        ),
    ],
)
def test_every_shape_of_a_completion_is_read(script, reply):
    with ChatServer(script) as server:
        assert ask(server, request()) == [reply]


def test_half_a_surrogate_pair_comes_back_as_something_that_can_be_sent_again():
    with ChatServer(lambda body: (200, json.dumps(completion(body, "a\ud800b")))) as server:
        (reply,) = ask(server, request())
        ask(server, request(reply.text))


@pytest.mark.parametrize(
    "trouble",
    [
        (429, {"error": {"message": "slow down"}}),
        (503, "<html>busy</html>"),
        (200, "<html>busy</html>"),
        (200, {"error": {"message": "the upstream is gone", "code": 502}}),
        None,
    ],
)
def test_what_may_pass_is_tried_again(trouble):
    left = [trouble] * 3
    with ChatServer(lambda body: left.pop() if left else "at last") as server:
        assert ask(server, request(), retries=3)[0].text == "at last"
    assert sum(server.asked.values()) == 4


def test_a_server_gets_the_pause_that_it_asks_for_up_to_the_time_that_is_waited_at_most(monkeypatch):
    pauses = []

    async def noted(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("rlef.policy.endpoint.asyncio.sleep", noted)
    wanted = ["1e300", "120", "0", "Fri, 31 Dec 1999 23:59:59 GMT", "nan"]
    left = [(429, "{}", {"Retry-After": text}) for text in wanted]
    with ChatServer(lambda body: left.pop(0) if left else "at last") as server:
        ask(server, request(), timeout_s=300)
    assert pauses[:2] == [300, 120] and len(pauses) == 5 and max(pauses[2:]) <= 0.002


def test_an_account_without_money_is_not_asked_again():
    with (
        ChatServer(lambda body: (429, {"error": {"message": "pay", "code": "insufficient_quota"}})) as server,
        pytest.raises(EndpointError, match=r"429.*pay"),
    ):
        ask(server, request())
    assert sum(server.asked.values()) == 1


def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for_for_ever():
    async def trickle(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b" ")
                await asyncio.sleep(0.02)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def work():
        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server, Endpoint(MODEL, Settings(url=url, timeout_s=0.5, retries=1)) as endpoint:
            await endpoint.reply(request())

    with pytest.raises(EndpointError, match=r"is silent; endpoint.timeout_s"):
        asyncio.run(work())


def test_a_server_that_fails_for_good_is_an_error_with_its_words():
    with (
        ChatServer(lambda body: (500, {"error": {"message": "no\nmemory"}})) as server,
        pytest.raises(EndpointError, match=r"answered 500: .*no.{1,2}memory"),
    ):
        ask(server, request(), retries=1)
    assert list(server.asked.values()) == [2, 3], "and a word, to see whether it has a reply to that"


def bad_conversation(trouble, hello="Hi!"):
    """What becomes of a conversation that a server fails at, and what the server was asked."""

    def script(body):
        return hello if body["messages"][0]["content"] == "Hello" else trouble

    with ChatServer(script) as server:
        try:
            ask(server, request("bad"), retries=1)
        except (NoReplyError, EndpointError) as error:
            return error, [body["messages"][0]["content"] for body in server.bodies]
    raise AssertionError("there was a reply")


FELL = (500, {"error": {"message": "list index out of range"}})


def test_a_conversation_that_a_server_falls_over_is_told_from_a_server_that_fell_over():
    error, asked = bad_conversation(FELL)
    assert isinstance(error, NoReplyError) and "list index" in str(error)
    assert asked == ["bad", "bad", "Hello", "bad"], "once more, for the trouble may have passed meanwhile"
    error, asked = bad_conversation(FELL, hello=FELL)
    assert isinstance(error, EndpointError) and asked == ["bad"] * 2 + ["Hello"] * 3


def test_an_outage_that_ended_while_a_word_was_asked_costs_nothing():
    left = [FELL] * 3
    with ChatServer(lambda body: left.pop() if left else "at last") as server:
        assert ask(server, request(), retries=1)[0].text == "at last"
    assert [body["max_tokens"] for body in server.bodies] == [7] * 5


@pytest.mark.parametrize(
    "trouble",
    [
        *((status, {"error": {"message": "busy"}}) for status in (429, 502, 503, 504, 524, 529)),
        (200, {"error": {"message": "the upstream is slow", "code": 408}}),
        (200, "<html>sorry</html>"),
        None,
    ],
)
def test_a_server_that_is_busy_slow_or_gone_says_nothing_about_the_conversation(trouble):
    error, asked = bad_conversation(trouble)
    assert isinstance(error, EndpointError) and asked == ["bad", "bad"]


def test_nobody_there_is_said_in_one_line():
    with ChatServer(lambda body: "") as server:
        pass
    with pytest.raises(EndpointError, match=r"can't reach http://127.*is the server running"):
        ask(server, request(), retries=0)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "too long", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 4096 tokens.", "code": 400},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"},
        {"message": "'max_tokens' or 'max_completion_tokens' is too large. The context length is 8"},
        {"message": "Context size has been exceeded.", "type": "server_error"},
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_conversation_that_does_not_fit_is_no_failure_of_the_server(error, status):
    with (
        ChatServer(lambda body: (status, {"error": error})) as server,
        pytest.raises(ContextFullError),
    ):
        ask(server, request())
    assert sum(server.asked.values()) == 1, "asking again would not help"


def test_a_request_that_is_refused_is_not_sent_again():
    with (
        ChatServer(lambda body: (400, {"error": {"message": "temperature must be 1"}})) as server,
        pytest.raises(ConfigError, match=r"400.*temperature must be 1"),
    ):
        ask(server, request())
    assert sum(server.asked.values()) == 1


def test_servers_with_the_newer_name_of_the_limit_get_it():
    def script(body):
        if "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        return "ok"

    with ChatServer(script) as server:
        assert [reply.text for reply in ask(server, request(seed=1), request(seed=2))] == ["ok", "ok"]
    assert server.bodies[-1]["max_completion_tokens"] == 7


def test_a_request_that_a_filter_refuses_has_no_answer_and_ends_nothing():
    refused = {"error": {"message": "against our policy", "code": "content_filter"}}
    with ChatServer(lambda body: (400, refused)) as server:
        assert ask(server, request()) == [Reply(text="", finish="stop")]


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": "hi"}]},
        {"choices": [{"message": {"content": 7}}]},
        {"hello": 1},
        [1],
        "3",
        "{no",
        "",
        "[" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_said_to_be_none(answer):
    with (
        ChatServer(lambda body: (200, answer)) as server,
        pytest.raises(EndpointError, match="gave no chat completion"),
    ):
        ask(server, request(), retries=0)


def test_fields_of_ones_own_are_sent_and_others_left_out():
    body = {"seed": None, "top_k": 5, "temperature": 1}
    with ChatServer(lambda body: "x") as server:
        ask(server, request(), body=body)
    names = {"model", "messages", "temperature", "top_p", "max_tokens", "top_k"}
    assert server.bodies[0].keys() == names
    assert (server.bodies[0]["top_k"], server.bodies[0]["temperature"]) == (5, 1)
    with pytest.raises(ValueError, match="must not hold n, stream"):
        Settings(body={"stream": True, "n": 2})


def test_a_key_that_a_server_repeats_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with (
        ChatServer(lambda body: (400, {"error": {"message": "bad header: Bearer sk-very-secret"}})) as server,
        pytest.raises(ConfigError) as caught,
    ):
        ask(server, request())
    assert "bad header" in str(caught.value) and "secret" not in str(caught.value)
    for before in range(280, 310):  # the line ends in the middle of it
        with (
            ChatServer(lambda body, before=before: (200, "." * before + "sk-very-secret")) as server,
            pytest.raises(EndpointError) as caught,
        ):
            ask(server, request(), retries=0)
        assert "sk-v" not in str(caught.value)


def test_names_urls_and_keys_are_checked_before_anything_is_asked(monkeypatch):
    with ChatServer(lambda body: "x", models=("a", "b")) as server:
        with pytest.raises(ModelError, match=r"no model 'c'.*it has a, b"):
            ask(server, model="c", check=True)
        with pytest.raises(ModelError, match=r"which model.*a, b"):
            ask(server, model="", check=True)
        ask(server, model="b", check=True)
    with ChatServer(lambda body: "x") as server:
        ask(server, request(), model="", check=True)
        assert server.bodies[0]["model"] == MODEL, "the only one there is"
    with ChatServer(lambda body: "x", models=None) as server:
        ask(server, model="anything", check=True)
    with ChatServer(lambda body: "x", key="secret") as server:
        with pytest.raises(ConfigError, match=r"refuses the key \(.*wrong key.*\): set OPENAI_API_KEY"):
            ask(server, check=True)
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        ask(server, check=True)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<html>a proxy</html>", "OpenAI-compatible"),
        ({"data": [{"id": MODEL, "max_model_len": 4096}]}, "leaves no room for a prompt"),
    ],
)
def test_what_can_never_work_is_said_at_once(page, says):
    async def work(server):
        async with Endpoint(MODEL, Settings(url=server.url)) as endpoint:
            await endpoint.check(response_tokens=4096)

    with (
        ChatServer(lambda body: "x", models=page) as server,
        pytest.raises((ConfigError, EndpointError), match=says),
    ):
        asyncio.run(work(server))


@pytest.mark.parametrize("page", [[], {"data": None}, {"data": [3, {}]}, {"data": [{"id": MODEL}]}])
def test_a_list_of_models_in_another_form_is_no_list(page):
    with ChatServer(lambda body: "x", models=page) as server:
        assert ask(server, request(), check=True)[0].text == "x"


def test_no_more_requests_are_on_their_way_than_allowed():
    together = threading.Barrier(3)

    def script(body):
        together.wait(60)  # fewer than three at a time would never be answered
        return "x"

    with ChatServer(script) as server:
        ask(server, *(request(seed=n) for n in range(12)), concurrency=3)
    assert server.most == 3
