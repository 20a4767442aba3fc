"""Rule induction: grows a program rule by rule, always by the guard whose rescaling raises the IoU most.

A candidate costs one pass over the rows it touches, not an evaluation; hundreds of thousands of sets are ranked before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dsl.evaluator import weights_of
from dsl.nodes import Program
from search.bank import Bank, Guard, Side
from search.growth import Effort, Grown, Growth, grown
from search.guards import EVERY, OTHERS, PER_RELATION, TOKENS, both_sides, histogram, select


def induce(
    bank: Bank,
    heads: Sequence[int],
    rng: np.random.Generator,
    max_rules: int = 12,
    budget: int | None = None,
    start: Program | None = None,
    effort: Effort | None = None,
) -> Grown:
    """Programs that explain the given heads of the bank's problem together; max_rules, budget and start as in `grown`.

    rng chooses which relations get a second look in rounds that do not look at all.
    """
    given = None
    if start is not None:
        given = np.maximum(np.nan_to_num(bank.problem.pack(weights_of(start, bank.problem.batch))), 0)
    return grown(Induction(bank, heads, rng, effort or Effort(), given), max_rules, budget, start)


class Induction(Growth):
    """A log-linear program that grows by guards of a bank."""

    origin = "induction"
    bank: Bank

    def __init__(
        self, bank: Bank, heads: Sequence[int], rng: np.random.Generator, effort: Effort, start: np.ndarray | None = None
    ) -> None:
        self._round, self._worth = 0, np.zeros((len(bank.jobs), 2))
        super().__init__(bank, heads, rng, effort, start)

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

    def cells_below(self, guard: Guard, stop: int) -> np.ndarray:
        bank, problem = self.bank, self.problem
        every = np.ones(bank.width, bool)
        in_query, in_key = bank.inside(guard.query), bank.inside(guard.key)
        return select(
            bank.cells_of[guard.relation],
            bank.category[guard.query.shift],
            bank.category[guard.key.shift],
            every if in_query is None else in_query,
            every if in_key is None else in_key,
            problem.q,
            problem.k,
            stop,
        )

    def shorter(self, guard: Guard) -> Iterable[Guard]:
        return replace(guard, relation=0), replace(guard, query=Side(0)), replace(guard, key=Side(0))

    def cost(self, guard: Guard) -> float:
        return self.effort.token_cost * guard.tokens + self.effort.condition_cost * guard.conditions
