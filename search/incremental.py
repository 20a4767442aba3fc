"""Scores a stream of programs that differ little from each other, on a few texts and one head.

Guards and values are computed once and kept; of a program only the rules from the first difference to the program before are run
again, then one pass normalises the rows and compares. Programs that read the weights so far take the plain way.
"""

from __future__ import annotations

import numpy as np

from dsl import evaluate
from dsl.evaluator import LARGEST, value
from dsl.nodes import Expr, Num, Program, Rule, Statement, free_names
from search.incremental_kernels import finish, run_rule, run_share
from search.problem import Problem

KEPT = 4096  # guards and values kept; beyond it the evaluator forgets and starts anew
_CODES = {"set": 0, "add": 1, "scale": 2, "max": 3, "min": 4}
_TOP = np.float32(LARGEST)


class IncrementalEvaluator:
    """The IoU of programs with one head; remembers the weights after each rule of the last program."""

    def __init__(self, problem: Problem, head: int) -> None:
        self.problem = problem
        self.target = problem.target([head])[0]  # (C)
        self.mass = np.add.reduceat(self.target, problem.rows[problem.texts[:-1]]).astype(np.float64)  # (T)
        self.kept: dict[Expr, np.ndarray] = {}
        self.readable: dict[Statement, bool] = {}
        self.last: tuple[Statement, ...] = ()
        size = len(problem.q)
        self.stages = [np.zeros(size, np.float32)]  # weights before the first rule, after it, …
        self.everywhere = np.ones(size, np.uint8)
        self.nowhere = np.zeros(0, np.float32)
        self.scratch = np.empty(int(np.diff(problem.rows).max()), np.float32)

    def iou(self, program: Program) -> float:
        """Mean IoU over the problem's texts, as `search.scoring.score` gives it within rounding."""
        statements = program.statements
        for s in statements:
            known = self.readable.get(s)
            if known is None:
                known = self.readable[s] = _readable(s)
            if not known:
                return self.plain(program)
        same = 0
        for new, old in zip(statements, self.last, strict=False):
            if new is not old and new != old:
                break
            same += 1
        self.last = ()  # should a rule fail, nothing is reused
        while len(self.stages) <= len(statements):
            self.stages.append(np.empty_like(self.stages[0]))
        for at in range(same, len(statements)):
            self._run(statements[at], self.stages[at], self.stages[at + 1])
        self.last = statements
        problem = self.problem
        weights = self.stages[len(statements)]
        return finish(weights, self.target, self.mass, problem.rows, problem.texts, problem.weights, LARGEST, self.scratch)

    def _run(self, rule: Statement, before: np.ndarray, after: np.ndarray) -> None:
        assert isinstance(rule, Rule) and rule.value is not None
        mask = self.everywhere if rule.guard is None else self._mask(rule.guard)
        if rule.op == "share":
            number = isinstance(rule.value, Num)
            values = self.nowhere if number else self._value(rule.value)
            one = np.float32(rule.value.value if isinstance(rule.value, Num) else 0)
            run_share(mask, values, one, self.problem.rows, _TOP, before, after)
        elif isinstance(rule.value, Num):
            run_rule(_CODES[rule.op], mask, self.nowhere, np.float32(rule.value.value), before, after)
        else:
            run_rule(_CODES[rule.op], mask, self._value(rule.value), np.float32(0), before, after)

    def _mask(self, guard: Expr) -> np.ndarray:
        known = self.kept.get(guard)
        if known is None:
            known = self._keep(guard, self.problem.pack(value(guard, self.problem.batch)).astype(np.uint8))
        return known

    def _value(self, number: Expr) -> np.ndarray:
        """(C) float32; NaN where the rule does not act."""
        known = self.kept.get(number)
        if known is None:
            numbers = self.problem.pack(value(number, self.problem.batch))
            numbers = np.where(np.isfinite(numbers), np.clip(numbers, -LARGEST, LARGEST), np.nan)
            known = self._keep(number, numbers.astype(np.float32))
        return known

    def _keep(self, key: Expr, values: np.ndarray) -> np.ndarray:
        if len(self.kept) >= KEPT:
            self.kept.clear()
        self.kept[key] = values
        return values

    def plain(self, program: Program) -> float:
        """The same by a full evaluation."""
        problem = self.problem
        starts = problem.rows[problem.texts[:-1]]
        pattern = problem.pack(evaluate(program, problem.batch))
        distance = np.add.reduceat(np.abs(pattern - self.target), starts)
        total = self.mass + np.add.reduceat(pattern, starts)
        return float(problem.mean((total - distance) / (total + distance)))


def _readable(s: Statement) -> bool:
    """A rule whose guard and value depend on the texts alone."""
    return (
        isinstance(s, Rule)
        and s.value is not None
        and free_names(s.value) <= {"q", "k", "n"}
        and (s.guard is None or free_names(s.guard) <= {"q", "k", "n"})
    )
