"""What is certain about a number where facts hold: whether it may be missing, its least and greatest value."""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf

from dsl.canonical.facts import BEFORE, NO_FACTS, Facts, positions, sort
from dsl.canonical.linear import ZERO, linear
from dsl.nodes import (
    Aggregate,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    N,
    Name,
    Neg,
    Num,
    Or,
    Range,
)
from dsl.vocabulary import VOCABULARY

ALWAYS_WITH_WORD = frozenset({"first_token", "last_token"})


def is_missing(node: Expr) -> bool:
    """Whether the expression certainly is missing, as first(p: false) is."""
    match node:
        case Find(_, _, Bool(False)):
            return True
        case Neg(item):
            return is_missing(item)
        case Binary(_, left, right):
            return is_missing(left) or is_missing(right)
        case IfElse(_, then, other):
            return is_missing(then) and is_missing(other)
        case Call("default", args):
            return all(is_missing(a) for a in args)
        case Call(name, args):
            return VOCABULARY[name].result != "guard" and any(is_missing(a) for a in args)
    return False


@lru_cache(maxsize=1 << 16)
def may_be_missing(node: Expr, facts: Facts = NO_FACTS) -> bool:
    """Whether the expression might be missing where the facts hold; True in doubt."""
    if node in facts.existing:
        return False
    match node:
        case Find(_, over, guard):
            return not _found_somewhere(over, guard, facts)
        case Name(name):
            return name.startswith(BEFORE)
        case Aggregate(kind):
            return kind in ("min", "max")
        case IfElse(test, then, other):
            return may_be_missing(then, facts.given([test])) or may_be_missing(other, facts)
        case Neg(item):
            return may_be_missing(item, facts)
        case Binary(op, left, right):
            if may_be_missing(left, facts) or may_be_missing(right, facts):
                return True
            if op in ("/", "//", "%"):
                low, high = bounds(right, facts)
                return low <= 0 <= high
            if op == "**":
                low, high = bounds(right, facts)
                if isinstance(right, Num) and right.value == int(right.value) and 0 <= right.value <= 4:
                    return False
                least, most = bounds(left, facts)
                return not (least > 0 and most <= 1 and low >= 0)
            return False
        case Call(name, args):
            return _call_may_be_missing(name, args, facts)
    return False


def _found_somewhere(over: Range, guard: Expr, facts: Facts) -> bool:
    """last(p <= q: p == 0 or G(p)): the guard names a position that is in the range for certain."""
    if over.domain is not None or over.low is not None:
        return False
    for part in guard.items if isinstance(guard, Or) else (guard,):
        match part:
            case Compare("==", Name(var), Num(place)) if var == over.var and place >= 0:
                high = over.high if over.high is not None else Binary("-", N, Num(1.0))
                if not may_be_missing(high, facts) and bounds(Binary("-", high, Num(place)), facts)[0] >= 0:
                    return place == 0 or bounds(Binary("-", N, Num(place)), facts)[0] > 0
    return False


def _call_may_be_missing(name: str, args: tuple[Expr, ...], facts: Facts) -> bool:
    primitive = VOCABULARY[name]
    if primitive.result == "guard":
        return False
    if name == "default":
        return may_be_missing(args[0], facts) and may_be_missing(args[1], facts)
    if any(may_be_missing(a, facts) for a in args):
        return True
    if name in ("exp", "log", "sqrt"):
        low, high = bounds(args[0], facts)
        return {"exp": high > 700, "log": low <= 0, "sqrt": low < 0}[name]
    if primitive.domain == "number":
        return False
    if name in ("nth_word", "word_id"):
        return True
    if not all(is_in_text(a, facts) for a in positions(Call(name, args))):
        return True
    for sought, arg in zip(primitive.params, args, strict=False):
        if sought == "word" or name == "word":
            here = sort(arg)
            if here == "number" and Call("aligned", (arg,)) not in facts.existing:
                return True
            if here == "word" and name in ALWAYS_WITH_WORD:
                return True
    return False


def is_in_text(position: Expr, facts: Facts) -> bool:
    """Whether the position certainly is one of the text's."""
    form = linear(position)
    if form is None:
        return False
    return bounds(position, facts)[0] >= 0 and bounds(Binary("-", Name("n"), position), facts)[0] >= 1


@lru_cache(maxsize=1 << 16)
def bounds(node: Expr, facts: Facts = NO_FACTS) -> tuple[float, float]:
    """Least and greatest value that the number can have, where it is not missing."""
    form = linear(node)
    if form is not None:
        return _linear_bounds(form[0], form[1], facts)
    match node:
        case Num(value):
            return value, value
        case Neg(item):
            low, high = bounds(item, facts)
            return -high, -low
        case IfElse(test, then, other):
            a, b = bounds(then, facts.given([test])), bounds(other, facts)
            return min(a[0], b[0]), max(a[1], b[1])
        case Binary(op, left, right):
            return _binary_bounds(op, bounds(left, facts), bounds(right, facts), right)
        case Call(name, args):
            return _call_bounds(name, args, facts)
        case Aggregate("sum", _, _, value) if value is not None:
            low, high = bounds(value, facts.without(["p", "w"]))
            return (0.0 if low >= 0 else -inf), (0.0 if high <= 0 else inf)
    return -inf, inf


def _linear_bounds(terms: tuple[tuple[Expr, int], ...], constant: int, facts: Facts) -> tuple[float, float]:
    if not terms:
        return constant, constant
    matrix = facts.matrix(t for t, _ in terms)
    if matrix is None:
        return -inf, inf
    if len(terms) == 2 and terms[0][1] == -terms[1][1]:
        (x, c), (y, _) = terms if terms[0][1] > 0 else terms[::-1]
        return c * -matrix.get((y, x), inf) + constant, c * matrix.get((x, y), inf) + constant
    low = high = float(constant)
    for t, c in terms:
        ends = c * -matrix.get((ZERO, t), inf), c * matrix.get((t, ZERO), inf)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _binary_bounds(op: str, a: tuple[float, float], b: tuple[float, float], right: Expr) -> tuple[float, float]:
    match op:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            products = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
            return min(products), max(products)
        case "/" if b[0] > 0 and a[0] >= 0:
            return a[0] / b[1], (a[1] / b[0] if a[1] < inf else inf)
        case "%" if b[0] > 0:
            return 0.0, b[1]
        case "//" if b[0] > 0 and a[0] >= 0:
            return 0.0, inf
        case "**" if a[0] > 0 or (a[0] >= 0 and b[0] >= 0):
            return 0.0, (1.0 if a[1] <= 1 and b[0] >= 0 else inf)
        case "**" if isinstance(right, Num) and right.value % 2 == 0:
            return 0.0, inf
    return -inf, inf


def _call_bounds(name: str, args: tuple[Expr, ...], facts: Facts) -> tuple[float, float]:
    inner = [bounds(a, facts) if sort(a) == "number" else (-inf, inf) for a in args]
    match name:
        case "exp":
            low, high = inner[0]
            return (exp(low) if -700 < low < 700 else 0.0), (exp(high) if high < 700 else inf)
        case "sqrt":
            return 0.0, inf
        case "tanh" | "sin" | "cos" | "similarity":
            return -1.0, 1.0
        case "char_similarity":
            return 0.0, 1.0
        case "abs":
            low, high = inner[0]
            return max(0.0, low, -high), max(abs(low), abs(high))
        case "min":
            return min(a for a, _ in inner), min(b for _, b in inner)
        case "max":
            return max(a for a, _ in inner), max(b for _, b in inner)
        case "default":
            return min(a for a, _ in inner), max(b for _, b in inner)
    return -inf, inf
