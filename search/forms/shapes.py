"""Programs as the search sees them: rules with a guard, a value in a few forms, positive constants; and their text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dsl.nodes import Expr, Program, Rule, all_of, concepts_of
from dsl.parser import parse_expression
from dsl.sizes import size as node_size


@dataclass(frozen=True)
class Feature:
    """A positive function of the cell, raised to a fitted power: base(cell) ** beta.

    text: in the language, with {} for beta ("(dist + 1) ** {}") or [] for exp(beta) ("[] ** dist"). size: tokens of it.
    where: the cells where it is a number at all; a rule does nothing elsewhere.
    """

    name: str
    text: str
    size: int
    where: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class RuleShape:
    """operation, guard (a conjunction), steps (classes of the query, each with its constant, then the rest), feature."""

    op: str
    guard: tuple[Expr, ...] = ()
    steps: tuple[Expr, ...] = ()
    feature: Feature | None = None


@dataclass(frozen=True)
class Shape:
    """Rules, and their constants: theta[i][s] the logarithm of the value (for `share` of its odds), beta[i] the feature's power."""

    rules: tuple[RuleShape, ...]
    theta: tuple[tuple[float, ...], ...]
    beta: tuple[float, ...]

    def without(self, i: int) -> Shape:
        return Shape(_drop(self.rules, i), _drop(self.theta, i), _drop(self.beta, i))

    def with_rule(self, rule: RuleShape, theta: tuple[float, ...], beta: float = 0.0, at: int | None = None) -> Shape:
        at = len(self.rules) if at is None else at
        return Shape(
            (*self.rules[:at], rule, *self.rules[at:]),
            (*self.theta[:at], theta, *self.theta[at:]),
            (*self.beta[:at], beta, *self.beta[at:]),
        )

    def changed(self, i: int, rule: RuleShape, theta: tuple[float, ...], beta: float = 0.0) -> Shape:
        return self.without(i).with_rule(rule, theta, beta, i)


def _drop(items: tuple, i: int) -> tuple:
    return items[:i] + items[i + 1 :]


def program(shape: Shape, digits: int = 3) -> Program:
    """The shape as a program of the language, its constants with so many significant digits."""
    return Program(
        tuple(
            Rule(rule.op, value(rule, theta, beta, digits), all_of(rule.guard))
            for rule, theta, beta in zip(shape.rules, shape.theta, shape.beta, strict=True)
        )
    )


def value(rule: RuleShape, theta: tuple[float, ...], beta: float, digits: int) -> Expr:
    def number(x: float) -> str:
        return plain(x, digits)

    def constant(t: float) -> str:
        t = min(max(t, -30.0), 30.0)
        return number(1 / (1 + math.exp(-t)) if rule.op == "share" else math.exp(t))

    known = {c.name: c for c in concepts_of(*rule.steps)}
    text = ""
    for step, t in zip(rule.steps, theta, strict=False):
        text += f"{constant(t)} if {step} else "
    last = constant(theta[-1])
    if rule.feature is None:
        return parse_expression(text + last, known)
    factor = rule.feature.text.replace("{}", number(beta)).replace("[]", number(math.exp(min(max(beta, -30.0), 30.0))))
    if not rule.steps:
        return parse_expression(factor if last == "1" else f"{last} * {factor}")
    return parse_expression(f"({text}{last}) * {factor}", known)


def plain(x: float, digits: int) -> str:
    """A number without an exponent, with so many significant digits."""
    if x == 0 or not math.isfinite(x):
        return "0"
    rounded = float(f"{x:.{digits}g}")
    text = f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def size(shape: Shape) -> int:
    """Tokens of the program's text, as `dsl.size` counts them before simplification."""
    return sum(rule_size(r, t) for r, t in zip(shape.rules, shape.theta, strict=True))


def rule_size(rule: RuleShape, theta: tuple[float, ...] = ()) -> int:
    total = 2  # the operation and its last constant
    if rule.guard:
        total += 1 + sum(tokens(g) for g in rule.guard) + len(rule.guard) - 1
    for step in rule.steps:
        total += 3 + tokens(step)
    total += 2 * max(0, len(rule.steps) - 1)  # brackets around what follows an `else`
    if rule.feature is not None:
        unit = not rule.steps and theta and abs(theta[-1]) < 1e-6
        total += rule.feature.size + (-1 if unit else 1) + (2 if rule.steps else 0)
    return total


def tokens(node: Expr) -> int:
    """Tokens of an expression's text."""
    return node_size(node)
