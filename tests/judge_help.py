"""A judge with a real sandbox, for tests that certify bundled problems."""

import asyncio

import pytest

import rlef.config
from rlef.errors import SandboxUnavailable
from rlef.judge import Judge
from rlef.sandbox import Sandbox


def with_judge(work):
    """What the coroutine function ``work`` makes of a judge. Skips where there is no sandbox."""

    async def run():
        async with await Sandbox.open(rlef.config.Sandbox()) as sandbox:
            return await work(Judge(sandbox))

    try:
        return asyncio.run(run())
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def certify(problems):
    """Known solutions of the problems whose verdict is not the declared one."""

    async def work(judge):
        return await asyncio.gather(*(judge.certify(problem) for problem in problems))

    return [item for found in with_judge(work) for item in found]
