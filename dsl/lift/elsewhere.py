"""What a loop hands on, as it was in another iteration: $i7 of the loop's element x is written as the call $at:$i7(x)."""

from __future__ import annotations

from typing import Any

from dsl.lift.machine import Machine
from dsl.lift.ranges import replace_names, transform
from dsl.lift.values import Loop, map_value
from dsl.nodes import Aggregate, Call, Expr, Find, Name, Range, free_names, rebuild, walk

AT = "$at:"


def unknowns(e: Expr) -> set[str]:
    """Names of variables whose value before an iteration is still to be found, whichever iteration is meant."""
    found = set(free_names(e))
    found.update(x.name[len(AT) :] for x in walk(e) if isinstance(x, Call) and x.name.startswith(AT))
    return found


def at_element(m: Machine, loop: Loop, e: Expr, var: str) -> Expr:
    """The expression, told of an iteration of the loop, for the iteration of the element `var`."""
    e = m.resolve(e)
    handed = {n: Call(AT + n, (Name(var),)) for n in loop.unknown.values() if n and n not in m.closed}
    if handed:
        m.handed = True
    return replace_names(e, {**handed, loop.range.var: Name(var)})


def value_at_element(m: Machine, loop: Loop, v: Any, var: str) -> Any:
    return map_value(v, lambda e: at_element(m, loop, e, var))


def settled_elsewhere(m: Machine, e: Expr) -> Expr:
    """With what is known by now about variables in other iterations."""

    def change(x: Any) -> Any:
        if isinstance(x, Call) and x.name.startswith(AT) and x.name[len(AT) :] in m.closed:
            name = x.name[len(AT) :]
            return replace_names(with_own_variables(m, m.closed[name]), {m.closed_in[name]: settled_elsewhere(m, x.args[0])})
        return None

    if not any(isinstance(x, Call) and x.name.startswith(AT) for x in walk(e)):
        return e
    return transform(e, change)


def with_own_variables(m: Machine, e: Any, names: dict[str, str] | None = None) -> Any:
    """The expression with new names for the variables of its ranges, so that it can stand inside another of its kind."""
    names = names or {}
    if isinstance(e, Name):
        return Name(names[e.name]) if e.name in names else e
    if isinstance(e, Find | Aggregate):
        r = e.range
        new = m.var()
        inner = {**names, r.var: new}
        ends = [None if x is None else with_own_variables(m, x, names) for x in (r.low, r.high, r.domain)]
        over = Range(new, *ends)
        guard = None if e.guard is None else with_own_variables(m, e.guard, inner)
        if isinstance(e, Find):
            return Find(e.which, over, guard)  # type: ignore[arg-type]
        return Aggregate(e.kind, over, guard, None if e.value is None else with_own_variables(m, e.value, inner))
    return rebuild(e, lambda x: with_own_variables(m, x, names))
