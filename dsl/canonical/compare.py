"""Comparisons and memberships in their one spelling, decided where the facts decide them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite

from dsl.canonical.estimates import bounds, is_missing, may_be_missing
from dsl.canonical.facts import Facts, sort, values_of
from dsl.canonical.linear import Form, atom, cancelled, difference, edges, from_edge, linear, number
from dsl.canonical.order import rank, sorted_items
from dsl.nodes import (
    FALSE,
    TRUE,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    IfElse,
    K,
    Member,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Same,
    Str,
)
from dsl.vocabulary import SAME_FEATURES

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
MOST_LEAVES = 8
RUN = 3  # so many whole numbers in a row are written as bounds, fewer as a set


def compare(op: str, left: Expr, right: Expr, facts: Facts) -> Expr:
    """left op right, for sides that are simple already."""
    spread = _spread(left, lambda x: compare(op, x, right, facts)) or _spread(right, lambda x: compare(op, left, x, facts))
    if spread is not None:
        return spread
    if is_missing(left) or is_missing(right):
        return FALSE
    if sort(left) == "number":
        split = _split(op, left, right, facts) or _split(FLIPPED[op], right, left, facts)
        if split is not None:
            return split
        if (form := difference(left, right)) is not None:
            return _whole(op, form, cancelled(Binary("-", left, right)), facts)
        return _real(op, left, right, facts)
    return _alike(op, left, right, facts)


def _split(op: str, side: Expr, other: Expr, facts: Facts) -> Expr | None:
    """max(a, b) < c is a < c and b < c; abs(a) > 3 is a > 3 or a < -3; and so on."""
    match side:
        case Call("max" | "min" as name, args) if op not in ("==", "!="):
            every = (name == "max") == (op in ("<", "<="))
            if not every and any(may_be_missing(a, facts) for a in args):
                return None
            found = tuple(compare(op, a, other, facts) for a in args)
            return And(found) if every else Or(found)
        case Call("abs", (item,)) if isinstance(other, Num) and op not in ("==", "!=") and linear(item) is not None:
            within = op in ("<", "<=")
            found = compare(op, item, other, facts), compare(FLIPPED[op], item, Num(-other.value), facts)
            return And(found) if within else Or(found)
    return None


def _whole(op: str, form: Form, gone: Iterable[Expr], facts: Facts) -> Expr:
    found = atom(op, form)
    guard: Expr = Bool(found) if isinstance(found, bool) else tightened(found, facts)
    lost = [t for t in gone if may_be_missing(t, facts)]
    if guard == FALSE or not lost:
        return guard
    parts = [Call("exists", (t,)) for t in sorted(lost, key=rank)]
    return And((*parts, guard)) if guard != TRUE else parts[0] if len(parts) == 1 else And(tuple(parts))


def tightened(guard: Expr, facts: Facts) -> Expr:
    """A comparison of whole numbers, decided or made sharper by the bounds that are known: q <= 0 is q == 0, q != 0 is q > 0."""
    known = decide(guard, facts)
    if known is not None:
        return Bool(known)
    assert isinstance(guard, Compare)
    if guard.op == "!=":
        equal = edges(Compare("==", guard.left, guard.right))
        if equal:
            matrix = facts.matrix(t for x, y, _ in equal for t in (x, y))
            for x, y, c in equal:
                if matrix is not None and matrix.get((x, y)) == c:
                    return from_edge((x, y, c - 1))
        return guard
    bound = edges(guard)
    if bound and len(bound) == 1:
        (x, y, c) = bound[0]
        matrix = facts.matrix((x, y))
        if matrix is not None and matrix.get((y, x)) == -c:
            return from_edge((x, y, c), equal=True)
    return guard


def _real(op: str, left: Expr, right: Expr, facts: Facts) -> Expr:
    if isinstance(left, Num) and isinstance(right, Num):
        return Bool(HOLDS[op](left.value, right.value))
    if left == right:
        if op in ("!=", "<", ">"):
            return FALSE
        return exists(left, facts)
    if isinstance(right, Num) and right.value == 0:
        match left:
            case Binary("-", a, b):
                return compare(op, a, b, facts)
            case Neg(item):
                return compare(FLIPPED[op], item, right, facts)
    if isinstance(left, Num) or (not isinstance(right, Num) and rank(left) > rank(right)):
        op, left, right = FLIPPED[op], right, left
    guard = Compare(op, left, right)
    known = decide(guard, facts)
    return guard if known is None else Bool(known)


def _alike(op: str, left: Expr, right: Expr, facts: Facts) -> Expr:
    """Texts and words: == and != only."""
    if isinstance(left, Str) and isinstance(right, Str):
        return Bool(HOLDS[op](left.value, right.value))  # type: ignore[arg-type]
    if left == right:
        return exists(left, facts) if op == "==" else FALSE
    if isinstance(left, Str) or (not isinstance(right, Str) and rank(left) > rank(right)):
        left, right = right, left
    match left, right:
        case Call(a, (x,)), Call(b, (y,)) if a == b and {x, y} == {Q, K} and a in SAME_FEATURES:
            missing = may_be_missing(left, facts) or may_be_missing(right, facts)
            if op == "==" or not missing:
                return Same(a) if op == "==" else Not(Same(a))
    guard = Compare(op, left, right)
    known = decide(guard, facts)
    return guard if known is None else Bool(known)


def exists(item: Expr, facts: Facts) -> Expr:
    """exists(item), for an item that is simple already."""
    if not may_be_missing(item, facts):
        return TRUE
    if is_missing(item):
        return FALSE
    if isinstance(item, Call) and item.name == "word" and sort(item.args[0]) == "number":
        return Call("aligned", item.args)
    return Call("exists", (item,))


def member(item: Expr, values: Iterable[str | float], facts: Facts) -> Expr:
    """item in {values}, for an item that is simple already."""
    spread = _spread(item, lambda x: member(x, values, facts))
    if spread is not None:
        return spread
    if is_missing(item):
        return FALSE
    if isinstance(item, Num | Str):
        return Bool(item.value in set(values))
    if sort(item) == "number":
        form = linear(item)
        if form is not None:
            return _whole_member(form, [v for v in values if not isinstance(v, str)], facts)
    allowed, excluded = facts.texts.get(item, (None, frozenset()))
    left = {v for v in values if v not in excluded and (allowed is None or v in allowed)}
    if allowed is not None and left >= allowed - excluded:
        return TRUE
    if not left:
        return FALSE
    if len(left) == 1:
        (value,) = left
        return compare("==", item, Str(value) if isinstance(value, str) else Num(value), facts)
    return Member(item, tuple(sorted(left)))  # type: ignore[type-var]


def _whole_member(form: Form, values: list[float], facts: Facts) -> Expr:
    terms, constant = form
    whole = sorted({int(v) - constant for v in values if isfinite(v) and v == int(v)})
    if number((terms, 0)) != (item := number(_positive(terms))):
        whole = sorted(-v for v in whole)
    whole = [v for v in whole if decide(Compare("==", item, Num(float(v))), facts) is not False]
    if not whole:
        return FALSE
    if len(whole) == 1:
        return compare("==", item, Num(float(whole[0])), facts)
    low, high = whole[0], whole[-1]
    least, most = bounds(item, facts)
    if len(whole) == high - low + 1 and (len(whole) >= RUN or least == low or most == high):
        sides = [compare(">=", item, Num(float(low)), facts), compare("<=", item, Num(float(high)), facts)]
        sides = [s for s in sides if s != TRUE]
        return And(sorted_items(sides)) if len(sides) == 2 else sides[0] if sides else TRUE
    return Member(item, tuple(float(v) for v in whole))


def _positive(terms: tuple[tuple[Expr, int], ...]) -> Form:
    """The terms with the sign that a comparison of them would have."""
    found = atom("==", (terms, -1))
    shown = linear(found.left) if isinstance(found, Compare) else None
    same = shown is not None and all(dict(terms).get(t, 0) * c > 0 for t, c in shown[0])
    return (terms, 0) if same else (tuple((t, -c) for t, c in terms), 0)


def _spread(item: Expr, put: Callable[[Expr], Expr]) -> Expr | None:
    """A guard of `a if t else b` as (t and guard of a) or (not t and guard of b), where that leaves one guard at most."""
    if not isinstance(item, IfElse):
        return None
    leaves = list(_leaves(item))
    if len(leaves) > MOST_LEAVES:
        return None
    guards = [put(x) for _, x in leaves]
    if sum(not isinstance(g, Bool) for g in guards) > 1:
        return None
    parts = [And((*tests, g)) for (tests, _), g in zip(leaves, guards, strict=True) if g != FALSE]
    return Or(tuple(parts)) if parts else FALSE


def _leaves(item: Expr) -> Iterable[tuple[tuple[Expr, ...], Expr]]:
    if not isinstance(item, IfElse):
        yield (), item
        return
    for tests, leaf in _leaves(item.then):
        yield (item.test, *tests), leaf
    for tests, leaf in _leaves(item.other):
        yield (Not(item.test), *tests), leaf


def decide(guard: Expr, facts: Facts) -> bool | None:
    """True or False where the facts settle the guard, else None."""
    if isinstance(guard, Bool):
        return guard.value
    if guard in facts.items or (isinstance(guard, Call) and guard in facts.existing):
        return True
    if opposite(guard) in facts.items or Not(guard) in facts.items:
        return False
    match guard:
        case Not(item):
            inner = decide(item, facts)
            return None if inner is None else not inner
        case Call("exists", (item,)):
            return None if may_be_missing(item, facts) else True
        case Same(feature):
            here, there = (facts.texts.get(Call(feature, (x,))) for x in (Q, K))
            if here and there and here[0] is not None and there[0] is not None and not here[0] & there[0]:
                return False
        case Compare() | Member():
            return _decide_values(guard, facts)
    return None


def _decide_values(guard: Compare | Member, facts: Facts) -> bool | None:
    told = values_of(guard)
    if told is not None and told[0] in facts.texts:
        term, values, positive = told
        allowed, excluded = facts.texts[term]
        if positive and (values <= excluded or (allowed is not None and not values & allowed)):
            return False
        if positive and allowed is not None and allowed - excluded <= values:
            return True
        if not positive and (values <= excluded or (allowed is not None and not values & allowed)):
            return True if not may_be_missing(term, facts) else None
    if isinstance(guard, Member):
        return None
    bound = edges(guard if guard.op != "!=" else Compare("==", guard.left, guard.right))
    sure = not (may_be_missing(guard.left, facts) or may_be_missing(guard.right, facts))
    if bound:
        matrix = facts.matrix(t for x, y, _ in bound for t in (x, y))
        if matrix is None:
            return False
        refuted = any(-matrix.get((y, x), float("inf")) > c for x, y, c in bound)
        implied = all(matrix.get((x, y), float("inf")) <= c for x, y, c in bound)
        if guard.op == "!=":
            return False if implied else True if refuted and sure else None
        return False if refuted else True if implied and sure else None
    if sort(guard.left) == "number":
        (a, b), (c, d) = bounds(guard.left, facts), bounds(guard.right, facts)
        always = {"<": b < c, "<=": b <= c, ">": a > d, ">=": a >= d, "==": a == b == c == d, "!=": b < c or a > d}
        never = {"<": a >= d, "<=": a > d, ">": b <= c, ">=": b < c, "==": b < c or a > d, "!=": a == b == c == d}
        return False if never[guard.op] else True if always[guard.op] and sure else None
    return None


def opposite(guard: Expr) -> Expr:
    """The guard that holds exactly where this one does not, provided that nothing is missing. Computed once per node."""
    if "_opposite" not in guard.__dict__:
        guard.__dict__["_opposite"] = _opposite(guard)
    return guard.__dict__["_opposite"]


def _opposite(guard: Expr) -> Expr:
    match guard:
        case Not(item):
            return item
        case Compare(op, left, right):
            form = difference(left, right) if sort(left) == "number" else None
            found = Compare(NEGATED[op], left, right) if form is None else atom(NEGATED[op], form)
            return Bool(found) if isinstance(found, bool) else found
    return Not(guard)
