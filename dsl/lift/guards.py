"""Constructors of expressions that fold on the way: constants, comparisons, guards, ranges.

Python values are never missing, so folding may assume that arithmetic on positions is defined; only results of searches
(`first`, `last`), words of unaligned tokens and what is computed from them may be missing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from dsl.lift.decimals import total
from dsl.lift.terms import (
    FLIP,
    INVERSE,
    MISSING_NUMBER,
    MISSING_TEXT,
    MISSING_WORD,
    ONE,
    ZERO,
    arith,
    bounds,
    linear,
    num,
    spend,
    sure,
    whole,
)
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
    Not,
    Num,
    Or,
    Range,
    Str,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# --- linear forms ---------------------------------------------------------------------------------------------------


# --- numbers --------------------------------------------------------------------------------------------------------


# --- guards ---------------------------------------------------------------------------------------------------------


def compare(op: str, a: Expr, b: Expr) -> Expr:
    """A comparison of two numbers, two texts or two words."""
    from dsl.lift.ranges import quantified  # ranges are built from guards, and guards from ranges

    if isinstance(a, Num | Str) and isinstance(b, Num | Str):
        return Bool(bool(_COMPARE[op](a.value, b.value))) if type(a) is type(b) else Bool(op == "!=")
    if isinstance(a, Num | Str):
        a, b, op = b, a, FLIP[op]
    if isinstance(a, Call) and isinstance(b, Call) and a.name == b.name == "index" and op in ("==", "!="):
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
    if op in ("==", "!=") and isinstance(a, Aggregate) and isinstance(b, Aggregate) and (extra := _one_more(a, b)) is not None:
        return not_(extra) if op == "==" else extra
    if isinstance(a, Call) and a.name == "length" and isinstance(b, Num) and b.value == 0 and op in ("==", ">", "!="):
        return Compare("==" if op == "==" else "!=", a.args[0] if _is_text(a.args[0]) else Call("text", a.args), Str(""))
    return Compare(op, a, b)


def _one_more(a: Aggregate, b: Aggregate) -> Expr | None:
    """Whether the counts differ, for count(p < x: G) and count(p <= x: G): whether G holds at x."""
    from dsl.lift.ranges import replace_names, within  # ranges are built from guards, and guards from ranges

    if not a.kind == b.kind == "count" or a.range.domain is not None or b.range.domain is not None:
        return None
    if None in (a.range.high, b.range.high, a.guard, b.guard) or a.range.low != b.range.low:
        return None
    d = arith("-", b.range.high, a.range.high)  # type: ignore[arg-type]
    if d not in (ONE, num(-1)) or replace_names(b.guard, {b.range.var: Name(a.range.var)}) != a.guard:  # type: ignore[arg-type]
        return None
    longer = b if d == ONE else a
    x = longer.range.high
    assert x is not None and longer.guard is not None
    return and_(within(x, Range(longer.range.var, longer.range.low)), replace_names(longer.guard, {longer.range.var: x}))


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
    ends = [(lo, hi) if c > 0 else (hi, lo) for (lo, hi), c in ((bounds(atom), c) for atom, c in ta.items())]
    low = total((ca, -cb, *(c * lo for c, (lo, _) in zip(ta.values(), ends, strict=True))), -math.inf)
    high = total((ca, -cb, *(c * hi for c, (_, hi) in zip(ta.values(), ends, strict=True))), math.inf)
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
    if any(isinstance(part, Not) and denies(part.item, flat) for part in flat):
        return FALSE
    flat = _without_implied(flat)
    # and(a, or(not a, b)) = and(a, b)
    for at, part in enumerate(flat):
        if isinstance(part, Or):
            others = flat[:at] + flat[at + 1 :]
            if any(o in part.items for o in others):
                return and_(*others)
            kept = [x for x in part.items if not_(x) not in others]
            if len(kept) < len(part.items):
                return and_(*flat[:at], or_(*kept), *flat[at + 1 :])
    if _contradict(flat):
        return FALSE
    return TRUE if not flat else flat[0] if len(flat) == 1 else And(tuple(flat))


def denies(item: Expr, others: list[Expr]) -> bool:
    """Whether `not item` says that something is missing of which one of the others speaks."""
    if not (isinstance(item, Call) and item.name in ("aligned", "exists")):
        return False
    needle = Call("word", item.args) if item.name == "aligned" else item.args[0]
    return any(strict_in(needle, o) for o in others)


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
        for at, part in enumerate(flat):
            if isinstance(part, And):
                others = flat[:at] + flat[at + 1 :]
                if any(all(p in part.items for p in conjuncts(o)) for o in others):
                    flat, changed = others, True
                    break
                kept = [x for x in part.items if not_(x) not in others]
                if len(kept) < len(part.items):
                    new = and_(*kept)
                    if new == TRUE:
                        return TRUE
                    flat[at : at + 1] = [x for x in (new.items if isinstance(new, Or) else (new,)) if x not in others]
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
    joined = _one_search(test, then, other)
    if joined is not None:
        return joined
    if isinstance(then, Find) and _alike(exists(then), test):
        return then if _missing(other) else default(then, other)
    if isinstance(then, IfElse) and then.test == test:
        then = then.then
    if isinstance(other, IfElse) and other.test == test:
        other = other.other
    if isinstance(other, IfElse) and other.then == then:
        return if_(or_(test, other.test), then, other.other)
    return IfElse(test, then, other)


def _alike(a: Expr, b: Expr) -> bool:
    """Equal but for the name of the variable."""
    if a == b or not (isinstance(a, Aggregate) and isinstance(b, Aggregate) and a.guard is not None and b.guard is not None):
        return a == b
    if a.kind != b.kind or (a.range.low, a.range.high, a.range.domain) != (b.range.low, b.range.high, b.range.domain):
        return False
    from dsl.lift.ranges import replace_names  # ranges are built from guards, and guards from ranges

    return replace_names(a.guard, {a.range.var: Name(b.range.var)}) == b.guard


def _one_search(test: Expr, then: Expr, other: Expr) -> Expr | None:
    """x if G(x) else last(p < x: G(p)) is last(p <= x: G(p))."""
    found, rest = (other.args[0], other.args[1]) if isinstance(other, Call) and other.name == "default" else (other, None)
    if not isinstance(found, Find) or found.range.domain is not None or found.guard is None:
        return None
    r = found.range
    if found.which == "last" and r.low is None and r.high == arith("-", then, ONE):
        over = Range(r.var, None, then)
    elif found.which == "first" and r.high is None and r.low == arith("+", then, ONE):
        over = Range(r.var, then, None)
    else:
        return None
    from dsl.lift.ranges import find, replace_names  # ranges are built from guards, and guards from ranges

    if not isinstance(then, Name) or replace_names(found.guard, {r.var: then}) != test:
        return None
    one = find(found.which, over, found.guard)
    return one if rest is None else default(one, rest)


def guard_if(test: Expr, then: Expr, other: Expr) -> Expr:
    if then == other:
        return then
    return or_(and_(test, then), and_(not_(test), other))


def default(x: Expr, d: Expr) -> Expr:
    if sure(x) or (isinstance(x, Find) and exists(x) == TRUE):
        return x
    return d if _missing(x) else Call("default", (x, d))


def exists(e: Expr) -> Expr:
    """Whether a value is there (in Python: is not None)."""
    from dsl.lift.ranges import quantified  # ranges are built from guards, and guards from ranges

    if _missing(e):
        return FALSE
    if sure(e):
        return TRUE
    match e:
        case Find(_, Range(var, None, None, Call("words", ())), Compare("==", Call(f, (a,)), Call(g, (b,)))) if (
            f == g == "sentence" and Name(var) in (a, b)
        ):  # a word is in its own sentence
            other = b if a == Name(var) else a
            return Call("aligned", (other,)) if sure(other) else exists(other)
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
        case Call("word_id" | "nth_word" | "first_token" | "last_token"):
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


def conjuncts(guard: Expr) -> tuple[Expr, ...]:
    return guard.items if isinstance(guard, And) else () if guard == TRUE else (guard,)


# --- rebuilding -----------------------------------------------------------------------------------------------------
