"""Makes a chosen library better by exchanging one program at a time (local search for the k-median problem)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def improved(scores: np.ndarray, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """The set after all exchanges that raise F (search/cover.py) for scores (P, H), the best exchange first."""
    import numpy as np

    current = list(chosen)
    while current:
        inside = scores[current]  # (K, H)
        order = np.sort(inside, 0)
        best = order[-1]
        second = order[-2] if len(current) > 1 else np.zeros_like(best)
        leader = inside.argmax(0)
        gains = np.empty((len(current), len(scores)))
        for i in range(len(current)):
            without = np.where(leader == i, second, best)
            gains[i] = np.maximum(scores, without).mean(1) - best.mean()
        at, program = (int(x) for x in np.unravel_index(int(gains.argmax()), gains.shape))
        if gains[at, program] <= 1e-9:
            break
        current[at] = program
    return tuple(current)
