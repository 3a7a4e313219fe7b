"""Messages between the supervisor and a slot, over one SOCK_SEQPACKET pair.

To the slot (first byte tells which), with descriptors attached:

    RUN   run, tests in all, tests attached, limits, mode, descriptors a test  [source, test*]
    MORE  run, tests attached                                                  [test*]
    STOP  run

A test is (stdin, stdout, stderr), or those and (inward, outward): a memory file that goes in
beside stdin, and one that comes back. What they hold depends on the mode: calls and their
results, or the files of the working directory (``files.py``). In mode EXEC the source is the
command, as JSON, and the executable itself follows it if the command names none.

From the slot: one RESULT for each test in order, up to BATCH of them in a message, FAILED when
the template or the set-up of a test failed, and STOPPED as the answer to each STOP. Messages
carry numbers only: bytes travel in memory files, so no program's output passes a socket. Before
all that, boot gets its orders as JSON and answers in lines of text (``boot.py``).
"""

from __future__ import annotations

import struct
from enum import IntEnum

WINDOW = 16
"""Most tests of one run that a slot holds descriptors of. Also in ``hot.c``."""
BATCH = 4
"""Most results in one message. Also in ``hot.c``."""


class Kind(IntEnum):
    """First byte of a message."""

    RUN = 1
    MORE = 2
    STOP = 3
    RESULT = 4
    FAILED = 5
    STOPPED = 6


class Stage(IntEnum):
    """How far a test process got; it writes this to a page shared with its parent only."""

    SETUP = 0
    """Before the jail was complete: to end here is the sandbox's failure."""
    COMPILING = 1
    RUNNING = 2
    """The page is unmapped from here on."""
    REFUSED = 3
    """The compiler refused the source; its message is on stderr."""
    ALONE = 4
    """As RUNNING, in mode CALL: the test makes its first call only, as the program may keep state."""


class Mode(IntEnum):
    """What a run does with its source."""

    HERE = 0
    """Python; each test compiles it for itself."""
    APART = 1
    """Python; a template compiles it once for all tests."""
    CALL = 2
    """Python; each test calls a function many times (``calls.py``)."""
    EXEC = 3
    """A command; each test is one execution of it."""
    CALL_APART = 4
    """As CALL; a template compiles the source once for all tests."""


class Reason(IntEnum):
    """Why the slot killed a test."""

    NONE = 0
    CPU = 1
    IDLE = 2


HEAD_MOST, TEST_MOST = 2, 5
"""Most descriptors before the tests, and of one test."""
RUN = struct.Struct("=BIIIqqqqBBB")
"""Kind, run, tests in all, attached, cpu ns, wall ns, address space, file size, mode, descriptors
before the tests, descriptors of a test."""
MORE = struct.Struct("=BII")
STOP = struct.Struct("=BI")
RESULT = struct.Struct("=BIIBBiqqq")
"""Kind, run, test, stage, reason, wait status, cpu ns, wall ns, peak bytes."""
