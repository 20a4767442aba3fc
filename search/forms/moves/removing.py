"""What a program can do without: a rule, a condition, a class, a step, a feature."""

from __future__ import annotations

from collections.abc import Iterator

from search.forms import unions
from search.forms.fitting import score
from search.forms.growth import Growth
from search.forms.moves.adding import grow
from search.forms.places import places
from search.forms.shapes import RuleShape, Shape, size


def prune(growth: Growth, price: float) -> bool:
    """Leaves out what costs less than its tokens: a rule, a step, a feature, a part of a guard."""
    here = growth.worth(growth.iou, growth.shape, price)
    trials: list[tuple[float, Shape]] = []
    for less in _less(growth):
        growth.evaluations += 1
        trials.append((score(growth.board, less, growth.targets) - price * size(less), less))
    trials.sort(key=lambda x: -x[0])
    for worth, less in trials[:4]:
        if worth < here - 0.02:
            break
        iou, less = growth.settle(less, growth.effort.steps // 2)
        if growth.worth(iou, less, price) >= here:
            growth.take(*growth.settle(less, growth.effort.steps // 2))
            return True
    return False


def reconsider(growth: Growth, price: float, limit: int) -> None:
    """Takes each rule out once and lets the best one in its place."""
    for guard in [r.guard for r in growth.shape.rules[1:]]:
        if not growth.affordable():
            return
        at = next((i for i, r in enumerate(growth.shape.rules) if i and r.guard == guard), None)
        if at is None:
            continue
        before = (growth.iou, growth.shape)
        growth.take(*growth.settle(growth.shape.without(at), 8))
        grow(growth, price, limit)
        if growth.worth(growth.iou, growth.shape, price) <= growth.worth(*before, price) + 1e-5:
            growth.take(*before)


def shorten(growth: Growth) -> bool:
    """Leaves out what costs least for its length, whatever it costs; false where nothing is left to leave out."""
    trials = []
    for less in _less(growth):
        growth.evaluations += 1
        saved = max(1, size(growth.shape) - size(less))
        trials.append(((growth.iou - score(growth.board, less, growth.targets)) / saved, less))
    if not trials:
        return False
    trials.sort(key=lambda x: x[0])
    best: tuple[float, float, Shape] | None = None
    for _, less in trials[:2]:
        iou, less = growth.settle(less, growth.effort.steps // 3)
        worth = (growth.iou - iou) / max(1, size(growth.shape) - size(less))
        if best is None or worth < best[0]:
            best = (worth, iou, less)
    assert best is not None
    growth.take(best[1], best[2])
    return True


def _less(growth: Growth) -> Iterator[Shape]:
    s = growth.shape
    for i, rule in enumerate(s.rules):
        if i > 0 or (len(s.rules) > 1 and s.rules[1].op in ("add", "set")):
            yield s.without(i)
        for j in range(len(rule.guard)):
            if len(rule.guard) > 1:
                new = RuleShape(rule.op, rule.guard[:j] + rule.guard[j + 1 :], rule.steps, rule.feature)
                yield s.changed(i, new, s.theta[i], s.beta[i])
        for j in range(len(rule.steps)):
            new = RuleShape(rule.op, rule.guard, rule.steps[:j] + rule.steps[j + 1 :], rule.feature)
            yield s.changed(i, new, s.theta[i][:j] + s.theta[i][j + 1 :], s.beta[i])
        if rule.feature is not None:
            yield s.changed(i, RuleShape(rule.op, rule.guard, rule.steps), s.theta[i])
        for use in places(rule) if growth.settled is None else ():
            part = use.of(rule)
            names = unions.classes(part)
            for name in names if len(names) > 1 else ():
                less = unions.any_of((n for n in names if n != name), unions.side(part))
                yield s.changed(i, use.put(rule, less), s.theta[i], s.beta[i])
