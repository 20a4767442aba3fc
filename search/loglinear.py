"""Log-linear programs: one `add` rule for all cells, then `scale` rules, so that a weight is a product of factors.

Every constant has an exact gradient of the IoU, and one pass over the cells gives all of them: cells on which the same rules act
share one entry of a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dsl import parse_expression
from dsl.evaluator import value
from dsl.nodes import Binary, Expr, Num, Program, Rule
from search.kernels import loglinear
from search.problem import Problem

CONSTANT = -1  # in place of a numeric feature
SMOOTH = 5e-4  # differences of probabilities below this count little in the sign of A - P
FINITE = 0.03  # the same where guards are compared: a rule rescales by a finite factor, which flips small differences
OLD, NEW = 0.08, 0.2  # first step of a constant, in units of log-weight


class GuardSource(Protocol):
    """What guards are taken from; a guard is anything that can be compared and hashed."""

    @property
    def problem(self) -> Problem: ...

    @property
    def features(self) -> np.ndarray:
        """(5, C) float32: those of `features`, zero where values may not depend on one."""

    def cells(self, guard: Any) -> np.ndarray:
        """The cells where the guard holds, ascending."""

    def expression(self, guard: Any) -> Expr | None:
        """The guard in the language; None for no condition at all."""


def features(problem: Problem) -> np.ndarray:
    """(5, C) float32: logarithms of decays with distance, of similarity, and of positions, each of the order of one."""
    dist = np.abs(problem.position[problem.q] - problem.position[problem.k])
    similarity = problem.pack(value(parse_expression("similarity(q, k)"), problem.batch))
    positions = (np.log1p(problem.position[i]) / 2 for i in (problem.q, problem.k))
    return np.stack([-dist / 8, -np.log1p(dist), similarity * 4, *positions]).astype(np.float32)


class LogLinear:
    """Rules, constants, the pattern they give and its gradient, for some heads of a bank's problem."""

    def __init__(self, bank: GuardSource, heads: Sequence[int], start: np.ndarray | None = None) -> None:
        """start (C): the weights of a program that the rules are to follow; None for a program of its own."""
        problem = bank.problem
        self.bank, self.problem = bank, problem
        self.target = problem.target(heads)  # (H, C)
        self.mean = self.target.mean(0)  # (C)
        self.share = np.full(len(heads), 1 / len(heads))
        self.features = bank.features
        self.guards: list[Any] = [None]
        self.cells: list[np.ndarray] = [np.zeros(0, np.int32)]  # those of the first rule, all cells, are not listed
        self.terms: list[tuple[int, int]] = []  # (rule, feature): what each constant multiplies
        self.theta = np.zeros(0)
        self.fixed = 0
        if start is not None:
            self.features = np.concatenate([bank.features, np.log(np.maximum(start, 1e-9))[None].astype(np.float32)])
            self.terms, self.theta, self.fixed = [(0, len(bank.features))], np.ones(1), 1
        self.evaluations = 0
        self.pattern, self.gradient = np.empty(len(problem.q), np.float32), np.empty(len(problem.q), np.float32)
        self.iou = 0.0
        self._combine()
        self.fit(0)

    def append(self, guard: Any, theta: float) -> None:
        """Adds `when guard scale exp(theta)`; the pattern is that of before until the next fit."""
        self.guards.append(guard)
        self.cells.append(self.bank.cells(guard))
        self.terms = [*self.terms, (len(self.guards) - 1, CONSTANT)]
        self.theta = np.append(self.theta, theta)
        self._combine()

    def remove(self, rule: int) -> None:
        """Drops a rule with its constants; the pattern is that of before until the next fit."""
        kept = [i for i, t in enumerate(self.terms) if t[0] != rule]
        self.theta = self.theta[kept]
        self.terms = [(r - (r > rule), f) for r, f in (self.terms[i] for i in kept)]
        self.guards = self.guards[:rule] + self.guards[rule + 1 :]
        self.cells = self.cells[:rule] + self.cells[rule + 1 :]
        self._combine()

    def state(self) -> tuple:
        return (list(self.guards), list(self.cells), list(self.terms), self.theta, self.iou)

    def restore(self, state: tuple) -> None:
        guards, cells, terms, self.theta, _ = state
        self.guards, self.cells, self.terms = list(guards), list(cells), list(terms)
        self._combine()
        self.fit(0)

    def _combine(self) -> None:
        combination = np.zeros(len(self.problem.q), np.uint16)
        for r, cells in enumerate(self.cells[1:], 1):
            combination[cells] |= np.uint16(1 << r)
        present = np.flatnonzero(np.bincount(combination, minlength=1 << len(self.cells)))
        lookup = np.zeros(1 << len(self.cells), np.uint16)
        lookup[present] = np.arange(len(present))
        self.ids, self.bits = lookup[combination], present | 1

    def score(
        self, terms: Sequence[tuple[int, int]], theta: np.ndarray, eps: float, texts: int | None = None, keep: bool = False
    ) -> tuple[float, np.ndarray]:
        """(IoU, its gradient) for given constants, on the first `texts` texts or all; keep also sets pattern and gradient."""
        limits = self.problem.texts if texts is None else self.problem.texts[: texts + 1]
        none = self.pattern[:0]
        return loglinear(
            self.target,
            self.share,
            self.ids,
            self.bits,
            np.array(terms, np.int64).reshape(-1, 2),
            np.asarray(theta, np.float64),
            self.features,
            self.problem.rows,
            limits,
            self.problem.domains.part(range(len(limits) - 1)).weights,
            np.float32(eps),
            self.pattern if keep else none,
            self.gradient if keep else none,
        )

    def fit(self, steps: int, new: int = 0, texts: int | None = None) -> None:
        """Adam on the IoU, by the sign of A - P, on the first `texts` texts or all; takes the best constants seen.

        The last `new` constants were just guessed: they take larger steps than the others. Pattern, gradient and IoU are those
        of all texts.
        """
        theta, best = self.theta, (-1.0, self.theta)
        first, second = np.zeros(len(theta)), np.zeros(len(theta))
        rate = np.full(len(theta), OLD)
        rate[len(theta) - new :] = NEW
        for s in range(steps + 1 if steps else 0):
            iou, slope = self.score(self.terms, theta, SMOOTH, texts)
            if iou > best[0]:
                best = (iou, theta)
            first = 0.8 * first + 0.2 * slope
            second = 0.95 * second + 0.05 * slope**2
            step = first / (1 - 0.8 ** (s + 1)) / (np.sqrt(second / (1 - 0.95 ** (s + 1))) + 1e-12)
            step[: self.fixed] = 0
            theta = theta + rate * (1 - 0.9 * s / steps) * step
        self.theta = best[1]
        self.iou, _ = self.score(self.terms, self.theta, FINITE, keep=True)
        self.evaluations += 1

    def program(self, start: Program | None = None) -> Program:
        """The rules so far as a program of the language, constants with three significant digits."""
        statements = [] if start is None else list(start.statements)
        for r, guard in enumerate(self.guards):
            if r == 0 and start is not None:
                continue
            rule_terms = [(f, float(t)) for (at, f), t in zip(self.terms, self.theta, strict=True) if at == r]
            number = self._value(rule_terms)
            statements.append(Rule("add" if r == 0 else "scale", number, None if guard is None else self.bank.expression(guard)))
        return Program(tuple(statements))

    def _value(self, terms: list[tuple[int, float]]) -> Expr:
        distance = "dist" if self.problem.causal else "abs(dist)"
        shapes = (
            lambda t: f"exp({_digits(-t / 8)} * {distance})",
            lambda t: f"(1 + {distance}) ** {_digits(-t)}",
            lambda t: f"exp({_digits(4 * t)} * similarity(q, k))",
            lambda t: f"(1 + q) ** {_digits(t / 2)}",
            lambda t: f"(1 + k) ** {_digits(t / 2)}",
        )
        constants = [math.exp(min(max(t, -40), 40)) for f, t in terms if f == CONSTANT]
        factors: list[Expr] = [Num(float(_digits(c))) for c in constants]
        factors += [parse_expression(shapes[f](t)) for f, t in sorted(terms) if f != CONSTANT]
        if not factors:
            return Num(1.0)
        value = factors[0]
        for factor in factors[1:]:
            value = Binary("*", value, factor)
        return value


def _digits(x: float) -> str:
    return np.format_float_positional(float(f"{x:.3g}"), trim="-")
