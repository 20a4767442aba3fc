"""Another beginning: what a program says first of distance, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dsl.nodes import DIST, walk
from search.forms.growth import Growth
from search.forms.moves.adding import grow
from search.forms.moves.values import converted, first_features
from search.forms.shapes import RuleShape, Shape

FOLLOW = 2  # rules that are added before two beginnings are compared


def rebase(growth: Growth, price: float, limit: int) -> bool:
    """Begins with another dependence on distance, without the rules that mended the one there is, and with others."""
    first = growth.shape.rules[0]
    if first.guard or first.op != "add":
        return False
    before = (growth.iou, growth.shape)
    here = growth.worth(*before, price)
    kept = growth.shape
    for i in reversed(range(1, len(kept.rules))):
        if all(any(x == DIST for x in walk(g)) for g in kept.rules[i].guard):
            kept = kept.without(i)
    best: tuple[float, float, Shape] | None = None
    for shape in _begun(growth, kept):
        if not growth.affordable():
            break
        growth.take(*growth.settle(shape, growth.effort.steps))
        for _ in range(FOLLOW):
            if growth.worth(growth.iou, growth.shape, price) > here or not grow(growth, price, limit):
                break
        worth = growth.worth(growth.iou, growth.shape, price)
        if best is None or worth > best[0]:
            best = (worth, growth.iou, growth.shape)
    growth.take(*before)
    if best is None or best[0] <= here + 1e-5:
        return False
    growth.take(best[1], best[2])
    return True


def _begun(growth: Growth, kept: Shape) -> Iterator[Shape]:
    """With each other dependence on distance; and with weights that are added where shares of the row were given."""
    first = kept.rules[0]
    for feature, beta in first_features(growth.board):
        if feature != first.feature:
            yield kept.changed(0, RuleShape("add", (), (), feature), (0.0,), beta)
    added = kept
    for i, rule in enumerate(kept.rules):
        if rule.op == "share":
            added = added.changed(i, replace(rule, op="add"), converted(growth, kept, i, "add"))
    if added != kept:
        yield added
