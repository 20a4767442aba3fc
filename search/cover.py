"""Which few programs explain all heads: facility location over programs (facilities) and heads (clients).

The value of a set S is F(S) = mean over heads of max over p in S of score[p, head]. F is monotone and submodular, so greedy
choice reaches at least 1 - 1/e of the optimum (Nemhauser, Wolsey, Fisher 1978), and gains only shrink (Minoux 1978: lazy greedy).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Cover:
    """At most K programs, in the order chosen. value = F(chosen); bound = proven upper limit of F over all sets of that size."""

    chosen: tuple[int, ...]
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the choice can be from the optimum, in IoU."""
        return max(0.0, self.bound - self.value)


def worth(scores: np.ndarray, sizes: np.ndarray, parsimony: float) -> np.ndarray:
    """(P, H): IoU - parsimony x size, at least 0: what a program of a library is worth to a head. sizes (P): tokens of text."""
    return (scores - parsimony * sizes[:, None]).clip(min=0)


def value(scores: np.ndarray, chosen: tuple[int, ...]) -> float:
    """F(chosen) for scores (P, H)."""
    return float(scores[list(chosen)].max(0).mean()) if chosen else 0.0


def limit(scores: np.ndarray, chosen: tuple[int, ...]) -> float:
    """What F cannot exceed for any set of as many programs as are chosen, whatever they were chosen by; scores (P, H)."""
    return _bound(scores, scores[list(chosen)].max(0), len(chosen))


def limits(scores: np.ndarray, covers: Sequence[Cover]) -> list[float]:
    """The limit at each size of a curve of covers, smallest first: what more programs cannot exceed, fewer cannot either."""
    found = [limit(scores, c.chosen) for c in covers]
    return [min(found[i:]) for i in range(len(found))]


def held_out(select: np.ndarray, other: np.ndarray, chosen: tuple[int, ...]) -> float:
    """Mean IoU on another split, where each head keeps the chosen program that is best for it on `select`."""
    import numpy as np

    best = select[list(chosen)].argmax(0)  # (H,)
    return float(other[np.array(chosen)[best], np.arange(select.shape[1])].mean())


def greedy(scores: np.ndarray, size: int, cost: np.ndarray | None = None) -> Cover:
    """Lazy greedy choice of at most `size` of P programs for scores (P, H) >= 0; equal gains go to the lower cost, then index."""
    import numpy as np

    programs, heads = scores.shape
    order = cost if cost is not None else np.zeros(programs)
    best = np.zeros(heads)
    chosen: list[int] = []
    # Gains in units of 1e-12, so that ties do not hang on the order of a float sum.
    heap = [(-_gain(scores[p], best), float(order[p]), p, 0) for p in range(programs)]
    heapq.heapify(heap)
    while heap and len(chosen) < size:
        gain, tie, p, known_at = heapq.heappop(heap)
        if known_at < len(chosen):
            heapq.heappush(heap, (-_gain(scores[p], best), tie, p, len(chosen)))
            continue
        if gain >= 0:
            break
        chosen.append(p)
        best = np.maximum(best, scores[p])
    return Cover(tuple(chosen), float(best.mean()) if heads else 0.0, _bound(scores, best, size))


def _gain(row: np.ndarray, best: np.ndarray) -> float:
    gain = (row - best).clip(min=0).sum()
    return round(float(gain), 12)


def _bound(scores: np.ndarray, best: np.ndarray, size: int) -> float:
    """F(S) + the `size` largest gains beside S bounds F of every set of that size, by submodularity; so does the best per head."""
    import numpy as np

    if not scores.size:
        return 0.0
    gains = np.sort((scores - best).clip(min=0).mean(1))[::-1]
    return float(min(best.mean() + gains[:size].sum(), scores.max(0).mean()))


def exact(scores: np.ndarray, size: int, seconds: float = 60.0) -> Cover:
    """The optimal choice, as a mixed-integer program solved by HiGHS (scipy.optimize.milp).

    max mean_h sum_p s[p, h] x[p, h]  with  sum_p x[p, h] <= 1,  x[p, h] <= y[p],  sum_p y[p] <= size,  y binary. Programs that some
    other one matches or beats on every head are left out first. Where time runs out, the best set found and its proven bound.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, hstack, identity, kron

    start = greedy(scores, size)
    keep = _undominated(scores)
    if len(keep) <= size:
        chosen = tuple(int(p) for p in keep)
        return Cover(chosen, value(scores, chosen), value(scores, chosen))
    s = scores[keep]
    programs, heads = s.shape
    pairs = programs * heads
    ones = np.ones(programs)
    one_each = coo_array(kron(ones[None, :], identity(heads)))  # x is laid out program by program
    below_open = hstack([identity(pairs), -kron(identity(programs), np.ones((heads, 1)))])
    constraints = [
        LinearConstraint(hstack([one_each, coo_array((heads, programs))]).tocsr(), ub=np.ones(heads)),
        LinearConstraint(below_open.tocsr(), ub=np.zeros(pairs)),
        LinearConstraint(hstack([coo_array((1, pairs)), coo_array(ones[None, :])]).tocsr(), ub=size),
    ]
    objective = np.concatenate([-s.ravel() / heads, np.zeros(programs)])
    solution = milp(
        objective,
        constraints=constraints,
        integrality=np.concatenate([np.zeros(pairs), ones]),
        bounds=Bounds(0, 1),
        options={"time_limit": seconds, "mip_rel_gap": 1e-9},
    )
    proven = -solution.mip_dual_bound if solution.mip_dual_bound is not None else start.bound
    found = () if solution.x is None else tuple(int(p) for p in keep[np.flatnonzero(solution.x[pairs:] > 0.5)])
    chosen = found if value(scores, found) > start.value else start.chosen
    reached = value(scores, chosen)
    return Cover(_by_gain(scores, chosen), reached, max(reached, min(proven, start.bound)))


def _undominated(scores: np.ndarray) -> np.ndarray:
    """Indices of programs that no other one (or an equal one of lower index) matches on every head."""
    import numpy as np

    keep: list[int] = []
    for p in np.lexsort((np.arange(len(scores)), -scores.sum(1))):  # a dominating program has at least the sum
        if not any((scores[other] >= scores[p]).all() for other in keep):
            keep.append(int(p))
    return np.array(sorted(keep), dtype=int)


def _by_gain(scores: np.ndarray, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """The same set, the most useful program first."""
    order = greedy(scores[list(chosen)], len(chosen)).chosen
    rest = [i for i in range(len(chosen)) if i not in order]
    return tuple(chosen[i] for i in (*order, *rest))


def curve(select: np.ndarray, size: int, cost: np.ndarray | None = None) -> list[Cover]:
    """Greedy covers of 1, 2, …, size programs; each is the beginning of the next one."""
    whole = greedy(select, size, cost).chosen
    covers = []
    for k in range(1, len(whole) + 1):
        best = select[list(whole[:k])].max(0)
        covers.append(Cover(whole[:k], float(best.mean()), _bound(select, best, k)))
    return covers
