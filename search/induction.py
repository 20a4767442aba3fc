"""Rule induction: grows a program rule by rule, always by the guard whose rescaling raises the IoU most.

The programs are log-linear: one `add` rule for all cells, then `scale` rules, so the weight of a cell is a product of factors
and every constant has an exact gradient. A candidate costs one pass over the rows it touches, not an evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dsl import parse_expression
from dsl.nodes import Binary, Call, Expr, Num, Program, Rule
from search.bank import Bank, Guard, Side
from search.guards import EVERY, TOKENS, both_sides, histogram, rescale, row_distances, select
from search.kernels import loglinear

FACTORS = np.array([0.05, 0.35, 0.65, 1.6, 3.0, 8.0, 30.0])
MOST_BITS = 15  # rules besides the first that fit into the combination of a cell
CONSTANT = -1
SMOOTH = 5e-4  # differences of probabilities below this count little in the sign of A - P
OLD, NEW = 0.08, 0.2  # first step of a constant, in units of log-weight


@dataclass(frozen=True)
class Effort:
    """How much work goes into one induction; `tokens_per_side` bounds the token sets of a rule (the sum over both sides twice)."""

    tokens_per_side: int = 12
    candidates: int = 40  # per ranking, tried by exact line search
    trial_texts: int = 24  # texts of the line search; the best few are tried on all texts
    steps: int = 20  # gradient steps after each change
    backfits: int = 1  # rounds of choosing every rule again, given the others
    spare: int = 3  # rules grown beyond the limit and pruned again
    token_cost: float = 5e-5  # IoU that a token of a set has to be worth
    least_gain: float = 4e-4  # IoU that a rule has to be worth


@dataclass(frozen=True)
class Candidate:
    """A proposed program with its IoU on the texts it was fitted to, and how it came about."""

    program: Program
    fit_iou: float
    origin: str


class Induction:
    """The state of one induction: rules, constants, the pattern they give and its gradient, on the texts of one bank."""

    def __init__(self, bank: Bank, heads: Sequence[int], effort: Effort | None = None, start: np.ndarray | None = None) -> None:
        """start (C): positive weights of a program that the new rules are to follow; None for a new program."""
        self.bank, self.effort = bank, effort or Effort()
        problem = bank.problem
        self.problem = problem
        self.target = problem.target(heads)
        self.mean = self.target.mean(0)
        self.share = np.full(len(heads), 1 / len(heads))
        self.features = bank.features
        self.guards: list[Guard | None] = [None]
        self.terms: list[tuple[int, int]] = []
        self.theta = np.zeros(0)
        self.fixed = 0
        if start is not None:
            self.features = np.concatenate([bank.features, np.log(np.maximum(start, 1e-9))[None].astype(np.float32)])
            self.terms, self.theta, self.fixed = [(0, len(bank.features))], np.ones(1), 1
        self.cells: list[np.ndarray | None] = [None]
        self.evaluations = 0
        size = len(problem.q)
        self.pattern, self.gradient = np.empty(size, np.float32), np.empty(size, np.float32)
        self.iou = 0.0
        self._trial = min(self.effort.trial_texts, len(problem))
        self._round, self._worth = 0, np.zeros((len(bank.jobs), 2))
        self._combine()
        self.fit(0)

    # constants

    def _combine(self) -> None:
        combination = np.zeros(len(self.problem.q), np.uint16)
        for r, cells in enumerate(self.cells[1:], 1):
            combination[cells] |= np.uint16(1 << r)
        present = np.flatnonzero(np.bincount(combination, minlength=1 << len(self.cells)))
        lookup = np.zeros(1 << len(self.cells), np.uint16)
        lookup[present] = np.arange(len(present))
        self.ids, self.bits = lookup[combination], present | 1

    def _score(
        self, terms: Sequence[tuple[int, int]], theta: np.ndarray, eps: float, texts: int | None = None, keep: bool = False
    ) -> tuple[float, np.ndarray]:
        self.evaluations += 1
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
            np.float32(eps),
            self.pattern if keep else none,
            self.gradient if keep else none,
        )

    def fit(self, steps: int, new: int = 0) -> None:
        """Adam on the IoU, by the sign of A - P; keeps the best constants seen.

        The last `new` constants were just guessed: they take larger steps than the others.
        """
        theta, best = self.theta.copy(), (-1.0, self.theta)
        first, second = np.zeros(len(theta)), np.zeros(len(theta))
        rate = np.full(len(theta), OLD)
        rate[len(theta) - new :] = NEW
        for s in range(steps):
            iou, slope = self._score(self.terms, theta, SMOOTH)
            if iou > best[0]:
                best = (iou, theta.copy())
            first = 0.8 * first + 0.2 * slope
            second = 0.95 * second + 0.05 * slope**2
            step = first / (1 - 0.8 ** (s + 1)) / (np.sqrt(second / (1 - 0.95 ** (s + 1))) + 1e-12)
            step[: self.fixed] = 0
            theta = theta + rate * (1 - 0.9 * s / steps) * step
        iou, _ = self._score(self.terms, theta, SMOOTH, keep=True)
        if iou < best[0]:
            theta = best[1]
            iou, _ = self._score(self.terms, theta, SMOOTH, keep=True)
        self.theta, self.iou = theta, iou

    # guards

    def proposals(self, pattern: np.ndarray, gradient: np.ndarray) -> list[Guard]:
        """The guards with the highest estimated gains, by both rankings."""
        bank, problem, most = self.bank, self.problem, self.effort.tokens_per_side
        slope = gradient * np.float32(len(problem.position) / len(problem))
        width, room = bank.width, 96
        sums4 = np.empty((width, width, 4), np.float32)
        sums = np.empty((2, 3, width, width), np.float32)
        sets, scores, labels = np.zeros((room, 2, width), bool), np.zeros((room, 2)), np.zeros((room, 2), np.int64)
        found: dict[Guard, tuple[float, float]] = {}
        ranked: list[tuple[float, float, Callable[[], Guard]]] = []
        for job in self._due():
            shift_q, shift_k, relation = bank.jobs[job]
            sums4[:] = 0
            categories = bank.category[shift_q], bank.category[shift_k]
            histogram(bank.cells_of[relation], *categories, problem.q, problem.k, self.mean, pattern, slope, sums4)
            number = both_sides(
                sums4,
                float(len(problem.position)),
                bank.members[shift_q],
                bank.members[shift_k],
                bank.is_token[shift_q],
                bank.is_token[shift_k],
                most,
                3.0,
                sums,
                sets,
                scores,
                labels,
            )
            self._worth[job] = scores[:number].max(0)
            # Only what can reach the global ranking is turned into a guard.
            keep = set(np.argsort(-scores[:number, 0], kind="stable")[:6]) | set(np.argsort(-scores[:number, 1], kind="stable")[:6])
            for i in sorted(keep):
                sides = []
                for side, shift in ((0, shift_q), (1, shift_k)):
                    label = int(labels[i, side])
                    names = bank.names[shift]
                    tokens = frozenset(str(names[v]) for v in np.flatnonzero(sets[i, side])) if label == TOKENS else frozenset()
                    sides.append(Side(shift if label != EVERY else 0, label, tokens))
                found.setdefault(Guard(relation, *sides), (scores[i, 0], scores[i, 1]))
            if (shift_q, shift_k) == (0, 0):
                found.setdefault(Guard(relation), (float(scores[:number, 0].max()), float(scores[:number, 1].max())))
        guards, worth = list(found), np.array(list(found.values()))
        top = [np.argsort(-worth[:, c], kind="stable")[: self.effort.candidates] for c in (0, 1)]
        return [guards[i] for i in sorted({int(i) for t in top for i in t})]

    def _due(self) -> list[int]:
        """Relations worth a look: all of them in every third round, else the better half of the last time, by either ranking."""
        self._round += 1
        number = len(self.bank.jobs)
        if self._round % 3 == 1:
            return list(range(number))
        top = [np.argsort(-self._worth[:, c], kind="stable")[: number // 4] for c in (0, 1)]
        return sorted({int(j) for t in top for j in t})

    def best_guards(self, pattern: np.ndarray, gradient: np.ndarray, iou: float, keep: int = 5) -> list[tuple[float, float, Guard]]:
        """(net gain, factor, guard) of the best proposals, by exact line search on all texts."""
        problem, bank = self.problem, self.bank
        limits = problem.texts[: self._trial + 1]
        stop = problem.rows[limits[-1]]
        distances = np.empty((len(self.target), len(problem.position)), np.float32)
        row_distances(self.target, pattern, problem.rows, len(problem.position), distances)

        def trial(cells: np.ndarray, factors: np.ndarray, limits: np.ndarray) -> np.ndarray:
            self.evaluations += len(factors)
            return rescale(cells, factors, self.target, self.share, pattern, distances, problem.q, problem.rows, limits)

        none = np.zeros(0, np.int32)
        base = trial(none, FACTORS[:1], limits)[0]
        every = np.ones(bank.width, bool)
        tried = []
        for guard in self.proposals(pattern, gradient):
            sides = [bank.inside(s) for s in (guard.query, guard.key)]
            cells = select(
                bank.cells_of[guard.relation],
                bank.category[guard.query.shift],
                bank.category[guard.key.shift],
                *(every if s is None else s for s in sides),
                problem.q,
                problem.k,
                stop,
            )
            gains = trial(cells, FACTORS, limits) - base
            j = int(gains.argmax())
            tried.append((gains[j] - self.effort.token_cost * guard.tokens, j, guard))
        tried.sort(key=lambda t: -t[0])
        result = []
        for _, j, guard in tried[:keep]:
            factors = FACTORS[max(0, j - 1) : j + 2]
            gains = trial(bank.cells(guard), factors, problem.texts) - iou
            b = int(gains.argmax())
            result.append((gains[b] - self.effort.token_cost * guard.tokens, float(factors[b]), guard))
        return sorted(result, key=lambda t: -t[0])

    # moves

    def grow(self) -> bool:
        """Adds the best rule; false where none is worth it."""
        gain, factor, guard = self.best_guards(self.pattern, self.gradient, self.iou)[0]
        if gain < self.effort.least_gain:
            return False
        self._append(guard, math.log(factor))
        self.fit(self.effort.steps, new=1)
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
        base, slope = self._score(terms, start, SMOOTH, self._trial)
        slope = slope[len(self.terms) :]
        best: tuple[float, int, float] = (least, -1, 0.0)
        for i in np.argsort(-np.abs(slope), kind="stable")[:6]:
            for size in (0.3, 1.0):
                step = math.copysign(size, slope[i])
                iou, _ = self._score([*self.terms, options[i]], np.append(self.theta, step), SMOOTH, self._trial)
                if iou - base > best[0]:
                    best = (iou - base, int(i), step)
        if best[1] < 0:
            return False
        self.terms.append(options[best[1]])
        self.theta = np.append(self.theta, best[2])
        self.fit(self.effort.steps, new=1)
        return True

    def backfit(self, rule: int) -> bool:
        """Chooses the guard of a rule again, given all others; keeps the change if it pays."""
        before = self._state()
        self._remove(rule)
        self.fit(0)
        options = self.best_guards(self.pattern, self.gradient, self.iou, keep=3)
        _, factor, guard = options[0]
        if guard == before[0][rule]:
            self._restore(before)
            return False
        self._append(guard, math.log(factor))
        self.fit(self.effort.steps, new=1)
        old = before[0][rule]
        assert old is not None
        if self.iou - before[-1] < self.effort.token_cost * (guard.tokens - old.tokens) + 1e-5:
            self._restore(before)
            return False
        return True

    def prune(self) -> None:
        """Drops the rule whose loss costs least."""
        losses = []
        for rule in range(1, len(self.guards)):
            kept = [i for i, t in enumerate(self.terms) if t[0] != rule]
            losses.append(self._score([self.terms[i] for i in kept], self.theta[kept], SMOOTH)[0])
        self._remove(1 + int(np.argmax(losses)))
        self.fit(self.effort.steps)

    def _append(self, guard: Guard, theta: float) -> None:
        self.guards.append(guard)
        self.cells.append(self.bank.cells(guard))
        self.terms = [*self.terms, (len(self.guards) - 1, CONSTANT)]
        self.theta = np.append(self.theta, theta)
        self._combine()

    def _remove(self, rule: int) -> None:
        kept = [i for i, t in enumerate(self.terms) if t[0] != rule]
        self.theta = self.theta[kept]
        self.terms = [(r - (r > rule), f) for r, f in (self.terms[i] for i in kept)]
        self.guards = self.guards[:rule] + self.guards[rule + 1 :]
        self.cells = self.cells[:rule] + self.cells[rule + 1 :]
        self._combine()

    def _state(self) -> tuple:
        return (list(self.guards), list(self.cells), list(self.terms), self.theta, self.iou)

    def _restore(self, state: tuple) -> None:
        guards, cells, terms, self.theta, _ = state
        self.guards, self.cells, self.terms = list(guards), list(cells), list(terms)
        self._combine()
        self.fit(0)

    # what comes out

    def program(self, start: Program | None = None) -> Program:
        """The rules so far as a program of the language, constants with three significant digits."""
        statements = [] if start is None else list(start.statements)
        for r, guard in enumerate(self.guards):
            if r == 0 and start is not None:
                continue
            rule_terms = [(f, float(t)) for (at, f), t in zip(self.terms, self.theta, strict=True) if at == r]
            number = self._value(rule_terms)
            statements.append(Rule("add" if r == 0 else "scale", number, guard and self.bank.expression(guard)))
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


__all__ = ["Call", "Candidate", "Effort", "Induction"]
