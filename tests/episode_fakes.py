"""A toy problem and toy programs for tests of the environment and of rollouts.

A program is its own name. The scripted sandbox "runs" it on stdin ``n``:

    double   2n                    right
    one      1                     wrong on every test
    small    2n below 10, else 1   passes the public tests only
    slow     stopped at its CPU limit
    broken   does not compile
    crash    an exception
    lost     the sandbox fails
    lost N   the sandbox fails on input N, else right
    say X    prints X
"""

from rlef.errors import SandboxError
from rlef.problems.types import Problem, Provenance, Solution, TestCase
from rlef.sandbox.types import RunResult, Status

TRACE = (
    b"Traceback (most recent call last):\n"
    b'  File "solution.py", line 1, in <module>\n    crash\nNameError: crash\n'
)


def run_toy(source, stdin):
    """What a toy program does on one input."""
    name, number = source.strip(), int(stdin)
    if name == "lost" or name == f"lost {number}":
        raise SandboxError("no slot")
    if name in ("slow", "broken", "crash", "raise NotImplementedError()"):
        return {
            "slow": RunResult(status=Status.CPU_LIMIT),
            "broken": RunResult(status=Status.COMPILE_ERROR, stderr=b"SyntaxError: broken\n"),
        }.get(name, RunResult(status=Status.EXITED, exit_code=1, stderr=TRACE))
    if name.startswith("say "):
        return name[4:].encode() + b"\n"
    right = name == "double" or name.startswith("lost ") or (name == "small" and number < 10)
    return b"%d\n" % (2 * number if right else 1)


def toy(public=(2, 3), private=(4, 11), **changes):
    """The doubling problem with these inputs."""
    settings = {
        "id": "toy",
        "statement": "double it",
        "public_tests": tuple(TestCase(input=f"{n}\n", output=f"{2 * n}\n") for n in public),
        "private_tests": tuple(TestCase(input=f"{n}\n", output=f"{2 * n}\n") for n in private),
        "provenance": Provenance(family="toys"),
        "solutions": (Solution(code="double"), Solution(code="one", verdict="wrong_answer")),
    }
    return Problem(**(settings | changes))


def answer(program):
    """A model's turn that holds this program."""
    return f"Here:\n```python\n{program}\n```\n"
