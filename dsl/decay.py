"""Powers and exponentials of the distance told by their values: "1 at the token itself, 0.35 one back, at most 0.02 from 20 on"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from dsl.nodes import AnyNode, Binary, Call, Compare, Expr, Name, Neg, Num, walk

WORDS = {1: "one", 5: "five", 20: "twenty"}
DISTANCES = (0, 1, 5, 20)
FAR = (30, 50, 100, 200)  # where a value that falls must have gone on falling
_OPERATIONS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
}
_COMPARED = {"<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y}


def told(value: Expr, guard: Sequence[Expr] = ()) -> str | None:
    """What the powers and exponentials of the distance in a rule's value come to at a few distances that its guard allows.

    None where there are none, where they depend on anything else, or where fewer than two of the distances are allowed. Of a
    product only the factors by distance are told.
    """
    factors = _factors(value)
    by_distance = [f for f in factors if _names(f) <= {"dist"} and not _reads_tokens(f)]
    if not any(_curved(f) for f in by_distance):
        return None
    allowed = [d for d in DISTANCES if all(_allows(part, d) for part in guard)]
    try:
        numbers = {d: math.prod(_at(f, d) for f in by_distance) for d in (*allowed, *FAR)}
    except (_NotTold, ArithmeticError, ValueError):
        return None
    if len(allowed) < 2 or not all(math.isfinite(x) for x in numbers.values()):
        return None
    away = "away" if any(isinstance(n, Call) and n.name == "abs" for f in by_distance for n in walk(f)) else "back"
    falls = [numbers[d] for d in (*allowed[-2:], *FAR)]
    ends = allowed[-1] == DISTANCES[-1] and all(a > b for a, b in pairwise(falls)) and all(map(_open, guard))
    words = [_place(numbers[d], d, away) for d in allowed[:-1]]
    last = allowed[-1]
    words.append(f"at most {_short(numbers[last])} from {last} on" if ends else _place(numbers[last], last, away))
    said = ", ".join(words)
    return said if len(by_distance) == len(factors) else f"by distance {said}"


class _NotTold(Exception):
    """An expression has no value at a distance alone."""


def _factors(value: Expr) -> list[Expr]:
    match value:
        case Binary("*", left, right):
            return [*_factors(left), *_factors(right)]
    return [value]


def _curved(node: Expr) -> bool:
    """Whether the distance stands in a power or an exponential."""
    return any(
        "dist" in _names(n) and ((isinstance(n, Binary) and n.op == "**") or (isinstance(n, Call) and n.name == "exp"))
        for n in walk(node)
    )


def _names(node: AnyNode) -> set[str]:
    return {n.name for n in walk(node) if isinstance(n, Name)}


def _reads_tokens(node: Expr) -> bool:
    return any(isinstance(n, Call) and n.name not in _FUNCTIONS for n in walk(node))


def _at(node: Expr, distance: float) -> float:
    match node:
        case Num(value):
            return value
        case Name("dist"):
            return distance
        case Neg(item):
            return -_at(item, distance)
        case Binary(op, left, right) if op in _OPERATIONS:
            return float(_OPERATIONS[op](_at(left, distance), _at(right, distance)))
        case Call(name, args) if name in _FUNCTIONS:
            return float(_FUNCTIONS[name](*(_at(a, distance) for a in args)))
    raise _NotTold


def _allows(part: Expr, distance: int) -> bool:
    """Whether a part of a guard can hold at a distance; what speaks of more than the distance can."""
    match part:
        case Compare(op, left, right) if _names(part) == {"dist"}:
            try:
                x, y = _at(left, distance), _at(right, distance)
            except _NotTold:
                return True
            return _COMPARED[op](x, y) if op in _COMPARED else (x == y) == (op == "==")
    return True


def _open(part: Expr) -> bool:
    """Whether a part of a guard that holds at the last distance holds beyond it too."""
    return all(_allows(part, d) for d in FAR)


def _place(number: float, distance: int, away: str) -> str:
    return f"{_short(number)} " + ("at the token itself" if distance == 0 else f"{WORDS[distance]} {away}")


def _short(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"
