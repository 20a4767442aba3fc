"""Expressions in canonical form, given what is known to hold where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from dsl.canonical.arithmetic import call, operation
from dsl.canonical.compare import compare, decide, exists, member
from dsl.canonical.estimates import bounds, is_missing, may_be_missing
from dsl.canonical.facts import NO_FACTS, Facts, positions, sort
from dsl.canonical.linear import linear
from dsl.canonical.logic import conjunction, disjunction, negation
from dsl.canonical.order import key, rank, size
from dsl.canonical.ranges import aggregate, find
from dsl.nodes import (
    FALSE,
    Aggregate,
    And,
    Binary,
    Bool,
    Call,
    Compare,
    Expr,
    Find,
    IfElse,
    K,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Q,
    Same,
    Str,
    Use,
)
from dsl.vocabulary import VOCABULARY

CONTINUOUS = frozenset({"exp", "log", "sqrt", "tanh", "sin", "cos", "abs", "min", "max", "default"})


def simplified(node: Expr, facts: Facts = NO_FACTS) -> Expr:
    """A number, text, word or guard in canonical form; equal to `node` wherever the facts hold."""
    return _simplified(node, facts, sort(node) != "number")


@lru_cache(maxsize=1 << 16)
def _simplified(node: Expr, facts: Facts, exact: bool) -> Expr:
    """`exact`: the last bit of the number may decide something."""
    match node:
        case Num() | Str() | Bool():
            return node
        case Name():
            if sort(node) == "number":
                return _fixed(node, facts)
            known = decide(node, facts) if sort(node) == "guard" else None
            return node if known is None else Bool(known)
        case Neg(item):
            return _distributed(Neg(_simplified(item, facts, exact)), facts, exact)
        case Binary(op, left, right):
            if op in ("//", "%"):
                exact = True
            return _distributed(Binary(op, _simplified(left, facts, exact), _simplified(right, facts, exact)), facts, exact)
        case Compare(op, left, right):
            return _settled(compare(op, _simplified(left, facts, True), _simplified(right, facts, True), facts), node, facts)
        case Member(item, values):
            return _settled(member(_simplified(item, facts, True), values, facts), node, facts)
        case Same(feature):
            if sort(Call(feature, (Q,))) == "guard":
                known = decide(node, facts)
                return node if known is None else Bool(known)
            return compare("==", Call(feature, (Q,)), Call(feature, (K,)), facts)
        case Not(item):
            return negation(simplified(item, facts), facts)
        case And(items):
            return conjunction([simplified(i, facts) for i in items], facts, simplified)
        case Or(items):
            return disjunction([simplified(i, facts) for i in items], facts, simplified)
        case IfElse():
            return _choice(node, facts, exact)
        case Find():
            return find(node, facts, simplified)
        case Aggregate():
            return aggregate(node, facts, simplified)
        case Call():
            return _call(node, facts, exact)
        case Use(concept, args):
            found = Use(concept, tuple(_place(_simplified(a, facts, True), facts) for a in args))
            known = False if any(is_missing(a) for a in found.args) else decide(found, facts)
            return found if known is None else Bool(known)
    raise TypeError(f"not an expression: {node!r}")


def _settled(new: Expr, old: Expr, facts: Facts) -> Expr:
    """Comparisons that fell apart into and, or, not still have to be put together."""
    match new:
        case Compare(">", Aggregate("count", over, guard), Num(0.0)):  # count(…) > 0 = any(…)
            return simplified(Aggregate("any", over, guard), facts)
        case Compare("==", Aggregate("count", over, guard), Num(0.0)):
            return simplified(Not(Aggregate("any", over, guard)), facts)
    return new if new == old or not isinstance(new, And | Or | Not) else simplified(new, facts)


def _fixed(node: Expr, facts: Facts) -> Expr:
    """Where dist == 1, dist is 1."""
    if not facts.edges or linear(node) is None:
        return node
    low, high = bounds(node, facts)
    return Num(float(low)) if low == high and not may_be_missing(node, facts) else node


def _place(position: Expr, facts: Facts) -> Expr:
    """Where dist == 1, q - 1 is k."""
    if position == K or not facts.edges or linear(position) is None or may_be_missing(position, facts):
        return position
    for known in (K, Q):
        if position != known and bounds(Binary("-", position, known), facts) == (0, 0):
            return known
    return position


def _choice(node: IfElse, facts: Facts, exact: bool) -> Expr:
    test = simplified(node.test, facts)
    known = decide(test, facts)
    if known is not None:
        return _simplified(node.then if known else node.other, facts, exact)
    then = _simplified(node.then, facts.given([test]), exact)
    other = _simplified(node.other, facts.given([negation(test, facts)]), exact)
    if then == other:
        return then
    if sort(then) == "guard":
        return simplified(Or((And((test, then)), And((Not(test), other)))), facts)
    # a if t else (a if u else b) = a if t or u else b, and so on for the other three places
    if isinstance(other, IfElse) and other.then == then:
        return _choice(IfElse(Or((test, other.test)), then, other.other), facts, exact)
    if isinstance(other, IfElse) and other.other == then:
        return _choice(IfElse(Or((test, Not(other.test))), then, other.then), facts, exact)
    if isinstance(then, IfElse) and then.other == other:
        return _choice(IfElse(And((test, then.test)), then.then, other), facts, exact)
    if isinstance(then, IfElse) and then.then == other:
        return _choice(IfElse(And((test, Not(then.test))), then.other, other), facts, exact)
    negated = negation(test, facts)
    if not isinstance(other, IfElse) and (
        isinstance(then, IfElse) or (size(negated), str(type(negated))) < (size(test), str(type(test)))
    ):
        test, then, other = negated, other, then  # the longer choice last, as in a chain of elif
    return IfElse(test, then, other)


def _distributed(node: Neg | Binary, facts: Facts, exact: bool) -> Expr:
    """c * (a if t else b) = c * a if t else c * b, for a constant c: constants meet their like."""
    done = _fixed(operation(node, facts, exact), facts)
    match done:
        case Neg(IfElse() as choice):
            return _mapped(choice, lambda x: Neg(x), facts, exact)
        case Binary(op, Num() as c, IfElse() as choice) if op in "+-*/":
            return _mapped(choice, lambda x: Binary(op, c, x), facts, exact)
        case Binary(op, IfElse() as choice, Num() as c) if op in "+-*/":
            return _mapped(choice, lambda x: Binary(op, x, c), facts, exact)
    return done


def _mapped(choice: IfElse, change: Callable[[Expr], Expr], facts: Facts, exact: bool) -> Expr:
    then, other = (
        _mapped(x, change, facts, exact) if isinstance(x, IfElse) else _simplified(change(x), facts, exact)
        for x in (choice.then, choice.other)
    )
    return _choice(IfElse(choice.test, then, other), facts, exact)


def _call(node: Call, facts: Facts, exact: bool) -> Expr:
    primitive = VOCABULARY[node.name]
    inner_exact = exact or node.name not in CONTINUOUS
    args = tuple(_bare(_simplified(a, facts, inner_exact), node.name, i) for i, a in enumerate(node.args))
    places = positions(Call(node.name, args))
    args = tuple(_place(a, facts) if a in places else a for a in args)
    node = node if args == node.args else replace(node, args=args)
    if node.name == "exists":
        return _exists(args[0], facts)
    if node.name == "default":
        if not may_be_missing(args[0], facts):
            return args[0]
        if args[0] == args[1] or is_missing(args[1]):
            return args[0]
        if is_missing(args[0]):
            return args[1]
        if isinstance(args[0], Call) and args[0].name == "default":  # default(default(a, b), c)
            return _simplified(Call("default", (args[0].args[0], Call("default", (args[0].args[1], args[1])))), facts, exact)
        return node
    if primitive.result == "guard" and any(is_missing(a) for a in args):
        return FALSE
    for i, a in enumerate(args):  # f(a if t else b) = f(a) if t else f(b), for constants a and b
        if isinstance(a, IfElse) and primitive.domain in ("number", "text") and _constant_leaves(a):
            return _simplified(_put(a, node, i), facts, exact)
    if primitive.domain == "number":
        return call(node, facts, exact)
    if primitive.domain == "text" and not places and all(isinstance(a, Num | Str) for a in args):
        return _evaluated(node)
    if primitive.variadic and len(args) > 2:  # startswith(k, "a", "b")
        node = replace(node, args=(args[0], *sorted(set(args[1:]), key=key)))
    if node.name in ("similarity", "char_similarity") and rank(args[0]) > rank(args[1]):
        node = replace(node, args=(args[1], args[0]))  # symmetric
    if primitive.result == "guard":
        known = decide(node, facts)
        return node if known is None else Bool(known)
    return node


def _bare(arg: Expr, name: str, place: int) -> Expr:
    """lower(text(k)) = lower(k), pos(word(k)) = pos(k): positions stand for their token and for their word."""
    primitive = VOCABULARY[name]
    wanted = primitive.params[min(place, len(primitive.params) - 1)]
    if isinstance(arg, Call) and ((arg.name == "text" and wanted == "text") or (arg.name == "word" and wanted == "word")):
        return arg.args[0]
    return arg


def _exists(item: Expr, facts: Facts) -> Expr:
    match item:
        case Find(_, over, guard):
            return simplified(Aggregate("any", over, guard), facts)
        case IfElse(test, then, other):
            then, other = (Call("exists", (x,)) for x in (then, other))
            return simplified(Or((And((test, then)), And((Not(test), other)))), facts)
        case Call("default", (a, b)):
            return simplified(Or((Call("exists", (a,)), Call("exists", (b,)))), facts)
        case Call(name, (x,)) if VOCABULARY[name].domain == "word" and name != "head" and sort(x) == "number":
            if not may_be_missing(item, facts.given([Call("aligned", (x,))])):
                return simplified(Call("aligned", (x,)), facts)
    return exists(item, facts)


def _constant_leaves(choice: IfElse) -> bool:
    return all(_constant_leaves(x) if isinstance(x, IfElse) else isinstance(x, Num | Str) for x in (choice.then, choice.other))


def _put(item: Expr, node: Call, place: int) -> Expr:
    if isinstance(item, IfElse):
        return IfElse(item.test, _put(item.then, node, place), _put(item.other, node, place))
    return replace(node, args=(*node.args[:place], item, *node.args[place + 1 :]))


def _evaluated(node: Call) -> Expr:
    try:
        value = VOCABULARY[node.name].evaluate(*(a.value for a in node.args if isinstance(a, Num | Str)))
    except (ValueError, OverflowError):
        return node
    return Bool(value) if isinstance(value, bool) else Str(value) if isinstance(value, str) else Num(float(value))
