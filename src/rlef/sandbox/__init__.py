"""Runs one untrusted program on one input, isolated. Knows no expected output."""

from rlef.sandbox.doctor import DoctorReport, Layer, probe
from rlef.sandbox.once import run_once
from rlef.sandbox.pool import Sandbox
from rlef.sandbox.types import Rung, RunLimits, RunResult, Status

__all__ = [
    "DoctorReport",
    "Layer",
    "RunLimits",
    "RunResult",
    "Rung",
    "Sandbox",
    "Status",
    "probe",
    "run_once",
]
