"""A server with OpenAI's chat interface that says what a script tells it to, and counts what it was asked."""

import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "scripted-1"


class ChatServer:
    """Answers with ``script(body)``: a text, or status, body and any headers, or None to hang up.

    ``models`` are the names it lists, or the body of its answer, or None for no such page.

    ``asked`` counts requests by what they say; ``answered`` those whose answer was sent.
    """

    def __init__(self, script, *, delay_s=0.0, models=(MODEL,), key=None):
        self.script, self.delay_s, self.models, self.key = script, delay_s, models, key
        self.asked, self.answered = Counter(), Counter()
        self.bodies, self.most, self._now = [], 0, 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(ConnectionError):  # a client that was killed
                    super().handle()

            def do_GET(self):
                server._models(self)

            def do_POST(self):
                server._chat(self)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()

    def _models(self, handler):
        if self.models is None:
            send(handler, 404, {"error": {"message": "no such page"}})
        elif self.key and handler.headers["Authorization"] != f"Bearer {self.key}":
            send(handler, 401, {"error": {"message": "wrong key"}})
        elif isinstance(self.models, tuple):
            rows = [{"id": name, "object": "model"} for name in self.models]
            send(handler, 200, {"object": "list", "data": rows})
        else:
            send(handler, 200, self.models)

    def _chat(self, handler):
        length = int(handler.headers["Content-Length"])
        data = handler.rfile.read(length)
        if len(data) < length:
            return
        body = json.loads(data)
        name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            self.asked[name] += 1
            self.bodies.append(body)
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self.delay_s)
        answer = self.script(body)
        with self._lock:
            self._now -= 1
        if answer is None:
            handler.close_connection = True
            handler.connection.close()
            return
        parts = (200, completion(body, answer)) if isinstance(answer, str) else answer
        with contextlib.suppress(OSError):
            send(handler, *parts)
            self.answered[name] += 1


def completion(body, text, **changes):
    """A chat completion, as a server writes it."""
    read = sum(len(message["content"]) for message in body["messages"])
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice | changes],
        "usage": {"prompt_tokens": read, "completion_tokens": len(text), "total_tokens": read + len(text)},
    }


def send(handler, status, body, headers=()):
    """One JSON answer; text is sent as it is."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    for name, value in dict(headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)
