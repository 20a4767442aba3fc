"""From shapes to programs that are handed on: constants fitted on more texts, few digits, canonical text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dsl.nodes import Program
from search.forms.board import Board
from search.forms.fitting import fitted, score
from search.forms.growth import Found
from search.forms.shapes import Shape, plain, program
from search.selection import shorter

DIGITS_MAY_COST = 0.0004  # of IoU, for all constants together
STEPS = 16  # gradient steps on the larger board
LENGTHS = (12, 20, 28, 36, 44, 50, 60, 80, 110, 150, 200)  # of programs that are handed on, at most


@dataclass(frozen=True)
class Finished:
    """A program in canonical form, its IoU on the board it was fitted to, and the shape that it prints."""

    program: Program
    shape: Shape
    iou: float


def spread(found: Sequence[Found], lengths: Sequence[int] = LENGTHS) -> list[Found]:
    """The best program of each length: few enough to be fitted and compared with care."""
    chosen: dict[int, Found] = {}
    for length in lengths:
        within = [f for f in found if f.size <= length]
        if within:
            best = max(within, key=lambda f: f.iou)
            chosen[best.size] = best
    return list(chosen.values())


def finish(board: Board, shape: Shape, targets: np.ndarray) -> Finished:
    """Fits the constants of a shape on a board and gives them as few digits as cost next to nothing."""
    iou, shape = fitted(board, anchored(shape), targets, STEPS, rate=0.06)
    shape = anchored(shape)
    count = len(shape.rules)
    digits = next((d for d in (1, 2) if score(board, rounded(shape, [d] * count), targets) > iou - DIGITS_MAY_COST), 3)
    kept = [digits] * count
    for i in range(count):
        for fewer in range(1, kept[i]):
            trial = [*kept[:i], fewer, *kept[i + 1 :]]
            if score(board, rounded(shape, trial), targets) > iou - DIGITS_MAY_COST:
                kept = trial
                break
    shape = rounded(shape, kept)
    return Finished(shorter(program(shape, 6)), shape, score(board, shape, targets))


def anchored(shape: Shape) -> Shape:
    """The same pattern with 1 as the constant of the first rule and of rules that scale all weights.

    Weights before a share count in proportion only; a factor of all weights so far is one of what was added and set.
    """
    shape = _without_factors(shape)
    first = shape.rules[0]
    if first.op != "add" or first.guard or first.steps or (len(shape.rules) > 1 and first.feature is None):
        return shape
    return Shape(shape.rules, _times(shape, -shape.theta[0][0], len(shape.rules)), shape.beta)


def _without_factors(shape: Shape) -> Shape:
    for i, rule in enumerate(shape.rules):
        if rule.op == "share":
            break
        if rule.op == "scale" and not rule.guard and not rule.steps:
            theta = _times(shape, shape.theta[i][0], i)
            shape = Shape(shape.rules, (*theta[:i], (0.0,), *theta[i + 1 :]), shape.beta)
    return shape


def _times(shape: Shape, by: float, end: int) -> tuple[tuple[float, ...], ...]:
    """The constants where what the first `end` rules add and set is exp(by) times as much, up to the first share."""
    theta = []
    relative = True
    for i, (rule, constants) in enumerate(zip(shape.rules, shape.theta, strict=True)):
        relative = relative and rule.op != "share" and i < end
        theta.append(tuple(t + by for t in constants) if relative and rule.op in ("add", "set") else constants)
    return tuple(theta)


def rounded(shape: Shape, digits: Sequence[int]) -> Shape:
    """The constants as they read with so many significant digits for each rule."""
    theta, beta = [], []
    for rule, constants, power, d in zip(shape.rules, shape.theta, shape.beta, digits, strict=True):
        if rule.op == "share":
            odds = (min(max(near_one(1 / (1 + math.exp(-t)), d), 1e-4), 1 - 1e-4) for t in constants)
            theta.append(tuple(math.log(p / (1 - p)) for p in odds))
        else:
            theta.append(tuple(math.log(float(plain(math.exp(min(max(t, -25.0), 25.0)), d))) for t in constants))
        if rule.feature is None:
            beta.append(0.0)
        elif "[]" in rule.feature.text:
            beta.append(math.log(near_one(math.exp(power), d)))
        else:
            beta.append(float(plain(power, d)))
    return Shape(shape.rules, tuple(theta), tuple(beta))


def near_one(x: float, digits: int) -> float:
    """Rounded so that what is missing to 1 keeps its digits: 0.983 with two digits is 0.983, not 0.98."""
    if 0.9 < x < 1:
        return 1 - float(plain(1 - x, digits))
    return float(plain(x, digits)) or x
