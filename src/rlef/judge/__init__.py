"""Holds outputs against expected outputs: program and tests in, report out."""

from rlef.judge.judge import Disagreement, Judge, Judging
from rlef.judge.runs import Runner
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict

__all__ = [
    "Disagreement",
    "HiddenReport",
    "Judge",
    "Judging",
    "PublicReport",
    "Runner",
    "TestReport",
    "Verdict",
]
