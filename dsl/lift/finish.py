"""From the lifter's own notation to the language's: names of variables, `dist`, the short forms of features."""

from __future__ import annotations

from typing import Any

from dsl.lift.terms import FLIP, from_linear, linear, num, whole
from dsl.nodes import (
    DIST,
    Aggregate,
    Binary,
    Block,
    Call,
    Compare,
    Find,
    K,
    Let,
    Name,
    Neg,
    Program,
    Q,
    Range,
    Rule,
    Same,
    Statement,
    free_names,
    rebuild,
)
from dsl.vocabulary import SAME_FEATURES, VOCABULARY

_POSITIONS = ("p", "r", "s", "t", "u")
_WORDS = ("w", "v", "x", "y", "z")


def finished(statements: tuple[Statement, ...]) -> Program:
    return Program(tuple(_statement(s) for s in statements))


def _statement(s: Statement) -> Statement:
    match s:
        case Rule(op, value, guard):
            return Rule(op, None if value is None else _short(value), None if guard is None else _short(guard))
        case Block(guard, then, other):
            return Block(_short(guard), tuple(map(_statement, then)), tuple(map(_statement, other)))
        case Let(name, value):
            return Let(name, _short(value))


def _short(e: Any) -> Any:
    return _shortened(_renamed(e, {}, frozenset()))


def _renamed(e: Any, names: dict[str, str], taken: frozenset[str]) -> Any:
    """Range variables get letters; what lies side by side may share one."""
    if isinstance(e, Name):
        if e.name == "$x0":
            return Q
        if e.name == "$x1":
            return K
        return Name(names[e.name]) if e.name in names else e
    if isinstance(e, Find | Aggregate):
        r = e.range
        letters = _WORDS if r.domain is not None else _POSITIONS
        new = next((x for x in letters if x not in taken), f"{letters[0]}{len(taken)}")
        inner = {**names, r.var: new}
        ranged = Range(
            new,
            None if r.low is None else _renamed(r.low, names, taken),
            None if r.high is None else _renamed(r.high, names, taken),
            None if r.domain is None else _renamed(r.domain, names, taken),
        )
        below = taken | {new}
        guard = None if e.guard is None else _renamed(e.guard, inner, below)
        if isinstance(e, Find):
            return Find(e.which, ranged, _renamed(e.guard, inner, below))
        return Aggregate(e.kind, ranged, guard, None if e.value is None else _renamed(e.value, inner, below))
    return rebuild(e, lambda x: _renamed(x, names, taken) if not isinstance(x, Range) else x)


def _shortened(e: Any) -> Any:
    match e:
        case Compare(op, a, b):
            made = _relation(op, a, b)
            if made is not None:
                return made
        case Binary("-", a, b) if (a, b) == (Q, K):
            return DIST
        case Binary("-", a, b) if (a, b) == (K, Q):
            return Neg(DIST)
        case Binary("+" | "-") if whole(e) and {"q", "k"} <= free_names(e):
            terms, const = linear(e)
            if terms.get(Q) and terms.get(Q) == -(terms.get(K) or 0):
                c = terms.pop(Q)
                terms.pop(K)
                return _shortened_parts(from_linear({DIST: c, **terms}, const))
    return _shortened_parts(e)


def _shortened_parts(e: Any) -> Any:
    new = rebuild(e, _shortened)
    if isinstance(new, Call):
        primitive = VOCABULARY.get(new.name)
        if primitive is not None and new.args:
            args = []
            for i, a in enumerate(new.args):
                wanted = primitive.params[min(i, len(primitive.params) - 1)]
                if (
                    isinstance(a, Call)
                    and len(a.args) == 1
                    and a.name == wanted
                    and wanted in ("text", "word")
                    and new.name != wanted
                ):
                    inner = a.args[0]
                    if wanted == "text" or not (isinstance(inner, Call) and inner.name in ("head", "word", "nth_word")):
                        a = inner
                args.append(a)
            new = Call(new.name, tuple(args))
    return new


def _relation(op: str, a: Any, b: Any) -> Any:
    """Comparisons of q and k as comparisons of dist; equal features of both as same(feature)."""
    if op == "==" and isinstance(a, Call) and isinstance(b, Call) and a.name == b.name and len(a.args) == len(b.args) == 1:
        x, y = _shortened_parts(a), _shortened_parts(b)
        if {x.args[0], y.args[0]} == {Q, K} and a.name in SAME_FEATURES:
            return Same(a.name)
    if not (whole(a) and whole(b)):
        return None
    terms, const = linear(a)
    right, c = linear(b)
    for atom, t in right.items():
        terms[atom] = terms.get(atom, 0.0) - t
    terms = {x: t for x, t in terms.items() if t}
    if terms in ({Q: 1.0, K: -1.0}, {Q: -1.0, K: 1.0}):
        sign = terms[Q]
        return Compare(op if sign > 0 else FLIP[op], DIST, num(-(const - c) * sign))
    return None
