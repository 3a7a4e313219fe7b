"""Readers of benchmarks in the forms in which they are published, one module a family.

What is imported judges as the original does, but that floats may differ by 1e-6 and that a tuple
will do where a list is expected. A problem whose tests can't be said is left out and listed with the
reason; nothing is dropped silently. Data are parsed, never executed. ``docs/data.md`` says of each
set what is public, what is hidden, and what is left out.
"""

from __future__ import annotations

from rlef.problems.importers.record import Benchmark, Found, Options, Skipped, unanswered
from rlef.problems.importers.sets import BENCHMARKS, HUB, imported, stream

__all__ = [
    "BENCHMARKS",
    "HUB",
    "Benchmark",
    "Found",
    "Options",
    "Skipped",
    "imported",
    "stream",
    "unanswered",
]
