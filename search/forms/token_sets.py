"""Sets of tokens as conditions, made for one head as its program grows: what the words of the language do not name.

Where cells of slope g and mass m are scaled alike, the set of tokens with the largest (sum g)^2 / (sum m) is a prefix of the tokens
sorted by g / m (Breiman et al. 1984, for two classes), so that one sort finds it among all sets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from dsl.nodes import Call, Expr, Member, Name
from dsl.parser import parse_expression
from search.forms.board import Board

LEAST = 6  # occurrences of a token that may be listed
SIZES = (1, 2, 4, 8)  # of the sets
EACH = 2  # sets handed on for each place, direction and side
PLACES = ("start(k)", "dist == 1", "dist == 0")  # where a set of query tokens may make a difference
PRIOR = 0.5  # rows' worth of mass below which a slope counts less


@dataclass
class TokenSets:
    """The kinds of token of a board's texts: kind of each position (N), -1 for the rare."""

    board: Board
    most: int = max(SIZES)  # strings in one set
    names: list[str] = field(init=False)
    kinds: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        flat = [t for text in self.board.problem.texts_given for t in text.tokens]
        self.names = [t for t, count in Counter(flat).most_common() if count >= LEAST]
        number = {t: i for i, t in enumerate(self.names)}
        self.kinds = np.array([number.get(t, -1) for t in flat])

    def proposals(self, slope: np.ndarray, mass: np.ndarray) -> tuple[list[Expr], list[Expr]]:
        """(query conditions, key conditions), from the slope of the IoU by each cell's logarithm and the cells' mass, both (C)."""
        board = self.board
        query_kinds = self.kinds[board.row_position]
        keys = self._best("k", self.kinds[board.k], slope, mass)
        queries: list[Expr] = []
        for text in PLACES:
            cells, _ = board.cells((parse_expression(text),))
            queries += self._best("q", query_kinds[board.q[cells]], slope[cells], mass[cells])
        return list(dict.fromkeys(queries)), list(dict.fromkeys(keys))

    def _best(self, side: str, kinds: np.ndarray, slope: np.ndarray, mass: np.ndarray) -> list[Expr]:
        known = kinds >= 0
        count = len(self.names)
        g = np.bincount(kinds[known], slope[known], count)
        m = np.bincount(kinds[known], mass[known], count)
        present = np.flatnonzero(m > 0)
        ratio = g[present] / (m[present] + PRIOR * 0.1)
        found: list[tuple[float, tuple[int, ...]]] = []
        for order in (np.argsort(-ratio, kind="stable"), np.argsort(ratio, kind="stable")):
            ranked = []
            for size in SIZES:
                chosen = present[order[:size]]
                if size <= min(self.most, len(present)):
                    ranked.append((float(g[chosen].sum() ** 2 / (m[chosen].sum() + PRIOR)), tuple(sorted(chosen.tolist()))))
            found += sorted(ranked, key=lambda x: -x[0])[:EACH]
        return [Member(Call("text", (Name(side),)), tuple(sorted(self.names[i] for i in s))) for _, s in found if s]
