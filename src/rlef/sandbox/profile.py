"""What a slot's jail shows and grants. The layers are the same for every profile."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of slot. A place (a CPU) keeps a slot of each profile that it was asked for."""

    name: str
    """For messages: ``python``."""
    interpreter: str = ""
    """Python binary that the slot's processes run; empty for the one that runs rlef."""
    preload: tuple[str, ...] = ()
    """Modules imported before the jail closes, besides the usual ones."""
    import_paths: tuple[str, ...] = ()
    """Where ``preload`` is looked for."""
    visible: tuple[tuple[str, str], ...] = ()
    """Paths of the host that are shown read-only, and where. Files in them may be executed if
    ``execute`` is granted."""
    work_bytes: int = 0
    """Size of a writable ``/work``, emptied before each test; 0 for none."""
    execute: bool = False
    """Grant ``execve``: for programs that are no Python."""
    processes: bool = False
    """Grant further processes: for compilers. CPU limits then hold for each process."""

    def like(self, other: Profile) -> Profile:
        """``other``, its Python being this one's if it is a profile for Python programs."""
        if other.execute or other.interpreter or other.preload:
            return other
        return replace(
            other, interpreter=self.interpreter, preload=self.preload, import_paths=self.import_paths
        )


PYTHON = Profile(name="python")
"""Python programs on stdin and stdout, and calls of Python functions."""
WORK_BYTES = 64 * 2**20
PYTHON_FILES = Profile(name="python with files", work_bytes=WORK_BYTES)
"""Python programs that read and write files in their working directory."""
PROGRAM = Profile(name="programs", execute=True)
"""Compiled programs: they need nothing of the host."""
PROGRAM_FILES = Profile(name="programs with files", execute=True, work_bytes=WORK_BYTES)
