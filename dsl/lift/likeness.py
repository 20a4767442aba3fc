"""Whether two values are the same but for the names of variables; values that a loop leaves in doubt."""

from __future__ import annotations

import re
from typing import Any

from dsl.lift.guards import and_, conjuncts
from dsl.lift.machine import Conflict, Undefined
from dsl.lift.ranges import replace_names
from dsl.lift.terms import spend, sure, whole
from dsl.lift.values import Arr, Dict, Item, Over, S, Seq
from dsl.nodes import Expr, Name


def kept_under(old: Item | Over, new: Item | Over) -> Expr | None:
    """The condition under which the new list still has the old one's segment."""
    if type(old) is not type(new) or old.value != new.value:
        return None
    a = conjuncts(old.cond if isinstance(old, Item) else old.guard)
    b = conjuncts(new.cond if isinstance(new, Item) else new.guard)
    if isinstance(old, Over) and isinstance(new, Over) and old.ranges != new.ranges:
        return None
    return and_(*(p for p in b if p not in a)) if all(p in b for p in a) else None


def array_in(v: Any) -> Arr | None:
    """The array that a list became on some of the paths."""
    if isinstance(v, Arr):
        return v
    return (array_in(v.a) or array_in(v.b)) if isinstance(v, Conflict) else None


class Poison:
    """A variable whose value after a loop cannot be told; refused when used."""

    def __init__(self, name: Any):
        self.name = name


_VARIABLE = re.compile(r"Range\(var='([^']*)'")  # bound ones; others mean the elements of loops around
_NAMED = re.compile(r"\$[a-z0-9]+|@\d+:\d+:\d+|Arr\d+|Ref\(id=\d+\)")


def canonical(v: Any) -> str:
    """A text that is equal for values that differ only in the numbers of bound variables."""
    numbers: dict[str, str] = {}
    text = repr(v)
    spend(len(text))
    bound = set(_VARIABLE.findall(text))

    def renamed(match: re.Match[str]) -> str:
        name = match.group()
        return numbers.setdefault(name, f"${len(numbers)}") if name[0] != "$" or name in bound else name

    return _NAMED.sub(renamed, text)


def same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Conflict | Undefined | Poison | Arr):
        return False
    if a == b:
        return True
    if isinstance(a, Seq) and len(a.segments) != len(b.segments):
        return False
    return isinstance(a, Seq | Dict | S | tuple) and canonical(a) == canonical(b)


def may_be_missing(v: Any) -> bool:

    return v is None or (isinstance(v, S) and v.sort != "guard" and not sure(v.e))


def is_whole(v: Any, own: str) -> bool:

    if isinstance(v, S):
        return whole(replace_names(v.e, {own: Name("$i0")})) if own else whole(v.e)
    return isinstance(v, int | float) and v == int(v)
