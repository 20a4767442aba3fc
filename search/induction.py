"""Rule induction: grows a program rule by rule, always by the guard whose rescaling raises the IoU most.

A candidate costs one pass over the rows it touches, not an evaluation; hundreds of thousands of sets are ranked before that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dsl.evaluator import weights_of
from dsl.nodes import Program
from search.bank import Bank, Guard, Side
from search.guards import EVERY, OTHERS, PER_RELATION, TOKENS, both_sides, histogram, rescale, row_distances, select
from search.loglinear import CONSTANT, SMOOTH, LogLinear

FACTORS = np.array([0.05, 0.35, 0.65, 1.6, 3.0, 8.0, 30.0])


@dataclass(frozen=True)
class Effort:
    """How much work goes into one induction."""

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
class Induced:
    """Programs from short to long, each better than all shorter ones, and how many guards and constants were tried for them."""

    candidates: tuple[Candidate, ...]
    evaluations: int


def induce(
    bank: Bank,
    heads: Sequence[int],
    rng: np.random.Generator,
    max_rules: int = 12,
    budget: int | None = None,
    start: Program | None = None,
    effort: Effort | None = None,
) -> Induced:
    """Programs that explain the given heads of the bank's problem together.

    max_rules counts every rule, those of `start` included, after which the new rules are written. budget: programs scored at
    most, checked between moves; a line search over one constant counts as one program. rng chooses which relations get a second
    look in rounds that do not look at all.
    """
    effort = effort or Effort()
    given = None
    if start is not None:
        given = np.maximum(np.nan_to_num(bank.problem.pack(weights_of(start, bank.problem.batch))), 0)
    search = Induction(bank, heads, rng, effort, given)
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
            front.append(Candidate(program, iou, "induction" if start is None else "induction after a program"))
    return Induced(tuple(front), search.evaluations)


class Induction(LogLinear):
    """A log-linear program that grows."""

    def __init__(
        self,
        bank: Bank,
        heads: Sequence[int],
        rng: np.random.Generator,
        effort: Effort,
        start: np.ndarray | None = None,
    ) -> None:
        self.rng, self.effort = rng, effort
        self._trial = min(effort.trial_texts, len(bank.problem))
        self._round, self._worth = 0, np.zeros((len(bank.jobs), 2))
        super().__init__(bank, heads, start)

    def proposals(self, pattern: np.ndarray, gradient: np.ndarray) -> list[Guard]:
        """The guards with the highest estimated gains, by both rankings."""
        bank, problem, most = self.bank, self.problem, self.effort.tokens_per_side
        slope = gradient * np.float32(len(problem.position) / len(problem))
        width, room = bank.width, PER_RELATION
        sums4 = np.empty((width, width, 4), np.float32)
        sums = np.empty((2, 3, width, width), np.float32)
        sets, scores, labels = np.zeros((room, 2, width), bool), np.zeros((room, 2)), np.zeros((room, 2), np.int64)
        found: dict[Guard, tuple[float, float]] = {}
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
            self._worth[job] = scores[:number].max(0, initial=0)
            # Only what can reach the global ranking is turned into a guard.
            keep = set(np.argsort(-scores[:number, 0], kind="stable")[:6]) | set(np.argsort(-scores[:number, 1], kind="stable")[:6])
            for i in sorted(keep):
                sides = []
                for side, shift in ((0, shift_q), (1, shift_k)):
                    label = int(labels[i, side])
                    names = bank.names[shift]
                    chosen = ~sets[i, side] if label == OTHERS else sets[i, side]
                    tokens = frozenset(str(names[v]) for v in np.flatnonzero(chosen)) if label in (TOKENS, OTHERS) else frozenset()
                    sides.append(Side(shift if label != EVERY else 0, label, tokens))
                found.setdefault(Guard(relation, *sides), (scores[i, 0], scores[i, 1]))
            if (shift_q, shift_k) == (0, 0):
                found.setdefault(Guard(relation), tuple(self._worth[job]))
        guards, worth = list(found), np.array(list(found.values()))
        top = [np.argsort(-worth[:, c], kind="stable")[: self.effort.candidates] for c in (0, 1)]
        return [guards[i] for i in sorted({int(i) for t in top for i in t})]

    def _due(self) -> list[int]:
        """Relations worth a look: all in every third round, else the best of the last look by either ranking, and some others."""
        self._round += 1
        number = len(self.bank.jobs)
        if self._round % 3 == 1:
            return list(range(number))
        top = [np.argsort(-self._worth[:, c], kind="stable")[: number // 4] for c in (0, 1)]
        others = self.rng.choice(number, number // 10, replace=False)
        return sorted({int(j) for t in (*top, others) for j in t})

    def best_guards(self, pattern: np.ndarray, gradient: np.ndarray, iou: float, keep: int = 5) -> list[tuple[float, float, Guard]]:
        """(net gain, factor, guard) of the best proposals, by exact line search on all texts."""
        problem, bank = self.problem, self.bank
        limits = problem.texts[: self._trial + 1]
        stop = problem.rows[limits[-1]]
        distances = np.empty((len(self.target), len(problem.position)), np.float32)
        row_distances(self.target, pattern, problem.rows, len(problem.position), distances)

        def trial(cells: np.ndarray, factors: np.ndarray, limits: np.ndarray) -> np.ndarray:
            return rescale(cells, factors, self.target, self.share, pattern, distances, problem.q, problem.rows, limits)

        none = np.zeros(0, np.int32)
        base = trial(none, FACTORS[:1], limits)[0]
        every = np.ones(bank.width, bool)
        tried = []
        for guard in self.proposals(pattern, gradient):
            in_query, in_key = bank.inside(guard.query), bank.inside(guard.key)
            cells = select(
                bank.cells_of[guard.relation],
                bank.category[guard.query.shift],
                bank.category[guard.key.shift],
                every if in_query is None else in_query,
                every if in_key is None else in_key,
                problem.q,
                problem.k,
                stop,
            )
            gains = trial(cells, FACTORS, limits) - base
            j = int(gains.argmax())
            tried.append((gains[j] - self._cost(guard), j, guard))
        self.evaluations += len(tried)
        tried.sort(key=lambda t: -t[0])
        finalists = {guard: j for _, j, guard in tried[:keep]}
        for _, j, guard in tried[:2]:  # whether they are as good with one part less
            for shorter in (replace(guard, relation=0), replace(guard, query=Side(0)), replace(guard, key=Side(0))):
                finalists.setdefault(shorter, j)
        result = []
        for guard, j in finalists.items():
            factors = FACTORS[max(0, j - 1) : j + 2]
            gains = trial(bank.cells(guard), factors, problem.texts) - iou
            b = int(gains.argmax())
            result.append((gains[b] - self._cost(guard), float(factors[b]), guard))
        self.evaluations += len(result)
        return sorted(result, key=lambda t: -t[0])

    def _cost(self, guard: Guard) -> float:
        return self.effort.token_cost * guard.tokens + self.effort.condition_cost * guard.conditions

    # moves

    def grow(self) -> bool:
        """Adds the best rule; false where none is worth it."""
        gain, factor, guard = self.best_guards(self.pattern, self.gradient, self.iou)[0]
        if gain < self.effort.least_gain:
            return False
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
        if self.iou - before[-1] < self._cost(guard) - self._cost(old) + 1e-5:
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
