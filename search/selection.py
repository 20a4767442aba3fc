"""Which of several programs is shown: the one worth its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PARSIMONY = 0.0005  # IoU that a token of a program's text must be worth
LEAST_STEP = 1e-4  # of IoU, between two programs of a front


def elbow(iou: np.ndarray, size: np.ndarray, parsimony: float = PARSIMONY) -> np.ndarray:
    """(H,): for each head the program with the highest IoU - parsimony x size; of equal ones the first.

    iou (P, H): of each program on each head, -inf where a head may not have it. size (P,): tokens of text.
    """
    return (iou - parsimony * size[:, None]).argmax(0)


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
