"""Lists, sets and dictionaries of positions: membership, length, elements, slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsl.lift.guards import and_, default, exists, if_, member, not_, or_
from dsl.lift.machine import Machine, never
from dsl.lift.ranges import find, quantified, replace_names
from dsl.lift.terms import MISSING, ONE, ZERO, N, arith, extreme, sure
from dsl.lift.values import Extend, Item, Over, Refusal, S, Seq, equal, expr, map_range, number, rename, sort_of
from dsl.nodes import FALSE, TRUE, Call, Expr, Name, Range

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

    return map_range(r, lambda e: replace_names(e, names)) if names else r


def plain(over: Over) -> bool:
    """Every position of one range, in order: element i is value(low + i)."""
    return len(over.ranges) == 1 and over.guard == TRUE and over.ranges[0].domain is None and not over.descending


def is_identity(over: Over) -> bool:
    return len(over.ranges) == 1 and over.value == S("number", Name(over.ranges[0].var))


def one_to_one(over: Over) -> bool:
    """Different words, or their numbers."""
    r = over.ranges[0]
    return len(over.ranges) == 1 and r.domain is not None and isinstance(over.value, S) and over.value.e in (
        Name(r.var), Call("index", (Name(r.var),))
    )  # fmt: skip


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
        distinct = [s for s in seq.segments if isinstance(s, Over) and (is_identity(s) or one_to_one(s))]
        if len(seq.segments) != 1 or not distinct:
            return distinct_count(m, seq)
    total: Expr = ZERO
    for s in seq.segments:
        if isinstance(s, Item):
            if not isinstance(s.value, Extend):  # what goes to the end of the last element is none itself
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
            if (
                isinstance(x, S)
                and x.sort == "id"
                and isinstance(x.e, Call)
                and o.guard == Call("special", (Name(o.ranges[0].var),))
            ):
                parts.append(Call("special", x.e.args))  # all_special_ids
                continue
            parts.append(quantify("any", o, and_(o.guard, equal(o.value, x))))
    if constants:
        parts.insert(0, member(expr(x), constants))
    return or_(*parts)


def rename_guard(guard: Expr, names: dict[str, Expr]) -> Expr:

    return replace_names(guard, names)


def reversed_(seq: Seq) -> Seq:
    return Seq(
        tuple(s if isinstance(s, Item) else Over(s.ranges, s.guard, s.value, not s.descending) for s in reversed(seq.segments)),
        seq.is_set,
        seq.ordered,
    )


def position_valued(seq: Seq) -> bool:
    return all(sort_of(s.value) == "number" for s in seq.segments)


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
                if kind == "sum":
                    m.rounding.note(part, number(o.value))
        if result is None:
            result = part
        elif kind == "sum":
            result = arith("+", result, part)
        else:
            result = either(kind, result, part)
    if fixed:
        some = extreme(kind, fixed) if len(fixed) > 1 else fixed[0]
        result = some if result is None else either(kind, result, some)
    return result if result is not None else (ZERO if kind == "sum" else MISSING["number"])


def either(kind: str, a: Expr, b: Expr) -> Expr:
    """min or max of two numbers of which either may be missing."""

    if sure(a) and sure(b):
        return extreme(kind, [a, b])
    if sure(b):
        return extreme(kind, [default(a, b), b])
    return default(extreme(kind, [a, b]), default(a, b))


# --- dictionaries ---------------------------------------------------------------------------------------------------
