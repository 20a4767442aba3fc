"""Numbers in canonical form: sums of products with the constants collected.

Numbers that only grow or shrink a weight are collected exactly, as decimal fractions: 0.1 * 3 is 0.3. Where a number is compared,
rounded or used as a position, the last bit may decide, and only whole-number forms are rearranged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from dsl.canonical.estimates import bounds, may_be_missing
from dsl.canonical.facts import Facts
from dsl.canonical.linear import cancelled, linear, number, summed
from dsl.canonical.order import key, rank
from dsl.nodes import DIST, Binary, Call, Expr, K, Neg, Num, Q
from dsl.vocabulary import VOCABULARY

Monomial = tuple[tuple[Expr, int], ...]  # (factor, power), sorted; () for constants
Terms = dict[Monomial, Fraction]
LONGEST = 12  # digits of a folded constant
SHORT = 8  # a factor with more digits is written as a division, if its inverse has fewer
MOST_TERMS = 64
ONE: Monomial = ()
FOLDED: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


def operation(node: Expr, facts: Facts, exact: bool) -> Expr:
    """Neg or Binary with simple operands."""
    form = linear(node)
    if form is not None and not any(may_be_missing(t, facts) for t in cancelled(node)):
        return number(form)
    if isinstance(node, Binary) and isinstance(node.left, Num) and isinstance(node.right, Num):
        folded = _folded(node.op, node.left.value, node.right.value, exact)
        return node if folded is None else folded
    if not exact and (isinstance(node, Neg) or (isinstance(node, Binary) and node.op in ("+", "-", "*", "/", "**"))):
        terms = _terms(node)
        if len(terms) <= MOST_TERMS:
            return _expression(_nonzero(terms, facts))
    match node:
        case Neg(Num(value)):
            return Num(-value)
        case Neg(Neg(item)):
            return item
        case Binary("+" | "*" as op, left, right):
            if (
                (isinstance(right, Num) if op == "*" else (rank(right) < rank(left) and not isinstance(right, Num)))
                or (op == "+" and isinstance(left, Num))
                or (op == "*" and not isinstance(left, Num) and rank(right) < rank(left))
            ):
                left, right = right, left
            if (op == "+" and right == Num(0.0)) or (op == "*" and left == Num(1.0)):
                return left if op == "+" else right
            return Binary(op, left, right)
        case Binary("-" | "/" | "**", left, Num(value)) if value == (node.op != "-"):  # x - 0, x / 1, x ** 1
            return left
        case Binary("//", left, Num(1.0)) if linear(left) is not None:
            return left
    return node


def _folded(op: str, a: float, b: float, exact: bool) -> Expr | None:
    """The constant, or None where it is not a finite number: that stays missing."""
    try:
        value = FOLDED[op](a, b)
    except (ZeroDivisionError, OverflowError):
        return None
    return _constant(value, exact)


def _constant(value: float | complex, exact: bool) -> Expr | None:
    if isinstance(value, complex) or not math.isfinite(value):
        return None
    return Num(float(value) if exact or value == int(value) else float(f"{value:.{LONGEST}g}"))


def call(node: Call, facts: Facts, exact: bool) -> Expr:
    """A function of numbers, with simple arguments."""
    name, args = node.name, node.args
    if name in ("min", "max"):
        return _extreme(name, args, facts)
    if all(isinstance(a, Num) for a in args):
        try:
            value = VOCABULARY[name].evaluate(*(a.value for a in args if isinstance(a, Num)), math)
        except (ValueError, OverflowError, ZeroDivisionError):
            return node
        return _constant(float(value), exact) or node
    item = args[0]
    if name == "abs":
        low, high = bounds(item, facts)
        if low >= 0:
            return item
        if high <= 0:
            return operation(Neg(item), facts, exact)
        form = linear(item)
        if form is not None:  # |k - q| = |q - k|
            other = number((tuple((t, -c) for t, c in form[0]), -form[1]))
            return Call("abs", (min(item, other, key=lambda x: ("-" in key(x), len(key(x)), key(x))),))
        if isinstance(item, Neg):
            return Call("abs", (item.item,))
    if name in ("floor", "round") and linear(item) is not None:
        return item
    return node


def _extreme(name: str, args: tuple[Expr, ...], facts: Facts) -> Expr:
    flat: set[Expr] = set()
    for a in args:
        flat.update(a.args if isinstance(a, Call) and a.name == name and len(a.args) > 1 else (a,))
    constants = [a.value for a in flat if isinstance(a, Num)]
    if constants:
        flat = {a for a in flat if not isinstance(a, Num)} | {Num(min(constants) if name == "min" else max(constants))}
    for a in sorted(flat, key=key):  # what never is the smallest or greatest, by its bounds
        if may_be_missing(a, facts):
            continue
        low, high = bounds(a, facts)
        others = flat - {a}
        if any((bounds(b, facts)[1] <= low) if name == "min" else (bounds(b, facts)[0] >= high) for b in others):
            flat = others
            continue
        for b in sorted(others, key=key):
            ahead = bounds(Binary("-", a, b), facts)  # a - b, sharper than the two ranges for positions
            if (ahead[0] >= 0) if name == "min" else (ahead[1] <= 0):
                flat = others
                break
    ordered = sorted(flat, key=lambda a: (isinstance(a, Num), rank(a)))
    return ordered[0] if len(ordered) == 1 else Call(name, tuple(ordered))


def _terms(node: Expr) -> Terms:
    match node:
        case Num(value) if math.isfinite(value):
            return {ONE: Fraction(repr(float(value)))} if value else {}
        case Neg(item):
            return {m: -c for m, c in _terms(item).items()}
        case Binary("+", left, right):
            return _sum(_terms(left), _terms(right), 1)
        case Binary("-", left, right):
            return _sum(_terms(left), _terms(right), -1)
        case Binary("*", left, right):
            return _product(_terms(left), _terms(right), left, right)
        case Binary("/", left, right):
            below = _terms(right)
            if len(below) != 1:
                inverse: Terms = {((right, -1),): Fraction(1)} if below else {}
            else:
                ((m, c),) = below.items()
                inverse = {tuple((f, -p) for f, p in m): 1 / c} if c and all(p > 0 for _, p in m) else {((right, -1),): Fraction(1)}
            if inverse:
                return _product(_terms(left), inverse, left, Binary("/", Num(1.0), right))
        case Binary("**", base, Num(2.0 | 3.0 as power)):
            inside = _terms(base)
            if len(inside) == 1:
                ((m, c),) = inside.items()
                if all(p > 0 for _, p in m):
                    return {tuple((f, p * int(power)) for f, p in m): c ** int(power)}
            return {((base, int(power)),): Fraction(1)}
    if node == DIST:
        return {((Q, 1),): Fraction(1), ((K, 1),): Fraction(-1)}
    return {((node, 1),): Fraction(1)}


def _sum(a: Terms, b: Terms, sign: int) -> Terms:
    result = dict(a)
    for m, c in b.items():
        result[m] = result.get(m, Fraction(0)) + sign * c
    return result


def _product(a: Terms, b: Terms, left: Expr, right: Expr) -> Terms:
    for one, other, what in ((a, b, right), (b, a, left)):
        if not one:  # 0 * x: missing where x is
            return {((what, 1),): Fraction(0)} if other.keys() - {ONE} else {}
        if set(one) == {ONE}:
            factor = one[ONE]
            whole = factor.denominator == 1 and all(c.denominator == 1 for c in other.values())
            if len(other) == 1 or whole or _is_dist(other):
                return {m: c * factor for m, c in other.items()}
            return {((_expression(other), 1),): factor}
    if len(a) == len(b) == 1:
        ((m, c),), ((o, d),) = a.items(), b.items()
        return {_times(m, o): c * d}
    (m, c), (o, d) = (_as_factor(t) for t in (a, b))
    return {_times(m, o): c * d}


def _as_factor(terms: Terms) -> tuple[Monomial, Fraction]:
    if len(terms) == 1:
        ((m, c),) = terms.items()
        return m, c
    if _is_dist(terms):
        return ((DIST, 1),), terms[((Q, 1),)]
    return ((_expression(terms), 1),), Fraction(1)


def _is_dist(terms: Terms) -> bool:
    return len(terms) == 2 and terms.get(((Q, 1),), 0) != 0 and terms[((Q, 1),)] == -terms.get(((K, 1),), Fraction(0))


def _times(a: Monomial, b: Monomial) -> Monomial:
    """x * x is x ** 2, but x / x stays: it is missing where x is 0."""
    powers: dict[tuple[Expr, bool], int] = {}
    for f, p in a + b:
        powers[f, p > 0] = powers.get((f, p > 0), 0) + p
    return tuple(sorted(((f, p) for (f, _), p in powers.items()), key=lambda fp: (rank(fp[0]), fp[1])))


def _nonzero(terms: Terms, facts: Facts) -> Terms:
    """Without the terms that cancelled, unless that would turn something missing into a number."""
    return {m: c for m, c in terms.items() if c or any(may_be_missing(_power(f, abs(p)), facts) or p < 0 for f, p in m)}


def _power(factor: Expr, power: int) -> Expr:
    return factor if power == 1 else Binary("**", factor, Num(float(power)))


def _expression(terms: Terms) -> Expr:
    rest = dict(terms)
    parts: list[tuple[tuple[int, str], bool, Expr]] = []
    a = rest.get(((Q, 1),), Fraction(0))
    if a and a == -rest.get(((K, 1),), Fraction(0)):
        del rest[((Q, 1),)], rest[((K, 1),)]
        rest[((DIST, 1),)] = rest.get(((DIST, 1),), Fraction(0)) + a
    constant = rest.pop(ONE, Fraction(0))
    for m, c in rest.items():
        parts.append((min((rank(f) for f, _ in m), default=(0, "")), c < 0, _monomial(m, abs(c))))
    parts.sort(key=lambda p: (p[0], key(p[2])))
    return summed([(minus, part) for _, minus, part in parts], _decimal(constant) if constant else 0.0)


def _decimal(value: Fraction) -> float:
    return float(value) if value.denominator == 1 else float(f"{float(value):.{LONGEST}g}")


def _monomial(monomial: Monomial, coefficient: Fraction) -> Expr:
    above = [_power(f, p) for f, p in monomial if p > 0]
    below = [_power(f, -p) for f, p in monomial if p < 0]
    scale, divisor = _decimal(coefficient), None
    if len(repr(scale)) > SHORT and coefficient:
        if len(repr(inverse := _decimal(1 / coefficient))) <= SHORT:
            scale, divisor = 1.0, Num(inverse)  # x / 3
        elif coefficient.numerator < 1000 > coefficient.denominator:
            scale, divisor = float(coefficient.numerator), Num(float(coefficient.denominator))
    if scale != 1 or not above:
        above.insert(0, Num(scale))
    result = above[0]
    for factor in above[1:]:
        result = Binary("*", result, factor)
    for factor in ([divisor] if divisor else []) + below:
        result = Binary("/", result, factor)
    return result
