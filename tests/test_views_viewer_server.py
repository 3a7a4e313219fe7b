"""The viewer's service, spoken to with bare sockets and http.client: who gets in, and what it says."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from browser_help import serving
from rlef.cli import run as cli
from rlef.cli import viewing
from rlef.errors import ConfigError, RunError
from rlef.runs import TRACES, Run
from rlef.views.viewer import index, server
from rlef.views.viewer.query import Query
from rlef.views.viewer.server import Viewer, is_loopback
from rlef.views.viewer.static import write_static
from test_views_report import Page
from viewer_fakes import TRICKS, attacked, huge, measured, rows, whole, write


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    with serving(whole(tmp_path_factory.mktemp("run")).path) as started:
        yield started


@pytest.fixture(scope="module")
def besieged(tmp_path_factory):
    with serving(attacked(tmp_path_factory.mktemp("run")).path) as started:
        yield started


def ask(viewer, path="/", *, method="GET", host=None, cookie=True, headers=(), body=None):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"127.0.0.1:{viewer.port}")
        if cookie:
            value = viewer.token if cookie is True else cookie
            connection.putheader("Cookie", f"other=1; {viewer.cookie}={value}")
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()


def test_the_printed_address_lets_in_and_takes_the_token_out_of_the_address(viewer):
    parts = urlsplit(viewer.url)
    address = f"{parts.path}?{parts.query}&outcome=solved&e=traces.1"
    status, headers, _ = ask(viewer, address, cookie=False)
    assert (status, headers["Location"]) == (303, "/?outcome=solved&e=traces.1")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and viewer.cookie in cookie
    value = cookie.split(";")[0].partition("=")[2]
    assert ask(viewer, headers["Location"], cookie=value)[0] == 200


@pytest.mark.parametrize("path", ["/", "/list", "/episode?e=traces.0", "/raw?e=traces.0", "/status"])
@pytest.mark.parametrize("cookie", [False, "wrong", "", "é"])
def test_without_the_token_nothing_is_shown(viewer, path, cookie):
    if cookie == "é":
        cookie = "\xe9"
    status, headers, body = ask(viewer, path, cookie=cookie)
    assert status == 401 and b"toy" not in body and "Set-Cookie" not in headers
    assert ask(viewer, f"{path.partition('?')[0]}?token=wrong", cookie=cookie)[0] == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1", "a b"]
)
def test_another_name_for_this_machine_is_refused_so_that_no_rebound_name_reads_a_run(viewer, host):
    status, _, body = ask(viewer, host=host.format(port=viewer.port))
    assert status == 421 and b"toy" not in body


def test_a_second_host_header_is_refused(viewer):
    assert ask(viewer, headers=[("Host", "evil.example")])[0] == 421


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_this_machine_under_its_own_names_is_served(viewer, host):
    assert ask(viewer, host=host.format(port=viewer.port))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "<script>"])
def test_only_get_is_answered(viewer, method):
    status, headers, body = ask(viewer, method=method)
    assert (status, headers["Allow"]) == (405, "GET") and b"script" not in body and b"toy" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/config.yaml",
        "/traces.jsonl",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/assets/viewer.css",
        "/raw?e=../config.0",
        "/raw?e=/etc/passwd.0",
        "/raw",
        "/viewer.py",
        "/list/",
    ],
)
def test_no_path_leads_to_a_file(viewer, path):
    status, _, body = ask(viewer, path)
    assert status == 404 and b"root:" not in body and b"name: fake" not in body


@pytest.mark.parametrize(
    "path", ["/", "/list", "/episode", "/raw?e=traces.0", "/viewer.js", "/status", "/no", "/?token=x"]
)
def test_every_answer_forbids_what_the_page_does_not_need(viewer, path):
    _, headers, _ = ask(viewer, path)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store" and "Access-Control-Allow-Origin" not in headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and "Python" not in headers["Server"]


def test_the_raw_row_is_the_line_of_the_file(viewer):
    line = (viewer.pages.index.run.path / TRACES).read_bytes().splitlines(keepends=True)[2]
    status, headers, body = ask(viewer, "/raw?e=traces.2")
    assert (status, body) == (200, line) and headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_answered(viewer, request_line):
    with socket.create_connection(("127.0.0.1", viewer.port), timeout=20) as client:
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        reply = b""
        with contextlib.suppress(ConnectionResetError):
            while more := client.recv(65536):
                reply += more
    assert reply == b"" or reply.split()[1][:1] in (b"4", b"5")
    assert ask(viewer)[0] == 200


def test_the_body_of_a_request_is_not_taken_for_another_request(viewer):
    inner = f"GET /status HTTP/1.1\r\nHost: 127.0.0.1:{viewer.port}\r\n\r\n".encode()
    head = f"GET /status HTTP/1.1\r\nHost: 127.0.0.1:{viewer.port}\r\nContent-Length: {len(inner)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", viewer.port), timeout=20) as client:
        client.sendall(head.encode() + inner)
        reply = b""
        with contextlib.suppress(ConnectionResetError):
            while more := client.recv(65536):
                reply += more
    assert reply.count(b"HTTP/1.1 ") == 1


def test_more_connections_than_it_has_seats_for_are_turned_away_and_it_goes_on(viewer, monkeypatch):
    idle = [socket.create_connection(("127.0.0.1", viewer.port)) for _ in range(server._CONNECTIONS + 8)]
    for one in idle:
        one.close()
    for _ in range(50):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(viewer)[0] == 200:
                break
    assert ask(viewer)[0] == 200


def test_the_page_is_whole_without_scripts_and_its_links_lead_on(viewer):
    seen, address = [], "/?phase=train&sort=-reward"
    while address:
        status, _, body = ask(viewer, address)
        page = Page(body.decode())
        assert status == 200 and page.count("script") == 1  # the one that is loaded
        (key,) = [attrs["data-key"] for tag, attrs in page.tags if tag == "article"]
        seen.append(key)
        following = [attrs["href"] for tag, attrs in page.tags if tag == "a" and attrs.get("rel") == "next"]
        address = f"/{following[0]}" if following else ""
    hits = viewer.pages.find(Query.parse("phase=train&sort=-reward"))
    assert seen == [entry.key for entry in hits.entries(1)]


def test_an_episode_is_told_in_the_order_in_which_it_happened(viewer):
    text = Page(ask(viewer, "/episode?e=traces.1")[2].decode()).text
    places = [
        text.index(words)
        for words in (
            "toy/train/fixed",
            "Opening prompt",
            "Sort the words of the line.",
            "Turn 1",
            "Answer as the model wrote it",
            "Public tests",
            "got",
            "Feedback, as the model read it",
            "want: apple pear fig",
            "Turn 2",
            "with what changed since the last one",
            "Hidden tests",
            "never shown to the model",
            "bytes, here without its long parts",
        )
    ]
    assert places == sorted(places)
    for figure in ("+0.50", "+0.25", "−0.25", "+0.75"):  # values and advantages of its turns
        assert figure in text


def test_feedback_that_was_cut_is_shown_as_it_was_read_and_whole_below_it(tmp_path):
    row = rows()[1]
    row["turns"][0] |= {"feedback": "want: apple pear fig", "feedback_read": "<user>want: ap[...]<end>"}
    with serving(write(tmp_path, TRACES, [row]).path) as viewer:
        text = Page(ask(viewer, "/episode?e=traces.0")[2].decode()).text
    feedback = text.partition("Feedback, as the model read it")[2]
    read, whole = feedback.index("<user>want: ap[...]<end>"), feedback.index("want: apple pear fig")
    assert read < feedback.index("the whole message, 20 characters") < whole


def test_what_stands_before_every_prompt_is_shown_before_it(tmp_path):
    run = write(tmp_path, TRACES, rows()[:1])
    shots = [{"user": "<b>show", "assistant": "shown"}]
    run.write("config.yaml", json.dumps({"model": {"system": "be brief", "demonstrations": shots}}))
    with serving(run.path) as viewer:
        text = Page(ask(viewer, "/episode?e=traces.0")[2].decode()).text
    places = [text.index(words) for words in ("be brief", "<b>show", "shown", "Opening prompt")]
    assert places == sorted(places)


def test_the_tokens_of_a_long_answer_can_be_shaded_and_one_file_is_spared_them(tmp_path):
    row = rows()[0]
    text = "é word\n" * 5000
    row["turns"][0] |= {"text": text, "offsets": list(range(0, 35_000, 7)), "logprobs": [-0.5] * 5000}
    run = write(tmp_path / "run", TRACES, [row])
    with serving(run.path) as viewer:
        page = Page(ask(viewer, "/episode?e=traces.0")[2].decode())
    (lengths,) = [attrs["data-lengths"] for _, attrs in page.tags if "data-lengths" in attrs]
    assert lengths == ",".join(["7"] * 5000) and text in page.text
    out = write_static(run, tmp_path / "one.html", Query()).read_text(encoding="utf-8")
    assert "data-lengths" not in out.partition("<script")[0] and "characters cut" in out


def test_a_row_too_long_to_be_held_is_sent_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "LONGEST_LINE", 100_000)
    run = write(tmp_path, TRACES, huge())
    lines = (run.path / TRACES).read_bytes().splitlines(keepends=True)
    with serving(run.path) as viewer:
        for number, line in enumerate(lines):
            status, headers, body = ask(viewer, f"/raw?e=traces.{number}")
            assert status == 200 and body == line and headers["Content-Type"].startswith("text/plain")
        (run.path / TRACES).unlink()
        assert ask(viewer, "/raw?e=traces.0")[0] in (404, 500)


def test_hidden_tests_that_spoke_are_not_said_to_have_been_hidden(viewer):
    hits = viewer.pages.find(Query.parse("condition=hidden_feedback&problem=toy/train/fixed"))
    text = ask(viewer, f"/episode?e={hits.entries(1)[0].key}")[2].decode()
    assert "shown to the model: this condition" in text and "never shown" not in text


def test_an_episode_of_an_endpoint_has_its_servers_account_of_tokens_and_no_shading(tmp_path):
    row = measured("multi_turn")[1] | {"ids": []}
    for number, one in enumerate(row["turns"]):
        usage = {"read": 100 + number, "wrote": 20 + number}
        one |= {"start": 0, "end": 0, "offsets": [], "logprobs": [], "usage": usage}
    with serving(write(tmp_path, "episodes-after.jsonl", [row]).path) as viewer:
        (entry,) = viewer.pages.find(Query()).entries(1)
        body = ask(viewer, f"/episode?e={entry.key}")[2].decode()
    assert entry.facts.tokens == 41 and "<dt>read</dt><dd>201</dd>" in body
    assert "<dt>written</dt><dd>41</dd>" in body
    assert "20 tokens" in body and "shading" not in body and "between this turn" not in body


def test_every_hostile_text_is_shown_as_text(besieged):
    for row in besieged.pages.find(Query()).entries(1):
        for path in ("", "list", "episode"):
            status, _, body = ask(besieged, f"/{path}?e={row.key}")
            page = Page(body.decode()) if not path else None
            assert status == 200, row
            if page:
                assert {tag for tag, _ in page.tags} <= KNOWN_TAGS
                assert not any(
                    name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs
                )
            assert not set(body.decode()) & set("\x00\x1b\x07\x7f\x9b\u202e\u200b\ufeff\u2028\x85")
    shown = Page(ask(besieged, "/episode?e=traces.0")[2].decode()).text
    assert TRICKS[0] in shown


KNOWN_TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title link script body a header p span button kbd div aside form input label select "
        "option ol li abbr nav main article h1 h2 h3 dl dt dd table thead tbody tr th td svg rect path "
        "section details summary pre em b dialog mark",
    )
)


def test_megabytes_are_cut_on_the_page_and_whole_in_the_raw_row(besieged):
    for name, row in zip(("huge/line", "huge/episode"), huge(), strict=True):
        (entry,) = besieged.pages.find(Query(chosen={"problem": (name,)})).entries(1)
        body = ask(besieged, f"/episode?e={entry.key}")[2]
        assert len(body) < 200_000 and b"characters cut" in body
        assert json.loads(ask(besieged, f"/raw?e={entry.key}")[2])["turns"] == row["turns"]


def test_a_failure_of_ours_is_one_line_and_no_end(viewer, monkeypatch):
    def fail(query):
        raise RuntimeError("something\x1b[2J odd\nhappened")

    monkeypatch.setattr(viewer.pages, "list", fail)
    status, _, body = ask(viewer, "/list")
    assert (
        status == 500
        and body == b"The page could not be made: RuntimeError: something\\x1b[2J odd happened\n"
    )
    monkeypatch.undo()
    assert ask(viewer, "/list")[0] == 200


def test_it_listens_on_this_machine_alone_unless_told_otherwise(viewer):
    assert viewer._server.server_address[0] == "127.0.0.1"
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.x.org", ""))


def test_a_taken_port_is_one_clear_line(viewer, capsys):
    path = str(viewer.pages.index.run.path)
    with pytest.raises(ConfigError, match="choose another port with --port"):
        Viewer(Run(viewer.pages.index.run.path), port=viewer.port)
    assert cli(["view", path, "--port", str(viewer.port)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli(["view", path, "--host", "no.such.host.invalid"]) == 2


def test_a_directory_that_is_no_run_is_one_clear_line(tmp_path, monkeypatch, capsys):
    assert cli(["view", str(tmp_path)]) == 2
    monkeypatch.setenv("RLEF_RUNS", str(tmp_path))
    assert cli(["view"]) == 2
    assert "rlef view RUN" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_command_serves_until_a_signal_and_ends_cleanly(tmp_path, number, code):
    run = write(tmp_path / "run", TRACES, rows())
    command = [sys.executable, "-m", "rlef", "view", "--port", "0", "--filter", "outcome=solved"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RLEF_RUNS": str(tmp_path)},
    )
    with process:
        try:
            url = urlsplit(process.stdout.readline().strip())
            assert url.query.endswith("&outcome=solved")
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
            with contextlib.closing(connection):
                connection.request("GET", f"/?{url.query}")
                assert connection.getresponse().status == 303
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()  # or a failure would wait for it
    assert process.returncode == code and "Traceback" not in err
    assert str(run.path) in err and out == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_while_a_connection_is_taken_in_is_not_lost(tmp_path, monkeypatch, number, code):
    viewer = Viewer(write(tmp_path, TRACES, rows()))
    struck, gave_up = threading.Event(), threading.Event()
    taken_in = server._Server.process_request

    def strike(self, request, address):
        if not struck.is_set():
            struck.set()
            os.kill(os.getpid(), number)
            time.sleep(0.05)  # the handler runs here, if this is the main thread
        taken_in(self, request, address)

    def give_up():
        gave_up.set()
        viewer.close()

    def knock():
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask(viewer)

    monkeypatch.setattr(server._Server, "process_request", strike)
    timer, client = threading.Timer(10, give_up), threading.Thread(target=knock)
    timer.start()
    client.start()
    assert viewing._serve(viewer) == code and struck.is_set() and not gave_up.is_set()
    timer.cancel()
    client.join()
    timer.join()


def test_a_service_that_fails_does_not_end_as_if_it_had_been_asked_to(tmp_path, monkeypatch):
    def fail():
        raise OSError("no more descriptors")

    viewer = Viewer(write(tmp_path, TRACES, rows()))
    monkeypatch.setattr(viewer._server, "service_actions", fail)
    with pytest.raises(OSError, match="no more descriptors"):
        viewing._serve(viewer)
    assert viewer._server.socket.fileno() == -1


def test_a_browser_is_opened_through_a_file_that_nobody_else_can_read(monkeypatch, capsys):
    seen, opened = [], threading.Event()

    def open_it(uri):
        path = Path(urlsplit(uri).path)
        seen.append((path, path.stat().st_mode & 0o777, path.read_text()))
        opened.set()
        return False

    monkeypatch.setattr(webbrowser, "open", open_it)
    before = threading.active_count()
    with viewing._opened("http://127.0.0.1:1/?token=secret&q=<b>"):
        assert opened.wait(20)  # a browser of the terminal would come back only when it is closed
        while threading.active_count() > before:
            time.sleep(0.01)
    ((path, mode, text),) = seen
    assert mode == 0o600 and not path.exists() and "secret" not in str(path)
    assert 'url=http://127.0.0.1:1/?token=secret&amp;q=&lt;b&gt;"' in text
    assert "no browser" in capsys.readouterr().err


def test_one_file_holds_what_was_asked_for_and_nothing_from_elsewhere(tmp_path, capsys):
    run = whole(tmp_path / "run")
    out = tmp_path / "deep" / "view.html"
    assert (
        cli(["view", str(run.path), "--static", str(out), "--episodes", "4", "--filter", "phase=train"]) == 0
    )
    page = Page(out.read_text(encoding="utf-8"))
    assert page.count("article") == 4 and page.count("script") == 1
    assert "4 of the run's 28 episodes, the first of 7 that fit" in page.text
    assert not any("src" in attrs for _, attrs in page.tags)
    links = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert all(link.startswith(("#", "data:")) for link in links)
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {link[1:] for link in links if link.startswith("#e-")} <= targets
    assert cli(["view", str(run.path), "--static", str(out), "--filter", "outcom=solved"]) == 2
    assert "there is no filter 'outcom'" in capsys.readouterr().err
    assert cli(["view", str(run.path), "--static", str(out), "--filter", "outcome=nonsense"]) == 2
    assert "no episodes that fit" in capsys.readouterr().err


def test_one_file_of_hostile_episodes_holds_no_tag_of_theirs(tmp_path):
    out = write_static(attacked(tmp_path), tmp_path / "x.html", Query())
    page = Page(out.read_text(encoding="utf-8"))
    assert {tag for tag, _ in page.tags} <= KNOWN_TAGS | {"style"}
    assert page.count("script") == 1 and page.count("style") == 1
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)


def test_a_file_that_can_not_be_written_is_one_clear_line(tmp_path):
    run = write(tmp_path / "run", TRACES, rows())
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't write"):
        write_static(run, tmp_path / "file" / "x.html", Query())
    with pytest.raises(RunError, match="no episodes"):
        write_static(write(tmp_path / "empty", TRACES, []), tmp_path / "x.html", Query())


def test_many_ask_at_once_while_the_run_grows(tmp_path):
    run = write(tmp_path, TRACES, rows())
    with serving(run.path) as viewer:
        counts: list[int] = []

        def reader():
            for _ in range(10):
                status, _, body = ask(viewer, "/status")
                assert status == 200
                counts.append(json.loads(body)["count"])
                assert ask(viewer, "/?q=sort&verdict=wrong_answer")[0] == 200

        threads = [threading.Thread(target=reader) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            run.append("episodes-after.jsonl", measured("multi_turn"))
            viewer.pages.index.refresh()
        for thread in threads:
            thread.join()
        assert len(counts) == 40 and viewer.pages.index.snapshot().count == 11 * len(rows())
