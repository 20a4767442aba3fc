"""Guards and numbers rewritten so that each part depends on as little as possible: on q, on k, on q - k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dsl import kernels as kn
from dsl.nodes import (
    DIST,
    Aggregate,
    And,
    Binary,
    Call,
    Compare,
    Expr,
    Find,
    K,
    Name,
    Not,
    Num,
    Or,
    Q,
    Range,
    Same,
    free_names,
    walk,
)

Axis = Literal["text", "query", "key", "offset", "cell"]
TEXTUAL = frozenset({"q", "k", "n"})
_MIRRORED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "!=": "=="}
_OF_KEY = {"==": kn.K_AT, ">=": kn.K_FROM, ">": kn.K_AFTER, "<=": kn.K_UNTIL, "<": kn.K_BEFORE}
_OF_DIST = {"==": kn.DIST_AT, ">=": kn.DIST_FROM, ">": kn.DIST_AFTER, "<=": kn.DIST_UNTIL, "<": kn.DIST_BEFORE}


def axis_of(e: Expr) -> Axis:
    """What a value depends on. A name that stands for cells counts as a cell."""
    names = free_names(e)
    if not names <= TEXTUAL:
        return "cell"
    if "q" not in names:
        return "key" if "k" in names else "text"
    if "k" not in names:
        return "query"
    return "offset" if _of_dist(e) else "cell"


def _of_dist(e: Expr) -> bool:
    """Reads q and k only as dist."""
    return not any(isinstance(x, Same | Find | Aggregate) or x in (Q, K) for x in walk(e))


def conjunction(parts: Sequence[Expr]) -> Expr:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def grouped(kind: type[And] | type[Or], items: Sequence[Expr]) -> list[Expr]:
    """The items, those of one axis together: together they are one operand."""
    groups: dict[str, list[Expr]] = {}
    for i, item in enumerate(items):
        axis = axis_of(item)
        groups.setdefault("query" if axis == "text" else f"cell {i}" if axis == "cell" else axis, []).append(item)
    return [g[0] if len(g) == 1 else kind(tuple(g)) for g in groups.values()]


def parts_of(guard: Expr) -> tuple[Expr, ...]:
    """Guards that together say the same: `and` taken apart, `not` pushed inwards."""
    match guard:
        case And(items):
            return tuple(p for i in items for p in parts_of(i))
        case Not(Not(item)):
            return parts_of(item)
        case Not(Or(items)):
            return tuple(p for i in items for p in parts_of(Not(i)))
        case Not(Compare(op, left, right)) if op in _OPPOSITE and _whole(left) and _whole(right):
            return parts_of(Compare(_OPPOSITE[op], left, right))
        case Not(Compare("==", left, right)) if left == K and right == Num(0.0):
            return (Compare(">", K, Num(0.0)),)
    return (guard,)


def narrowing(part: Expr) -> tuple[int, Expr | None]:
    """A comparison of k or dist with something that does not depend on k, as the inner loops narrow a row by it."""
    if isinstance(part, Compare):
        for op, left, right in ((part.op, part.left, part.right), (_MIRRORED.get(part.op, ""), part.right, part.left)):
            if "k" in free_names(right):
                continue
            if op in _OF_KEY and left == K:
                return _OF_KEY[op], right
            if op in _OF_DIST and left == DIST:
                return _OF_DIST[op], right
            if op == "<=" and left == Call("abs", (DIST,)):
                return kn.NEAR, right
    return -1, None


def apart(kind: str, var: str, low: Expr | None, high: Expr | None, guard: Expr | None) -> Expr | None:
    """A count from a bound of one position to a bound of the other as a difference of two counts that see one position each."""
    if low is None or high is None or guard is None or kind not in ("count", "any", "all"):
        return None
    if not free_names(guard) <= {var, "n"} or not _whole(low) or not _whole(high):
        return None
    held = Not(guard) if kind == "all" else guard
    before = Binary("-", low, Num(1.0))
    number = Binary("-", Aggregate("count", Range(var, None, high), held), Aggregate("count", Range(var, None, before), held))
    if kind == "count":
        return Call("max", (number, Num(0.0)))
    return Compare("<=" if kind == "all" else ">", number, Num(0.0))


def _whole(e: Expr) -> bool:
    """A whole number that is never missing."""
    match e:
        case Num(number):
            return abs(number) < 1e15 and number == int(number)
        case Name(name):
            return name in ("q", "k", "n", "dist")
        case Binary("+" | "-", left, right):
            return _whole(left) and _whole(right)
    return False
