"""Constructors of expressions that fold on the way: constants, comparisons, guards, ranges.

Python values are never missing, so folding may assume that arithmetic on positions is defined; only results of searches
(`first`, `last`), words of unaligned tokens and what is computed from them may be missing.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from dsl.nodes import (
    FALSE,
    TRUE,
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
    Node,
    Not,
    Num,
    Or,
    Range,
    Str,
    free_names,
    substitute,
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
MISSING = {"number": MISSING_NUMBER, "text": MISSING_TEXT, "word": MISSING_WORD}

_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
INVERSE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
WORD_RESULTS = frozenset({"word", "head", "nth_word"})


def num(value: float) -> Num:
    return Num(float(value))


ZERO, ONE = num(0), num(1)


# --- linear forms ---------------------------------------------------------------------------------------------------

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
        if result is None:
            result = part if c > 0 else Neg(part)
        else:
            result = Binary("+" if c > 0 else "-", result, part)
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
            return name not in ("weight", "row") and not name.startswith("$f")
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
        case Binary("/", a, b):
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
        case Call("word" | "nth_word" | "first_token" | "last_token" | "head", _):
            return False
        case Call(_, args):
            return all(sure(a) for a in args)
        case IfElse(_, a, b):
            return sure(a) and sure(b)
        case Neg(item):
            return sure(item)
        case Binary(_, a, b):
            return sure(a) and sure(b)
        case Compare() | Member() | Not() | And() | Or():
            return True
    return False


# --- numbers --------------------------------------------------------------------------------------------------------


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
            if isinstance(a, Num) and isinstance(b, Binary) and b.op == "*" and isinstance(b.left, Num):
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
    rest = [a for a in flat if not isinstance(a, Num)]
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


# --- guards ---------------------------------------------------------------------------------------------------------


def compare(op: str, a: Expr, b: Expr) -> Expr:
    """A comparison of two numbers, two texts or two words."""
    if isinstance(a, Num | Str) and isinstance(b, Num | Str):
        return Bool(bool(_COMPARE[op](a.value, b.value))) if type(a) is type(b) else Bool(op == "!=")
    if isinstance(a, Num | Str):
        a, b, op = b, a, FLIP[op]
    if isinstance(a, Call) and isinstance(b, Call) and a.name == b.name == "index":
        if op in ("==", "!="):
            return compare(op, a.args[0], b.args[0])
    if op == "!=" and not (sure(a) and sure(b)):
        return not_(compare("==", a, b))
    if a == b:
        truth = op in ("==", "<=", ">=")
        return exists(a) if truth else FALSE
    if isinstance(b, Num | Str):
        if isinstance(a, IfElse) and (isinstance(a.then, Num | Str) or isinstance(a.other, Num | Str) or _missing(a.other)):
            return or_(and_(a.test, compare(op, a.then, b)), and_(not_(a.test), compare(op, a.other, b)))
        if isinstance(a, Call) and a.name == "default" and isinstance(a.args[1], Num | Str):
            if compare(op, a.args[1], b) == FALSE:
                return compare(op, a.args[0], b)
            return or_(not_(exists(a.args[0])), compare(op, a.args[0], b))
    if _missing(a) or _missing(b):
        return FALSE
    folded = _fold_numbers(op, a, b)
    if folded is not None:
        return folded
    if isinstance(b, Num) and isinstance(a, Binary | Neg) and whole(a) and whole(b):
        terms, const = linear(a)
        if len(terms) == 1:
            ((atom, c),) = terms.items()
            if abs(c) == 1 and (const or c < 0):
                return compare(op if c > 0 else FLIP[op], atom, num((b.value - const) * c))
    if isinstance(b, Num) and whole(a) and bounds(a)[0] == 0 and (op, b.value) in (("<", 1), ("<=", 0)):
        return Compare("==", a, ZERO)
    if isinstance(a, Aggregate) and a.kind == "count" and isinstance(b, Num):
        least = math.floor(b.value) + 1 if op == ">" else math.ceil(b.value) if op == ">=" else None
        most = math.ceil(b.value) - 1 if op == "<" else math.floor(b.value) if op == "<=" else None
        if least == 1:
            return quantified("any", a.range, a.guard or TRUE)
        if most == 0 or (op == "==" and b.value == 0):
            return not_(quantified("any", a.range, a.guard or TRUE))
        if op == "!=" and b.value == 0:
            return quantified("any", a.range, a.guard or TRUE)
    if isinstance(a, Call) and a.name == "length" and isinstance(b, Num) and b.value == 0 and op in ("==", ">", "!="):
        return Compare("==" if op == "==" else "!=", a.args[0] if _is_text(a.args[0]) else Call("text", a.args), Str(""))
    return Compare(op, a, b)


def _is_text(e: Expr) -> bool:
    return not (isinstance(e, Name | Num | Find | Binary) or (isinstance(e, Call) and whole(e)))


def _missing(e: Expr) -> bool:
    return e in (MISSING_NUMBER, MISSING_TEXT, MISSING_WORD)


def _fold_numbers(op: str, a: Expr, b: Expr) -> Expr | None:
    if isinstance(a, Str) or isinstance(b, Str):
        return None
    ta, ca = linear(a)
    tb, cb = linear(b)
    for atom, c in tb.items():
        ta[atom] = ta.get(atom, 0.0) - c
    ta = {x: c for x, c in ta.items() if c}
    low = high = ca - cb
    for atom, c in ta.items():
        lo, hi = bounds(atom)
        low += c * (lo if c > 0 else hi)
        high += c * (hi if c > 0 else lo)
    if math.isnan(low) or math.isnan(high):
        return None
    verdict = {
        "<": True if high < 0 else False if low >= 0 else None,
        "<=": True if high <= 0 else False if low > 0 else None,
        ">": True if low > 0 else False if high <= 0 else None,
        ">=": True if low >= 0 else False if high < 0 else None,
        "==": True if low == high == 0 else False if low > 0 or high < 0 else None,
        "!=": False if low == high == 0 else True if low > 0 or high < 0 else None,
    }[op]
    if verdict is None:
        return None
    return and_(exists(a), exists(b)) if verdict else FALSE


def member(item: Expr, values: Iterable[str | float]) -> Expr:
    distinct = list(dict.fromkeys(values))
    texts = [v for v in distinct if isinstance(v, str)]
    numbers = [float(v) for v in distinct if not isinstance(v, str)]
    if isinstance(item, Num):
        return Bool(item.value in numbers)
    if isinstance(item, Str):
        return Bool(item.value in texts)
    if isinstance(item, IfElse) and (isinstance(item.then, Num | Str) or isinstance(item.other, Num | Str)):
        return or_(and_(item.test, member(item.then, distinct)), and_(not_(item.test), member(item.other, distinct)))
    if isinstance(item, Call) and item.name == "default" and isinstance(item.args[1], Num | Str):
        inner = member(item.args[0], distinct)
        return or_(not_(exists(item.args[0])), inner) if item.args[1].value in distinct else inner
    kept: list[Any] = numbers if whole(item) or isinstance(item, Binary) else texts
    if not kept:
        return FALSE
    if len(kept) == 1:
        return compare("==", item, num(kept[0]) if kept is numbers else Str(kept[0]))
    return Member(item, tuple(kept))


def not_(a: Expr) -> Expr:
    match a:
        case Bool(value):
            return Bool(not value)
        case Not(item):
            return item
        case Compare(op, left, right) if sure(left) and sure(right):
            return Compare(INVERSE[op], left, right)
        case Or(items):
            return and_(*(not_(i) for i in items))
        case And(items) if all(isinstance(i, Not) for i in items):
            return or_(*(not_(i) for i in items))
    return Not(a)


def and_(*items: Expr) -> Expr:
    flat: list[Expr] = []
    for i in items:
        for part in i.items if isinstance(i, And) else (i,):
            if part == TRUE or part in flat:
                continue
            if part == FALSE:
                return FALSE
            flat.append(part)
    spend(len(flat) * len(flat))
    for part in flat:
        if not_(part) in flat:
            return FALSE
    flat = _without_implied(flat)
    # and(a, or(not a, b)) = and(a, b)
    for i, part in enumerate(flat):
        if isinstance(part, Or):
            others = flat[:i] + flat[i + 1 :]
            if any(o in part.items for o in others):
                return and_(*others)
            kept = [x for x in part.items if not_(x) not in others]
            if len(kept) < len(part.items):
                return and_(*flat[:i], or_(*kept), *flat[i + 1 :])
    if _contradict(flat):
        return FALSE
    return TRUE if not flat else flat[0] if len(flat) == 1 else And(tuple(flat))


def _without_implied(flat: list[Expr]) -> list[Expr]:
    """Drops `aligned(x)` beside a positive statement about a word of x, and `exists(x)` beside a comparison of x."""
    result = []
    for part in flat:
        if isinstance(part, Call) and part.name in ("aligned", "exists"):
            arg = part.args[0]
            needle: Expr = Call("word", (arg,)) if part.name == "aligned" else arg
            if any(o is not part and strict_in(needle, o) for o in flat):
                continue
        if isinstance(part, Aggregate) and part.kind == "any" and part.range.domain is None:
            which = [o for o in flat if o is not part and any(strict_in(f, o) for f in _finds(part))]
            if which:
                continue
        result.append(part)
    return result


def _finds(part: Aggregate) -> tuple[Expr, ...]:
    return tuple(Find(w, part.range, part.guard or TRUE) for w in ("first", "last"))


@lru_cache(maxsize=50_000)
def strict_in(needle: Expr, e: Expr) -> bool:
    """Whether e is a guard that is false wherever the needle is missing."""
    match e:
        case Compare(_, a, b):
            return depends_on(needle, a) or depends_on(needle, b)
        case Member(item, _):
            return depends_on(needle, item)
        case Call("aligned" | "special" | "word_start" | "exists"):
            return depends_on(needle, e.args[0])
        case Call(_, args):
            return any(depends_on(needle, a) for a in args)
        case And(items):
            return any(strict_in(needle, i) for i in items)
        case Or(items):
            return all(strict_in(needle, i) for i in items)
    return False


def depends_on(needle: Expr, e: Expr) -> bool:
    """Whether e is missing wherever the needle is."""
    if e == needle:
        return True
    match e:
        case Call("default" | "exists", _):
            return False
        case Call(_, args):
            return any(depends_on(needle, a) for a in args)
        case Neg(item):
            return depends_on(needle, item)
        case Binary(_, a, b):
            return depends_on(needle, a) or depends_on(needle, b)
    return False


def _contradict(flat: list[Expr]) -> bool:
    """Two different constants for one value."""
    seen: dict[Expr, set[Any]] = {}
    for part in flat:
        if isinstance(part, Compare) and part.op == "==" and isinstance(part.right, Num | Str):
            values = {part.right.value}
            item = part.left
        elif isinstance(part, Member):
            values, item = set(part.values), part.item
        else:
            continue
        seen[item] = seen[item] & values if item in seen else values
        if not seen[item]:
            return True
    return False


def or_(*items: Expr) -> Expr:
    flat: list[Expr] = []
    for i in items:
        for part in i.items if isinstance(i, Or) else (i,):
            if part == FALSE or part in flat:
                continue
            if part == TRUE:
                return TRUE
            flat.append(part)
    spend(len(flat) * len(flat))
    for part in flat:
        if not_(part) in flat:
            return TRUE
    changed = True
    while changed and len(flat) > 1:
        changed = False
        for i, part in enumerate(flat):
            if isinstance(part, And):
                others = flat[:i] + flat[i + 1 :]
                if any(all(p in part.items for p in conjuncts(o)) for o in others):
                    flat, changed = others, True
                    break
                kept = [x for x in part.items if not_(x) not in others]
                if len(kept) < len(part.items):
                    new = and_(*kept)
                    if new == TRUE:
                        return TRUE
                    flat[i : i + 1] = [x for x in (new.items if isinstance(new, Or) else (new,)) if x not in others]
                    changed = True
                    break
    if len(flat) > 1:
        flat = _factored(flat)
        flat = _united(flat)
    return FALSE if not flat else flat[0] if len(flat) == 1 else Or(tuple(flat))


def _factored(flat: list[Expr]) -> list[Expr]:
    """(a and b) or (a and not b) = a; common parts of all alternatives are taken out."""
    for i in range(len(flat)):
        for j in range(i + 1, len(flat)):
            a, b = flat[i], flat[j]
            if isinstance(a, And) and isinstance(b, And):
                only_a = [x for x in a.items if x not in b.items]
                only_b = [x for x in b.items if x not in a.items]
                if len(only_a) == len(only_b) == 1 and not_(only_a[0]) == only_b[0]:
                    merged = and_(*(x for x in a.items if x in b.items))
                    return _factored([merged, *(f for k, f in enumerate(flat) if k not in (i, j))])
    if all(isinstance(f, And) for f in flat):
        common = [x for x in flat[0].items if all(x in f.items for f in flat[1:])]  # type: ignore[union-attr]
        if common:
            rests = [and_(*(x for x in f.items if x not in common)) for f in flat]  # type: ignore[union-attr]
            return [and_(*common, or_(*rests))]
    return flat


def _united(flat: list[Expr]) -> list[Expr]:
    """Equalities and memberships of one item become one membership."""
    groups: dict[Expr, list[Any]] = {}
    for part in flat:
        if isinstance(part, Compare) and part.op == "==" and isinstance(part.right, Str | Num):
            groups.setdefault(part.left, []).append(part)
        elif isinstance(part, Member):
            groups.setdefault(part.item, []).append(part)
    if all(len(g) == 1 for g in groups.values()):
        return flat
    result: list[Expr] = []
    done: set[Expr] = set()
    for part in flat:
        item = part.left if isinstance(part, Compare) else part.item if isinstance(part, Member) else None
        if item is None or len(groups.get(item, ())) < 2 or part not in groups[item]:
            result.append(part)
        elif item not in done:
            done.add(item)
            values: list[Any] = []
            for g in groups[item]:
                values.extend(g.values if isinstance(g, Member) else [g.right.value])
            result.append(Member(item, tuple(dict.fromkeys(values))))
    return result


def if_(test: Expr, then: Expr, other: Expr) -> Expr:
    """then if test else other, of one sort other than guard."""
    if test == TRUE:
        return then
    if test == FALSE:
        return other
    if then == other:
        return then
    if isinstance(test, Not):
        return if_(test.item, other, then)
    if _missing(other) and isinstance(test, Call) and test.name in ("aligned", "exists"):
        needle: Expr = Call("word", test.args) if test.name == "aligned" else test.args[0]
        if depends_on(needle, then):
            return then
    if isinstance(test, Call) and test.name == "exists" and test.args[0] == then:
        return default(then, other)
    if isinstance(test, Aggregate) and test.kind == "any" and then in _finds(test):
        return then if _missing(other) else default(then, other)
    if isinstance(then, IfElse) and then.test == test:
        then = then.then
    if isinstance(other, IfElse) and other.test == test:
        other = other.other
    if isinstance(other, IfElse) and other.then == then:
        return if_(or_(test, other.test), then, other.other)
    return IfElse(test, then, other)


def guard_if(test: Expr, then: Expr, other: Expr) -> Expr:
    if then == other:
        return then
    return or_(and_(test, then), and_(not_(test), other))


def default(x: Expr, d: Expr) -> Expr:
    if sure(x):
        return x
    return d if _missing(x) else Call("default", (x, d))


def exists(e: Expr) -> Expr:
    """Whether a value is there (in Python: is not None)."""
    if _missing(e):
        return FALSE
    if sure(e):
        return TRUE
    match e:
        case Find(_, over, guard):
            return quantified("any", over, guard)
        case Call("word", args):
            return Call("aligned", args) if sure(args[0]) else and_(exists(args[0]), Call("aligned", args))
        case Call("head", args):
            return exists(args[0])
        case Call("default", (a, b)):
            return or_(exists(a), exists(b))
        case Call("exists" | "aligned"):
            return TRUE
        case Call("nth_word" | "first_token" | "last_token"):
            return Call("exists", (e,))
        case Call(_, args):
            return and_(*(exists(a) for a in args))
        case IfElse(test, a, b):
            return guard_if(test, exists(a), exists(b))
        case Neg(item):
            return exists(item)
        case Binary(_, a, b):
            return and_(exists(a), exists(b))
        case Aggregate("min" | "max", over, guard, _):
            return quantified("any", over, guard or TRUE)
    return Call("exists", (e,))


# --- ranges ---------------------------------------------------------------------------------------------------------


def bounded(var: str, low: Expr | None, high: Expr | None, domain: Call | None = None) -> Range:
    if low is not None and bounds(low)[1] <= 0:
        low = None
    if high is not None and high == arith("-", N, ONE):
        high = None
    return Range(var, low, high, domain)


def conjuncts(guard: Expr) -> tuple[Expr, ...]:
    return guard.items if isinstance(guard, And) else () if guard == TRUE else (guard,)


def _pinned(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard fixes the variable to x."""
    if over.domain is not None:
        return None
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        if isinstance(part, Compare) and part.op == "==" and whole(part.left) and whole(part.right):
            terms, const = linear(part.left)
            right, cr = linear(part.right)
            for atom, c in right.items():
                terms[atom] = terms.get(atom, 0.0) - c
            c = terms.pop(var, 0.0)
            if abs(c) == 1 and not any(over.var in free_names(a) for a in terms):
                x = from_linear({a: -t / c for a, t in terms.items() if t}, -(const - cr) / c)
                rest = substitute(and_(*parts[:i], *parts[i + 1 :]), {over.var: x})
                return x, and_(exists(x), within(x, over), refold(rest))
    return None


def _pinned_word(over: Range, guard: Expr) -> tuple[Expr, Expr] | None:
    """(x, rest of the guard) if the guard fixes the word variable to the word x."""
    var = Name(over.var)
    parts = conjuncts(guard)
    for i, part in enumerate(parts):
        if isinstance(part, Compare) and part.op == "==" and var in (part.left, part.right) and part.left != part.right:
            x = part.right if part.left == var else part.left
            if over.var not in free_names(x):
                return x, refold(substitute(and_(*parts[:i], *parts[i + 1 :]), {over.var: x}))
    return None


def within(x: Expr, over: Range) -> Expr:
    """x is one of the positions of the range."""
    low, high = ends(over)
    return and_(compare(">=", x, low), compare("<=", x, high))


def ends(over: Range) -> tuple[Expr, Expr]:
    """First and last position of the range, inside the text."""
    low = over.low if over.low is not None else ZERO
    high = over.high if over.high is not None else arith("-", N, ONE)
    if bounds(low)[0] < 0:
        low = extreme("max", [low, ZERO])
    if not at_most_last(high):
        high = extreme("min", [high, arith("-", N, ONE)])
    return low, high


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


def _outside_variable(over: Range, guard: Expr) -> tuple[list[Expr], list[Expr]]:
    inner, outer = [], []
    for part in conjuncts(guard):
        (inner if over.var in free_names(part) else outer).append(part)
    return inner, outer


def _tightened(over: Range, guard: Expr) -> tuple[Range, Expr]:
    """Bounds of the variable that stand in the guard move into the range, where the range has none on that side."""
    if over.domain is not None:
        return over, guard
    var = Name(over.var)
    low, high = over.low, over.high
    rest: list[Expr] = []
    for part in conjuncts(guard):
        if isinstance(part, Compare) and part.op in ("<", "<=", ">", ">=") and sure(part.left) and sure(part.right):
            if whole(part.left) and whole(part.right):
                terms, const = linear(part.left)
                right, cr = linear(part.right)
                for atom, c in right.items():
                    terms[atom] = terms.get(atom, 0.0) - c
                c = terms.pop(var, 0.0)
                if abs(c) == 1 and not any(over.var in free_names(a) for a in terms):
                    limit = from_linear({a: -t / c for a, t in terms.items() if t}, -(const - cr) / c)
                    op = part.op if c > 0 else FLIP[part.op]
                    if op in ("<", "<="):
                        limit = arith("-", limit, ONE) if op == "<" else limit
                        if high is None or high == limit:
                            high = limit
                            continue
                    else:
                        limit = arith("+", limit, ONE) if op == ">" else limit
                        if low is None or low == limit:
                            low = limit
                            continue
        rest.append(part)
    return bounded(over.var, low, high), and_(*rest)


def find(which: str, over: Range, guard: Expr) -> Expr:
    if guard == FALSE:
        return MISSING_NUMBER if over.domain is None else MISSING_WORD
    pinned = _pinned(over, guard)
    if pinned is not None:
        return if_(pinned[1], pinned[0], MISSING_NUMBER)
    inner, outer = _outside_variable(over, guard)
    if outer:
        return if_(and_(*outer), find(which, over, and_(*inner)), MISSING["number" if over.domain is None else "word"])
    over, guard = _tightened(over, guard)
    if guard == TRUE and over.domain is None:
        low, high = ends(over)
        return if_(compare("<=", low, high), low if which == "first" else high, MISSING_NUMBER)
    if which == "first" and over.domain is not None and over.domain.name == "words" and over.domain.args and guard == TRUE:
        return Call("word", over.domain.args)
    return Find(which, over, guard)


def quantified(kind: str, over: Range, guard: Expr, value: Expr | None = None) -> Expr:
    """any, all, count, sum, min, max over a range."""
    if kind == "all":
        return not_(quantified("any", over, not_(guard)))
    empty = {"any": FALSE, "count": ZERO, "sum": ZERO}.get(kind, MISSING_NUMBER)
    if guard == FALSE or (kind == "sum" and value == ZERO):
        return empty
    pinned = _pinned(over, guard)
    if pinned is not None:
        x, holds = pinned
        if kind == "any":
            return holds
        inside = ONE if kind == "count" else refold(substitute(value, {over.var: x}))
        return if_(holds, inside, empty)
    if over.domain is not None and kind in ("any", "count", "sum"):
        fixed = _pinned_word(over, guard)
        if fixed is not None:
            x, rest = fixed
            there = Aggregate("any", over, Compare("==", Name(over.var), x))
            if rest != TRUE or kind != "any":
                here: Expr = ONE if kind != "sum" or value is None else refold(substitute(value, {over.var: x}))
                holds = and_(there, rest)
                return holds if kind == "any" else if_(holds, here, ZERO)
    if kind == "any" and over.domain is None and isinstance(guard, Or):
        for i, part in enumerate(guard.items):
            one = _pinned(over, part)
            if one is not None:
                low, high = ends(over)
                if one[1] == compare("<=", low, high):
                    return one[1]  # holds for the one position wherever there is any
                return or_(one[1], quantified("any", over, or_(*guard.items[:i], *guard.items[i + 1 :])))
    inner, outer = _outside_variable(over, guard)
    if outer:
        below = quantified(kind, over, and_(*inner), value)
        return and_(*outer, below) if kind == "any" else if_(and_(*outer), below, empty)
    if kind == "sum" and value is not None:
        if over.var not in free_names(value):
            return arith("*", value, quantified("count", over, guard))
    if kind in ("min", "max") and value is not None and over.var not in free_names(value):
        return if_(quantified("any", over, guard), value, MISSING_NUMBER)
    over, guard = _tightened(over, guard)
    if guard == TRUE and over.domain is None:
        low, high = ends(over)
        if kind == "any":
            return compare("<=", low, high)
        if kind == "count":
            size = arith("+", arith("-", high, low), ONE)
            return size if bounds(size)[0] >= 0 or low == ZERO else extreme("max", [size, ZERO])
        if kind == "sum" and value is not None and bounds(arith("-", high, low)) == (0, 0):
            return refold(substitute(value, {over.var: low}))
    if kind == "any" and over.domain is not None and over.domain.name == "words" and over.domain.args and guard == TRUE:
        return Call("aligned", over.domain.args)
    if kind in ("sum", "min", "max"):
        return Aggregate(kind, over, None if guard == TRUE else guard, value)
    return Aggregate(kind, over, guard)


def rename_in(e: Expr, values: dict[str, Expr]) -> Expr:
    return replace_names(e, values)


# --- rebuilding -----------------------------------------------------------------------------------------------------


def refold(e: Any) -> Any:
    """The expression built anew by the folding constructors, from the leaves up."""
    return transform(e, lambda x: None)


def replace_names(e: Expr, values: dict[str, Expr]) -> Expr:
    """Names replaced by expressions, folded again; bound names are unique, so nothing is captured."""
    if not values or not (free_names(e) & values.keys()):
        return e
    return transform(e, lambda x: values.get(x.name) if isinstance(x, Name) else None)


def transform(e: Any, change: Callable[[Any], Any]) -> Any:
    """Bottom-up: `change` gives a replacement (final) or None; everything else is built by the folding constructors."""
    known: dict[int, Any] = {}
    keep: list[Any] = []

    def go(x: Any) -> Any:
        done = known.get(id(x))
        if done is None:
            spend(10)
            done = change(x)
            if done is None:
                done = rebuild(x, go)
            known[id(x)] = done
            keep.append(x)
        return done

    return go(e)


def rebuild(x: Any, go: Callable[[Any], Any]) -> Any:
    match x:
        case Binary(op, a, b):
            return arith(op, go(a), go(b))
        case Neg(a):
            return neg(go(a))
        case Compare(op, a, b):
            return compare(op, go(a), go(b))
        case Member(a, values):
            return member(go(a), values)
        case Not(a):
            return not_(go(a))
        case And(items):
            return and_(*(go(i) for i in items))
        case Or(items):
            return or_(*(go(i) for i in items))
        case IfElse(test, a, b):
            return if_(go(test), go(a), go(b))
        case Call("default", (a, b)):
            return default(go(a), go(b))
        case Call("exists", (a,)):
            return exists(go(a))
        case Call("min" | "max", args):
            return extreme(x.name, [go(a) for a in args])
        case Call("nth_word", (a,)):
            return nth_word(go(a))
        case Call(name, args):
            new = tuple(go(a) for a in args)
            return x if all(a is b for a, b in zip(new, args, strict=True)) else Call(name, new)
        case Find(which, over, guard):
            if x in (MISSING_NUMBER,):
                return x
            return find(which, _rebuilt(over, go), go(guard))
        case Aggregate(kind, over, guard, value):
            return quantified(kind, _rebuilt(over, go), TRUE if guard is None else go(guard), None if value is None else go(value))
    return x


def _rebuilt(over: Range, go: Callable[[Any], Any]) -> Range:
    domain = over.domain
    if domain is not None:
        return Range(over.var, None, None, Call(domain.name, tuple(go(a) for a in domain.args)))
    return bounded(over.var, None if over.low is None else go(over.low), None if over.high is None else go(over.high))


def nth_word(index: Expr) -> Expr:
    """The word with the given index."""
    if isinstance(index, Call) and index.name == "index":
        return index.args[0]
    if isinstance(index, IfElse):
        return if_(index.test, nth_word(index.then), nth_word(index.other))
    if index == MISSING_NUMBER:
        return MISSING_WORD
    return Call("nth_word", (index,))


def size_of(e: Node, limit: int) -> int:
    """Number of nodes as a tree, counted up to the limit."""
    from dsl.nodes import children

    count = 0
    todo: list[Any] = [e]
    while todo and count <= limit:
        here = todo.pop()
        count += 1
        todo.extend(children(here))
    return count
