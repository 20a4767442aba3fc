"""Grows a log-linear program rule by rule, always by the guard whose rescaling raises the IoU most; prunes, and chooses again.

Where guards come from is a subclass's affair. A candidate costs one pass over the rows it touches, not an evaluation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsl.nodes import Program
from search.guards import rescale, row_distances
from search.loglinear import CONSTANT, SMOOTH, GuardSource, LogLinear

FACTORS = np.array([0.05, 0.35, 0.65, 1.6, 3.0, 8.0, 30.0])

Tried = tuple[float, int, Any]  # net gain on the trial texts, index of the best factor, guard


@dataclass(frozen=True)
class Effort:
    """How much work goes into one growth."""

    tokens_per_side: int = 8
    candidates: int = 60  # per ranking, tried by exact line search
    trial_texts: int = 30  # texts of line searches and short fits; the best few guards and the last fits see all texts
    steps: int = 20  # gradient steps after each change
    spare: int = 2  # rules grown beyond the limit and pruned again
    token_cost: float = 1e-4  # IoU that a token of a set has to be worth
    condition_cost: float = 1e-4  # IoU that a relation or a condition on one position has to be worth
    least_gain: float = 4e-4  # IoU that a rule has to be worth
    refined: tuple[int, ...] = (12, 9, 6)  # numbers of rules at which every guard is chosen again, given the others


@dataclass(frozen=True)
class Candidate:
    """A proposed program, its IoU on the texts and heads it was fitted to, and how it came about."""

    program: Program
    fit_iou: float
    origin: str


@dataclass(frozen=True)
class Grown:
    """Programs from short to long, each better than all shorter ones, and how many guards and constants were tried for them."""

    candidates: tuple[Candidate, ...]
    evaluations: int


class Growth(LogLinear, ABC):
    """A log-linear program that grows by guards of any kind."""

    origin: str

    def __init__(
        self, bank: GuardSource, heads: Sequence[int], rng: np.random.Generator, effort: Effort, start: np.ndarray | None = None
    ) -> None:
        self.rng, self.effort = rng, effort
        self._trial = min(effort.trial_texts, len(bank.problem))
        super().__init__(bank, heads, start)

    @abstractmethod
    def proposals(self, pattern: np.ndarray, gradient: np.ndarray) -> Iterable[Hashable]:
        """Guards worth a line search, given the present pattern (C) and the gradient (C) of the IoU."""

    @abstractmethod
    def cells_below(self, guard: Any, stop: int) -> np.ndarray:
        """The cells below `stop` where a guard holds, ascending."""

    @abstractmethod
    def cost(self, guard: Any) -> float:
        """The IoU that a guard must be worth."""

    @abstractmethod
    def shorter(self, guard: Any) -> Iterable[Hashable]:
        """The guard with one part less."""

    def refined(self, tried: list[Tried], trial: Callable[[Any], Tried], pattern: np.ndarray, gradient: np.ndarray) -> list[Tried]:
        """What was tried, best first, with changed forms of the best of it tried too."""
        return tried

    def best_guards(self, pattern: np.ndarray, gradient: np.ndarray, iou: float, keep: int = 5) -> list[tuple[float, float, Any]]:
        """(net gain, factor, guard) of the best proposals, by exact line search on all texts."""
        problem = self.problem
        limits = problem.texts[: self._trial + 1]
        stop = int(problem.rows[limits[-1]])
        distances = np.empty((len(self.target), len(problem.position)), np.float32)
        row_distances(self.target, pattern, problem.rows, len(problem.position), distances)

        def line(cells: np.ndarray, factors: np.ndarray, limits: np.ndarray) -> np.ndarray:
            shares = problem.domains.part(range(len(limits) - 1)).weights
            return rescale(cells, factors, self.target, self.share, pattern, distances, problem.q, problem.rows, limits, shares)

        none = np.zeros(0, np.int32)
        base = line(none, FACTORS[:1], limits)[0]

        def trial(guard: Any) -> Tried:
            self.evaluations += 1
            gains = line(self.cells_below(guard, stop), FACTORS, limits) - base
            j = int(gains.argmax())
            return gains[j] - self.cost(guard), j, guard

        tried = sorted([trial(guard) for guard in self.proposals(pattern, gradient)], key=lambda t: -t[0])
        tried = self.refined(tried, trial, pattern, gradient)
        finalists = {guard: j for _, j, guard in tried[:keep]}
        for _, j, guard in tried[:2]:  # whether they are as good with one part less
            for less in self.shorter(guard):
                finalists.setdefault(less, j)
        result = []
        for guard, j in finalists.items():
            factors = FACTORS[max(0, j - 1) : j + 2]
            gains = line(self.bank.cells(guard), factors, problem.texts) - iou
            b = int(gains.argmax())
            result.append((gains[b] - self.cost(guard), float(factors[b]), guard))
        self.evaluations += len(result)
        return sorted(result, key=lambda t: -t[0])

    # moves

    def grow(self) -> bool:
        """Adds the best rule; false where none is worth it."""
        found = self.best_guards(self.pattern, self.gradient, self.iou)
        if not found or found[0][0] < self.effort.least_gain:
            return False
        _, factor, guard = found[0]
        self.append(guard, math.log(factor))
        self.fit(self.effort.steps, 1, self._trial)
        return True

    def bend(self, least: float = 0.002) -> bool:
        """Lets one rule's value depend on distance, similarity or position, where that is worth `least`."""
        options = [
            (r, f)
            for r in range(len(self.guards))
            for f in range(len(self.bank.features))
            if (r, f) not in self.terms and sum(t[0] == r and t[1] != CONSTANT for t in self.terms) < (2 if r == 0 else 1)
        ]
        if not options:
            return False
        terms = self.terms + options
        start = np.concatenate([self.theta, np.zeros(len(options))])
        base, slope = self.score(terms, start, SMOOTH, self._trial)
        slope = slope[len(self.terms) :]
        best: tuple[float, int, float] = (least, -1, 0.0)
        for i in np.argsort(-np.abs(slope), kind="stable")[:6]:
            for size in (0.3, 1.0):
                step = math.copysign(size, slope[i])
                iou, _ = self.score([*self.terms, options[i]], np.append(self.theta, step), SMOOTH, self._trial)
                if iou - base > best[0]:
                    best = (iou - base, int(i), step)
        self.evaluations += 12
        if best[1] < 0:
            return False
        self.terms.append(options[best[1]])
        self.theta = np.append(self.theta, best[2])
        self.fit(self.effort.steps, 1, self._trial)
        return True

    def backfit(self, rule: int) -> bool:
        """Chooses the guard of a rule again, given all others; keeps the change if it pays."""
        before = self.state()
        self.remove(rule)
        self.fit(0)
        options = self.best_guards(self.pattern, self.gradient, self.iou, keep=3)
        _, factor, guard = options[0]
        if guard == before[0][rule]:
            self.restore(before)
            return False
        self.append(guard, math.log(factor))
        self.fit(self.effort.steps, 1, self._trial)
        old = before[0][rule]
        assert old is not None
        if self.iou - before[-1] < self.cost(guard) - self.cost(old) + 1e-5:
            self.restore(before)
            return False
        return True

    def prune(self) -> None:
        """Drops the rule whose loss costs least."""
        losses = []
        for rule in range(1, len(self.guards)):
            kept = [i for i, t in enumerate(self.terms) if t[0] != rule]
            losses.append(self.score([self.terms[i] for i in kept], self.theta[kept], SMOOTH)[0])
        self.evaluations += len(losses)
        self.remove(1 + int(np.argmax(losses)))
        self.fit(self.effort.steps, 0, self._trial)


def grown(search: Growth, max_rules: int, budget: int | None, start: Program | None = None) -> Grown:
    """Programs from short to long: grown, then pruned, their guards chosen again at some lengths.

    max_rules counts every rule, those of `start` included, after which the new rules are written. budget: programs scored at
    most, checked between moves; a line search over one constant counts as one program.
    """
    effort = search.effort
    before = 0 if start is None else len(start.rules()) - 1
    best: dict[int, tuple[float, Program]] = {}

    def note() -> None:
        size = before + len(search.guards)
        if size <= max_rules and search.iou > best.get(size, (-1.0,))[0]:
            best[size] = (search.iou, search.program(start))

    def affordable() -> bool:
        return budget is None or search.evaluations < budget

    search.bend()
    note()
    while before + len(search.guards) < max_rules + effort.spare and affordable() and search.grow():
        search.bend()
        note()
    while len(search.guards) > 1:
        size = before + len(search.guards)
        if size in effort.refined and size <= max_rules and affordable():
            rule = 1
            for _ in range(1, len(search.guards)):
                rule += not (affordable() and search.backfit(rule))  # a rule chosen again moves to the end
            search.bend()
            search.fit(2 * effort.steps)
            note()
        if size <= min(effort.refined, default=0) or not affordable():
            break
        search.prune()
        note()
    front: list[Candidate] = []
    for _, (iou, program) in sorted(best.items()):
        if not front or iou > front[-1].fit_iou:
            front.append(Candidate(program, iou, search.origin if start is None else f"{search.origin} after a program"))
    return Grown(tuple(front), search.evaluations)
