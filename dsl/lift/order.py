"""The order in which Python goes through annotated words: by their number; of ancestors, the nearest comes first."""

from __future__ import annotations

from dsl.lift.guards import and_, compare, not_
from dsl.lift.machine import Machine
from dsl.lift.ranges import find, quantified, replace_names
from dsl.lift.values import Loop
from dsl.nodes import Call, Expr, Name, Range


def climbs(r: Range) -> bool:
    return r.domain is not None and r.domain.name == "ancestors"


def precedes(m: Machine, r: Range, a: Expr, b: Expr) -> Expr:
    """Whether word a comes before word b, both among the words of the range."""
    if climbs(r):
        v = m.var("w")
        return quantified("any", Range(v, None, None, Call("ancestors", (a,))), compare("==", Name(v), b))
    return compare("<", Call("index", (a,)), Call("index", (b,)))


def later(m: Machine, loop: Loop, a: Expr, b: Expr) -> Expr:
    """Whether the loop comes to element a after element b."""
    if loop.range.domain is None:
        return compare("<" if loop.descending else ">", a, b)
    return precedes(m, loop.range, a, b) if loop.descending else precedes(m, loop.range, b, a)


def search(m: Machine, which: str, r: Range, guard: Expr) -> Expr:
    """The first or last element of the range, in Python's order, where the guard holds."""
    if not climbs(r):
        return find(which, r, guard)
    v = m.var("w")
    here, other = Name(r.var), Name(v)
    nearer = precedes(m, r, other, here) if which == "first" else precedes(m, r, here, other)
    rival = quantified("any", Range(v, None, None, r.domain), and_(replace_names(guard, {r.var: other}), nearer))
    return find("first", r, and_(guard, not_(rival)))
