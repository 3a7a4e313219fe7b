"""Languages besides the one that the slots themselves speak."""

import rlef.sandbox.languages.builtin  # noqa: F401 (registers what it defines)
from rlef.sandbox.languages.record import PYTHON, Language, find, known, of_file, register

__all__ = ["PYTHON", "Language", "find", "known", "of_file", "register"]
