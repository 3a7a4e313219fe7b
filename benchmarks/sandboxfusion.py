"""rlef against SandboxFusion's own server code: one request a test over loopback, no isolation.

    RLEF_PEERS=/folder/with/checkouts python -m benchmarks.sandboxfusion [--quick]

The server runs as its authors ship it (``isolation: none``, the ``local`` configuration), with a virtual
environment where it expects conda's, under uvicorn on asyncio's own loop, which is the fast one here.
Server and programs get the core that rlef's slot gets; the client keeps its connection
open and may run on another core, as rlef's supervisor may.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from benchmarks import peers
from benchmarks.contestants import INPUT, OUTPUT, PROGRAM, TESTS, Rlef
from benchmarks.machine import pinned
from benchmarks.module import main
from benchmarks.rounds import Contestant, WrongOutput, interleave, repeated
from benchmarks.rows import Question, Row, Unavailable

_RATIO = Question("SandboxFusion's server (asyncio, no isolation), a test, over rlef", "times", ">= 20")
QUESTIONS = (_RATIO,)
_SERVER = Path(__file__).with_name("sandboxfusion_server.py")
_NEEDS = ("fastapi", "uvicorn", "structlog", "psutil", "aiofiles", "yaml")


@contextlib.contextmanager
def server() -> Iterator[int]:
    """The port of a server that lives as long as the block."""
    checkout = peers.folder("SandboxFusion", "sandbox/server/sandbox_api.py")
    if missing := [name for name in _NEEDS if not peers.importable(name)]:
        raise Unavailable(f"SandboxFusion needs {', '.join(missing)}; `make bench` installs them")
    with tempfile.TemporaryDirectory(prefix="rlef-bench-") as scratch:
        # It looks for a folder with condabin above its interpreter, and sources bin/activate there.
        venv.create(scratch, symlinks=True, with_pip=False)
        (Path(scratch) / "condabin").mkdir()
        paths = json.dumps([path for path in sys.path if "site-packages" in path])
        command = [f"{scratch}/bin/python", "-B", str(_SERVER), str(checkout), paths]
        with pinned():
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        try:
            assert process.stdout
            port = process.stdout.readline().strip()
            if not port:
                last = process.communicate()[1].strip().splitlines()[-1:]
                raise Unavailable(f"SandboxFusion's server does not start: {' '.join(last)}")
            yield int(port)
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=10)
            process.kill()
            process.wait()


def request(connection: http.client.HTTPConnection) -> Contestant:
    """One test by HTTP."""
    text = json.dumps({"code": PROGRAM, "stdin": INPUT.decode(), "language": "python"})
    headers = {"Content-Type": "application/json"}

    def contestant() -> float:
        started = time.perf_counter()
        connection.request("POST", "/run_code", text, headers)
        answer = json.loads(connection.getresponse().read())
        took = time.perf_counter() - started
        ran = answer.get("run_result") or {}
        if answer.get("status") != "Success" or ran.get("stdout") != OUTPUT.decode():
            raise WrongOutput(f"SandboxFusion: {answer}")
        return took * 1e3

    return contestant


def measure(quick: bool) -> list[Row]:
    with server() as port, Rlef() as rlef:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        contestants = {
            "rlef": rlef.per_test(TESTS),
            "SandboxFusion": repeated(request(connection), 3),
            "rlef, 1 test a program": repeated(rlef.per_test(1), 30),
        }
        times = interleave(contestants, rounds=5 if quick else 150, seconds=30)
        connection.close()
    ratios = {"1 test a program": times.ratio("SandboxFusion", "rlef, 1 test a program")}
    value = times.ratio("SandboxFusion", "rlef")
    return [_RATIO.answer(value, rung=rlef.rung, ratios=ratios, ms=times.details())]


if __name__ == "__main__":
    main(__doc__, QUESTIONS, measure)
