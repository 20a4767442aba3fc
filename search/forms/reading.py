"""Programs of the language read as shapes: the way back from search/forms/shapes.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dsl.nodes import Binary, Block, Expr, IfElse, Neg, Not, Num, Program, Rule, Statement, all_of, free_names
from dsl.parser import parse_expression
from search.forms.shapes import Feature, RuleShape, Shape

PLACE = 7.5  # a power that no feature's text holds


def read(program: Program, features: Sequence[Feature]) -> Shape | None:
    """The shape whose program this is; None where a rule has another form, or acts on nothing before it."""
    rules: list[RuleShape] = []
    theta: list[tuple[float, ...]] = []
    beta: list[float] = []
    for rule, guard in _leaves(program.statements, ()):
        if rule.op not in ("add", "scale", "set", "share") or rule.value is None:
            return None
        found = _value(rule.value, features)
        if found is None or free_names(all_of(guard) or Num(0.0)) - {"q", "k", "n"}:
            return None
        steps, constants, feature, power = found
        if rule.op == "share" and (feature is not None or not all(0 < c < 1 for c in constants)):
            return None
        if not all(c > 0 for c in constants):
            return None
        rules.append(RuleShape(rule.op, guard, steps, feature))
        theta.append(tuple(math.log(c / (1 - c)) if rule.op == "share" else math.log(c) for c in constants))
        beta.append(power)
    return Shape(tuple(rules), tuple(theta), tuple(beta)) if rules else None


def _leaves(statements: Sequence[Statement], guard: tuple[Expr, ...]) -> list[tuple[Rule, tuple[Expr, ...]]]:
    found = []
    for s in statements:
        match s:
            case Rule():
                found.append((s, guard if s.guard is None else (*guard, *_parts(s.guard))))
            case Block(test, then, other):
                found += _leaves(then, (*guard, *_parts(test)))
                found += _leaves(other, (*guard, Not(test)))
            case _:
                return [(Rule("normalize", None), ())]  # a `let`: not read
    return found


def _parts(guard: Expr) -> tuple[Expr, ...]:
    return tuple(getattr(guard, "items", (guard,))) if type(guard).__name__ == "And" else (guard,)


def _value(node: Expr, features: Sequence[Feature]) -> tuple[tuple[Expr, ...], tuple[float, ...], Feature | None, float] | None:
    steps = _steps(node)
    if steps is not None:
        return (*steps, None, 0.0)
    power = _feature(node, features)
    if power is not None:
        return (), (1.0,), *power
    if isinstance(node, Binary) and node.op == "*":
        for left, right in ((node.left, node.right), (node.right, node.left)):  # the canonical form orders factors
            steps, power = _steps(left), _feature(right, features)
            if steps is not None and power is not None:
                return *steps, *power
    return None


def _steps(node: Expr) -> tuple[tuple[Expr, ...], tuple[float, ...]] | None:
    match node:
        case Num(value):
            return (), (value,)
        case IfElse(test, Num(value), other) if not free_names(test) - {"q", "n"}:
            rest = _steps(other)
            return None if rest is None else ((test, *rest[0]), (value, *rest[1]))
    return None


def _feature(node: Expr, features: Sequence[Feature]) -> tuple[Feature, float] | None:
    """The feature and its power where the node is one."""
    if not (isinstance(node, Binary) and node.op == "**"):
        return None
    for feature in features:
        model = parse_expression(feature.text.replace("{}", str(PLACE)).replace("[]", str(PLACE)))
        assert isinstance(model, Binary)
        if "[]" in feature.text:
            base = _number(node.left)
            if node.right == model.right and base is not None and base > 0:
                return feature, math.log(base)
        else:
            power = _number(node.right)
            if node.left == model.left and power is not None:
                return feature, power
    return None


def _number(node: Expr) -> float | None:
    match node:
        case Num(value):
            return value
        case Neg(Num(value)):
            return -value
    return None
