"""SandboxFusion's protocol: what goes in, what comes out, what is refused."""

import base64
import json

import pytest

from rlef.errors import SandboxError
from rlef.judge.scripted import ScriptedSandbox
from rlef.sandbox.types import RunResult, Status
from rlef.service import fusion
from service_help import TOKEN, scripted, serving, until

LATE = "TimeLimitExceeded"
BAD = "any return code but 0"
STEP = {"status", "execution_time", "cpu_time", "return_code", "stdout", "stderr"}


@pytest.fixture(scope="module")
def service():
    with serving("--open-run-code", slots=2) as running:
        yield running


def ran(service, code, **more):
    answer = service.ask(
        "POST", f"/t/{TOKEN}/run_code", {"code": code, "language": "python", **more}, token=None
    )
    assert answer.status == 200, answer.body
    value = answer.json
    assert value.keys() == {"status", "message", "compile_result", "run_result", "executor_pod_name", "files"}
    assert value["run_result"] is None or value["run_result"].keys() == STEP
    return value


@pytest.mark.parametrize(
    ("code", "more", "status", "run"),
    [
        ("print(int(input()) + 1)", {"stdin": "41"}, "Success", ("Finished", 0, "42\n")),
        ("print(input())", {"stdin": "h\u00e9llo \u2603"}, "Success", ("Finished", 0, "h\u00e9llo \u2603\n")),
        ("import sys; print(repr(sys.stdin.read()))", {}, "Success", ("Finished", 0, "''\n")),
        ("import sys; print(repr(sys.stdin.read()))", {"stdin": None}, "Success", ("Finished", 0, "''\n")),
        ("raise SystemExit(3)", {}, "Failed", ("Finished", 3, "")),
        ("print(1)\n1 / 0", {}, "Failed", ("Finished", 1, "1\n")),
        ("int a = 1", {}, "Failed", ("Finished", 1, "")),
        ("import os; os.abort()", {}, "Failed", ("Finished", BAD, "")),
        (
            "print('x', flush=True)\nwhile True: pass",
            {"run_timeout": 0.3},
            "Failed",
            ("TimeLimitExceeded", None, "x\n"),
        ),
        ("import time; time.sleep(30)", {"run_timeout": 0.3}, "Failed", ("TimeLimitExceeded", None, "")),
        ("x = bytearray(500 * 2**20)", {"memory_limit_MB": 100}, "Failed", ("Finished", BAD, "")),
        ("x = bytearray(500 * 2**20); print(1)", {"memory_limit_MB": -1}, "Success", ("Finished", 0, "1\n")),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", {}, "Success", ("Finished", 0, "\ufffd\n")),
        (
            "print(1)",
            {"run_timeout": "7", "unknown": {}, "compile_timeout": 3},
            "Success",
            ("Finished", 0, "1\n"),
        ),
    ],
)
def test_a_run_ends_as_sandboxfusion_says_it(service, code, more, status, run):
    value = ran(service, code, **more)
    step = value["run_result"]
    assert (value["status"], value["message"], value["compile_result"]) == (status, "", None)
    code_ = BAD if BAD in run and step["return_code"] else step["return_code"]
    assert (step["status"], code_, step["stdout"]) == run
    if code == "int a = 1":
        assert "SyntaxError: invalid syntax" in step["stderr"]
    if "1 / 0" in code:
        assert "ZeroDivisionError" in step["stderr"]


def test_output_is_complete_where_a_pipe_would_have_been_full(service):
    value = ran(service, "print('x' * 5_000_000)")
    assert value["status"] == "Success" and len(value["run_result"]["stdout"]) == 5_000_001
    value = ran(service, "print('x' * 20_000_000)")
    assert value["status"] == "Failed" and value["run_result"]["return_code"] != 0
    assert "output limit" in value["run_result"]["stderr"]


def test_files_go_in_and_come_out(service):
    value = ran(
        service,
        "import os\nopen('b', 'w').write(open('a.txt').read().upper() + str(sorted(os.listdir())))",
        files={"a.txt": base64.b64encode(b"hello ").decode(), "left out": None},
        fetch_files=["b", "missing"],
    )
    assert value["status"] == "Success"
    found = {name: base64.b64decode(data) for name, data in value["files"].items()}
    assert found == {"b": b"HELLO ['a.txt', 'b']"}


CPP = """#include <iostream>
#include "twice.h"
int main() { int n; std::cin >> n; std::cout << twice(n) << std::endl; return n < 0; }
"""
HEADER = base64.b64encode(b"inline int twice(int n) { return 2 * n; }").decode()


def needs(service, language):
    if language not in service.health()["languages"]:
        pytest.skip(f"needs {language}")


def test_cpp_is_compiled_and_then_run(service):
    needs(service, "cpp17")
    value = ran(service, CPP, language="cpp", stdin="21", files={"twice.h": HEADER})
    assert value["status"] == "Success" and value["run_result"]["stdout"] == "42\n"
    assert value["compile_result"]["status"] == "Finished" and value["compile_result"]["return_code"] == 0
    value = ran(service, CPP, language="cpp", stdin="-1", files={"twice.h": HEADER})
    assert value["status"] == "Failed" and value["run_result"]["return_code"] == 1
    value = ran(service, CPP, language="cpp", stdin="21")
    assert value["status"] == "Failed" and value["run_result"] is None
    assert value["compile_result"]["status"] == "Finished" and value["compile_result"]["return_code"] == 1
    assert "twice.h" in value["compile_result"]["stderr"]


def test_javascript_is_run_by_sandboxfusions_name(service):
    needs(service, "javascript")
    double = "console.log(2 * Number(require('fs').readFileSync(0)))"
    value = ran(service, double, language="nodejs", stdin="21")
    assert value["status"] == "Success" and value["run_result"]["stdout"] == "42\n"
    assert value["compile_result"] is None
    value = ran(service, "let let = 1", language="nodejs")
    assert value["status"] == "Failed" and value["run_result"]["return_code"] == 1
    assert "SyntaxError" in value["run_result"]["stderr"]


def test_modules_may_lie_beside_the_program(service):
    module = base64.b64encode(b"def f(x):\n    return 2 * x\n").decode()
    value = ran(service, "import helper\nprint(helper.f(21))", files={"helper.py": module})
    assert value["status"] == "Success" and value["run_result"]["stdout"] == "42\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"language": "cobol"}, "language 'cobol' can't be run here"),
        ({"language": "pytest"}, "language 'pytest' can't be run here"),
        ({"files": {"../x": ""}}, "'../x' is not the name of a file"),
        ({"files": {"/etc/passwd": ""}}, "'/etc/passwd' is not the name of a file"),
        ({"fetch_files": ["/etc/passwd"]}, "'/etc/passwd' is not the name of a file"),
        ({"fetch_files": [".."]}, "'..' is not the name of a file"),
    ],
)
def test_what_cant_be_run_is_an_error_of_the_sandbox_and_none_of_the_program(service, more, said):
    value = ran(service, "print(1)", **more)
    assert value["status"] == "SandboxError" and said in value["message"] and value["run_result"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not JSON"),
        ("[]", "the body"),
        ({"code": "1"}, "language"),
        ({"language": "python"}, "code"),
        ({"code": 1, "language": "python"}, "code: input should be a valid string"),
        ({"code": "1", "language": "python", "stdin": 7}, "stdin: input should be a valid string"),
        ({"code": "1", "language": "python", "run_timeout": -1}, "run_timeout"),
        ({"code": "1", "language": "python", "run_timeout": "soon"}, "run_timeout"),
        ({"code": "1", "language": "python", "compile_timeout": 0}, "compile_timeout"),
        ({"code": "1", "language": "python", "run_timeout": 1e6}, "CPU seconds can't be had"),
        ({"code": "1", "language": "python", "memory_limit_MB": 10**9}, "bytes of memory can't be had"),
        ({"code": "1", "language": "python", "files": {"a": "%%%"}}, "files.a"),
        ({"code": "1", "language": "python", "files": ["a"]}, "files"),
        ({"code": "1", "language": "python", "fetch_files": {"a": 1}}, "fetch_files"),
    ],
)
def test_a_request_that_means_nothing_is_refused_by_field(service, body, said):
    answer = service.ask("POST", "/run_code", body)
    assert answer.status == 422 and said in answer.json["error"]["message"]


def test_lone_surrogates_reach_the_program_as_in_any_other_judge(service):
    value = ran(service, "print(ascii('\ud800'), ascii(input()))", stdin="\udcff")
    assert value["run_result"]["return_code"] in (0, 1)  # a program that python reads or refuses
    assert ran(service, "print(1)")["status"] == "Success"


def test_open_run_code_is_for_programs_on_this_machine_and_not_for_browsers(service):
    body = {"code": "print(1)", "language": "python"}

    def status(path="/run_code", **headers):
        return service.ask("POST", path, body, token=None, headers=headers).status

    assert status() == 200
    assert status(Host="localhost:8080") == status(Host="127.0.0.1") == status(Host="[::1]:80") == 200
    assert status(Origin="http://evil.example") == 401
    assert status(Host="evil.example") == status(Host="127.0.0.1.evil.example") == 401
    assert status("/judge") == 401 and status("//run_code") == 401 and status("/run_code/") != 200
    warning = service.process.stderr.readline()
    assert "warning" in warning and "without a token" in warning


def test_without_the_option_run_code_wants_the_token():
    with scripted(ScriptedSandbox(lambda source, stdin: b"1\n")) as closed:
        body = {"code": "print(1)", "language": "python"}
        assert closed.ask("POST", "/run_code", body, token=None).status == 401
        assert closed.ask("POST", "/run_code", body).status == 200
        assert closed.ask("POST", f"/t/{TOKEN}/run_code", body, token=None).status == 200


def test_a_failure_of_the_sandbox_is_tried_again_and_then_named():
    failures = []

    def flaky(source, stdin):
        failures.append(source)
        if source == "never" or len(failures) < 3:
            raise SandboxError("the slot is gone")
        return b"1\n"

    with scripted(ScriptedSandbox(flaky)) as service:
        assert ran(service, "sometimes")["run_result"]["stdout"] == "1\n"
        value = ran(service, "never")
        assert value["status"] == "SandboxError" and "the slot is gone" in value["message"]


def test_a_run_whose_client_hangs_up_is_stopped():
    sandbox = ScriptedSandbox(lambda source, stdin: b"", delay=lambda: 60)
    with scripted(sandbox) as service:
        connection = service.connect()
        connection.request("POST", f"/t/{TOKEN}/run_code", json.dumps({"code": "", "language": "python"}))
        until(lambda: sandbox.runs)
        connection.close()
        until(lambda: sandbox.closed == 1 and service.health()["running"] == 0)


def test_who_finds_no_place_in_time_gets_the_answer_that_verl_tries_again_after(monkeypatch):
    monkeypatch.setattr("rlef.service.app._PATIENCE_S", 0.0)
    sandbox = ScriptedSandbox(lambda source, stdin: b"", delay=lambda: 60)
    with scripted(sandbox, queue=1) as service:
        body = {"code": "", "language": "python", "run_timeout": 0.1, "compile_timeout": 0.1}
        held = [service.connect() for _ in range(2)]
        for connection in held:
            connection.request("POST", f"/t/{TOKEN}/run_code", json.dumps(body))
        until(lambda: len(sandbox.runs) == 2)
        answer = service.ask("POST", "/run_code", body)
        assert (answer.status, answer.code) == (504, "busy") and int(answer.headers["retry-after"]) >= 1
        for connection in held:
            connection.close()
        until(lambda: service.health()["running"] == 0)


@pytest.mark.parametrize("status", Status)
def test_no_end_but_a_good_one_looks_like_success(status):
    request = fusion.read({"code": "", "language": "python"})
    for exit_code, number in ((0, 0), (1, 0), (0, 9)):
        value = fusion.answer(request, RunResult(status=status, exit_code=exit_code, signal=number))
        assert (value["status"] == "Success") == (status is Status.EXITED and not exit_code and not number)
        step = value["run_result"]
        assert (step["status"] == "TimeLimitExceeded") == (status in (Status.CPU_LIMIT, Status.IDLE_LIMIT))
        assert (step["return_code"] is None) == (step["status"] == "TimeLimitExceeded")
