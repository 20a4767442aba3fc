"""Sums of decimals against a limit: which of them rounding decides.

0.1 eight times added up is less than 0.8, and 0.1 * 8 is not. Where the lifted program adds in another order than Python, or
multiplies, a comparison must not hang on the last bit.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from dsl.lift.terms import whole
from dsl.nodes import Aggregate, Binary, Call, Expr, IfElse, Neg, Num

NEAR = 1e-9
FINEST = 10**9  # the largest denominator of a number that counts as a decimal
ROUNDS = 4096  # of a loop, followed to see whether a sum and a product compare alike
BINARY = 2.0**20
REASON = "a sum of decimals that could meet this limit exactly"
TRUTH: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Repeated:
    """A number with a constant added to it (or multiplied by one) for every element counted, one after the other as Python does."""

    start: float
    step: float
    count: Expr
    op: str = "+"

    def at_once(self, times: int) -> float:
        """What the lifted program makes of so many."""
        if self.op == "+":
            return self.start + self.step * times
        try:
            return self.start * self.step**times
        except OverflowError:
            return math.copysign(math.inf, self.start)

    def one_more(self, value: float) -> float:
        return value + self.step if self.op == "+" else value * self.step


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


def grid(e: Expr, cell: Callable[[Expr], Grid | None] | None = None) -> Grid | None:
    """The numbers that an expression of decimals may be; None where they are not decimals. cell: those of a matrix's cell."""

    def of(x: Expr) -> Grid | None:
        return grid(x, cell)

    match e:
        case Num(value):
            exact = Fraction(f"{value:.12g}") if math.isfinite(value) else None  # 0.1 + 0.2 is 0.3 here
            return None if exact is None or exact.denominator > FINEST else Grid(exact, Fraction(0))
        case Neg(item):
            inner = of(item)
            return None if inner is None else Grid(-inner.offset, inner.step)
        case Call("abs", (item,)):
            inner = of(item)
            return None if inner is None else either(inner, Grid(-inner.offset, inner.step))
        case IfElse(_, a, b) | Call("default", (a, b)):
            return either(of(a), of(b))
        case Call("min" | "max", args):
            return reduce(either, map(of, args))
        case Aggregate("min" | "max", _, _, value) if value is not None:
            return of(value)
        case Aggregate("sum", _, _, value) if value is not None:
            inner = of(value)
            return None if inner is None else Grid(Fraction(0), common(inner.offset, inner.step))
        case Binary("/", a, Num(by)) if by:
            return product(of(a), Grid(1 / Fraction(by), Fraction(0)) if is_binary(by) else None)
        case Binary("+" | "-" | "*" as op, a, b):
            x, y = of(a), of(b)
            if op == "*":
                return product(x, y)
            if x is None or y is None:
                return None
            return Grid(x.offset + y.offset if op == "+" else x.offset - y.offset, common(x.step, y.step))
        case Call(name) if name.startswith("@"):
            return cell(e) if cell is not None else None
    return Grid(Fraction(0), Fraction(1)) if whole(e) else None


def common(a: Fraction, b: Fraction) -> Fraction:
    """The greatest number of which both are multiples."""
    return Fraction(math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


def either(a: Grid | None, b: Grid | None) -> Grid | None:
    if a is None or b is None:
        return None
    return Grid(a.offset, common(common(a.step, b.step), a.offset - b.offset))


def product(a: Grid | None, b: Grid | None) -> Grid | None:
    if a is None or b is None:
        return None
    return Grid(a.offset * b.offset, common(common(a.offset * b.step, b.offset * a.step), a.step * b.step))


def is_inexact(e: Expr) -> bool:
    found = grid(e)
    return found is not None and not found.is_exact


def compares_alike(op: str, sum_of: Repeated, limit: float) -> bool:
    """Whether the sum compares with the limit as the product does, however many are counted."""
    truth = TRUTH[op]
    added = sum_of.start
    for times in range(ROUNDS):
        if truth(added, limit) != truth(sum_of.at_once(times), limit):
            return False
        added = sum_of.one_more(added)
    return True


def counted(op: str, sum_of: Repeated, limit: float) -> tuple[str, float] | None:
    """(op, number): how the count compares where the sum op limit holds. None for == and where the limit is never reached."""
    if op in ("==", "!="):
        return None
    truth = TRUTH[op]
    added, first = sum_of.start, truth(sum_of.start, limit)
    for times in range(ROUNDS):
        if truth(added, limit) != first:
            return "<" if first else ">=", float(times)
        added = sum_of.one_more(added)
    return None
