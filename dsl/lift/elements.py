"""Elements and slices of lists."""

from __future__ import annotations

from typing import Any

from dsl.lift.ascending import joined_parts
from dsl.lift.guards import and_, compare, conjuncts, exists, if_
from dsl.lift.machine import Machine, conditional, never
from dsl.lift.order import precedes, search
from dsl.lift.ranges import find, quantified
from dsl.lift.sequences import (
    constant,
    items_of,
    length,
    nonempty,
    quantify,
    refuse,
    rename_guard,
    rename_range,
    renewed,
    reversed_,
)
from dsl.lift.terms import ONE, ZERO, N, arith, extreme, linear, num
from dsl.lift.values import Item, Over, S, Seq, high_of, low_of, mentions, merge_scalars, number, rename
from dsl.nodes import TRUE, Aggregate, Expr, Find, Name, Num, Range


def first_of(m: Machine, segment: Item | Over, back: bool) -> Any:
    """The first (or last) element; missing where there is none."""
    if isinstance(segment, Item):
        return segment.value
    return nth_of(m, segment, 1 if back else 0, back)


def nth_of(m: Machine, over: Over, k: int, back: bool) -> Any:
    """Element k from the front, or element k (from 1) from the back."""
    if len(over.ranges) == 2 and k <= 1 and over.ranges[1].domain is not None:
        # positions, and words of each: the first that has any
        outer, inner = over.ranges
        o = renewed(m, over)
        outer, inner = o.ranges
        holds = quantified("any", inner, o.guard)
        which = "last" if back != o.descending else "first"
        place = find(which, outer, holds)
        deeper = Over((rename_range(inner, {outer.var: place}),), rename_guard(o.guard, {outer.var: place}),
                      rename(o.value, {outer.var: place}))  # fmt: skip
        if not any(mentions(o.value, r.var) for r in o.ranges[1:]):
            return rename(o.value, {outer.var: place})
        return nth_of(m, deeper, k, back)
    if len(over.ranges) != 1:
        refuse("an element of a list built by nested loops")
    o = renewed(m, over)
    r = o.ranges[0]
    backwards = back != o.descending
    if o.guard == TRUE and r.domain is None:
        there = arith("-", high_of(r), num(k - 1 if back else k)) if backwards else arith("+", low_of(r), num(k - 1 if back else k))
        return rename(o.value, {r.var: there})
    steps = k if back else k + 1
    at: Expr | None = None
    for _ in range(steps):
        v = m.var()
        guard = rename_guard(o.guard, {r.var: Name(v)})
        if at is None or r.domain is not None:
            over_range = Range(v, r.low, r.high, r.domain)
            if at is not None:
                guard = and_(guard, precedes(m, r, Name(v), at) if backwards else precedes(m, r, at, Name(v)))
        elif backwards:
            over_range = Range(v, r.low, arith("-", at, ONE))
        else:
            over_range = Range(v, arith("+", at, ONE), r.high)
        at = search(m, "last" if backwards else "first", over_range, guard)
    assert at is not None
    return rename(o.value, {r.var: at})


def element(m: Machine, seq: Seq, index: Any) -> Any:
    """seq[index]."""
    known = items_of(seq)
    if known is None:
        seq = joined_parts(m, seq)
    if isinstance(index, bool):
        index = int(index)
    if isinstance(index, int):
        if known is not None:
            if -len(known) <= index < len(known):
                return known[index]
            refuse("an index beyond the end of a list")
        ranked = ranked_element(m, seq, index)
        if ranked is not None:
            return ranked
        if not seq.ordered or seq.is_set:
            refuse("the order of this list follows from the data")
        back = index < 0
        order = list(reversed(seq.segments)) if back else list(seq.segments)
        if len(order) == 1 and isinstance(order[0], Over):
            return nth_of(m, order[0], -index if back else index, back)
        if index in (0, -1):
            return choose_first(m, order, back)
        return element_of_several(m, order, -index - 1 if back else index, back)
    if not (isinstance(index, S) and index.sort in ("number", "guard")):
        refuse("an index that is no number")
    e = number(index)
    if known is not None:
        result = None
        for i, value in enumerate(known):
            if i == 0:
                result = value
                continue
            cond = compare("==", e, num(i))
            new = merge_scalars(cond, value, result)
            result = new if new is not None else m.merge(cond, value, result)
        return result
    if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and len(seq.segments[0].ranges) == 1 and seq.ordered:
        o = renewed(m, seq.segments[0])
        r = o.ranges[0]
        if o.guard == TRUE and r.domain is None:
            size = arith("+", arith("-", high_of(r), low_of(r)), ONE)
            e = wrapped(m, e, size)
            at = arith("-", high_of(r), e) if o.descending else arith("+", low_of(r), e)
            return rename(o.value, {r.var: at})
        v = m.var()
        others = rename_guard(o.guard, {r.var: Name(v)})
        if r.domain is not None:
            before = Range(v, None, None, r.domain)
            others = and_(others, precedes(m, r, *((Name(r.var), Name(v)) if o.descending else (Name(v), Name(r.var)))))
        elif o.descending:
            before = Range(v, arith("+", Name(r.var), ONE), r.high)
        else:
            before = Range(v, r.low, arith("-", Name(r.var), ONE))
        rank = quantified("count", before, others)
        if not m.nonnegative(e):
            e = wrapped(m, e, length(m, seq))
        inverse = rank_inverse(m, e, o)
        if inverse is not None:
            return rename(o.value, {r.var: inverse})
        at = find("first", r, and_(o.guard, compare("==", rank, e)))
        return rename(o.value, {r.var: at})
    return part_by_index(m, seq, e)


def part_by_index(m: Machine, seq: Seq, e: Expr) -> Any:
    """Element e of segments one after the other: of the segment where it lies."""
    if not seq.ordered or seq.is_set:
        refuse("the order of this list follows from the data")
    if not m.nonnegative(e):
        e = wrapped(m, e, length(m, seq))
    s, *rest = seq.segments
    here = Seq((s,))
    size = length(m, here)
    inside = compare("<", e, size)
    if isinstance(s, Item):
        value = s.value
    elif len(s.ranges) == 1 and (s.guard == TRUE or rank_inverse(m, e, renewed(m, s)) is None):
        value = element(m, here, S("number", e))
    elif len(s.ranges) == 1:
        o = renewed(m, s)
        at = rank_inverse(m, e, o)
        assert at is not None
        value, inside = rename(o.value, {o.ranges[0].var: at}), exists(at)
    else:
        refuse("an element of a list put together from several, by a computed index")
    if not rest:
        return value
    return m.merge(inside, value, part_by_index(m, Seq(tuple(rest)), arith("-", e, size)))


def element_of_several(m: Machine, order: list[Any], k: int, back: bool) -> Any:
    """Element k of segments one after the other, by how many each of them has."""
    if not order or k > 3:
        return refuse("an element of a list put together from several") if k > 3 else None
    s, rest = order[0], order[1:]
    if isinstance(s, Item):
        here = s.value if k == 0 else element_of_several(m, rest, k - 1, back)
        return here if s.cond == TRUE else m.merge(s.cond, here, element_of_several(m, rest, k, back))
    result = element_of_several(m, rest, k, back)
    for have in range(1, k + 2):  # so many of them, or more, are in this segment
        value = nth_of(m, s, k + 1 if back else k, back) if have == k + 1 else element_of_several(m, rest, k - have, back)
        o = renewed(m, s)
        result = m.merge(compare(">=", quantify("count", o, o.guard), num(have)), value, result)
    return result


def ranked_element(m: Machine, seq: Seq, index: int) -> Any:
    """Of a list sorted by a key: the element with this number."""
    if len(seq.segments) != 1 or not isinstance(seq.segments[0], Over) or seq.segments[0].rank is None:
        return None
    o = renewed(m, seq.segments[0])
    assert o.rank is not None
    number_of = num(index) if index >= 0 else arith("+", length(m, seq), num(index))
    at = find("first", o.ranges[0], and_(o.guard, compare("==", o.rank, number_of)))
    return rename(o.value, {o.ranges[0].var: at})


def rank_inverse(m: Machine, e: Expr, o: Over) -> Expr | None:
    """The element with as many before it as e says, where e counts just such elements: starts[len(starts) - 1] and kin."""

    if o.descending or o.ranges[0].domain is not None:
        return None
    r = o.ranges[0]
    terms, const = linear(e)
    if len(terms) != 1 or const > 1:
        return None
    ((atom, c),) = terms.items()
    if c != 1 or not isinstance(atom, Aggregate) or atom.kind != "count" or atom.range.domain is not None:
        return None
    if (atom.range.low or ZERO) != low_of(r):
        return None
    if rename_guard(atom.guard or TRUE, {atom.range.var: Name(r.var)}) != o.guard:
        return None
    high = atom.range.high
    at: Expr | None = None
    back = int(-const)  # elements before the end of the counted range: 1 is the last of them
    if back <= 0:
        v = m.var()
        low = arith("+", high, ONE) if high is not None else N
        if isinstance(low, Find) and back == 0:
            known = conjuncts(rename_guard(low.guard, {low.range.var: Name(r.var)}))
            if all(part in known for part in conjuncts(o.guard)):
                return low
        if back < 0:  # the one after the element that follows the range
            if high is None or any(m.decide(part) != TRUE for part in conjuncts(rename_guard(o.guard, {r.var: low}))):
                return None
            return find("first", Range(v, arith("+", low, ONE), r.high), rename_guard(o.guard, {r.var: Name(v)}))
        if all(m.decide(part) == TRUE for part in conjuncts(rename_guard(o.guard, {r.var: low}))):
            return low
        return find("first", Range(v, low, r.high), rename_guard(o.guard, {r.var: Name(v)}))
    if back > 3:
        return None
    for _ in range(back):
        v = m.var()
        top = high if at is None else arith("-", at, ONE)
        at = find("last", Range(v, r.low, top), rename_guard(o.guard, {r.var: Name(v)}))
    return at


def wrapped(m: Machine, e: Expr, size: Expr) -> Expr:
    """Python's index: negative ones count from the end."""
    if m.nonnegative(e):
        return e
    if isinstance(e, Num):
        return arith("+", size, e)
    if m.nonnegative(arith("-", num(-1), e)):
        return arith("+", e, size)
    if size == N:
        return arith("%", e, N)
    return if_(compare("<", e, ZERO), arith("+", e, size), e)


def choose_first(m: Machine, order: list[Any], back: bool) -> Any:
    """The first element of the first segment that has one."""
    result: Any = None
    for s in reversed(order):
        here = first_of(m, s, back)
        there = s.cond if isinstance(s, Item) else nonempty(m, Seq((s,)))
        result = here if result is None and there == TRUE else m.merge(there, here, result)
    return result


def sliced(m: Machine, seq: Seq, low: Any, high: Any, step: Any) -> Seq:
    """seq[low:high:step]."""
    if items_of(seq) is None:
        seq = joined_parts(m, seq)
    if step not in (None, 1, -1):
        refuse("a slice with a step")
    known = items_of(seq)
    if known is not None and isinstance(low, int | None) and isinstance(high, int | None):
        return constant(known[slice(low, high, step)])
    if step == -1:
        if low is None and high is None:
            return reversed_(seq)
        refuse("a slice with a negative step")
    if low is None and high is None:
        return seq
    if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and seq.segments[0].rank is not None:
        o = seq.segments[0]
        assert o.rank is not None
        total = length(m, seq)
        limits = []
        for limit, op in ((low, ">="), (high, "<")):
            if limit is not None:
                e = number(limit)
                limits.append(compare(op, o.rank, e if m.nonnegative(e) else arith("+", total, e)))
        return Seq((Over(o.ranges, and_(o.guard, *limits), o.value, o.descending, o.rank if low is None else None),), False, False)
    if not seq.ordered or seq.is_set:
        refuse("the order of this list follows from the data")
    if len(seq.segments) != 1 or not isinstance(seq.segments[0], Over):
        if isinstance(high, int) and high == 1 and low is None:
            value = choose_first(m, list(seq.segments), False)
            return Seq((Item(value, nonempty(m, seq)),))
        if known is None and all(isinstance(s, Item) for s in seq.segments) and low in (None, 0):
            return slice_conditional(m, seq, low, high)
        return without_ends(m, seq, low, high)
    segment = seq.segments[0]
    assert isinstance(segment, Over)
    o = renewed(m, segment)
    if len(o.ranges) != 1:
        refuse("a slice of a list built by nested loops")
    r = o.ranges[0]
    if o.guard == TRUE and r.domain is None and not o.descending:
        size = arith("+", arith("-", high_of(r), low_of(r)), ONE)
        start = ZERO if low is None else clamp_low(m, number(low), size)
        stop = size if high is None else clamp_high(m, number(high), size)
        new_high = arith("-", arith("+", low_of(r), stop), ONE)
        return Seq((Over((Range(r.var, arith("+", low_of(r), start), new_high),), TRUE, o.value),))
    v = m.var()
    if r.domain is not None:

        def beside(first: bool) -> tuple[Range, Expr]:
            extra = precedes(m, r, Name(v), Name(r.var)) if first else precedes(m, r, Name(r.var), Name(v))
            return Range(v, None, None, r.domain), and_(rename_guard(o.guard, {r.var: Name(v)}), extra)
    else:

        def beside(first: bool) -> tuple[Range, Expr]:
            if first != o.descending:
                return Range(v, r.low, arith("-", Name(r.var), ONE)), rename_guard(o.guard, {r.var: Name(v)})
            return Range(v, arith("+", Name(r.var), ONE), r.high), rename_guard(o.guard, {r.var: Name(v)})

    guard = o.guard
    for limit, is_low in ((low, True), (high, False)):
        if limit is None:
            continue
        e = number(limit)
        if m.nonnegative(e):
            count = quantified("count", *beside(True))
            guard = and_(guard, compare(">=" if is_low else "<", count, e))
        elif m.nonnegative(arith("-", num(-1), e)):
            count = quantified("count", *beside(False))
            e = arith("-", ZERO, e)
            guard = and_(guard, compare("<" if is_low else ">=", count, e))
        else:
            refuse("a slice whose bound may be negative")
    return Seq((Over((r,), guard, o.value, o.descending),))


def without_ends(m: Machine, seq: Seq, low: Any, high: Any) -> Seq:
    """seq[1:], seq[:-1] and seq[1:-1] of segments one after the other."""
    if low not in (None, 0, 1) or high not in (None, -1):
        refuse("a slice of a list put together from several")
    segments = list(seq.segments)
    if high == -1:
        last = segments.pop()
        if not isinstance(last, Item) or last.cond != TRUE:
            refuse("a slice of a list put together from several")
    if low == 1:
        first = segments.pop(0)
        if isinstance(first, Over):
            if m.decide(nonempty(m, Seq((first,)))) != TRUE:
                refuse("a slice of a list put together from several")
            segments = [*sliced(m, Seq((first,)), 1, None, None).segments, *segments]
        elif first.cond != TRUE:
            refuse("a slice of a list put together from several")
    return Seq(tuple(segments), seq.is_set, seq.ordered)


def slice_conditional(m: Machine, seq: Seq, low: Any, high: Any) -> Seq:
    """Of a list whose elements are there or not: by how many are before each."""
    if not (isinstance(high, int) and high >= 0 and low in (None, 0)):
        refuse("a slice of a list put together from several")
    segments = []
    before: Expr = ZERO
    for s in seq.segments:
        segments.append(conditional(s, compare("<", before, num(high))))
        before = arith("+", before, if_(s.cond, ONE, ZERO))  # type: ignore[union-attr]
    return Seq(tuple(s for s in segments if not never(s)))


def clamp_low(m: Machine, e: Expr, size: Expr) -> Expr:
    if m.nonnegative(e):
        return e
    e = arith("+", e, size) if m.nonnegative(arith("-", num(-1), e)) else if_(compare("<", e, ZERO), arith("+", e, size), e)
    return e if m.nonnegative(e) else max_zero(e)


def max_zero(e: Expr) -> Expr:

    return extreme("max", [e, ZERO])


def clamp_high(m: Machine, e: Expr, size: Expr) -> Expr:

    if m.nonnegative(e):
        return e if size == N else extreme("min", [e, size]) if not m.nonnegative(arith("-", size, e)) else e
    if m.nonnegative(arith("-", num(-1), e)):
        return arith("+", e, size)
    return if_(compare("<", e, ZERO), arith("+", e, size), e)
