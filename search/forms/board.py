"""What the search over forms knows of a problem: its cells, conditions as masks, features as tables, guards as lists of cells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from dsl import parse_expression
from dsl.evaluator import value
from dsl.nodes import Expr, Member, free_names
from search.forms.kernels import select
from search.forms.shapes import Feature
from search.forms.unions import any_of, classes, side
from search.problem import Problem

KEPT_CELLS = 60_000_000  # of guards, as lists of int32
LEVELS = 254  # to which similarities are rounded while constants are fitted; even, so that 0 is one


def features(causal: bool) -> tuple[Feature, ...]:
    """What a rule's value may depend on beside the query's class, the power fitted."""
    dist, more = ("dist", 0) if causal else ("abs(dist)", 3)
    decays = [Feature(f"power {b}", f"({dist} + {b}) ** {{}}", 8 + more) for b in (0.5, 1, 2, 4)]
    return (
        Feature("decay", f"[] ** {dist}", 3 + more),
        *decays,
        Feature("similarity", "[] ** similarity(q, k)", 8),
        Feature("similarity before", "[] ** similarity(q, k - 1)", 10, (parse_expression("k > 0"),)),
        Feature("key", "(k + 1) ** {}", 8),
        Feature("query", "(q + 1) ** {}", 8),
    )


class Board:
    """A problem's cells, or those of every n-th query, with everything that is the same for all heads.

    Rows of attention do not depend on each other, so a sample of them from many texts says more than all rows of a few. R rows, C
    cells: q (C) counts rows of the sample, k (C) positions through all texts, row_position (R) the position of each row.
    """

    def __init__(self, problem: Problem, every: int = 1) -> None:
        self.problem = problem
        lengths = np.diff(problem.texts)
        chosen = np.concatenate([(np.arange(n) + t) % every == 0 for t, n in enumerate(lengths)])
        for t, n in enumerate(lengths):  # a text has a row at least
            if not chosen[problem.texts[t] : problem.texts[t] + n].any():
                chosen[problem.texts[t] + n - 1] = True
        self.row_position = np.flatnonzero(chosen)  # (R)
        number = np.cumsum(chosen) - 1
        self.source = np.flatnonzero(chosen[problem.q])  # (C) of the problem's cells
        self.q = number[problem.q[self.source]].astype(np.int32)
        self.k = problem.k[self.source]
        counts = np.bincount(self.q, minlength=len(self.row_position))
        self.rows = np.concatenate([[0], np.cumsum(counts)])  # (R + 1)
        self.texts = np.concatenate([[0], np.cumsum(np.add.reduceat(chosen, problem.texts[:-1]))])  # (T + 1) in rows
        self.omega = np.asarray(problem.weights, np.float64)
        self.features = features(problem.causal)
        self._tables()
        self._masks: dict[Expr, tuple[str, np.ndarray]] = {}
        self._cells: OrderedDict[tuple[Expr, ...], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._kept = 0
        self._buffer = np.empty(len(self.q), np.int32)

    def target(self, heads: Sequence[int]) -> np.ndarray:
        """(H, C) float32: the attention of heads."""
        return np.ascontiguousarray(self.problem.target(heads)[:, self.source])

    def _tables(self) -> None:
        position = self.problem.position
        longest = int(position.max()) + 1
        at_q, at_k = position[self.row_position][self.q], position[self.k]
        dist = np.abs(at_q - at_k).astype(np.int16)
        size = max(longest, LEVELS + 1)
        self.table = np.zeros((len(self.features), size), np.float32)
        self.index = np.zeros((len(self.features), len(self.q)), np.int16)
        at = np.arange(size)
        for f, feature in enumerate(self.features):
            if feature.name == "decay":
                self.table[f], self.index[f] = at, dist
            elif feature.name.startswith("power"):
                self.table[f], self.index[f] = np.log(at + float(feature.name.split()[1])), dist
            elif feature.name in ("key", "query"):
                self.table[f] = np.log1p(at)
                self.index[f] = at_k if feature.name == "key" else at_q
            else:
                text = "similarity(q, k)" if feature.name == "similarity" else "similarity(q, k - 1)"
                found = self.problem.pack(value(parse_expression(text), self.problem.batch))[self.source]
                self.table[f] = np.clip(at / LEVELS * 2 - 1, -1, 1)
                self.index[f] = np.round((np.nan_to_num(found) + 1) / 2 * LEVELS)

    def mask(self, condition: Expr) -> tuple[str, np.ndarray]:
        """("q", (R) uint8), ("k", (N) uint8) or ("qk", (C) uint8): where a condition holds, by what it depends on."""
        known = self._masks.get(condition)
        if known is None and len(joined := classes(condition)) > 1:
            place = side(condition)
            return place, np.bitwise_or.reduce([self.mask(any_of((name,), place))[1] for name in joined])
        if known is None:
            names = free_names(condition) & {"q", "k"}
            found = value(condition, self.problem.batch)
            size = self.problem.batch.size
            if names == {"k"}:
                known = ("k", self.problem.pack_rows(found).astype(np.uint8))
            elif names == {"q"}:
                rows = np.broadcast_to(found, (len(self.problem), size, 1))[:, :, 0]
                known = ("q", rows[self.problem.batch.valid][self.row_position].astype(np.uint8))
            else:
                known = ("qk", self.problem.pack(found)[self.source].astype(np.uint8))
            self._masks[condition] = known
        return known

    def cells(self, guard: tuple[Expr, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The cells where all conditions hold, ascending (int32), and where each text's begin (T + 1)."""
        known = self._cells.get(guard)
        if known is not None:
            self._cells.move_to_end(guard)
            return known
        none = np.zeros(0, np.uint8)
        sides = {"q": none, "k": none, "qk": none}
        for condition in guard:
            kind, mask = self.mask(condition)
            sides[kind] = mask if not len(sides[kind]) else sides[kind] & mask
        count = select(sides["q"], sides["k"], sides["qk"], np.zeros(0, np.int32), self.q, self.k, self._buffer)
        found = self._buffer[:count].copy()
        starts = np.searchsorted(found, self.rows[self.texts])
        self._cells[guard] = (found, starts)
        self._kept += count
        while self._kept > KEPT_CELLS and len(self._cells) > 1:
            _, (old, _) = self._cells.popitem(last=False)
            self._kept -= len(old)
        return found, starts

    def forget(self) -> None:
        """Drops what is kept of sets of tokens, which are made anew for each head."""
        self._masks = {c: mask for c, mask in self._masks.items() if not isinstance(c, Member)}
        self._cells = OrderedDict((g, c) for g, c in self._cells.items() if not any(isinstance(part, Member) for part in g))
        self._kept = sum(len(cells) for cells, _ in self._cells.values())

    def steps(self, conditions: Sequence[Expr]) -> np.ndarray:
        """(R) uint8: the first of the conditions on the query that holds in each row, their number where none does."""
        found = np.full(len(self.row_position), len(conditions), np.uint8)
        for i in range(len(conditions) - 1, -1, -1):
            kind, mask = self.mask(conditions[i])
            assert kind == "q"
            found[mask > 0] = i
        return found
