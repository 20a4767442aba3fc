"""The state of a search for one head: a program, its IoU, and what scoring it costs. The moves are in search/forms/moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dsl.nodes import Member
from search.forms import kernels, unions
from search.forms.candidates import Candidates
from search.forms.fitting import Fit, fitted
from search.forms.shapes import Shape, size
from search.forms.token_sets import TokenSets


@dataclass(frozen=True)
class Effort:
    """How much work goes into one head."""

    price: float = 0.0004  # IoU that a token must be worth in the shown program
    last_price: float = 0.00008  # the same for what comes after it
    shown: int = 60  # tokens of the shown program at most
    most: int = 180  # tokens of the longest program; no longer than `shown`: nothing comes after it
    lists: bool = False  # whether what is shown may list tokens, once words are exhausted; what comes after it may
    rules: int = 40  # at most
    candidates: int = 8  # per ranking, tried by line search
    steps: int = 24  # gradient steps after a move
    wide: int = 4  # finalists whose constants are fitted before one is chosen


@dataclass(frozen=True)
class Found:
    shape: Shape
    iou: float
    size: int


@dataclass
class Growth:
    """The state of a search for one head, or for one program that several heads share."""

    candidates: Candidates
    heads: Sequence[int]
    effort: Effort
    budget: float = math.inf  # programs scored at most, checked between moves
    settled: Sequence[unions.Names] | None = None  # the model's concepts, once they are chosen; before, any classes may be joined
    sets: TokenSets | None = None  # sets of tokens that rules may list
    evaluations: int = 0
    shape: Shape = field(init=False)
    iou: float = field(init=False)

    def __post_init__(self) -> None:
        self.board = self.candidates.board
        self.words = self.candidates
        self.targets = self.board.target(self.heads)  # (H, C)
        self.target = self.targets.mean(0)  # what new rules are chosen by
        c = len(self.board.q)
        self.out = tuple(np.empty(c, np.float32) for _ in range(3))
        self.total = np.empty(len(self.board.rows) - 1, np.float32)
        self.common = np.empty_like(self.total)
        self._attention: tuple[Candidates, np.ndarray] | None = None
        starts = self.board.rows[self.board.texts[:-1]]
        self.target_mass = np.add.reduceat(self.target, starts)

    def affordable(self) -> bool:
        return self.evaluations < self.budget

    def settle(self, shape: Shape, steps: int) -> tuple[float, Shape]:
        self.evaluations += steps + 1
        return fitted(self.board, shape, self.targets, steps)

    def worth(self, iou: float, shape: Shape, price: float) -> float:
        return iou - price * size(shape)

    def take(self, iou: float, shape: Shape) -> None:
        self.iou, self.shape = iou, shape

    def observe(self) -> None:
        """Weights, slopes and pattern of the present shape."""
        fit = Fit(self.board, self.shape.rules)
        fit.run(self.targets, fit.theta(self.shape.theta), np.array(self.shape.beta, float), out=self.out)
        kernels.rowwise(self.target, self.out[0], self.board.q, self.board.rows, self.total, self.common)

    def attention(self) -> np.ndarray:
        """The target's mass where each candidate holds."""
        if self._attention is None or self._attention[0] is not self.candidates:
            self._attention = (self.candidates, self.candidates.attention(self.target))
        return self._attention[1]

    def list_tokens(self) -> bool:
        """Makes sets of tokens that would serve the present shape conditions of the next rules; false where none may be listed."""
        if self.sets is None:
            return False
        W, G, P = self.out
        self.observe()
        used = {g for rule in self.shape.rules for g in (*rule.guard, *rule.steps) if isinstance(g, Member)}
        query, key = self.sets.proposals(G * W, P)
        sides = {s: [g for g in used if self.board.mask(g)[0] == s] for s in "qk"}
        self.candidates = self.words.extended([*query, *sides["q"]], [*key, *sides["k"]])
        return True

    def tried(self, op: str, cells: np.ndarray, constants: Sequence[float], mass: np.ndarray) -> np.ndarray:
        """IoU with one more rule, for each of these constants. mass (T): of target and pattern."""
        b = self.board
        result = np.empty(len(constants))
        kernels.trial(
            kernels.OPERATIONS.index(op), cells, np.array(constants, np.float32), self.target, self.out[0], self.total, self.common,
            mass, b.omega, b.q, b.rows, b.texts, result,
        )  # fmt: skip
        self.evaluations += len(constants)
        return result

    def take_best(self, trials: list[tuple[float, Shape]], price: float, wide: int = 3) -> bool:
        """Takes the one of the `wide` best that is worth most after its constants are fitted, if one is."""
        trials.sort(key=lambda x: -x[0])
        best: tuple[float, float, Shape] | None = None
        for _, shape in trials[:wide]:
            iou, shape = self.settle(shape, self.effort.steps // 2)
            worth = self.worth(iou, shape, price)
            if best is None or worth > best[0]:
                best = (worth, iou, shape)
        if best is None or best[0] <= self.worth(self.iou, self.shape, price) + 1e-5:
            return False
        self.take(*self.settle(best[2], self.effort.steps))
        return True
