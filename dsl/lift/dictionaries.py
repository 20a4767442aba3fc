"""Dictionaries: looking up what loops wrote."""

from __future__ import annotations

from typing import Any

from dsl.lift.guards import and_, default, exists, if_, not_, or_
from dsl.lift.machine import Machine, never
from dsl.lift.order import search
from dsl.lift.ranges import find, quantified, replace_names
from dsl.lift.sequences import constant, contains, quantify, refuse, rename_range, renewed
from dsl.lift.terms import MISSING_NUMBER, MISSING_WORD, ONE, ZERO, arith, num
from dsl.lift.values import Dict, Item, LoopEl, Over, Ref, Refusal, S, Seq, Write, equal, mentions, number, rename, value_of
from dsl.nodes import FALSE, TRUE, Aggregate, Call, Compare, Expr, Find, IfElse, Name, Range, free_names


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


def entry_read(m: Machine, ref: Any, held: Dict, key: Any) -> None:
    """dict[key] was read: a defaultdict has an entry from then on."""
    if not isinstance(ref, Ref) or not getattr(held.factory, "creates", False) or m.decide(dict_has(m, held, key)) == TRUE:
        return
    m.keys_made.add(ref.id)
    line, loops = m.keys_asked.get(ref.id, (0, frozenset()))
    if loops & loops_around(m):  # asked in an earlier line of a round that comes later
        raise Refusal(line, ENTERED)


def entries_asked(m: Machine, ref: Any) -> None:
    """What the keys of a dictionary are is about to be told."""
    if isinstance(ref, Ref):
        if ref.id in m.keys_made:
            refuse(ENTERED)
        m.keys_asked[ref.id] = m.line, loops_around(m)


def loops_around(m: Machine) -> frozenset[str]:
    return frozenset(el.loop.range.var for el in m.path if isinstance(el, LoopEl))


def renewed_write(m: Machine, w: Write) -> Write:
    if not w.ranges:
        return w
    o = renewed(m, Over(w.ranges, w.cond, (w.key, w.value), w.descending))
    return Write(o.ranges, o.guard, o.value[0], o.value[1], w.mode, w.start, w.descending)


ENTERED = "the entries of a defaultdict, of which reading makes new ones"
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
        m.rounding.note(total, number(w.value))
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
        at, there = placed(find(which, w.ranges[0], cond))
        names: dict[str, Expr] = {w.ranges[0].var: at}
    elif len(w.ranges) == 2 and not mentions(w.value, w.ranges[1].var):
        at = find(which, w.ranges[0], quantified("any", w.ranges[1], cond))
        at, there = placed(token_of_word(at))
        names = {w.ranges[0].var: at}
    else:
        names, there = {}, TRUE
        ranges, guard = list(w.ranges), cond
        while ranges:
            outer, *ranges = ranges
            holds = quantify("any", Over(tuple(ranges), guard, None), guard) if ranges else guard
            at, here_too = placed(search(m, which, outer, holds))
            there = and_(there, here_too)
            names[outer.var] = at
            here: dict[str, Expr] = {outer.var: at}
            ranges = [rename_range(r, here) for r in ranges]
            guard = replace_names(guard, here)
    value = rename(w.value, names)
    if otherwise is ABSENT:
        return value
    if value == S("number", at) and there == exists(at):
        if isinstance(otherwise, int | float | S):
            return value_of("number", default(at, number(otherwise)))
        if otherwise is None:
            return value
    return m.merge(there, value, otherwise)


def placed(at: Expr) -> tuple[Expr, Expr]:
    """What was found, and whether anything was: x, c for `x if c else missing`."""
    if isinstance(at, IfElse) and at.other in (MISSING_NUMBER, MISSING_WORD):
        return at.then, and_(at.test, exists(at.then))
    return at, exists(at)


def token_of_word(at: Expr) -> Expr:
    """first(p: any(w in words(p): w == x)) = first_token(x), likewise for last."""

    if isinstance(at, Find) and at.range == Range(at.range.var) and isinstance(at.guard, Aggregate):
        inner = at.guard
        over = inner.range
        if inner.kind == "any" and over.domain == Call("words", (Name(at.range.var),)) and isinstance(inner.guard, Compare):
            g = inner.guard
            x = g.right if g.left == Name(over.var) else g.left if g.right == Name(over.var) else None

            if g.op == "==" and x is not None and not {over.var, at.range.var} & free_names(x):
                return Call("first_token" if at.which == "first" else "last_token", (x,))
    return at


def group_of(m: Machine, w: Write, what: str) -> Over:
    """The lists of a dictionary one by one: each key where it first occurs, with all elements that have the same."""
    first, before, each = (renewed_write(m, w) for _ in range(3))
    at = Name(first.ranges[0].var)
    earlier = Range(before.ranges[0].var, before.ranges[0].low, arith("-", at, ONE))
    new = not_(quantified("any", earlier, and_(before.cond, equal(before.key, first.key))))
    group = Seq((Over(each.ranges, and_(each.cond, equal(each.key, first.key)), each.value),))
    return Over(first.ranges, and_(first.cond, new), {"keys": first.key, "values": group, "items": (first.key, group)}[what])


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
            if d.items or len(d.writes) != 1 or len(w.ranges) != 1 or w.ranges[0].domain is not None or w.descending:
                refuse("the groups of a dictionary one by one")
            return Seq((group_of(m, w, what),))
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
