"""Which Python type a value has, as far as that is certain."""

from __future__ import annotations

from typing import Any

from dsl.lift.terms import sure
from dsl.lift.values import Arr, Dict, Instance, S, Seq
from dsl.nodes import Aggregate, Binary, Call, Find, Name


def type_of(v: Any) -> type | None:
    """The type of a value (a list or dictionary itself, not the variable's hold on it); None where it is not certain."""
    match v:
        case S("text", e) if sure(e):
            return str
        case S("number", Name() | Find() | Aggregate("count") | Call("length") as e) if sure(e):
            return int
        case S("number", Binary("/")):
            return float
        case None | bool() | int() | float() | str() | tuple():
            return type(v)
        case Seq() if not v.once:
            return set if v.is_set else list
        case Dict() if v.factory is None:
            return dict
        case Arr() if v.is_list:
            return list
        case Instance():
            return object
    return None
