"""What each benchmark module does when it is started.

    python -m benchmarks.NAME [--quick]

prints its table. ``run.py`` adds ``--rows FILE``. The file is there from the start, with every
question unanswered, so that a crash half-way leaves no gap.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rows import Question, Row, Unavailable, table, write
from rlef.errors import UserError

Measure = Callable[[bool], list[Row]]
NOT_REACHED = "it ended before this was measured"


def main(doc: str | None, questions: Sequence[Question], measure: Measure) -> None:
    """Parse the arguments, measure, print or write."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rounds only: does it work, not how fast")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rows:
        write(arguments.rows, [question.unknown(NOT_REACHED) for question in questions])
    try:
        rows = measure(arguments.quick)
    except (Unavailable, UserError) as error:
        rows = [question.unknown(str(error)) for question in questions]
    except KeyboardInterrupt:
        sys.exit(130)
    answered = {row.what for row in rows}
    rows += [question.unknown(NOT_REACHED) for question in questions if question.what not in answered]
    if arguments.rows:
        write(arguments.rows, rows)
    else:
        print(table(rows))
