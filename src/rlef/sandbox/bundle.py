"""Files on their way into a test's working directory and out of it; see ``zygote.files``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from rlef.errors import SandboxError


def check_names(*names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that is not that of a file in the working directory itself."""
    for name in chain(*names):
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"{name!r} is not the name of a file in the working directory")


def inward(files: Mapping[str, bytes], arguments: Sequence[str], collect: Mapping[str, int]) -> bytes:
    """A bundle of ``files``, the program's arguments, and what to bring back: name to most bytes.

    Raises ``ValueError`` as `check_names` does.
    """
    check_names(files, collect)
    header = {
        "files": [[name, len(data)] for name, data in files.items()],
        "arguments": list(arguments),
        "collect": [[name, most] for name, most in collect.items()],
    }
    return b"\n".join((json.dumps(header).encode(), b"".join(files.values())))


def most(collect: Mapping[str, int]) -> int:
    """Bytes that an outward bundle may have."""
    return sum(collect.values()) + sum(6 * len(name) + 32 for name in collect) + 64


def outward(data: bytes) -> dict[str, bytes]:
    """The files of a bundle that came back. Raises ``SandboxError`` if it is torn."""
    if not data:
        return {}  # the program never got so far
    end = data.find(b"\n")
    found = {}
    try:
        at = end + 1
        for name, size in json.loads(data[: max(end, 0)]):
            found[name], at = data[at : at + size], at + size
            if len(found[name]) != size or not isinstance(name, str):
                raise ValueError("a file is cut off")
    except (ValueError, TypeError, RecursionError) as error:
        raise SandboxError(f"a slot sent a torn bundle: {error}") from None
    return found
