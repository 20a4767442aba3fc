"""Which operation a rule is, and which rules form a block."""

from __future__ import annotations

from typing import Any

from dsl.lift.guards import and_, if_, not_
from dsl.lift.normal import Step
from dsl.lift.ranges import built_anew, transform
from dsl.lift.terms import ONE, ZERO, arith, neg
from dsl.lift.values import X0
from dsl.nodes import (
    TRUE,
    Aggregate,
    Binary,
    Block,
    Call,
    Expr,
    IfElse,
    Let,
    Name,
    Range,
    Rule,
    Statement,
    free_names,
)


def top_down(e: Expr, change: Any) -> Expr:
    """The topmost parts that `change` replaces."""

    new = change(e)
    if new is not None:
        return new
    return built_anew(e, lambda x: top_down(x, change))


def strip_reads(e: Expr) -> Expr:
    def change(x: Any) -> Any:
        if isinstance(x, Call) and x.name.startswith("@"):
            return Call("@", tuple(strip_reads(a) for a in x.args))
        return None

    return transform(e, change)


def rows(e: Expr) -> Expr:
    """The sum of a whole row is `row`."""

    def change(x: Any) -> Any:
        if not isinstance(x, Aggregate) or x.kind != "sum" or x.guard is not None:
            return None
        whole_row = x.range == Range(x.range.var) and x.value == Call("weight", (X0, Name(x.range.var)))
        return Name("row") if whole_row else None

    return transform(e, change)


def operation(op: str, value: Expr) -> list[tuple[str, Expr | None, Expr]]:
    """`set` of an expression of the weight itself as another operation; one rule (op, value, guard) or several."""

    w = Name("weight")
    if op == "set":
        match value:
            case Name("weight"):
                return []
            case Binary("*", a, b) if w in (a, b) and not reads_weight(b if a == w else a):
                return operation("scale", b if a == w else a)
            case Binary("/", a, Name("row")) if a == w:
                return [("normalize", None, TRUE)]
            case Binary("/", a, b) if a == w and not reads_weight(b):
                return operation("scale", arith("/", ONE, b))
            case Binary("+", a, b) if w in (a, b) and not reads_weight(b if a == w else a):
                return operation("add", b if a == w else a)
            case Binary("-", a, b) if a == w and not reads_weight(b):
                return operation("add", neg(b))
            case Call("max" | "min", args) if w in args:
                rest = tuple(a for a in args if a != w)
                if not any(reads_weight(r) for r in rest):
                    return [(value.name, rest[0] if len(rest) == 1 else Call(value.name, rest), TRUE)]
            case IfElse(test, then, other):
                if then == w:
                    return [(o, v, and_(not_(test), g)) for o, v, g in operation(op, other)]
                if other == w:
                    return [(o, v, and_(test, g)) for o, v, g in operation(op, then)]
    if op == "scale" and isinstance(value, IfElse):
        if value.other == ONE:
            return [(o, v, and_(value.test, g)) for o, v, g in operation(op, value.then)]
        if value.then == ONE:
            return [(o, v, and_(not_(value.test), g)) for o, v, g in operation(op, value.other)]
    if op == "scale" and value == Binary("/", ONE, Name("row")):
        return [("normalize", None, TRUE)]
    if op == "scale" and value == ZERO:
        return [("set", ZERO, TRUE)]
    if op == "scale" and value == ONE:
        return []
    if op == "add" and isinstance(value, IfElse):
        if value.other == ZERO:
            return [(o, v, and_(value.test, g)) for o, v, g in operation(op, value.then)]
        if value.then == ZERO:
            return [(o, v, and_(not_(value.test), g)) for o, v, g in operation(op, value.other)]
    if op == "add" and value == ZERO:
        return []
    if op in ("set", "add") and isinstance(value, Binary) and value.op in "+-" and isinstance(value.right, IfElse):
        extra = value.right
        if ZERO in (extra.then, extra.other) and not reads_weight(value):
            more = extra if value.op == "+" else if_(extra.test, arith("-", ZERO, extra.then), arith("-", ZERO, extra.other))
            return [*operation(op, value.left), *operation("add", more)]
    return [(op, value, TRUE)]


def reads_weight(e: Expr) -> bool:
    return bool({"weight", "row"} & free_names(e))


def nested(leaves: list[tuple[list[Step], Rule | Let]]) -> tuple[Statement, ...]:
    """Consecutive rules that share their first steps become a block."""
    result: list[Statement] = []
    i = 0
    while i < len(leaves):
        steps, leaf = leaves[i]
        if not steps:
            result.append(leaf)
            i += 1
            continue
        key, cond = steps[0].key, steps[0].cond
        then: list[tuple[list[Step], Rule | Let]] = []
        other: list[tuple[list[Step], Rule | Let]] = []
        while i < len(leaves):
            more, leaf = leaves[i]
            if not more or more[0].key != key or more[0].cond != cond:
                break
            if more[0].positive and other:
                break
            (then if more[0].positive else other).append((more[1:], leaf))
            i += 1
        result.extend(block(cond, nested(then), nested(other)))
    return tuple(result)


def block(cond: Expr, then: tuple[Statement, ...], other: tuple[Statement, ...]) -> list[Statement]:
    if not then and not other:
        return []
    if not then:
        return block(not_(cond), other, ())
    if not other and len(then) == 1:
        (inner,) = then
        if isinstance(inner, Rule):
            return [Rule(inner.op, inner.value, and_(cond, inner.guard if inner.guard is not None else TRUE))]
        if isinstance(inner, Block) and not inner.other:
            return [Block(and_(cond, inner.guard), inner.then)]
    return [Block(cond, then, other)]
