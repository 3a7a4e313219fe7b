"""The bundled suite ``conventions``: statements that leave open what only the tests show."""

from rlef.problems.conventions.families import FAMILIES
from rlef.problems.conventions.family import WORDS
from rlef.problems.conventions.suite import SIZES, ConventionsSplit, blind_masses, draw_problem, open_split

__all__ = ["FAMILIES", "SIZES", "WORDS", "ConventionsSplit", "blind_masses", "draw_problem", "open_split"]
