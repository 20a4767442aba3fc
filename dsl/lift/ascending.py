"""Lists of positions put together from several parts, such as [0] + starts + [n]: as one where they ascend."""

from __future__ import annotations

from dsl.lift.guards import and_, compare, or_
from dsl.lift.machine import Machine
from dsl.lift.sequences import rename_guard, renewed
from dsl.lift.terms import ONE, ZERO, N, arith, at_most_last
from dsl.lift.values import Item, Over, S, Seq, high_of, low_of, number, sort_of
from dsl.nodes import TRUE, Expr, Name, Num, Range


def joined_parts(m: Machine, seq: Seq) -> Seq:
    """The list with the first of its segments joined, as many as are positions in ascending order."""
    if len(seq.segments) < 2 or seq.is_set or not seq.ordered:
        return seq
    var = m.var()
    guards: list[Expr] = []
    first: Expr = ZERO
    highs: list[Expr] = []
    taken = 0
    for s in seq.segments:
        found = part(m, s, var)
        if found is None:
            break
        low, high, guard = found
        if not all(m.nonnegative(arith("-", arith("-", low, h), ONE)) for h in highs):
            break
        if taken == 1 and guards == [compare("==", Name(var), first)] and low == arith("+", first, ONE) and first == ZERO:
            low = ZERO  # from the next position on is from here on
        if low != ZERO:
            guard = and_(compare(">=", Name(var), low), guard)
        if high != arith("-", N, ONE) and isinstance(s, Over):
            guard = and_(compare("<=", Name(var), high), guard)
        guards.append(guard)
        first = low if taken == 0 else first
        highs.append(high)
        taken += 1
    if taken < 2:
        return seq
    one = Over((Range(var),), or_(*guards), S("number", Name(var)))
    return Seq((one, *seq.segments[taken:]), False, True)


def part(m: Machine, s: Item | Over, var: str) -> tuple[Expr, Expr, Expr] | None:
    """Lowest and highest position of a segment, and the guard under which `var` is in it; None where it is none of positions."""
    if isinstance(s, Item):
        if sort_of(s.value) != "number":
            return None
        e = number(s.value)
        if not (m.nonnegative(e) and at_most_last(e)):
            return None
        return e, e, and_(compare("==", Name(var), e), s.cond)
    if len(s.ranges) != 1 or s.descending or s.rank is not None or s.ranges[0].domain is not None or sort_of(s.value) != "number":
        return None
    o = renewed(m, s)
    r = o.ranges[0]
    shift = arith("-", number(o.value), Name(r.var))
    if not isinstance(shift, Num):
        return None
    low, high = arith("+", low_of(r), shift), arith("+", high_of(r), shift)
    if shift != ZERO and not (m.nonnegative(low) and at_most_last(high)):
        return None
    here: dict[str, Expr] = {r.var: arith("-", Name(var), shift)}
    return low, high, rename_guard(o.guard, here) if o.guard != TRUE else TRUE
