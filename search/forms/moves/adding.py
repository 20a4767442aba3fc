"""A new rule: its operation and guard out of all conjunctions, by what it gains per token of text."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dsl.nodes import Expr
from search.forms import kernels
from search.forms.growth import Growth
from search.forms.shapes import RuleShape, Shape, rule_size, size


def grow(growth: Growth, price: float, limit: int) -> bool:
    """Adds the rule that is worth most after its constants are fitted, if one is."""
    return growth.take_best(_finalists(growth, price, limit), price, growth.effort.wide)


def _finalists(growth: Growth, price: float, limit: int) -> list[tuple[float, Shape]]:
    """(worth by line search, shape) with one more rule, the most promising first."""
    if len(growth.shape.rules) >= growth.effort.rules:
        return []
    room = limit - size(growth.shape)
    found = [(v - price * rule_size(r), r, t) for v, r, t in additions(growth, room - 2) if rule_size(r) <= room]
    found.sort(key=lambda x: -x[0])
    finalists: list[tuple[float, Shape]] = []
    seen: set[tuple[Expr, ...]] = set()
    for value, rule, theta in found:
        if len(finalists) == growth.effort.wide:
            break
        if rule.guard in seen and len(finalists) >= 3:
            continue
        seen.add(rule.guard)
        finalists.append((value, growth.shape.with_rule(rule, (theta,))))
    return finalists


def additions(growth: Growth, limit: int) -> Iterator[tuple[float, RuleShape, float]]:
    """(IoU, rule, its constant) of promising new rules, constants by line search."""
    W, G, P = growth.out
    growth.observe()
    sums = growth.candidates.sums(growth.attention(), W, G, P)
    mean = float(growth.total.mean())
    starts = growth.board.rows[growth.board.texts[:-1]]
    mass = growth.target_mass + np.add.reduceat(P, starts)
    for triple in growth.candidates.ranked(sums, growth.effort.candidates, limit):
        a, p = float(sums.attention[triple]), float(sums.mass[triple])
        guard = growth.candidates.guard(triple)
        cells, _ = growth.board.cells(guard)
        rows = np.unique(growth.board.q[cells])
        weight = max(float(growth.candidates.omega[rows].sum()), 1e-9)
        share_a, share_p = min(max(a / weight, 1e-4), 0.995), min(max(p / weight, 1e-4), 0.995)
        odds = share_a / (1 - share_a) / (share_p / (1 - share_p))
        options: list[tuple[int, list[float]]] = [
            (kernels.SCALE, [min(max(odds * f, 0.01), 300) for f in (0.5, 1.0, 2.0)] + ([0.5] if odds < 1 else [2.0]))
        ]
        if a > p:
            per_row = len(cells) / max(1, len(rows))
            more = mean * max(share_a - share_p, 0.005) / max(1 - share_a, 0.05) / per_row
            options.append((kernels.ADD, [more * f for f in (0.3, 1.0, 3.0)]))
        if len(rows) > 20 and share_a > 0.03:
            options.append((kernels.SHARE, [share_a, min(0.98, share_a * 1.3)]))
        for op, constants in options:
            result = growth.tried(kernels.OPERATIONS[op], cells, constants, mass)
            best = int(result.argmax())
            constant = constants[best]
            theta = math.log(constant / (1 - constant)) if op == kernels.SHARE else math.log(constant)
            yield float(result[best]), RuleShape(kernels.OPERATIONS[op], guard), theta
