"""The places in a program where conditions stand, and what may stand there instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dsl.nodes import Expr
from search.forms import unions
from search.forms.fitting import score
from search.forms.shapes import RuleShape, Shape

if TYPE_CHECKING:
    from search.forms.growth import Growth

ALIKE = 0.3  # of the positions of either of two conditions, for one to be tried in the other's place


@dataclass(frozen=True)
class Place:
    """A place in a rule where a condition stands: in its guard, or at a step of its constants."""

    at: int
    step: bool

    def of(self, rule: RuleShape) -> Expr:
        return (rule.steps if self.step else rule.guard)[self.at]

    def put(self, rule: RuleShape, condition: Expr) -> RuleShape:
        before = rule.steps if self.step else rule.guard
        after = (*before[: self.at], condition, *before[self.at + 1 :])
        return replace(rule, steps=after) if self.step else replace(rule, guard=after)


def places(rule: RuleShape) -> list[Place]:
    return [Place(j, False) for j in range(len(rule.guard))] + [Place(j, True) for j in range(len(rule.steps))]


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one & other).sum() >= ALIKE * (one | other).sum())


def alternatives(growth: Growth, shape: Shape, offered: Sequence[unions.Names]) -> Iterator[list[tuple[unions.Names, Shape]]]:
    """For each place of a shape with classes joined: the shape with each class and each offered set that is much alike."""
    classes = {place: [unions.classes(g) for g in side] for place, side in (("q", growth.words.query), ("k", growth.words.key))}
    for i, rule in enumerate(shape.rules):
        for use in places(rule):
            part = use.of(rule)
            if len(unions.classes(part)) < 2:
                continue
            place = unions.side(part)
            mask = growth.board.mask(part)[1]
            options = []
            for names in dict.fromkeys([*(c for c in classes[place] if len(c) == 1), *offered]):
                other = unions.any_of(names, place)
                if alike(mask, growth.board.mask(other)[1]):
                    options.append((names, shape.changed(i, use.put(rule, other), shape.theta[i], shape.beta[i])))
            yield options


def settled(growth: Growth, shape: Shape) -> Shape:
    """The shape in the concepts of the model: in each place with classes joined the one that serves best."""
    known = growth.settled or ()
    while True:
        unsettled = (
            options
            for options, used in zip(alternatives(growth, shape, known), _joined_sets(shape), strict=True)
            if used not in known and options
        )
        options = next(unsettled, None)
        if options is None:
            return shape
        growth.evaluations += len(options)
        shape = max(options, key=lambda o: score(growth.board, o[1], growth.targets))[1]


def _joined_sets(shape: Shape) -> list[unions.Names]:
    found = [unions.classes(use.of(rule)) for rule in shape.rules for use in places(rule)]
    return [names for names in found if len(names) > 1]
