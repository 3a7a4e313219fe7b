"""Which languages this machine speaks, for ``rlef doctor``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

import rlef.config
from rlef.errors import RlefError, SandboxUnavailable
from rlef.sandbox.interpreter import ask
from rlef.sandbox.languages.record import PYTHON, Language, known
from rlef.sandbox.languages.tools import tool
from rlef.sandbox.pool import Sandbox
from rlef.sandbox.types import RunLimits

_GREETING = b"hello\n"


@dataclass(frozen=True, slots=True)
class Found:
    """One language."""

    name: str
    works: bool
    """It is installed, and its small program did in the sandbox what it should."""
    version: str = ""
    """What the compiler or interpreter says about itself; empty if there is none."""
    reason: str = ""
    """Why it does not work, and what to do; empty if it does."""


def survey(config: rlef.config.Sandbox) -> list[Found]:
    """Try every language with a small program. Raises what ``Sandbox.open`` raises."""
    return asyncio.run(_survey(config.model_copy(update={"slots": 1})))


async def _survey(config: rlef.config.Sandbox) -> list[Found]:
    async with await Sandbox.open(config) as sandbox:
        return [await _try(sandbox, language, config) for language in known()]


async def _try(sandbox: Sandbox, language: Language, config: rlef.config.Sandbox) -> Found:
    version = ""
    try:
        if language is PYTHON:
            version = "Python " + ".".join(map(str, ask(config.python).version))
        else:
            version = tool(language).version
        if not language.hello:
            return Found(language.name, True, version)
        run = sandbox.run(language.hello, [_GREETING], RunLimits(), language=language.name)
        async with aclosing(run) as results:
            result = await anext(results)
    except SandboxUnavailable as error:
        return Found(language.name, False, version, str(error))
    except RlefError as error:
        return Found(language.name, False, version, f"the sandbox failed: {error}")
    if result.ok and result.stdout == _GREETING:
        return Found(language.name, True, version)
    last = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return Found(
        language.name, False, version, f"a small program ended with {result.status}: {last}".rstrip(": ")
    )
