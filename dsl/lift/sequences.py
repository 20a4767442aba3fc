"""Lists, sets and dictionaries of positions: membership, length, elements, slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsl.lift.build import (
    MISSING,
    ONE,
    ZERO,
    N,
    and_,
    arith,
    compare,
    conjuncts,
    default,
    exists,
    find,
    if_,
    member,
    not_,
    num,
    or_,
    quantified,
)
from dsl.lift.machine import Machine, conditional, never
from dsl.lift.values import (
    Dict,
    Item,
    Over,
    Refusal,
    S,
    Seq,
    Write,
    equal,
    expr,
    high_of,
    low_of,
    mentions,
    merge_scalars,
    number,
    rename,
    sort_of,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Call, Expr, Name, Num, Range

END = arith("-", N, ONE)


def refuse(reason: str) -> Any:
    raise Refusal(0, reason)


def positions(m: Machine, low: Expr | None = None, high: Expr | None = None, descending: bool = False) -> Seq:
    v = m.var()
    return Seq((Over((Range(v, low, high),), TRUE, S("number", Name(v)), descending),))


def mapped(m: Machine, change: Callable[[Expr], Any], low: Expr | None = None, high: Expr | None = None) -> Seq:
    v = m.var()
    return Seq((Over((Range(v, low, high),), TRUE, change(Name(v))),))


def constant(values: Any, is_set: bool = False) -> Seq:
    return Seq(tuple(Item(v) for v in values), is_set)


def renewed(m: Machine, over: Over) -> Over:
    """With variables of its own."""
    names: dict[str, Expr] = {}
    ranges = []
    for r in over.ranges:
        new = m.var(m.named.get(r.var, ""))
        r = rename_range(r, names)
        ranges.append(Range(new, r.low, r.high, r.domain))
        names[r.var] = Name(new)
    return Over(tuple(ranges), rename(S("guard", over.guard), names).e if over.guard != TRUE else TRUE,
                rename(over.value, names), over.descending,
                None if over.rank is None else rename_guard(over.rank, names))  # fmt: skip


def rename_range(r: Range, names: dict[str, Expr]) -> Range:
    from dsl.lift.build import replace_names
    from dsl.lift.values import map_range

    return map_range(r, lambda e: replace_names(e, names)) if names else r


def plain(over: Over) -> bool:
    """Every position of one range, in order: element i is value(low + i)."""
    return len(over.ranges) == 1 and over.guard == TRUE and over.ranges[0].domain is None and not over.descending


def is_identity(over: Over) -> bool:
    return len(over.ranges) == 1 and over.value == S("number", Name(over.ranges[0].var))


def items_of(seq: Seq) -> list[Any] | None:
    """The elements, if they are known one by one and always there."""
    if all(isinstance(s, Item) and s.cond == TRUE for s in seq.segments):
        return [s.value for s in seq.segments if isinstance(s, Item)]
    return None


def quantify(kind: str, over: Over, guard: Expr, value: Expr | None = None) -> Expr:
    """Over all variables, the last one innermost."""
    *outer, last = over.ranges
    if not outer:
        return quantified(kind, last, guard, value)
    inner = quantified(kind, last, guard, value)
    for r in reversed(outer):
        if kind == "any":
            inner = quantified("any", r, inner)
        elif kind in ("count", "sum"):
            inner = quantified("sum", r, TRUE, inner)
        else:
            inner = quantified(kind, r, exists(inner), inner)
    return inner


def nonempty(m: Machine, seq: Seq) -> Expr:
    parts = []
    for s in seq.segments:
        if isinstance(s, Item):
            parts.append(s.cond)
        else:
            o = renewed(m, s)
            parts.append(quantify("any", o, o.guard))
    return or_(*parts)


def length(m: Machine, seq: Seq) -> Expr:
    if seq.is_set and items_of(seq) is None:
        identity = [s for s in seq.segments if isinstance(s, Over) and is_identity(s)]
        if len(seq.segments) != 1 or not identity:
            return distinct_count(m, seq)
    total: Expr = ZERO
    for s in seq.segments:
        if isinstance(s, Item):
            total = arith("+", total, if_(s.cond, ONE, ZERO))
        else:
            o = renewed(m, s)
            total = arith("+", total, quantify("count", o, o.guard))
    return total


def distinct_count(m: Machine, seq: Seq) -> Expr:
    """Number of different elements: those that did not occur before."""
    if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and len(seq.segments[0].ranges) == 1:
        a, b = renewed(m, seq.segments[0]), renewed(m, seq.segments[0])
        ra, rb = a.ranges[0], b.ranges[0]
        if ra.domain is None:
            earlier = Range(rb.var, rb.low, arith("-", Name(ra.var), ONE))
            repeated = quantified("any", earlier, and_(b.guard, equal(a.value, b.value)))
            return quantified("count", ra, and_(a.guard, not_(repeated)))
    return refuse("the size of a set of computed values")


def contains(m: Machine, seq: Seq, x: Any) -> Expr:
    """x in seq."""
    constants: list[Any] = []
    parts: list[Expr] = []
    for s in seq.segments:
        if isinstance(s, Item):
            if s.cond == TRUE and isinstance(s.value, str | int | float) and isinstance(x, S) and x.sort in ("text", "number"):
                if isinstance(s.value, str) == (x.sort == "text"):
                    constants.append(s.value)
                continue
            parts.append(and_(s.cond, equal(x, s.value)))
        else:
            o = renewed(m, s)
            parts.append(quantify("any", o, and_(o.guard, equal(o.value, x))))
    if constants:
        parts.insert(0, member(expr(x), constants))
    return or_(*parts)


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
        at = find(which, outer, holds)
        deeper = Over((rename_range(inner, {outer.var: at}),), rename_guard(o.guard, {outer.var: at}),
                      rename(o.value, {outer.var: at}))  # fmt: skip
        if not any(mentions(o.value, r.var) for r in o.ranges[1:]):
            return rename(o.value, {outer.var: at})
        return nth_of(m, deeper, k, back)
    if len(over.ranges) != 1:
        refuse("an element of a list built by nested loops")
    o = renewed(m, over)
    r = o.ranges[0]
    backwards = back != o.descending
    if r.domain is not None and r.domain.name == "ancestors":
        refuse("the order of ancestors")
    if r.domain is not None and k > 1:
        refuse("an element of a list of words by number")
    if o.guard == TRUE and r.domain is None:
        at = arith("-", high_of(r), num(k - 1 if back else k)) if backwards else arith("+", low_of(r), num(k - 1 if back else k))
        return rename(o.value, {r.var: at})
    steps = k if back else k + 1
    at = None
    for _ in range(steps):
        v = m.var()
        if at is None:
            over_range = Range(v, r.low, r.high, r.domain)
        elif backwards:
            over_range = Range(v, r.low, arith("-", at, ONE))
        else:
            over_range = Range(v, arith("+", at, ONE), r.high)
        at = find("last" if backwards else "first", over_range, rename_guard(o.guard, {r.var: Name(v)}))
    assert at is not None
    return rename(o.value, {r.var: at})


def rename_guard(guard: Expr, names: dict[str, Expr]) -> Expr:
    from dsl.lift.build import replace_names

    return replace_names(guard, names)


def element(m: Machine, seq: Seq, index: Any) -> Any:
    """seq[index]."""
    known = items_of(seq)
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
        if r.domain is not None:
            refuse("an element of a list of words by number")
        v = m.var()
        if o.descending:
            before = Range(v, arith("+", Name(r.var), ONE), r.high)
        else:
            before = Range(v, r.low, arith("-", Name(r.var), ONE))
        rank = quantified("count", before, rename_guard(o.guard, {r.var: Name(v)}))
        if not m.nonnegative(e):
            e = wrapped(m, e, length(m, seq))
        inverse = rank_inverse(m, e, o)
        if inverse is not None:
            return rename(o.value, {r.var: inverse})
        at = find("first", r, and_(o.guard, compare("==", rank, e)))
        return rename(o.value, {r.var: at})
    return refuse("an element of a list put together from several, by a computed index")


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
    from dsl.lift.build import linear
    from dsl.nodes import Aggregate

    if o.descending:
        return None
    r = o.ranges[0]
    terms, const = linear(e)
    if len(terms) != 1 or const > 0:
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
    for _ in range(int(1 - const) if const <= -1 else 0):
        pass
    back = int(-const)  # elements before the end of the counted range: 1 is the last of them
    if back == 0:
        v = m.var()
        low = arith("+", high, ONE) if high is not None else N
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
        if known is None and all(isinstance(s, Item) for s in seq.segments):
            return slice_conditional(m, seq, low, high)
        refuse("a slice of a list put together from several")
    o = renewed(m, seq.segments[0])
    if len(o.ranges) != 1 or (o.ranges[0].domain is not None and o.guard != TRUE):
        if o.ranges[0].domain is None or len(o.ranges) != 1:
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
            op = "<" if first else ">"
            extra = compare(op, Call("index", (Name(v),)), Call("index", (Name(r.var),)))
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
    if m.nonnegative(arith("-", num(-1), e)):
        e = arith("+", e, size)
    else:
        e = if_(compare("<", e, ZERO), arith("+", e, size), e)
    return e if m.nonnegative(e) else max_zero(e)


def max_zero(e: Expr) -> Expr:
    from dsl.lift.build import extreme

    return extreme("max", [e, ZERO])


def clamp_high(m: Machine, e: Expr, size: Expr) -> Expr:
    from dsl.lift.build import extreme

    if m.nonnegative(e):
        return e if size == N else extreme("min", [e, size]) if not m.nonnegative(arith("-", size, e)) else e
    if m.nonnegative(arith("-", num(-1), e)):
        return arith("+", e, size)
    return if_(compare("<", e, ZERO), arith("+", e, size), e)


def reversed_(seq: Seq) -> Seq:
    return Seq(
        tuple(s if isinstance(s, Item) else Over(s.ranges, s.guard, s.value, not s.descending) for s in reversed(seq.segments)),
        seq.is_set,
        seq.ordered,
    )


def position_valued(seq: Seq) -> bool:
    return all((sort_of(s.value) == "number") if isinstance(s, Item) else sort_of(s.value) == "number" for s in seq.segments)


def as_filter(m: Machine, seq: Seq) -> Seq:
    """A set of positions as the positions of the text that are in it, in ascending order."""
    if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and is_identity(seq.segments[0]):
        s = seq.segments[0]
        return Seq((Over(s.ranges, s.guard, s.value),), seq.is_set)
    if not position_valued(seq):
        refuse("going through a set of computed values")
    v = m.var()
    return Seq((Over((Range(v),), contains(m, seq, S("number", Name(v))), S("number", Name(v))),), seq.is_set)


def sort_positions(m: Machine, seq: Seq, descending: bool = False) -> Seq:
    known = items_of(seq)
    if known is not None and all(isinstance(v, int | float | str) for v in known):
        return constant(sorted(set(known) if seq.is_set else known, reverse=descending))
    if len(seq.segments) == 1 and isinstance(seq.segments[0], Over) and is_identity(seq.segments[0]):
        s = seq.segments[0]
        return Seq((Over(s.ranges, s.guard, s.value, descending),))
    if position_valued(seq) and (seq.is_set or exclusive(m, seq)):
        result = as_filter(m, seq)
        return reversed_(result) if descending else Seq(result.segments)
    return refuse("sorting by computed values")


def exclusive(m: Machine, seq: Seq) -> bool:
    """No position twice."""
    guards = []
    v = m.var()
    for s in seq.segments:
        if not isinstance(s, Over) or not is_identity(s):
            return False
        o = renewed(m, s)
        guards.append(rename_guard(o.guard, {o.ranges[0].var: Name(v)}))
    return all(and_(a, b) == FALSE for i, a in enumerate(guards) for b in guards[i + 1 :])


def combine_sets(m: Machine, op: str, a: Seq, b: Seq) -> Seq:
    ka, kb = items_of(a), items_of(b)
    if ka is not None and kb is not None and all(isinstance(v, str | int | float) for v in ka + kb):
        da, db = list(dict.fromkeys(ka)), list(dict.fromkeys(kb))
        if op == "|":
            return constant(list(dict.fromkeys(da + db)), True)
        if op == "&":
            return constant([v for v in da if v in db], True)
        if op == "-":
            return constant([v for v in da if v not in db], True)
        return constant([v for v in da + db if (v in da) != (v in db)], True)
    if op == "|":
        return Seq((*a.segments, *b.segments), True)
    segments: list[Item | Over] = []
    for s in a.segments:
        if isinstance(s, Item):
            there = contains(m, b, s.value)
            segments.append(Item(s.value, and_(s.cond, there if op == "&" else not_(there))))
        else:
            o = renewed(m, s)
            there = contains(m, b, o.value)
            segments.append(Over(o.ranges, and_(o.guard, there if op == "&" else not_(there)), o.value, o.descending))
    if op == "^":
        return Seq((*segments, *combine_sets(m, "-", b, a).segments), True)
    return Seq(tuple(s for s in segments if not never(s)), True)


def fold_numbers(m: Machine, kind: str, seq: Seq) -> Expr:
    """sum, min or max of the elements; missing for min and max of nothing."""
    if kind == "sum" and seq.is_set and items_of(seq) is None:
        seq = as_filter(m, seq)
    result: Expr | None = None
    fixed: list[Expr] = []
    for s in seq.segments:
        if isinstance(s, Item):
            e = number(s.value)
            if kind == "sum":
                part = if_(s.cond, e, ZERO)
            elif s.cond == TRUE:
                fixed.append(e)
                continue
            else:
                part = if_(s.cond, e, MISSING["number"])
        else:
            o = renewed(m, s)
            if kind in ("min", "max") and is_identity(o):
                part = find("last" if kind == "max" else "first", o.ranges[0], o.guard)
            elif sort_of(o.value) == "guard" and kind == "sum":
                part = quantify("count", o, and_(o.guard, expr(o.value)))
            else:
                part = quantify(kind, o, o.guard, number(o.value))
        if result is None:
            result = part
        elif kind == "sum":
            result = arith("+", result, part)
        else:
            result = either(kind, result, part)
    if fixed:
        from dsl.lift.build import extreme

        some = extreme(kind, fixed) if len(fixed) > 1 else fixed[0]
        result = some if result is None else either(kind, result, some)
    return result if result is not None else (ZERO if kind == "sum" else MISSING["number"])


def either(kind: str, a: Expr, b: Expr) -> Expr:
    """min or max of two numbers of which either may be missing."""
    from dsl.lift.build import extreme, sure

    if sure(a) and sure(b):
        return extreme(kind, [a, b])
    if sure(b):
        return extreme(kind, [default(a, b), b])
    return default(extreme(kind, [a, b]), default(a, b))


# --- dictionaries ---------------------------------------------------------------------------------------------------


def constant_key(key: Any) -> bool:
    return isinstance(key, str | int | float | bool) or key is None or (isinstance(key, tuple) and all(map(constant_key, key)))


def dict_has(m: Machine, d: Dict, key: Any) -> Expr:
    if constant_key(key):
        if any(k == key for k, _ in d.items):
            return TRUE
        here: Expr = FALSE
    else:
        keys = [k for k, _ in d.items]
        here = FALSE
        if keys:
            here = contains(m, constant(keys), key)
    parts = [here]
    for w in d.writes:
        o = renewed_write(m, w)
        cond = and_(o.cond, equal(o.key, key))
        if len(o.ranges) == 2 and o.ranges[1].domain is not None:
            at = token_of_word(find("first", o.ranges[0], quantified("any", o.ranges[1], cond)))
            if isinstance(at, Call):
                parts.append(exists(at))
                continue
        parts.append(quantify("any", Over(o.ranges, cond, None), cond) if o.ranges else cond)
    return or_(*parts)


def renewed_write(m: Machine, w: Write) -> Write:
    if not w.ranges:
        return w
    o = renewed(m, Over(w.ranges, w.cond, (w.key, w.value), w.descending))
    return Write(o.ranges, o.guard, o.value[0], o.value[1], w.mode, w.start, w.descending)


ABSENT = object()


def dict_get(m: Machine, d: Dict, key: Any, otherwise: Any = ABSENT) -> Any:
    """d[key], or d.get(key, otherwise)."""
    result = otherwise
    if constant_key(key):
        for k, v in d.items:
            if k == key:
                result = v
                break
    elif d.items:
        groups: list[tuple[list[Any], Any]] = []
        for k, v in d.items:
            for keys, value in groups:
                if value is v or (type(value) is type(v) and value == v):
                    keys.append(k)
                    break
            else:
                groups.append(([k], v))
        if otherwise is ABSENT and not d.writes:
            *groups, (_, result) = groups
        for keys, value in reversed(groups):
            cond = contains(m, constant(keys), key)
            result = value if result is ABSENT else m.merge(cond, value, result)
    for i, w in enumerate(d.writes):
        if w.mode == "sum" and i and not all(own_key(x) for x in d.writes) and any(x.mode != "sum" for x in d.writes):
            refuse("a dictionary whose entries are both set and added to")
        new = looked_up(m, renewed_write(m, w), key, result, bool(i or d.items))
        if w.mode == "first" and (i or d.items):
            new = m.merge(dict_has(m, Dict(d.items, d.writes[:i]), key), result, new)
        result = new
    if result is ABSENT:
        if d.factory is not None:
            return d.factory()
        refuse("a dictionary without this key")
    return result


def looked_up(m: Machine, w: Write, key: Any, otherwise: Any, prior: bool) -> Any:
    cond = and_(w.cond, equal(w.key, key))
    if w.mode == "append":
        old = otherwise if isinstance(otherwise, Seq) else Seq()
        new: Item | Over = Over(w.ranges, cond, w.value, w.descending) if w.ranges else Item(w.value, cond)
        return Seq((*old.segments, *(() if never(new) else (new,))))
    if not w.ranges and w.mode == "sum":
        base: Any = w.start if otherwise is ABSENT or otherwise is None else otherwise
        return value_of("number", arith("+", number(base), if_(cond, number(w.value), ZERO)))
    if not w.ranges:
        return w.value if otherwise is ABSENT else m.merge(cond, w.value, otherwise)
    if w.mode == "sum":
        total = quantify("sum", Over(w.ranges, cond, None), cond, number(w.value))
        start: Any = w.start if otherwise is ABSENT else otherwise
        if prior:
            return value_of("number", arith("+", number(start), total))
        if otherwise is ABSENT or otherwise == w.start:
            return value_of("number", arith("+", num(w.start), total))
        there = quantify("any", Over(w.ranges, cond, None), cond)
        found = value_of("number", arith("+", num(w.start), total))
        return m.merge(there, found, start)
    which = "first" if (w.mode == "first") != w.descending else "last"
    if len(w.ranges) == 1:
        at = find(which, w.ranges[0], cond)
        names: dict[str, Expr] = {w.ranges[0].var: at}
    elif len(w.ranges) == 2 and not mentions(w.value, w.ranges[1].var):
        at = find(which, w.ranges[0], quantified("any", w.ranges[1], cond))
        at = token_of_word(at)
        names = {w.ranges[0].var: at}
    else:
        return refuse("a dictionary filled by nested loops")
    value = rename(w.value, names)
    if otherwise is ABSENT:
        return value
    if value == S("number", at) and isinstance(otherwise, int | float | S):
        return value_of("number", default(at, number(otherwise)))
    if value == S("number", at) and otherwise is None:
        return value
    return m.merge(exists(at), value, otherwise)


def token_of_word(at: Expr) -> Expr:
    """first(p: any(w in words(p): w == x)) = first_token(x), likewise for last."""
    from dsl.nodes import Aggregate, Compare, Find

    if isinstance(at, Find) and at.range == Range(at.range.var) and isinstance(at.guard, Aggregate):
        inner = at.guard
        over = inner.range
        if inner.kind == "any" and over.domain == Call("words", (Name(at.range.var),)) and isinstance(inner.guard, Compare):
            g = inner.guard
            x = g.right if g.left == Name(over.var) else g.left if g.right == Name(over.var) else None
            from dsl.nodes import free_names

            if g.op == "==" and x is not None and not {over.var, at.range.var} & free_names(x):
                return Call("first_token" if at.which == "first" else "last_token", (x,))
    return at


def own_key(w: Write) -> bool:
    """Written under the loop's position itself."""
    return len(w.ranges) == 1 and w.ranges[0].domain is None and w.key == S("number", Name(w.ranges[0].var)) and w.mode != "append"


def dict_values(m: Machine, d: Dict, what: str) -> Seq:
    """d.keys(), d.values() or d.items()."""
    segments: list[Item | Over] = [Item({"keys": k, "values": v, "items": (k, v)}[what]) for k, v in d.items]
    if len(d.writes) > 1 and not d.items and all(own_key(w) for w in d.writes):
        v = m.var()
        at = S("number", Name(v))
        pair = {"keys": at, "values": dict_get(m, d, at, 0.0), "items": (at, dict_get(m, d, at, 0.0))}[what]
        return Seq((Over((Range(v),), dict_has(m, d, at), pair),), False, len(d.writes) == 1)
    for w in d.writes:
        if w.mode == "append":
            if what == "values" and not d.items and len(d.writes) == 1:
                return Seq((Item(Seq((Over(w.ranges, w.cond, w.value),), False, False)),), False, False)
            refuse("the groups of a dictionary one by one")
        o = renewed_write(m, w)
        own = len(o.ranges) == 1 and o.key == S("number", Name(o.ranges[0].var))
        if not own:
            if (w.mode == "first" and what == "keys") or what == "keys":
                segments.append(Over(o.ranges, o.cond, o.key, o.descending))
                return Seq(tuple(segments), True, True)
            refuse("going through a dictionary with computed keys")
        if w.mode == "sum":
            refuse("going through a dictionary with computed keys")
        value = {"keys": o.key, "values": o.value, "items": (o.key, o.value)}[what]
        segments.append(Over(o.ranges, o.cond, value, o.descending))
    return Seq(tuple(segments))
