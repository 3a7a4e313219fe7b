"""Memory laid out so that a fork has little to copy.

A fork copies the list of mappings and the tables of pages, and the end of its child gives both back: an
interpreter with twenty small libraries has 160 mappings and 3,000 pages in its tables, and they
cost more than all that the program does. So, once in a slot's life:

- Small shared objects go into one file in memory, all parts of an object as one mapping,
  neighbours together. Their pages are in no table until they are used. What was only to be read can be
  written and executed now, by programs that may make such memory anyway.
- The interpreter's own code moves to huge pages, two entries for a thousand. Where there are none, its
  mappings get a page of their own each: then fork copies their tables, and saves a child fifty faults.
- What the allocator holds and nobody uses goes back to the kernel.

Everything stays at its address, and what the kernel refuses is left as it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os

from . import kernel

_SMALL = 2**20
"""Bytes of a shared object above which a private copy of it is too much memory."""
_HUGE = 2**21
_BUSY = ("libpython", "libc.so", "libc-", "ld-linux", "ld-musl", "_ctypes", "libffi")
"""Objects that run while memory is exchanged."""
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE, _FIXED, _ANONYMOUS = 2, 16, 32
_MOVE_TO = 3
_COLLAPSE = 25

_mmap, _munmap, _mremap = (kernel.libc_function(*row) for row in (("mmap", 6), ("munmap", 2), ("mremap", 5)))
_mprotect, _madvise = kernel.libc_function("mprotect", 3), kernel.libc_function("madvise", 3)


class Part:
    """One private mapping of a file."""

    def __init__(self, row: list[str]) -> None:
        self.start, self.end = (int(word, 16) for word in row[0].split("-"))
        self.size = self.end - self.start
        self.writable = row[1][1] == "w"
        self.rights = sum(bit for letter, bit in zip(row[1], (1, 2, 4), strict=False) if letter != "-")


Object = list[Part]


def tidy(maps: str) -> None:
    """Do all of it. ``maps`` is the text of ``/proc/self/maps``. The process must have one thread."""
    with contextlib.suppress(OSError, AttributeError):  # not every C library has it
        kernel.libc_function("malloc_trim", 1)(0)
    objects: dict[str, Object] = {}
    for line in maps.splitlines():
        row = line.split(maxsplit=5)
        if len(row) == 6 and row[5].startswith("/") and row[1].endswith("p"):
            objects.setdefault(row[5], []).append(Part(row))
    small = [
        parts
        for path, parts in objects.items()
        if ".so" in path and not any(name in path for name in _BUSY)
        if all(a.end == b.start for a, b in itertools.pairwise(parts)) and _size(parts) < _SMALL
    ]
    with contextlib.suppress(OSError):
        _put_into_one_file(small)
    inside = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value or 0
    for parts in objects.values():
        if parts[0].start <= inside < parts[-1].end:
            _serve_code([part for part in parts if not part.writable])


def _size(parts: Object) -> int:
    return parts[-1].end - parts[0].start


def _put_into_one_file(objects: list[Object]) -> None:
    base = min((parts[0].start for parts in objects), default=0)
    everything = _READ | _WRITE | _EXECUTE
    file = os.memfd_create("objects", os.MFD_CLOEXEC)
    try:
        for parts in objects:
            start, size = parts[0].start, _size(parts)
            # At the same distance as in memory, so that neighbours become one mapping.
            if os.pwrite(file, ctypes.string_at(start, size), start - base) == size:
                _mmap(start, size, everything, _PRIVATE | _FIXED, file, start - base)
    finally:
        os.close(file)


def _serve_code(parts: Object) -> None:
    """Spare children the faults on the interpreter's code."""
    try:
        _move_to_huge_pages(parts)
    except OSError:
        for part in parts:
            with contextlib.suppress(OSError):  # a security module may forbid it
                _own_a_page(part)


def _move_to_huge_pages(parts: Object) -> None:
    """Move what is aligned. Raises ``OSError`` if the kernel has no huge pages to give."""
    start, end = parts[0].start, parts[0].end
    for part in parts[1:]:
        end = part.end if part.start == end else end
    start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
    size = end - start
    if size <= 0:
        raise OSError("too little code")
    area = _mmap(0, size + _HUGE, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    copy = -(-area // _HUGE) * _HUGE
    for slack, more in ((area, copy - area), (copy + size, area + _HUGE - copy)):
        if more:
            _munmap(slack, more)
    try:
        ctypes.memmove(copy, start, size)
        _madvise(copy, size, _COLLAPSE)
        _mprotect(copy, size, _READ | _EXECUTE)
        _mremap(copy, size, size, _MOVE_TO, start)
    except OSError:
        _munmap(copy, size)
        raise


def _own_a_page(part: Part) -> None:
    """Write what is there into the first page."""
    _mprotect(part.start, part.size, part.rights | _WRITE)
    first = ctypes.c_ubyte.from_address(part.start)
    first.value = first.value
    _mprotect(part.start, part.size, part.rights)
