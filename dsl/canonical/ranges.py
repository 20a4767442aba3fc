"""Searches and aggregates over ranges: bounds move from the guard into the range, trivial ones are worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from dsl.canonical.compare import compare, decide
from dsl.canonical.estimates import bounds, is_in_text, may_be_missing
from dsl.canonical.facts import Facts
from dsl.canonical.linear import ZERO, edges, linear, number
from dsl.canonical.logic import conjunction, negation, parts
from dsl.canonical.order import rank
from dsl.nodes import FALSE, TRUE, Aggregate, And, Binary, Compare, Expr, Find, N, Name, Not, Num, Range, free_names, substitute

Again = Callable[[Expr, Facts], Expr]


def find(node: Find, facts: Facts, again: Again) -> Expr:
    over, guard, _ = _ranged(node.range, node.guard, facts, again)
    if guard == FALSE and over.domain is None:  # always missing
        return Find("first", Range(over.var), FALSE)
    if guard == TRUE and over.domain is None:  # first(p >= q: true) = q
        end = over.low if node.which == "first" else over.high
        whole: Expr = Num(0.0) if node.which == "first" else Binary("-", N, Num(1.0))
        end = again(end if end is not None else whole, facts)
        if is_in_text(end, facts) and decide(_nonempty(over, facts), facts) is True:
            return end
    new = Find(node.which, over, guard)
    return node if new == node else new


def aggregate(node: Aggregate, facts: Facts, again: Again) -> Expr:
    kind = node.kind
    if kind == "all":  # all(R: G) = not any(R: not G); dsl/canonical/layout.py turns it back where that is shorter
        assert node.guard is not None
        return negation(again(Aggregate("any", node.range, Not(node.guard)), facts), facts)
    over, guard, inner = _ranged(node.range, node.guard if node.guard is not None else TRUE, facts, again)
    if kind in ("any", "count"):
        if guard == FALSE:
            return FALSE if kind == "any" else Num(0.0)
        if kind == "any":
            return _any(over, guard, facts, again)
        length = _length(over) if guard == TRUE and over.domain is None else None
        if length is not None and bounds(length, facts)[0] >= 0 and _inside(over, facts):
            return again(length, facts)
        return Aggregate(kind, over, guard)
    assert node.value is not None
    value = again(node.value, inner.given(parts(guard)))
    if guard == FALSE and kind == "sum":
        return Num(0.0)
    if kind == "sum" and value == Num(0.0):
        return Num(0.0)
    if kind == "sum" and value == Num(1.0):
        return again(Aggregate("count", over, guard), facts)
    return Aggregate(kind, over, None if guard == TRUE else guard, value)


def _any(over: Range, guard: Expr, facts: Facts, again: Again) -> Expr:
    items = parts(guard)
    outside = [i for i in items if over.var not in free_names(i)]
    inside = [i for i in items if over.var in free_names(i)]
    if outside:
        rest = Aggregate("any", over, conjunction(inside, facts.without([over.var]), None))
        return again(And((*outside, rest)), facts)
    if over.domain is None:
        if not inside:
            return again(_nonempty(over, facts), facts)
        for item in inside:  # any(p: p == k - 1 and G(p)) = G(k - 1), if there is such a position
            place = _solved(item, over.var)
            if place is not None and not may_be_missing(place, facts):
                limits = [Compare(">=", place, over.low or ZERO), Compare("<=", place, over.high or Binary("-", N, Num(1.0)))]
                limits += [Compare(">=", place, ZERO), Compare("<", place, N)]
                here = substitute(And(tuple(inside)), {over.var: place})
                return again(And((*limits, here)), facts)
    elif not inside:
        return Aggregate("any", over, TRUE)
    return Aggregate("any", over, guard)


def _inner(over: Range, facts: Facts) -> Facts:
    """What holds inside a range."""
    known = facts.without([over.var])
    var = Name(over.var)
    sides: list[Expr] = []
    for op, end in ((">=", over.low), ("<=", over.high)):
        if end is not None and linear(end) is not None:
            sides.append(compare(op, var, end, known))
    return known.given(s for s in sides if s != FALSE)


def _ranged(over: Range, guard: Expr, facts: Facts, again: Again) -> tuple[Range, Expr, Facts]:
    """The range and its guard in canonical form, and the facts inside."""
    if over.domain is not None:
        domain = again(over.domain, facts) if over.domain.args else over.domain
        over = over if domain == over.domain else replace(over, domain=domain)  # type: ignore[arg-type]
        known = facts.without([over.var])
        return over, again(guard, known), known
    var = Name(over.var)
    outer = facts.without([over.var])
    limits: list[Expr] = []
    for op, end in ((">=", over.low), ("<=", over.high)):
        if end is not None:
            limits.append(Compare(op, var, end))
    whole = again(And((*limits, guard)), outer)
    if whole == FALSE:
        return Range(over.var), FALSE, outer
    rest = list(parts(whole))
    low, rest = _bound(rest, over.var, ">")
    high, rest = _bound(rest, over.var, "<")
    new = Range(over.var, low, high)
    return new, conjunction(rest, outer, None), _inner(new, outer)


def _bound(items: list[Expr], var: str, side: str) -> tuple[Expr | None, list[Expr]]:
    """The bound of the range among the guard's parts, in the parser's spelling (p < q is the high end q - 1), and the rest."""
    found: list[tuple[tuple[bool, tuple[int, str]], Expr, Expr]] = []
    for item in items:
        if not isinstance(item, Compare) or item.left != Name(var) or var in free_names(item.right) or item.op[0] != side:
            continue
        step = Binary("+" if side == ">" else "-", item.right, Num(1.0))
        end = item.right if len(item.op) == 2 else step
        found.append(((isinstance(item.right, Num), rank(item.right)), item, end))
    if not found:
        return None, items
    _, chosen, end = min(found, key=lambda f: f[0])  # bounds that depend on q and k before constants
    return end, [i for i in items if i is not chosen]


def _solved(item: Expr, var: str) -> Expr | None:
    """The position that `var == …` names."""
    if not isinstance(item, Compare) or item.op != "==" or edges(item) is None:
        return None
    form = linear(Binary("-", item.left, item.right))
    assert form is not None
    terms = dict(form[0])
    c = terms.pop(Name(var), 0)
    if abs(c) != 1 or var in {n for t in terms for n in free_names(t)}:
        return None
    return number((tuple((t, -c * d) for t, d in terms.items()), -c * form[1]))


def _nonempty(over: Range, facts: Facts) -> Expr:
    low, high = over.low or ZERO, over.high or Binary("-", N, Num(1.0))
    sides: Iterable[Expr] = (
        Compare("<=", low, high),
        Compare("<", low, N),
        Compare(">=", high, ZERO),
    )
    return conjunction([compare(s.op, *_sides(s), facts) for s in sides if isinstance(s, Compare)], facts, None)


def _sides(guard: Compare) -> tuple[Expr, Expr]:
    return guard.left, guard.right


def _length(over: Range) -> Expr | None:
    low, high = over.low or ZERO, over.high or Binary("-", N, Num(1.0))
    form = linear(Binary("+", Binary("-", high, low), Num(1.0)))
    return None if form is None else number(form)


def _inside(over: Range, facts: Facts) -> bool:
    low, high = over.low or ZERO, over.high or Binary("-", N, Num(1.0))
    return bounds(low, facts)[0] >= 0 and bounds(Binary("-", N, high), facts)[0] >= 1
