"""The specification of the language: a naive double loop over (q, k), and one recursive function for the values.

Missing is None. Positions and numbers are floats, words are `WordIndex`, so that a value shows its sort.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from dsl.nodes import (
    Aggregate,
    And,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Find,
    IfElse,
    Let,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Range,
    Rule,
    Same,
    Str,
    Use,
    free_names,
    walk,
)
from dsl.text import Text
from dsl.vocabulary import VOCABULARY

LARGEST, LARGEST_DOUBLE = 1e30, 1e300


class WordIndex(int):
    pass


def pattern(program: Program, text: Text, causal: bool) -> np.ndarray:
    """(n, n): what `evaluate` must give for this text. A program that reads weights has them in double,
    and so has one with very large or very small constants."""
    n = len(text)
    values = [x.value for x in walk(program) if isinstance(x, Rule | Let) and x.value is not None]
    numbers = [abs(x.value) for v in values for x in walk(v) if isinstance(x, Num) and x.value]
    double = any({"weight", "row"} & free_names(s) for s in program.statements) or any(not 1e-12 <= x <= 1e3 for x in numbers)
    top = LARGEST_DOUBLE if double else LARGEST
    weights = np.zeros((n, n), np.float64 if double else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        run(program.statements, [[True] * n for _ in range(n)], [[{} for _ in range(n)] for _ in range(n)], weights, text, causal)
    for q in range(n):
        for k in range(n):
            masked = causal and k > q
            weights[q, k] = min(weights[q, k], weights.dtype.type(top)) if weights[q, k] > 0 and not masked else 0
        total = weights[q].sum()
        if total > 0:
            weights[q] = weights[q] / total
    return weights


def run(statements: Any, where: Any, names: Any, weights: np.ndarray, text: Text, causal: bool) -> None:
    n = len(text)
    cells = [(q, k) for q in range(n) for k in range(n)]
    names = [[dict(names[q][k]) for k in range(n)] for q in range(n)]
    for s in statements:
        before = weights.copy()
        scope = {(q, k): {**names[q][k], "q": float(q), "k": float(k)} for q, k in cells}
        if isinstance(s, Let):
            for q, k in cells:
                names[q][k][s.name] = value(s.value, scope[q, k], before, text)
        elif isinstance(s, Block):
            holds = {(q, k): value(s.guard, scope[q, k], before, text) for q, k in cells}
            run(s.then, [[where[q][k] and holds[q, k] for k in range(n)] for q in range(n)], names, weights, text, causal)
            run(s.other, [[where[q][k] and not holds[q, k] for k in range(n)] for q in range(n)], names, weights, text, causal)
        elif s.op == "share":
            for q in range(n):
                given = {
                    k: value(s.value, scope[q, k], before, text)
                    for k in range(n)
                    if where[q][k] and (s.guard is None or value(s.guard, scope[q, k], before, text))
                }
                share(weights[q], given, range(q + 1) if causal else range(n))
        else:
            for q, k in cells:
                if where[q][k] and (s.guard is None or value(s.guard, scope[q, k], before, text)):
                    act(s, q, k, scope[q, k], before, weights, text)


def share(row: np.ndarray, given: dict[int, float | None], visible: range) -> None:
    """The row, divided up: given (value by cell) says which cells get their share."""
    given = {k: min(max(v, 0.0), 1.0) for k, v in given.items() if v is not None and k in visible}
    present = {k: min(max(float(row[k]), 0.0), LARGEST) if row[k] == row[k] else 0.0 for k in visible}
    if sum(present.values()) == 0:
        present = dict.fromkeys(visible, 1.0)
    row[:] = 0
    if not given or len(given) == len(visible):
        groups = [(list(visible), 1.0)]
    else:
        v = sum(given.values()) / len(given)
        groups = [(list(given), v), ([k for k in visible if k not in given], 1 - v)]
    for cells, part in groups:
        mass = sum(present[k] for k in cells)
        for k in cells:
            row[k] = part * present[k] / mass if mass > 0 else part / len(cells)


def act(rule: Rule, q: int, k: int, scope: dict[str, Any], before: np.ndarray, weights: np.ndarray, text: Text) -> None:
    if rule.value is None:
        total = before[q].sum(dtype=np.float64)
        if total != 0:
            weights[q, k] = before[q, k] / weights.dtype.type(total)
        return
    operand = value(rule.value, scope, before, text)
    if operand is None:
        return
    top = LARGEST_DOUBLE if weights.dtype == np.float64 else LARGEST
    x = weights.dtype.type(min(max(operand, -top), top))
    old = before[q, k]
    weights[q, k] = {"set": x, "add": old + x, "scale": old * x, "max": max(old, x), "min": min(old, x)}[rule.op]


ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value(node: Any, scope: dict[str, Any], weights: np.ndarray, text: Text) -> Any:
    def of(x: Any, more: dict[str, Any] | None = None) -> Any:
        return value(x, {**scope, **more} if more else scope, weights, text)

    match node:
        case Num(x) | Str(x) | Bool(x):
            return x
        case Name(name):
            if name == "n":
                return float(len(text))
            if name not in ("dist", "weight", "row"):
                return scope[name]
            q, k = int(scope["q"]), int(scope["k"])
            return {"dist": float(q - k), "weight": float(weights[q, k]), "row": float(weights[q].sum(dtype=np.float64))}[name]
        case Same(feature):
            a, b = of(Call(feature, (Name("q"),))), of(Call(feature, (Name("k"),)))
            return a is not None and b is not None and a == b
        case Call(name, args):
            return call(name, [of(a) for a in args], weights, text)
        case Use(concept, args):
            given = [position(of(a), text) for a in args]
            if any(p is None for p in given):
                return False
            return value(concept.guard, dict(zip(concept.params, map(float, given), strict=True)), weights, text)
        case Neg(item):
            return None if (x := of(item)) is None else -x
        case Binary(op, left, right):
            a, b = of(left), of(right)
            return None if a is None or b is None else finite(lambda: ARITHMETIC[op](a, b))
        case Compare(op, left, right):
            a, b = of(left), of(right)
            return a is not None and b is not None and COMPARISONS[op](a, b)
        case Member(item, values):
            return (x := of(item)) is not None and x in values
        case Not(item):
            return not of(item)
        case And(items):
            return all(of(i) for i in items)
        case Or(items):
            return any(of(i) for i in items)
        case IfElse(test, then, other):
            return of(then) if of(test) else of(other)
        case Find(which, over, guard):
            found = [x for x in elements(over, scope, weights, text) if of(guard, {over.var: x})]
            return None if not found else found[0] if which == "first" else found[-1]
        case Aggregate(kind, over, guard, number):
            inside = [{over.var: x} for x in elements(over, scope, weights, text)]
            holds = [guard is None or of(guard, x) for x in inside]
            if kind in ("count", "any", "all"):
                return {"count": float(sum(holds)), "any": any(holds), "all": all(holds)}[kind]
            numbers = [of(number, x) for x, yes in zip(inside, holds, strict=True) if yes]
            numbers = [x for x in numbers if x is not None]
            if kind == "sum":
                return float(sum(numbers))
            return None if not numbers else min(numbers) if kind == "min" else max(numbers)
    raise TypeError(node)


def elements(over: Range, scope: dict[str, Any], weights: np.ndarray, text: Text) -> list[Any]:
    if over.domain is not None:
        args = [value(a, scope, weights, text) for a in over.domain.args]
        if any(a is None for a in args):
            return []
        if over.domain.name == "words":
            at = [None] if not args else [position(args[0], text)]
            if args and at[0] is None:
                return []
        else:
            at = [word(args[0], text)]
            if at[0] is None:
                return []
        return [WordIndex(w) for w in sorted(VOCABULARY[over.domain.name].evaluate(text, at[0]))]
    low = 0.0 if over.low is None else value(over.low, scope, weights, text)
    high = len(text) - 1.0 if over.high is None else value(over.high, scope, weights, text)
    return [] if low is None or high is None else [float(p) for p in range(len(text)) if low <= p <= high]


def position(x: Any, text: Text) -> int | None:
    return int(x) if x is not None and x == math.floor(x) and 0 <= x < len(text) else None


def word(x: Any, text: Text) -> int | None:
    if isinstance(x, WordIndex) or x is None:
        return x
    p = position(x, text)
    return None if p is None or not text.alignment[p] else text.alignment[p][0]


def string(x: Any, text: Text) -> str | None:
    if isinstance(x, WordIndex):
        return text.words[x].text
    if isinstance(x, float):
        return None if (p := position(x, text)) is None else text.tokens[p]
    return x


def call(name: str, args: list[Any], weights: np.ndarray, text: Text) -> Any:
    primitive = VOCABULARY[name]
    missing = False if primitive.result == "guard" else None
    if name == "exists":
        return args[0] is not None
    if name == "default":
        return args[1] if args[0] is None else args[0]
    if any(a is None for a in args):
        return missing
    if name == "text" and isinstance(args[0], WordIndex):
        return text.words[args[0]].text
    match primitive.domain:
        case "number":
            return finite(lambda: primitive.evaluate(*args, math))
        case "text":
            wanted = primitive.params + primitive.params[-1:] * len(args)
            args = [string(a, text) if w == "text" else a for a, w in zip(args, wanted, strict=False)]
            return missing if any(a is None for a in args) else primitive.evaluate(*args)
        case "word":
            w = word(args[0], text)
            if w is None:
                return missing
            result = primitive.evaluate(text, int(w))
            if primitive.result == "word":
                return WordIndex(result)
            return None if name in ("first_token", "last_token") and result < 0 else result
        case "position" | "pair":
            at = [position(a, text) for a in args]
            if any(a is None for a in at):
                return missing
            result = primitive.evaluate(text, *at)
            if name == "word":
                return None if result < 0 else WordIndex(result)
            return None if result != result else result  # not a number: a word_id that there is none of
    if name == "nth_word":
        return WordIndex(args[0]) if args[0] == math.floor(args[0]) and 0 <= args[0] < len(text.words) else None
    assert name == "weight"
    q, k = (position(a, text) for a in args)
    return None if q is None or k is None else float(weights[q, k])


def finite(compute: Any) -> float | None:
    try:
        x = compute()
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return x if not isinstance(x, complex) and math.isfinite(x) else None
