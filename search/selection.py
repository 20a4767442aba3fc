"""Which of several programs is shown: the one worth its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsl.nodes import Member, Program, walk
from dsl.sizes import size as size_of

if TYPE_CHECKING:
    import numpy as np

PARSIMONY = 0.0003  # IoU that a token of a program's text must be worth
MAX_RULES = 30  # of a program
LEAST_STEP = 1e-4  # of IoU, between two programs of a front


def elbow(iou: np.ndarray, size: np.ndarray, parsimony: float = PARSIMONY) -> np.ndarray:
    """(H,): for each head the program with the highest IoU - parsimony x size; of equal ones the first.

    iou (P, H): of each program on each head, -inf where a head may not have it. size (P,): tokens of text.
    """
    return (iou - parsimony * size[:, None]).argmax(0)


def within(program: Program, max_rules: int, max_size: int | None = None, max_set: int | None = None) -> bool:
    """Whether a program keeps the limits: leaf rules, tokens of text, strings in one listed set."""
    if len(program.rules()) > max_rules or (max_size is not None and size_of(program) > max_size):
        return False
    return max_set is None or all(len(node.values) <= max_set for node in walk(program) if isinstance(node, Member))


def shorter(written: Program) -> Program:
    """The canonical form, or the program as it was written where that is shorter: constants in steps may become blocks."""
    from dsl import simplify

    canonical = simplify(written)
    return written if size_of(written) < size_of(canonical) else canonical


def front(iou: np.ndarray, size: np.ndarray) -> list[int]:
    """Indices of the programs that no shorter one matches, shortest first; iou (P,), size (P,)."""
    import numpy as np

    found: list[int] = []
    best = -1.0
    for p in np.lexsort((-iou, size)):
        if iou[p] > best + LEAST_STEP:
            found.append(int(p))
            best = float(iou[p])
    return found
