"""Infinity, which the language does not know: a number larger than any other stands for it, where that comes to the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dsl.lift.rounding import INFINITE
from dsl.nodes import FALSE, TRUE, Aggregate, Binary, Call, Expr, IfElse, Neg, Num

if TYPE_CHECKING:
    from dsl.lift.machine import Machine

LARGE, SMALL = 1e290, 1e-290  # what lies beyond is told from infinity and from 0 by no arithmetic
REASON = "arithmetic with infinity"


def kept(m: Machine, x: float) -> float:
    """A number of the program as the lifter keeps it. Raises Refusal for NaN and for numbers too large or too small."""
    if isinstance(x, float) and math.isnan(x):
        m.refuse("not a number (NaN)")
    if x in (math.inf, -math.inf):
        return math.copysign(INFINITE, x)
    if abs(x) > LARGE:
        m.refuse(f"a number beyond {LARGE:g}")
    if 0 < abs(x) < SMALL:
        m.refuse(f"a number below {SMALL:g}")
    return x


def real(x: float) -> float:
    """Python's own number."""
    return math.copysign(math.inf, x) if abs(x) == INFINITE else x


def is_endless(e: Expr) -> bool:
    """Whether the number may be infinite."""
    match e:
        case Num(value):
            return abs(value) >= LARGE
        case Call("exp", _) | Aggregate("count" | "any"):
            return False  # infinity itself is not taken to the exponential
        case IfElse(_, a, b) | Binary(_, a, b):
            return is_endless(a) or is_endless(b)
        case Neg(item):
            return is_endless(item)
        case Call(_, args):
            return any(map(is_endless, args))
        case Aggregate(_, _, _, value) if value is not None:
            return is_endless(value)
    return False


def is_lowest(e: Expr, sign: int = 1) -> bool:
    """Whether e (or -e, for a sign of -1) is a number or minus infinity, never plus infinity."""
    match e:
        case Num(value):
            return sign * value < LARGE
        case Neg(item):
            return is_lowest(item, -sign)
        case IfElse(_, a, b) | Binary("+", a, b) | Call("default", (a, b)):
            return is_lowest(a, sign) and is_lowest(b, sign)
        case Binary("-", a, b):
            return is_lowest(a, sign) and is_lowest(b, -sign)
        case Call("min" | "max", args):
            return all(is_lowest(a, sign) for a in args)
        case Aggregate("min" | "max", _, _, value) if value is not None:
            return is_lowest(value, sign)
    return not is_endless(e)


def compared(op: str, e: Expr, limit: Expr) -> tuple[str, Expr] | Expr | None:
    """How e compares with an infinite limit: with a number that only infinity reaches. None where the limit is a number."""
    if not isinstance(limit, Num) or abs(limit.value) != INFINITE:
        return None
    if limit.value > 0:
        return {">": FALSE, "<=": TRUE}.get(op) or ({"==": ">=", ">=": ">=", "!=": "<", "<": "<"}[op], Num(LARGE))
    return {"<": FALSE, ">=": TRUE}.get(op) or ({"==": "<=", "<=": "<=", "!=": ">", ">": ">"}[op], Num(-LARGE))
