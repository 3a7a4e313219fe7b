"""``basics``: ordinary, fully specified problems for language models, in three levels.

Each kind is a template with parameters that the statement shows. The splits share no
parameters, so held-out figures measure unseen instances. Nothing here depends on
anything but the names and the seed below.
"""

from rlef.problems.basics.suite import KINDS, LEVELS, Basics, open_split

__all__ = ["KINDS", "LEVELS", "Basics", "open_split"]
