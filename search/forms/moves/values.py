"""What a rule does where it holds: a constant for a class of queries, a dependence on a feature, another operation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl.nodes import Expr
from search.forms import kernels
from search.forms.board import Board
from search.forms.fitting import Fit, score
from search.forms.growth import Growth
from search.forms.shapes import Feature, RuleShape, Shape, rule_size, size

SAMPLED = 5  # every so many cells, where one function is fitted to another


def split(growth: Growth, price: float, limit: int, most: int = 3) -> bool:
    """Gives one rule a constant of its own for a class of queries."""
    room = limit - size(growth.shape)
    fit = Fit(growth.board, growth.shape.rules)
    theta, beta = fit.theta(growth.shape.theta), np.array(growth.shape.beta, float)
    *_, by_row = fit.run(growth.targets, theta, beta, slopes=True, rows=True)
    found: list[tuple[float, int, Expr, float]] = []
    query = growth.candidates.query
    masks = np.array([growth.board.mask(g)[1] for g in query], np.float32)
    for i, rule in enumerate(growth.shape.rules):
        if len(rule.steps) >= most or any(g in query for g in rule.guard):
            continue
        free = fit.steps[i] == len(rule.steps)
        slope = by_row[i] * free
        total = masks @ slope
        rest = slope.sum() - total
        spread = np.sqrt(masks @ slope**2) + 1e-9
        for j in (
            np.argsort(-np.abs(total - rest), kind="stable")[:4].tolist()
            + np.argsort(-np.abs(total) / spread, kind="stable")[:2].tolist()
        ):
            more = rule_size(RuleShape(rule.op, rule.guard, (*rule.steps, query[j]), rule.feature)) - rule_size(
                rule, growth.shape.theta[i]
            )
            if more <= room and query[j] not in rule.steps:
                found.append((abs(float(total[j])), i, query[j], math.copysign(0.7, total[j])))
    found.sort(key=lambda x: -x[0])
    trials = []
    for _, i, condition, move in dict.fromkeys(found[:16]):
        rule = growth.shape.rules[i]
        old = growth.shape.theta[i]
        new = RuleShape(rule.op, rule.guard, (*rule.steps, condition), rule.feature)
        shape = growth.shape.changed(i, new, (*old[:-1], old[-1] + move, old[-1]), growth.shape.beta[i])
        trials.append((score(growth.board, shape, growth.targets) - price * size(shape), shape))
        growth.evaluations += 1
    return growth.take_best(trials, price)


def bend(growth: Growth, price: float, limit: int, only: Sequence[int]) -> bool:
    """Lets the value of one of the given rules depend on a feature."""
    room = limit - size(growth.shape)
    trials = []
    for i in only:
        rule = growth.shape.rules[i]
        if rule.op == "share" or rule.feature is not None:
            continue
        for f in growth.board.features:
            new = RuleShape(rule.op, rule.guard, rule.steps, f)
            if rule_size(new) - rule_size(rule) > room:
                continue
            for b in (-0.05, 0.05) if f.name == "decay" else (-0.5, 0.5) if "sim" not in f.name else (1.0, -1.0):
                shape = growth.shape.changed(i, new, growth.shape.theta[i], b)
                trials.append((score(growth.board, shape, growth.targets) - price * size(shape), shape))
                growth.evaluations += 1
    return growth.take_best(trials, price)


def rebend(growth: Growth, price: float, limit: int) -> bool:
    """Lets the value of a rule depend on another feature, in the way that comes nearest to what it was."""
    growth.observe()
    room = limit - size(growth.shape)
    trials = []
    for i, rule in enumerate(growth.shape.rules):
        if rule.feature is None:
            continue
        for f in growth.board.features:
            new = replace(rule, feature=f)
            if f == rule.feature or f.where or rule_size(new) - rule_size(rule) > room:
                continue
            by, beta = _nearest(growth, i, f)
            shape = growth.shape.changed(i, new, tuple(t + by for t in growth.shape.theta[i]), beta)
            trials.append((score(growth.board, shape, growth.targets) - price * size(shape), shape))
            growth.evaluations += 1
    return growth.take_best(trials, price, 4)


def _nearest(growth: Growth, i: int, feature: Feature) -> tuple[float, float]:
    """(what is added to the constants, power) with which another feature comes nearest to that of a rule, where mass is."""
    board, rule = growth.board, growth.shape.rules[i]
    assert rule.feature is not None
    cells = board.cells((*rule.guard, *rule.feature.where))[0][::SAMPLED]
    old, new = (board.features.index(f) for f in (rule.feature, feature))
    x = board.table[new][board.index[new][cells]].astype(float)
    y = growth.shape.beta[i] * board.table[old][board.index[old][cells]].astype(float)
    weights = growth.out[2][cells].astype(float) + 1e-9
    weights /= weights.sum()
    mean_x, mean_y = float(weights @ x), float(weights @ y)
    spread = float(weights @ (x - mean_x) ** 2)
    beta = float(weights @ ((x - mean_x) * (y - mean_y))) / spread if spread > 1e-9 else 0.0
    beta = min(max(beta, -12.0), 12.0)
    return mean_y - beta * mean_x, beta


def first_features(board: Board) -> list[tuple[Feature | None, float]]:
    """What the weights that a program begins with may depend on, with a power: nothing, or the distance in one of these ways."""
    by_name = {f.name: f for f in board.features}
    return [(None, 0.0), (by_name["decay"], -0.1), (by_name["power 1"], -1.0), (by_name["power 2"], -1.5)]


def weigh(growth: Growth, price: float, limit: int) -> bool:
    """Lets a feature scale all weights, or those of the first rule alone."""
    room = limit - size(growth.shape)
    trials = []
    for f in growth.board.features:
        new = RuleShape("scale", (), (), f)
        if rule_size(new) > room or len(growth.shape.rules) >= growth.effort.rules:
            continue
        for at in {1, len(growth.shape.rules)} if growth.shape.rules[0].feature else {len(growth.shape.rules)}:
            for b in (-0.05, 0.05) if f.name == "decay" else (-0.5, 0.5) if "sim" not in f.name else (1.0, -1.0):
                shape = growth.shape.with_rule(new, (0.0,), b, at)
                trials.append((score(growth.board, shape, growth.targets) - price * size(shape), shape))
                growth.evaluations += 1
    return growth.take_best(trials, price)


def swap(growth: Growth, price: float, only: Sequence[int] | None = None) -> bool:
    """Tries other operations for rules."""
    trials = []
    for i, rule in enumerate(growth.shape.rules):
        if i == 0 or (only is not None and i not in only):
            continue
        for op in kernels.OPERATIONS:
            if op == rule.op or (op == "share" and rule.feature is not None):
                continue
            theta = converted(growth, growth.shape, i, op)
            new = RuleShape(op, rule.guard, rule.steps, rule.feature)
            trials.append((0.0, growth.shape.changed(i, new, theta, growth.shape.beta[i])))
    found = []
    for _, shape in trials:
        iou, shape = growth.settle(shape, 6)
        found.append((growth.worth(iou, shape, price), shape))
    return growth.take_best(found, price)


def converted(growth: Growth, shape: Shape, i: int, op: str) -> tuple[float, ...]:
    """Constants for another operation of a rule, from the mass it now has."""
    cells, _ = growth.board.cells(shape.rules[i].guard)
    rows = np.unique(growth.board.q[cells])
    inside = float(growth.target[cells].sum()) / max(1, len(rows))
    inside = min(max(inside, 1e-3), 0.99)
    count = len(shape.theta[i])
    if op == "share":
        return (math.log(inside / (1 - inside)),) * count
    mean = float(growth.total[rows].mean()) if len(rows) else 1.0
    if op in ("add", "set"):
        return (math.log(max(mean, 1e-9) * inside / max(len(cells) / max(1, len(rows)), 1)),) * count
    return (0.5,) * count
