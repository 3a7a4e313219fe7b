"""SandboxFusion's own client and verl's own reward against a service: they change a URL, no more."""

import importlib.util
import json
import subprocess
import sys
import threading

import pytest

from service_help import TOKEN, serving


@pytest.fixture(scope="module")
def service():
    with serving("--open-run-code", slots=2) as running:
        yield running


def have(module):
    return importlib.util.find_spec(module) is not None


CLIENT = """
import asyncio, json, sys
import sandbox_fusion as sf

url = sys.argv[1]
def ask(code, **more):
    request = sf.RunCodeRequest(code=code, language="python", **more)
    return sf.run_code(request, endpoint=url, max_attempts=1, client_timeout=60)

sf.set_endpoint(url + "/")
hello = sf.run_code(sf.RunCodeRequest(code="print(input())", language="python", stdin="hi"))
late = ask("while True: pass", run_timeout=0.3)
bad = ask("1 / 0")
both = asyncio.run(sf.run_code_async(sf.RunCodeRequest(code="print(6 * 7)", language="python"), endpoint=url))
many = sf.run_concurrent(ask, args=[[f"print({n})"] for n in range(20)], concurrency=10)
mapping = sf.SummaryMapping(Success="ok", Failed="failed", RunTimeout="late", RunFailed="crashed")
try:
    sf.run_code(sf.RunCodeRequest(code="x", language="julia"), endpoint=url, max_attempts=1)
    refused = ""
except Exception as error:
    refused = str(error)
print(json.dumps({
    "hello": hello.run_result.stdout,
    "summaries": [sf.summary_run_code_result(one, mapping) for one in (hello, late, bad, both)],
    "statuses": [one.status for one in (hello, late, bad, both)],
    "async": both.run_result.stdout,
    "many": [one.run_result.stdout for one in many],
    "refused": refused,
}))
"""


@pytest.mark.skipif(not have("sandbox_fusion"), reason="needs pip install sandbox-fusion")
def test_sandboxfusions_own_client_only_changes_its_url(service):
    command = [sys.executable, "-c", CLIENT, f"{service.url}/t/{TOKEN}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["hello"] == "hi\n" and said["async"] == "42\n"
    assert said["summaries"] == ["ok", "late", "crashed", "ok"]
    assert said["statuses"] == ["Success", "Failed", "Failed", "Success"]
    assert said["many"] == [f"{n}\n" for n in range(20)]
    assert "language 'julia' can't be run here" in said["refused"]


def verl_reward():
    """verl's reward for SandboxFusion. Its package alone: verl itself wants ray and a GPU stack."""
    found = importlib.util.find_spec("verl")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs pip install --no-deps verl")
    folder = f"{found.submodule_search_locations[0]}/utils/reward_score/sandbox_fusion"
    spec = importlib.util.spec_from_file_location(
        "verl_sandbox_fusion", f"{folder}/__init__.py", submodule_search_locations=[folder]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["verl_sandbox_fusion"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", ["/run_code", f"/t/{TOKEN}/run_code"])
def test_verls_reward_only_changes_its_url(service, path):
    compute_score = verl_reward().compute_score
    semaphore = threading.Semaphore(8)

    def score(code, tests, **more):
        completion = f"Here it is:\n```python\n{code}\n```\n"
        settings = {"timeout": 5, **more}
        return compute_score(service.url + path, semaphore, 256, completion, tests, **settings)

    doubles = {"inputs": [str(n) for n in range(20)], "outputs": [f"{2 * n}\n" for n in range(20)]}
    value, notes = score("print(2 * int(input()))", doubles)
    assert value == 1.0 and {note["status"] for note in notes} == {"success"}
    value, notes = score("n = int(input())\nprint(2 * n if n < 5 else 0)", json.dumps(doubles))
    assert value == 0.25 and [note["status"] for note in notes] == ["success"] * 5 + ["wrong_answer"] * 15
    value, notes = score("n = int(input())\nprint(2 * n if n < 5 else 0)", doubles, continuous=True)
    assert value == 0.5

    one = {"inputs": ["1"], "outputs": ["2"]}
    for code, status in (
        ("1 / 0", "runtime_error"),
        ("print(", "runtime_error"),
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
    ):
        value, notes = score(code, one, timeout=1)
        assert (value, notes[0]["status"]) == (0.0, status), code

    calls = {"fn_name": "joined", "inputs": ["1\n2", "[3]\n[4]"], "outputs": ["3", "[3, 4]"]}
    value, notes = score("def joined(a, b):\n    return a + b", calls)
    assert value == 1.0, notes
    value, _ = score("class Solution:\n    def joined(self, a, b):\n        return a", calls)
    assert value == 0.0
    if "cpp17" in service.health()["languages"]:
        check = sys.modules["verl_sandbox_fusion.utils"].check_correctness
        results, notes = check(service.url + path, doubles, "a=b", language="cpp")
        assert results == [-4] * 20 and notes[0]["status"] == "compile_error"

    value, notes = score(
        "def f(x):\n    return x + 1", {"assert_case": ["assert f(1) == 2", "assert f(1) == 3"]}
    )
    assert value == 0.5 and [note["status"] for note in notes] == ["success", "runtime_error"]
