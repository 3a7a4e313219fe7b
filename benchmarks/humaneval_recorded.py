"""What HumanEval's own tests call a function with. Imported in a jail only: it runs what the file holds."""

from __future__ import annotations

import copy
import random
from typing import Any


def recorded(row: dict[str, Any]) -> list[list[Any]]:
    """The arguments of every call that ``check`` of a row of HumanEval's makes of its reference."""
    space: dict[str, Any] = {}
    exec(row["prompt"] + row["canonical_solution"] + "\n" + row["test"], space)
    found: list[list[Any]] = []

    def watched(*arguments: Any) -> Any:
        found.append(list(copy.deepcopy(arguments)))
        return space[row["entry_point"]](*arguments)

    random.seed(0)
    space["check"](watched)
    return found
