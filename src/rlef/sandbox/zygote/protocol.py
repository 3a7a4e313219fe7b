"""Messages between the supervisor and a slot, over one SOCK_SEQPACKET pair.

To the slot (first byte tells which), with descriptors attached:

    RUN   run, tests in all, tests attached, limits, compile apart?   [source, (stdin, stdout, stderr)*]
    MORE  run, tests attached                                         [(stdin, stdout, stderr)*]
    STOP  run

From the slot: one RESULT for each test in order, FAILED when the template or the set-up of a
test failed, and STOPPED as the answer to each STOP. Boot speaks JSON before that. Messages
carry numbers only: bytes travel in memory files, so no program's output passes a socket.
"""

from __future__ import annotations

import struct
from enum import IntEnum

WINDOW = 8
"""Most tests of one run that a slot holds descriptors of."""


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


class Reason(IntEnum):
    """Why the slot killed a test."""

    NONE = 0
    CPU = 1
    IDLE = 2


RUN = struct.Struct("=BIIIqqqqB")
"""Kind, run, tests in all, attached, cpu ns, wall ns, address space, file size, compile apart."""
MORE = struct.Struct("=BII")
STOP = struct.Struct("=BI")
RESULT = struct.Struct("=BIIBBiqqq")
"""Kind, run, test, stage, reason, wait status, cpu ns, wall ns, peak bytes."""
