"""Where a rule holds: classes of tokens joined to those that it asks for, or the model's concepts in their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dsl.nodes import Expr
from search.forms import unions
from search.forms.fitting import Fit, score
from search.forms.growth import Growth
from search.forms.places import Place, alike, places
from search.forms.shapes import Shape, size


def widen(growth: Growth, price: float, limit: int, only: Sequence[int] | None = None) -> bool:
    """Lets a condition of a rule, or one of its steps, hold for another class of tokens, too.

    Where the concepts of the model are settled, a condition may change to any of them that holds for much the same tokens.
    """
    growth.observe()
    fit = Fit(growth.board, growth.shape.rules)
    beta = np.array(growth.shape.beta, float)
    *_, by_row = fit.run(growth.targets, fit.theta(growth.shape.theta), beta, slopes=True, rows=True)
    found: list[tuple[float, Shape]] = []
    for i, use, shape in _joined(growth, range(len(growth.shape.rules)) if only is None else only):
        if size(shape) > limit:
            continue
        if growth.settled is not None:
            growth.evaluations += 1
            estimate = score(growth.board, shape, growth.targets)
        elif use.step:
            theta = np.array(growth.shape.theta[i])
            before = fit.steps[i]
            moved = (before > use.at) & (growth.board.mask(use.of(shape.rules[i]))[1] > 0)
            estimate = float((by_row[i] * (theta[use.at] - theta[before]))[moved].sum())
        else:
            estimate = _gain(growth, i, use, shape)
        found.append((estimate, shape))
    found.sort(key=lambda x: -x[0])
    trials = []
    for _, shape in found[:8]:
        growth.evaluations += 1
        trials.append((score(growth.board, shape, growth.targets) - price * size(shape), shape))
    return growth.take_best(trials, price)


def _joined(growth: Growth, only: Iterable[int]) -> Iterator[tuple[int, Place, Shape]]:
    """The shape with another set of classes in one place of one of these rules."""
    s = growth.shape
    for i in only:
        for use in places(s.rules[i]):
            part = use.of(s.rules[i])
            for other in _others(growth, part):
                yield i, use, s.changed(i, use.put(s.rules[i], other), s.theta[i], s.beta[i])


def _others(growth: Growth, part: Expr) -> Iterator[Expr]:
    """What may stand in the place of a condition on classes."""
    names = unions.classes(part)
    if not names:
        return
    place = unions.side(part)
    old = growth.board.mask(part)[1]
    for other in growth.words.query if place == "q" else growth.words.key:
        more = unions.classes(other)
        if growth.settled is not None:
            if more and more != names and alike(old, growth.board.mask(other)[1]):
                yield other
        elif len(more) == 1 and more[0] not in names:
            joined = _telling(growth, (*names, *more), place)
            mask = growth.board.mask(unions.any_of(joined, place))[1]
            if len(joined) <= unions.MOST and old.sum() < mask.sum() < len(mask):
                yield unions.any_of(joined, place)


def _telling(growth: Growth, names: Sequence[str], place: str) -> list[str]:
    """Without the classes that the others hold already."""
    kept = list(names)
    for name in names:
        rest = [n for n in kept if n != name]
        whole, less = (growth.board.mask(unions.any_of(n, place))[1] for n in (kept, rest)) if rest else (np.ones(1), np.zeros(1))
        if (whole == less).all():
            kept = rest
    return kept


def _gain(growth: Growth, i: int, use: Place, shape: Shape) -> float:
    """About what a rule would bring on the cells that it gains, as one more rule after all others."""
    rule, b = growth.shape.rules[i], growth.board
    kind, before = b.mask(use.of(rule))
    more = (b.mask(use.of(shape.rules[i]))[1] > 0) & (before == 0)
    cells, _ = b.cells(rule.guard[: use.at] + rule.guard[use.at + 1 :])
    cells = cells[more[b.q[cells] if kind == "q" else b.k[cells]]]
    if not len(cells):
        return -1.0
    theta = float(np.mean(growth.shape.theta[i]))
    if rule.feature is not None:
        f = b.features.index(rule.feature)
        theta += growth.shape.beta[i] * float(b.table[f][b.index[f][cells]].mean())
    constant = 1 / (1 + math.exp(-theta)) if rule.op == "share" else math.exp(min(max(theta, -20.0), 20.0))
    mass = growth.target_mass + np.add.reduceat(growth.out[2], b.rows[b.texts[:-1]])
    return growth.tried(rule.op, cells, [constant], mass)[0] - growth.iou
