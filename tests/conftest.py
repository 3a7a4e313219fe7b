"""What several modules of tests are given."""

import asyncio
import signal

import pytest

from rlef.config import Sandbox as SandboxConfig
from rlef.errors import SandboxUnavailable
from rlef.judge import Judge
from rlef.sandbox import Sandbox

# A shell without job control starts what it puts in the background with SIGINT ignored, and children inherit
# that: commands that tests start and then interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def with_judge():
    """Runs ``await work(judge)`` over a real sandbox; skips where this machine can't isolate."""
    with asyncio.Runner() as runner:
        try:
            sandbox = runner.run(Sandbox.open(SandboxConfig(slots=1)))
        except SandboxUnavailable as reason:
            pytest.skip(str(reason))
        yield lambda work: runner.run(work(Judge(sandbox)))
        runner.run(sandbox.close())
