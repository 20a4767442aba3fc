"""Where weights meet limits: up to there the last bit of a weight may decide, and its decimals are added as they are written."""

from __future__ import annotations

from collections.abc import Iterator

from dsl.canonical.estimates import bounds
from dsl.canonical.facts import NO_FACTS
from dsl.canonical.flatten import Item, kept_name
from dsl.canonical.logic import parts
from dsl.nodes import Binary, Call, Compare, Expr, Let, Member, Node, Num, walk

FINEST = 2.0**20


def is_exact(value: Expr | None) -> bool:
    """A constant that doubles add without rounding: a multiple of a power of two."""
    return isinstance(value, Num) and (value.value * FINEST).is_integer()


def before_limits(items: list[Item]) -> int:
    """How many rules stand before the last one for which weights are compared with a limit or rounded."""
    for at in range(len(items) - 1, -1, -1):
        if any(_is_limit(x, items[:at]) for e in _expressions(items[at]) for x in walk(e)):
            return at
    return 0


def _expressions(item: Item) -> Iterator[Expr]:
    yield from (e for e in ((item.value,) if isinstance(item, Let) else (item.guard, item.value)) if e is not None)


def _is_limit(e: Node, before: list[Item]) -> bool:
    match e:
        case Compare(_, left, right):
            for weights, limit in ((left, right), (right, left)):
                if limit == Num(0.0) and kept_name(weights):
                    return not all(_grows(b) for b in before)  # what is added to nothing is 0 as long as nothing is added
            return kept_name(left) or kept_name(right)
        case Member(item):
            return kept_name(item)
        case Call("floor" | "round", args):
            return any(map(kept_name, args))
        case Binary("//" | "%", left, right):
            return kept_name(left) or kept_name(right)
    return False


def _grows(item: Item) -> bool:
    if isinstance(item, Let) or item.value is None or item.op == "share":
        return True
    return bounds(item.value, NO_FACTS.given(parts(item.guard)))[0] >= 0
