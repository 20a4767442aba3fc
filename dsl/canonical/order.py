"""The fixed order of expressions and their size: what canonical forms are sorted and measured by."""

from __future__ import annotations

from dsl.nodes import (
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Range,
    Same,
    Str,
    Use,
    free_names,
)
from dsl.printer import number


def key(node: Expr | Range) -> str:
    """A text that tells expressions apart; about as long as the printed one. Computed once per node."""
    known = node.__dict__.get("_key")
    if known is None:
        known = node.__dict__["_key"] = _key(node)
    return known


def size(node: Expr | Range) -> int:
    """About how many characters the expression takes."""
    return len(key(node))


def rank(node: Expr) -> tuple[int, str]:
    """Operands are sorted by this: what depends on q alone, on k alone, on both, on the weights; then by text."""
    names = free_names(node)
    if names & {"weight", "row"}:
        return 4, key(node)
    return 2 * ("k" in names) + ("q" in names), key(node)


def sorted_items(items: set[Expr] | frozenset[Expr] | list[Expr] | tuple[Expr, ...]) -> tuple[Expr, ...]:
    return tuple(sorted(items, key=rank))


def _key(node: Expr | Range) -> str:
    match node:
        case Num(value):
            return number(value)
        case Str(value):
            return f'"{value}"'
        case Bool(value):
            return "true" if value else "false"
        case Name(name):
            return name
        case Call(name, args):
            return f"{name}({', '.join(key(a) for a in args)})"
        case Use(concept, args):
            return f"{concept.name}({', '.join(key(a) for a in args)})"
        case Same(feature):
            return f"same({feature})"
        case Neg(item):
            return f"-{_inner(item)}"
        case Binary(op, left, right) | Compare(op, left, right):
            return f"{_inner(left)} {op} {_inner(right)}"
        case Member(item, values):
            written = ", ".join(f'"{v}"' if isinstance(v, str) else number(v) for v in values)
            return f"{_inner(item)} in {{{written}}}"
        case Not(item):
            return f"not {_inner(item)}"
        case And(items):
            return " and ".join(f"({key(i)})" if isinstance(i, Or) else key(i) for i in items)
        case Or(items):
            return " or ".join(key(i) for i in items)
        case IfElse(test, then, other):
            return f"{_inner(then)} if {_inner(test)} else {_inner(other)}"
        case Find(which, over, guard):
            return f"{which}({key(over)}: {key(guard)})"
        case Aggregate(kind, over, guard, value):
            parts = ", ".join([key(over)] + ([key(guard)] if guard is not None and value is not None else []))
            return f"{kind}({parts}: {key(value if value is not None else guard)})"  # type: ignore[arg-type]
        case Range(var, low, high, domain):
            if domain is not None:
                return f"{var} in {key(domain)}"
            return f"{'' if low is None else key(low) + ' <= '}{var}{'' if high is None else ' <= ' + key(high)}"
    raise TypeError(f"not an expression: {node!r}")


def _inner(node: Expr) -> str:
    return f"({key(node)})" if isinstance(node, Binary | And | Or | IfElse | Not | Compare | Member) else key(node)
