"""A world small enough to know every answer: programs are ``add N``, problems ask for a secret N.

The engine follows scripted policies and the sandbox a two-line interpreter; the judge, the
environment and the rollout are the real ones.
"""

from __future__ import annotations

import re

from rlef.config import Config
from rlef.errors import SandboxError
from rlef.judge.judge import Judge
from rlef.judge.scripted import ScriptedSandbox
from rlef.policy.scripted import ByteCodec, ScriptedEngine
from rlef.policy.types import TurnRequest
from rlef.problems.types import Problem, Provenance, Solution, TestCase
from rlef.rollout.player import EnginePlayer
from rlef.settings import build_config

SECRETS = 10


def problem(secret: int) -> Problem:
    def test(value: int) -> TestCase:
        return TestCase(input=f"{secret} {value}", output=str(value + secret))

    return Problem(
        id=f"toy/test/{secret}",
        statement="add the secret number",
        public_tests=(test(1),),
        private_tests=(test(2), test(3)),
        solutions=(
            Solution(code=f"add {secret}"),
            Solution(code="add 100", verdict="wrong_answer", note="wrong"),
        ),
        provenance=Provenance(dataset="toy", split="test", family="odd" if secret % 2 else "even"),
    )


def problems() -> list[Problem]:
    return [problem(secret) for secret in range(SECRETS)]


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def reader(codec: ByteCodec):
    """Guesses 0; then believes what the feedback says; without any, guesses 1, then 2."""

    def script(request: TurnRequest, turn: int) -> str:
        said = codec.read(request.observation)
        shown = re.search(r"in: \d+ (\d+)\nwant: (\d+)", said)
        guess = int(shown[2]) - int(shown[1]) if shown else turn
        return fenced(f"add {guess}")

    return script


def interpret(source: str, stdin: bytes) -> bytes:
    value = int(stdin.split()[1])
    return str(value + int(source.split()[1])).encode()


def broken_for(*secrets: int):
    """An interpreter whose machine fails on the inputs of some problems."""

    def script(source: str, stdin: bytes) -> bytes:
        if int(stdin.split()[0]) in secrets:
            raise SandboxError("the slot died")
        return interpret(source, stdin)

    return script


def world(script=interpret, policy=None, capacity: int = 4) -> tuple[ScriptedEngine, ByteCodec, Judge]:
    codec = ByteCodec()
    engine = ScriptedEngine(policy or reader(codec), capacity=capacity)
    return engine, codec, Judge(ScriptedSandbox(script))


def player(script=interpret, policy=None, capacity: int = 4) -> EnginePlayer:
    engine, codec, judge = world(script, policy, capacity)
    return EnginePlayer(engine=engine, codec=codec, judge=judge, rewards=Config().reward)


def config(**evaluation: object) -> Config:
    return build_config({"episode": {"style": "terse"}, "evaluation": evaluation})
