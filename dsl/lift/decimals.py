"""Sums of decimals against a limit: which of them rounding decides.

0.1 eight times added up is less than 0.8, and 0.1 * 8 is not. Where the lifted program adds in another order than Python, or
multiplies, a comparison must not hang on the last bit.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from dsl.lift.terms import FLIP, bounds, whole
from dsl.nodes import Aggregate, Binary, Call, Expr, IfElse, Neg, Num, walk

NEAR = 1e-9
FINEST = 10**9  # the largest denominator of a number that counts as a decimal
ROUNDS = 4096  # of a loop, followed to see whether a sum and a product compare alike
BINARY = 2.0**20
REASON = "a sum of decimals that could meet this limit exactly"
_TRUTH: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Repeated:
    """A number with a constant added once for every element counted, one after the other as Python adds them."""

    start: float
    step: float
    count: Expr


@dataclass(frozen=True)
class Awaited:
    """A comparison with a variable of a loop whose value is not known yet."""

    op: str
    a: Expr
    b: Expr
    line: int


@dataclass(frozen=True)
class Grid:
    """What an expression may be: offset plus any multiple of step, without rounding."""

    offset: Fraction
    step: Fraction

    @property
    def is_exact(self) -> bool:
        """Doubles add such numbers without rounding."""
        return all((x * int(BINARY)).denominator == 1 for x in (self.offset, self.step))


def is_binary(x: float) -> bool:
    """A number that doubles add without rounding: a multiple of a power of two."""
    return (x * BINARY).is_integer() if math.isfinite(x) else False


def total(parts: Iterable[float], unsure: float) -> float:
    """The sum of a bound's parts; `unsure` where rounding decides its sign."""
    filled = [p for p in parts if p]
    result = sum(filled)
    if not math.isfinite(result) or len(filled) < 2 or all(map(is_binary, filled)):
        return result
    return unsure if abs(result) <= NEAR * max(map(abs, filled)) else result


def grid(e: Expr) -> Grid | None:
    """The numbers that an expression of decimals may be; None where they are not decimals."""
    match e:
        case Num(value):
            exact = Fraction(f"{value:.12g}") if math.isfinite(value) else None  # 0.1 + 0.2 is 0.3 here
            return None if exact is None or exact.denominator > FINEST else Grid(exact, Fraction(0))
        case Neg(item):
            inner = grid(item)
            return None if inner is None else Grid(-inner.offset, inner.step)
        case IfElse(_, a, b) | Call("default", (a, b)):
            return _either(grid(a), grid(b))
        case Aggregate("sum", _, _, value) if value is not None:
            inner = grid(value)
            return None if inner is None else Grid(Fraction(0), _common(inner.offset, inner.step))
        case Binary("/", a, Num(by)) if by:
            return _product(grid(a), Grid(1 / Fraction(by), Fraction(0)) if is_binary(by) else None)
        case Binary("+" | "-" | "*" as op, a, b):
            x, y = grid(a), grid(b)
            if op == "*":
                return _product(x, y)
            if x is None or y is None:
                return None
            return Grid(x.offset + y.offset if op == "+" else x.offset - y.offset, _common(x.step, y.step))
    return Grid(Fraction(0), Fraction(1)) if whole(e) else None


def _common(a: Fraction, b: Fraction) -> Fraction:
    """The greatest number of which both are multiples."""
    return Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


def _either(a: Grid | None, b: Grid | None) -> Grid | None:
    if a is None or b is None:
        return None
    return Grid(a.offset, _common(_common(a.step, b.step), a.offset - b.offset))


def _product(a: Grid | None, b: Grid | None) -> Grid | None:
    if a is None or b is None:
        return None
    return Grid(a.offset * b.offset, _common(_common(a.offset * b.step, b.offset * a.step), a.step * b.step))


def is_inexact(e: Expr) -> bool:
    found = grid(e)
    return found is not None and not found.is_exact


def could_meet(a: Expr, b: Expr) -> bool:
    """Whether two expressions of decimals may be equal but for rounding."""
    x, y = grid(a), grid(b)
    if x is None or y is None:
        return False
    between, step = x.offset - y.offset, _common(x.step, y.step)
    if (between % step if step else between) != 0:
        return False
    (low, high), (least, most) = bounds(a), bounds(b)
    return low - most <= NEAR and high - least >= -NEAR


class Sums:
    """The products of a program that stand for sums of a decimal."""

    def __init__(self) -> None:
        self.repeated: dict[Expr, Repeated] = {}  # those known to add the same number one by one
        self._shapes: set[str] = set()

    def note(self, made: Expr, value: Expr) -> Expr:
        """`made`, the sum of `value` over a range: remembered where it is a product, and doubles would round the sum otherwise."""
        if isinstance(made, Binary) and made.op == "*" and is_inexact(value):
            self._shapes.add(_shape(made))
        return made

    def within(self, e: Expr) -> bool:
        """Whether the expression adds up decimals in another way than Python does."""
        for part in walk(e):
            if isinstance(part, Aggregate) and part.kind == "sum" and is_inexact(part):
                return True
            if isinstance(part, Binary) and part.op == "*" and _shape(part) in self._shapes:
                return True
        return False

    def decided_by_rounding(self, op: str, a: Expr, b: Expr) -> bool:
        """Whether a op b may differ from Python's, because a sum in it is rounded otherwise."""
        for x, y, way in ((a, b, op), (b, a, FLIP[op])):
            repeated = self.repeated.get(x)
            if repeated is not None and isinstance(y, Num):
                return not compares_alike(way, repeated, y.value)
        return could_meet(a, b) and (self.within(a) or self.within(b))


def _shape(e: Expr) -> str:
    """The expression whatever its variables are called: a cell is read at other indices than it is written at."""
    return re.sub(r"\$\w+", "$", str(e))


def compares_alike(op: str, sum_of: Repeated, limit: float) -> bool:
    """Whether the sum compares with the limit as the product does, however many are counted."""
    truth = _TRUTH[op]
    added = sum_of.start
    for times in range(ROUNDS):
        if truth(added, limit) != truth(sum_of.start + sum_of.step * times, limit):
            return False
        added += sum_of.step
    return True


def counted(op: str, sum_of: Repeated, limit: float) -> tuple[str, float] | None:
    """(op, number): how the count compares where the sum op limit holds. None for == and where the limit is never reached."""
    if op in ("==", "!="):
        return None
    truth = _TRUTH[op]
    added, first = sum_of.start, truth(sum_of.start, limit)
    for times in range(ROUNDS):
        if truth(added, limit) != first:
            return "<" if first else ">=", float(times)
        added += sum_of.step
    return None
