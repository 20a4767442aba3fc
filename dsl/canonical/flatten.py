"""A program as a flat list of guarded rules: names put in, blocks and choices turned into guards.

A name that holds weights as they were (a `let` or a block's guard that reads them) stays in the list as a `let`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dsl.canonical.binders import rename
from dsl.canonical.estimates import is_missing, may_be_missing
from dsl.canonical.expressions import simplified
from dsl.canonical.facts import BEFORE, NO_FACTS, WAS, Facts, sort
from dsl.canonical.logic import parts
from dsl.nodes import (
    FALSE,
    TRUE,
    And,
    Binary,
    Block,
    Call,
    Expr,
    IfElse,
    Let,
    Name,
    Not,
    Num,
    Rule,
    Statement,
    free_names,
    substitute,
)

WEIGHT = Name("weight")
MOST_LEAVES = 8


@dataclass(frozen=True)
class Act:
    """One rule; the guard is a conjunction in canonical form (TRUE: everywhere)."""

    op: str
    value: Expr | None
    guard: Expr

    @property
    def reads(self) -> bool:
        """Whether it reads weights (those of its own cell through the operation aside)."""
        return self.op in ("normalize", "share") or self.asks

    @property
    def asks(self) -> bool:
        """Whether its guard or its value reads weights."""
        return _reads(self.guard) or (self.value is not None and _reads(self.value))

    @property
    def sure(self) -> bool:
        """Whether it acts wherever the guard holds."""
        return self.value is None or not may_be_missing(self.value, NO_FACTS.given(parts(self.guard)))


Item = Act | Let


def _reads(node: Expr) -> bool:
    return bool(free_names(node) & {"weight", "row"})


def kept_name(node: Expr) -> bool:
    """Whether the value depends on when it is computed."""
    return any(n in ("weight", "row") or n.startswith((WAS, BEFORE)) for n in free_names(node))


def flatten(statements: tuple[Statement, ...]) -> list[Item]:
    """The rules with all guards around them; names are replaced by what they stand for."""
    counts = {WAS: 0, BEFORE: 0}
    return list(_flat(statements, (), {}, counts))


def _flat(
    statements: tuple[Statement, ...], path: tuple[Expr, ...], names: dict[str, Expr], counts: dict[str, int]
) -> Iterator[Item]:
    def keep(value: Expr) -> tuple[Name, Let]:
        prefix = WAS if sort(value) == "guard" else BEFORE
        counts[prefix] += 1
        name = prefix + (str(counts[prefix]) if counts[prefix] > 1 else "")
        return Name(name), Let(name, value)

    for s in statements:
        match s:
            case Let(name, value):
                value = simplified(rename(substitute(value, names)))
                if kept_name(value):
                    new, let = keep(value)
                    yield let
                    value = new
                names = {**names, name: value}
            case Block(guard, then, other):
                guard = simplified(rename(substitute(guard, names)))
                if _reads(guard) and (other or len(then) != 1 or not isinstance(then[0], Rule)):
                    new, let = keep(guard)
                    yield let
                    guard = new
                yield from _flat(then, (*path, guard), names, counts)
                yield from _flat(other, (*path, Not(guard)), names, counts)
            case Rule(op, value, guard):
                own = () if guard is None else (rename(substitute(guard, names)),)
                whole = simplified(And((*path, *own))) if path or own else TRUE
                yield from _acts(op, None if value is None else rename(substitute(value, names)), whole)


def _acts(op: str, value: Expr | None, guard: Expr) -> Iterator[Act]:
    """The rule in simpler rules: choices become guards, sums of choices several rules."""
    if op == "share" and value is not None:
        yield shared(simplified(value, NO_FACTS.given(parts(guard))), guard)
        return
    if guard == FALSE:
        return
    if value is None:
        yield Act(op, None, guard)
        return
    facts = NO_FACTS.given(parts(guard))
    value = simplified(value, facts)
    if is_missing(value):
        return
    op, value = _own_weight(op, value)
    if not _reads(value) and not _reads(guard):
        if op == "add":
            yield from _added(value, guard, facts)
            return
        leaves = list(_leaves(value))
        if 1 < len(leaves) <= MOST_LEAVES:
            for tests, leaf in leaves:
                yield from _acts(op, leaf, simplified(And((guard, *tests))))
            return
    neutral = {"add": Num(0.0), "scale": Num(1.0)}
    if value != neutral.get(op) and not (op == "set" and value == WEIGHT):
        yield Act("set", value, guard) if (op, value) == ("scale", Num(0.0)) else Act(op, value, guard)


def _added(value: Expr, guard: Expr, facts: Facts) -> Iterator[Act]:
    """add a + (b if t else c) is add a, and add b where t, add c elsewhere."""
    addends = list(_addends(value, False))
    choices = [(a, minus) for a, minus in addends if _chooses(a)]
    if choices and not (len(addends) > 1 and any(may_be_missing(a, facts) for a, _ in addends)):
        rest = [Binary("*", Num(-1.0), a) if minus else a for a, minus in addends if not _chooses(a)]
        total: Expr | None = None
        for r in rest:
            total = r if total is None else Binary("+", total, r)
        if total is not None:
            yield from _acts("add", total, guard)
        for choice, minus in choices:
            leaves = list(_leaves(_lifted(choice)))
            if len(leaves) > MOST_LEAVES:
                yield Act("add", Binary("*", Num(-1.0), choice) if minus else choice, guard)
                continue
            for tests, leaf in leaves:
                yield from _acts("add", Binary("*", Num(-1.0), leaf) if minus else leaf, simplified(And((guard, *tests))))
    elif value != Num(0.0):
        yield Act("add", value, guard)


def shared(value: Expr, guard: Expr) -> Act:
    """A share; where the guard holds everywhere or nowhere, rows keep their proportions: share 1 everywhere."""
    if guard == FALSE or is_missing(value) or (guard == TRUE and not may_be_missing(value)):
        return Act("share", Num(1.0), TRUE)
    return Act("share", Num(min(max(value.value, 0.0), 1.0)) if isinstance(value, Num) else value, guard)


def _addends(value: Expr, minus: bool) -> Iterator[tuple[Expr, bool]]:
    match value:
        case Binary("+" | "-" as op, left, right):
            yield from _addends(left, minus)
            yield from _addends(right, minus != (op == "-"))
        case _:
            yield value, minus


def _chooses(value: Expr) -> bool:
    return isinstance(_lifted(value), IfElse)


def _lifted(value: Expr) -> Expr:
    """x * (a if t else 0) is (x * a) if t else 0 where x is never missing."""
    if isinstance(value, Binary) and value.op in ("*", "/"):
        left = _lifted(value.left)
        for choice, put in (
            (left, lambda x: Binary(value.op, x, value.right)),
            (value.right, lambda x: Binary("*", value.left, x)),
        ):
            if isinstance(choice, IfElse) and Num(0.0) in (choice.then, choice.other) and (choice is left or value.op == "*"):
                if may_be_missing(value.right if choice is left else value.left):
                    continue
                then, other = (x if x == Num(0.0) else put(x) for x in (choice.then, choice.other))
                return IfElse(choice.test, then, other)
    return value


def _leaves(value: Expr) -> Iterator[tuple[tuple[Expr, ...], Expr]]:
    if not isinstance(value, IfElse):
        yield (), value
        return
    for tests, leaf in _leaves(value.then):
        yield (value.test, *tests), leaf
    for tests, leaf in _leaves(value.other):
        yield (Not(value.test), *tests), leaf


def _own_weight(op: str, value: Expr) -> tuple[str, Expr]:
    """set weight + v is add v; set c * weight is scale c; set max(weight, v) is max v."""
    if op != "set":
        return op, value
    match value:
        case Binary("+", w, v) if w == WEIGHT:
            return "add", v
        case Binary("+", v, w) if w == WEIGHT:
            return "add", v
        case Binary("-", w, v) if w == WEIGHT:
            return "add", simplified(Binary("*", Num(-1.0), v))
        case Binary("*", v, w) if w == WEIGHT:
            return "scale", v
        case Binary("*", w, v) if w == WEIGHT:
            return "scale", v
        case Binary("/", w, v) if w == WEIGHT:
            return "scale", simplified(Binary("/", Num(1.0), v))
        case Call("max" | "min" as name, args) if WEIGHT in args and len(args) == 2:
            return name, args[0] if args[1] == WEIGHT else args[1]
    return op, value
