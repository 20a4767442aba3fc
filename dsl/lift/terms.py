"""Numbers: linear forms, bounds, arithmetic that folds constants; the count of work."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from dsl.nodes import (
    FALSE,
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Range,
    Str,
)


class TooMuch(Exception):
    """More work than any sensible program needs."""


WORK = 700_000


class _Budget(threading.local):
    left = WORK


_budget = _Budget()


def new_budget() -> None:
    """Starts the count of work anew, for one program."""
    _budget.left = WORK


def spend(amount: int) -> None:
    _budget.left -= amount
    if _budget.left < 0:
        raise TooMuch


N = Name("n")


MISSING_NUMBER = Find("first", Range("p"), FALSE)


MISSING_TEXT = Call("text", (Num(-1.0),))


MISSING_WORD = Call("nth_word", (Num(-1.0),))


MISSING: dict[str, Expr] = {"number": MISSING_NUMBER, "text": MISSING_TEXT, "word": MISSING_WORD}


_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


INVERSE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}


def num(value: float) -> Num:
    return Num(float(value))


ZERO, ONE = num(0), num(1)
Linear = tuple[dict[Expr, float], float]


@lru_cache(maxsize=50_000)
def _linear(e: Expr) -> tuple[tuple[tuple[Expr, float], ...], float]:
    match e:
        case Num(value):
            return (), value
        case Neg(item):
            terms, const = _linear(item)
            return tuple((a, -c) for a, c in terms), -const
        case Binary("+", left, right) | Binary("-", left, right):
            sign = 1.0 if e.op == "+" else -1.0
            a, ca = _linear(left)
            b, cb = _linear(right)
            merged = dict(a)
            for atom, c in b:
                merged[atom] = merged.get(atom, 0.0) + sign * c
            return tuple((x, c) for x, c in merged.items() if c != 0), ca + sign * cb
        case Binary("*", Num(value), other) | Binary("*", other, Num(value)):
            terms, const = _linear(other)
            return tuple((x, c * value) for x, c in terms if c * value != 0), const * value
        case Name("dist"):
            return ((Name("q"), 1.0), (Name("k"), -1.0)), 0.0
    return ((e, 1.0),), 0.0


def linear(e: Expr) -> Linear:
    """Atoms with coefficients, and the constant."""
    terms, const = _linear(e)
    return dict(terms), const


def from_linear(terms: dict[Expr, float], const: float) -> Expr:
    result: Expr | None = None
    for atom, c in sorted(terms.items(), key=lambda t: t[1] < 0):
        if c == 0:
            continue
        part: Expr = atom if abs(c) == 1 else Binary("*", num(abs(c)), atom)
        result = (part if c > 0 else Neg(part)) if result is None else Binary("+" if c > 0 else "-", result, part)
    if result is None:
        return num(const)
    if const:
        result = Binary("+" if const > 0 else "-", result, num(abs(const)))
    return result


@lru_cache(maxsize=50_000)
def whole(e: Expr) -> bool:
    """Known to be a whole number (where it is not missing)."""
    match e:
        case Num(value):
            return value == int(value) if math.isfinite(value) else False
        case Name(name):
            return name not in ("weight", "row") and not name.startswith(("$f", "$mf"))
        case Find():
            return True
        case Aggregate("count"):
            return True
        case Aggregate("sum" | "min" | "max", _, _, value):
            return value is not None and whole(value)
        case Call("first_token" | "last_token" | "index" | "length" | "floor" | "round" | "sentence" | "occurrences"):
            return len(e.args) == 1 or e.name == "occurrences"
        case Call("default" | "min" | "max", args):
            return all(whole(a) for a in args)
        case Call(name) if name.startswith("$at:"):  # a variable of a loop, in another iteration
            return whole(Name(name[4:]))
        case Call("abs", args):
            return whole(args[0])
        case Neg(item):
            return whole(item)
        case Binary("+" | "-" | "*" | "%" | "//", left, right):
            return whole(left) and whole(right)
        case IfElse(_, then, other):
            return whole(then) and whole(other)
    return False


@lru_cache(maxsize=50_000)
def bounds(e: Expr) -> tuple[float, float]:
    """A lower and an upper bound that hold whatever the text (where the value is not missing)."""
    inf = math.inf
    match e:
        case Num(value):
            return value, value
        case Name(name):
            if name == "n":
                return 1, inf
            if name in ("q", "k") or name.startswith(("$p", "$x")):
                return 0, inf
            return -inf, inf
        case Find(_, Range(_, low, _, None)):
            return (max(0.0, bounds(low)[0]) if low is not None else 0.0), inf
        case Aggregate("count"):
            return 0, inf
        case Aggregate("sum", _, _, value) if value is not None:
            lo, hi = bounds(value)
            return (0 if lo >= 0 else -inf), (0 if hi <= 0 else inf)
        case Aggregate("min" | "max", _, _, value) if value is not None:
            return bounds(value)
        case Call("length" | "index" | "first_token" | "last_token" | "sentence" | "occurrences" | "exp" | "sqrt"):
            return 0, inf
        case Call("similarity"):
            return -1, 1
        case Call("char_similarity"):
            return 0, 1
        case Call("abs", (item,)):
            lo, hi = bounds(item)
            return (lo if lo >= 0 else -hi if hi <= 0 else 0), max(abs(lo), abs(hi))
        case Call("default", (a, b)):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return min(la, lb), max(ha, hb)
        case Call("max", args):
            return max(bounds(a)[0] for a in args), max(bounds(a)[1] for a in args)
        case Call("min", args):
            return min(bounds(a)[0] for a in args), min(bounds(a)[1] for a in args)
        case IfElse(_, a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return min(la, lb), max(ha, hb)
        case Neg(item):
            lo, hi = bounds(item)
            return -hi, -lo
        case Binary("+", a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return la + lb, ha + hb
        case Binary("-", a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            return la - hb, ha - lb
        case Binary("*", a, b):
            (la, ha), (lb, hb) = bounds(a), bounds(b)
            ends = [0.0 if 0 in (x, y) else x * y for x in (la, ha) for y in (lb, hb)]
            return min(ends), max(ends)
        case Binary("%", _, Num(value)) if value > 0:
            return 0, value
        case Binary("%", _, Name("n")):
            return 0, inf
        case Binary("/" | "//", a, b):
            if bounds(a)[0] >= 0 and bounds(b)[0] >= 0:
                return 0, inf
        case Binary("**", a, _):
            if bounds(a)[0] >= 0:
                return 0, inf
    return -inf, inf


@lru_cache(maxsize=50_000)
def sure(e: Expr) -> bool:
    """Never missing in a run of the program that does not fail."""
    match e:
        case Num() | Str() | Bool():
            return True
        case Name(name):
            return not name.startswith("$m")
        case Find():
            return False
        case Aggregate(kind):
            return kind not in ("min", "max")
        case Call("default", (_, b)):
            return sure(b)
        case Call("word" | "word_id" | "nth_word" | "first_token" | "last_token" | "head", _):
            return False
        case Call(name, args):
            return all(sure(a) for a in args) and not name.startswith("$at:$m") and e != MISSING_TEXT
        case IfElse(_, a, b):
            return sure(a) and sure(b)
        case Neg(item):
            return sure(item)
        case Binary(_, a, b):
            return sure(a) and sure(b)
        case Compare() | Member() | Not() | And() | Or():
            return True
    return False


def _exact(a: Num, b: Num) -> bool:
    """Numbers that doubles multiply without rounding: 10 * (0.1 * q) is not q."""
    return all((x.value * 2.0**20).is_integer() for x in (a, b))


def arith(op: str, a: Expr, b: Expr) -> Expr:
    if isinstance(a, Num) and isinstance(b, Num):
        try:
            value = _OPS[op](a.value, b.value)
            if isinstance(value, float | int) and math.isfinite(value) and abs(value) < 1e15:
                return num(value)
        except (ZeroDivisionError, OverflowError, ValueError):
            pass
        return Binary(op, a, b)
    if op in "+-" and whole(a) and whole(b):
        ta, ca = linear(a)
        tb, cb = linear(b)
        sign = 1 if op == "+" else -1
        for atom, c in tb.items():
            ta[atom] = ta.get(atom, 0.0) + sign * c
        return from_linear({x: c for x, c in ta.items() if c}, ca + sign * cb)
    match op:
        case "+":
            if a == ZERO:
                return b
            if b == ZERO:
                return a
            if isinstance(b, Neg):
                return arith("-", a, b.item)
            if isinstance(b, Num) and b.value < 0:
                return Binary("-", a, num(-b.value))
        case "-":
            if b == ZERO:
                return a
            if a == ZERO:
                return neg(b)
            if a == b and sure(a):
                return ZERO
            if isinstance(b, Num) and b.value < 0:
                return Binary("+", a, num(-b.value))
        case "*":
            if ZERO in (a, b):
                return ZERO
            if a == ONE:
                return b
            if b == ONE:
                return a
            if isinstance(b, Num):
                a, b = b, a
            if isinstance(a, Num) and isinstance(b, Binary) and b.op == "*" and isinstance(b.left, Num) and _exact(a, b.left):
                return arith("*", num(a.value * b.left.value), b.right)
            if isinstance(a, Num) and a.value == -1:
                return neg(b)
        case "/":
            if b == ONE:
                return a
            if a == ZERO:
                return ZERO
        case "//":
            if b == ONE and whole(a):
                return a
        case "**":
            if b == ONE:
                return a
            if b == ZERO:
                return ONE
    return Binary(op, a, b)


def neg(a: Expr) -> Expr:
    if isinstance(a, Num):
        return num(-a.value)
    if isinstance(a, Neg):
        return a.item
    if isinstance(a, Binary) and a.op == "-":
        return arith("-", a.right, a.left)
    return Neg(a)


def extreme(kind: str, args: Sequence[Expr]) -> Expr:
    """min or max of several numbers, folded."""
    flat: list[Expr] = []
    for a in args:
        parts = a.args if isinstance(a, Call) and a.name == kind else (a,)
        flat.extend(p for p in parts if p not in flat)
    consts = [a.value for a in flat if isinstance(a, Num)]
    rest: list[Expr] = [a for a in flat if not isinstance(a, Num)]
    if consts:
        c = num(min(consts) if kind == "min" else max(consts))
        if rest and all(sure(r) for r in rest):
            if kind == "max" and any(bounds(r)[0] >= c.value for r in rest):
                pass
            elif (kind == "max" and all(bounds(r)[1] <= c.value for r in rest)) or (
                kind == "min" and all(bounds(r)[0] >= c.value for r in rest)
            ):
                return c
            else:
                rest.append(c)
        else:
            rest.append(c)
    return rest[0] if len(rest) == 1 else Call(kind, tuple(rest))


@lru_cache(maxsize=20_000)
def at_most_last(e: Expr) -> bool:
    """Known to be at most n - 1, from its form."""
    match e:
        case Num(value):
            return value <= 0
        case Name(name):
            return name in ("q", "k") or name.startswith(("$p", "$x"))
        case Find() | Call("first_token" | "last_token"):
            return True
        case Call("min", args):
            return any(at_most_last(a) for a in args)
        case Call("max" | "default", args):
            return all(at_most_last(a) for a in args)
        case IfElse(_, a, b):
            return at_most_last(a) and at_most_last(b)
    terms, const = linear(e)
    positive = [a for a, c in terms.items() if c > 0]
    if len(positive) != 1 or terms[positive[0]] != 1 or any(bounds(a)[0] < 0 for a, c in terms.items() if c < 0):
        return False
    if positive[0] == N:
        return const <= -1
    return const <= 0 and positive[0] != e and at_most_last(positive[0])
