"""Guards about one token's text or piece, computed for given ones: text(k) in {"a", "."} and punctuation(k) is text(k) == "."."""

from __future__ import annotations

from collections.abc import Iterable

from dsl.nodes import And, Bool, Call, Compare, Expr, Member, Not, Num, Or, Str
from dsl.vocabulary import VOCABULARY


class _Open(Exception):
    """The guard speaks of something else, too."""


def keeps(guard: Expr, term: Expr, values: Iterable[str | float]) -> frozenset[str | float] | None:
    """Those of the values of text(x) (or piece(x)) for which the guard holds; None where that is not known from it alone."""
    if not (isinstance(term, Call) and term.name in ("text", "piece")):
        return None
    try:
        return frozenset(v for v in values if isinstance(v, str) and _value(guard, term, v))
    except (_Open, ValueError, OverflowError):
        return None


def _value(node: Expr, term: Call, token: str) -> str | float | bool:
    match node:
        case Str(value) | Num(value) | Bool(value):
            return value
        case Not(item):
            return not _value(item, term, token)
        case And(items):
            held = [_value(i, term, token) for i in items]  # no short cut: every part must be known
            return all(held)
        case Or(items):
            held = [_value(i, term, token) for i in items]
            return any(held)
        case Member(item, values):
            return _value(item, term, token) in values
        case Compare(op, left, right):
            from dsl.canonical.compare import HOLDS

            return HOLDS[op](_value(left, term, token), _value(right, term, token))  # type: ignore[arg-type]
        case Call(name, args):
            if node == term:
                return token
            primitive = VOCABULARY[name]
            if primitive.domain == "text":
                first, *rest = args
                here = token if first == term or (term.name == "text" and first == term.args[0]) else _value(first, term, token)
                if not isinstance(here, str):  # another position
                    raise _Open
                return primitive.evaluate(here, *(_value(a, term, token) for a in rest))
    raise _Open
