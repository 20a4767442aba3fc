"""What is known to hold where an expression stands, and what follows from it: existence, bounds, possible texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, inf

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
    free_names,
)
from dsl.canonical.binders import is_word
from dsl.canonical.linear import ZERO, Edge, Matrix, closure, edges, linear, range_of
from dsl.vocabulary import VOCABULARY, Sort

GUARDS = Bool | Same | Compare | Member | Not | And | Or
WAS, BEFORE = "was", "before"  # how the names start that dsl/canonical/rules.py keeps, of guards and of numbers
ALWAYS_WITH_WORD = frozenset({"first_token", "last_token"})


def sort(node: Expr) -> Sort:
    """The sort of a checked expression whose range variables are named as in dsl/canonical/binders.py."""
    match node:
        case Str():
            return "text"
        case Bool() | Same() | Compare() | Member() | Not() | And() | Or():
            return "guard"
        case Name(name):
            return "word" if is_word(name) else "guard" if name.startswith(WAS) else "number"
        case Call(name, args):
            return sort(args[0]) if name == "default" else VOCABULARY[name].result
        case IfElse(_, then, _):
            return sort(then)
        case Find(_, over):
            return "number" if over.domain is None else "word"
        case Aggregate(kind):
            return "guard" if kind in ("any", "all") else "number"
    return "number"


@lru_cache(maxsize=1 << 15)
def needed(node: Expr) -> frozenset[Expr]:
    """Parts that exist wherever the expression does (for a guard: wherever it is true)."""
    match node:
        case Neg(item) | Member(item, _):
            return needed(item) | {item}
        case Binary(_, a, b) | Compare(_, a, b):
            return needed(a) | needed(b) | {a, b}
        case Same(feature):
            parts = [Call(feature, (Q,)), Call(feature, (K,))]
            return frozenset().union(parts, *(needed(p) for p in parts)) if sort(parts[0]) != "guard" else frozenset()
        case Call("exists", (item,)):
            return needed(item) | {item}
        case Call("default", _):
            return frozenset()
        case Call(name, args):
            found = frozenset(args).union(*(needed(a) for a in args))
            primitive = VOCABULARY[name]
            if args and (primitive.domain == "word" or name == "word") and sort(args[0]) == "number":
                found |= {Call("aligned", args)}
            return found | {Call("text", (a,)) for a in positions(node)}  # the position is one of the text's
        case And(items):
            return frozenset().union(*(needed(i) for i in items))
    return frozenset()


def positions(call: Call) -> tuple[Expr, ...]:
    """The arguments that stand for positions of the text."""
    primitive = VOCABULARY[call.name]
    params = primitive.params + primitive.params[-1:] * len(call.args)
    at = primitive.domain in ("position", "pair") or call.name == "weight"
    return tuple(a for a, p in zip(call.args, params, strict=False) if (at or p in ("text", "word")) and sort(a) == "number")


@dataclass(frozen=True, eq=False)  # made by `_facts` alone, which gives equal facts as one object
class Facts:
    """Guards known to be true, in canonical form."""

    items: frozenset[Expr] = frozenset()

    def given(self, guards: Iterable[Expr]) -> Facts:
        """These facts and the given guards; a conjunction counts as its parts."""
        new: set[Expr] = set()
        for g in guards:
            new.update(g.items if isinstance(g, And) else (g,))
        new.discard(Bool(True))
        return self if new <= self.items else _facts(self.items | new)

    def without(self, names: Iterable[str]) -> Facts:
        """The facts that do not mention any of the names."""
        gone = frozenset(names)
        kept = frozenset(i for i in self.items if not free_names(i) & gone)
        return self if len(kept) == len(self.items) else _facts(kept)

    @cached_property
    def existing(self) -> frozenset[Expr]:
        return frozenset().union(*(needed(i) | {i} for i in self.items)) if self.items else frozenset()

    @cached_property
    def edges(self) -> frozenset[Edge]:
        found: set[Edge] = {*range_of(Q), *range_of(K)}
        for item in self.items:
            bounds = hull(item)
            if bounds:
                found.update(bounds)
        for part in self.existing:
            if isinstance(part, Call) and part.name == "text" and isinstance(part.args[0], Binary):
                found.update(edges(Compare(">=", part.args[0], ZERO)) or ())
                found.update(edges(Compare("<", part.args[0], Name("n"))) or ())
        for x, y, _ in list(found):
            found.update(range_of(x))
            found.update(range_of(y))
        return frozenset(found)

    @cached_property
    def texts(self) -> dict[Expr, tuple[frozenset[str | float] | None, frozenset[str | float]]]:
        """Per expression compared with constants: the values it may have (None: any), and values it does not have."""
        found: dict[Expr, tuple[frozenset[str | float] | None, frozenset[str | float]]] = {}
        for item in self.items:
            told = values_of(item)
            if told is not None:
                term, values, positive = told
                allowed, excluded = found.get(term, (None, frozenset()))
                if positive:
                    allowed = values if allowed is None else allowed & values
                else:
                    excluded = excluded | values
                found[term] = allowed, excluded
        return found

    @cached_property
    def _matrix(self) -> Matrix | None:
        return closure(self.edges)

    @cached_property
    def _terms(self) -> frozenset[Expr]:
        return frozenset(t for x, y, _ in self.edges for t in (x, y))

    def matrix(self, terms: Iterable[Expr] = (), more: Iterable[Edge] = ()) -> Matrix | None:
        """Closed bounds on differences, with the natural range of `terms`; None where the facts contradict one another."""
        edges = set(more)
        for t in terms:
            if t not in self._terms:
                edges.update(range_of(t))
        return closure(self.edges | edges) if edges else self._matrix

    @property
    def contradictory(self) -> bool:
        return Bool(False) in self.items or self.matrix() is None


@lru_cache(maxsize=1 << 14)
def _facts(items: frozenset[Expr]) -> Facts:
    return Facts(items)


NO_FACTS = _facts(frozenset())


def hull(guard: Expr) -> tuple[Edge, ...] | None:
    """Bounds on differences that a guard implies."""
    if isinstance(guard, Compare):
        return edges(guard)
    if isinstance(guard, Member) and guard.values and not isinstance(guard.values[0], str):
        numbers = [v for v in guard.values if not isinstance(v, str)]
        low = edges(Compare(">=", guard.item, Num(min(numbers))))
        high = edges(Compare("<=", guard.item, Num(max(numbers))))
        return None if low is None or high is None else low + high
    return None


def values_of(guard: Expr) -> tuple[Expr, frozenset[str | float], bool] | None:
    """(x, values, True) for x in values, (x, values, False) for what excludes them."""
    match guard:
        case Compare("==", x, Str(v)) | Compare("==", x, Num(v)):
            return x, frozenset({v}), True
        case Compare("!=", x, Str(v)) | Compare("!=", x, Num(v)) | Not(Compare("==", x, Str(v))) | Not(Compare("==", x, Num(v))):
            return x, frozenset({v}), False
        case Member(x, values):
            return x, frozenset(values), True
        case Not(Member(x, values)):
            return x, frozenset(values), False
    return None


@lru_cache(maxsize=1 << 16)
def may_be_missing(node: Expr, facts: Facts = NO_FACTS) -> bool:
    """Whether the expression might be missing where the facts hold; True in doubt."""
    if node in facts.existing:
        return False
    match node:
        case Find():
            return True
        case Name(name):
            return name.startswith(BEFORE)
        case Aggregate(kind):
            return kind in ("min", "max")
        case IfElse(test, then, other):
            return may_be_missing(then, facts.given([test])) or may_be_missing(other, facts)
        case Neg(item):
            return may_be_missing(item, facts)
        case Binary(op, left, right):
            if may_be_missing(left, facts) or may_be_missing(right, facts):
                return True
            if op in ("/", "//", "%"):
                low, high = bounds(right, facts)
                return low <= 0 <= high
            if op == "**":
                low, high = bounds(right, facts)
                if isinstance(right, Num) and right.value == int(right.value) and 0 <= right.value <= 4:
                    return False
                least, most = bounds(left, facts)
                return not (least > 0 and most <= 1 and low >= 0)
            return False
        case Call(name, args):
            return _call_may_be_missing(name, args, facts)
    return False


def _call_may_be_missing(name: str, args: tuple[Expr, ...], facts: Facts) -> bool:
    primitive = VOCABULARY[name]
    if primitive.result == "guard":
        return False
    if name == "default":
        return may_be_missing(args[0], facts) and may_be_missing(args[1], facts)
    if any(may_be_missing(a, facts) for a in args):
        return True
    if name in ("exp", "log", "sqrt"):
        low, high = bounds(args[0], facts)
        return {"exp": high > 700, "log": low <= 0, "sqrt": low < 0}[name]
    if primitive.domain == "number":
        return False
    if name == "nth_word":
        return True
    if not all(is_in_text(a, facts) for a in positions(Call(name, args))):
        return True
    for sought, arg in zip(primitive.params, args, strict=False):
        if sought == "word" or name == "word":
            here = sort(arg)
            if here == "number" and Call("aligned", (arg,)) not in facts.existing:
                return True
            if here == "word" and name in ALWAYS_WITH_WORD:
                return True
    return False


def is_in_text(position: Expr, facts: Facts) -> bool:
    """Whether the position certainly is one of the text's."""
    form = linear(position)
    if form is None:
        return False
    return bounds(position, facts)[0] >= 0 and bounds(Binary("-", Name("n"), position), facts)[0] >= 1


@lru_cache(maxsize=1 << 16)
def bounds(node: Expr, facts: Facts = NO_FACTS) -> tuple[float, float]:
    """Least and greatest value that the number can have, where it is not missing."""
    form = linear(node)
    if form is not None:
        return _linear_bounds(form[0], form[1], facts)
    match node:
        case Num(value):
            return value, value
        case Neg(item):
            low, high = bounds(item, facts)
            return -high, -low
        case IfElse(test, then, other):
            a, b = bounds(then, facts.given([test])), bounds(other, facts)
            return min(a[0], b[0]), max(a[1], b[1])
        case Binary(op, left, right):
            return _binary_bounds(op, bounds(left, facts), bounds(right, facts), right)
        case Call(name, args):
            return _call_bounds(name, args, facts)
        case Aggregate("sum", _, _, value) if value is not None:
            low, high = bounds(value, facts.without(["p", "w"]))
            return (0.0 if low >= 0 else -inf), (0.0 if high <= 0 else inf)
    return -inf, inf


def _linear_bounds(terms: tuple[tuple[Expr, int], ...], constant: int, facts: Facts) -> tuple[float, float]:
    if not terms:
        return constant, constant
    matrix = facts.matrix(t for t, _ in terms)
    if matrix is None:
        return -inf, inf
    if len(terms) == 2 and terms[0][1] == -terms[1][1]:
        (x, c), (y, _) = terms if terms[0][1] > 0 else terms[::-1]
        return c * -matrix.get((y, x), inf) + constant, c * matrix.get((x, y), inf) + constant
    low = high = float(constant)
    for t, c in terms:
        ends = c * -matrix.get((ZERO, t), inf), c * matrix.get((t, ZERO), inf)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _binary_bounds(op: str, a: tuple[float, float], b: tuple[float, float], right: Expr) -> tuple[float, float]:
    match op:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            products = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
            return min(products), max(products)
        case "/" if b[0] > 0 and a[0] >= 0:
            return a[0] / b[1], (a[1] / b[0] if a[1] < inf else inf)
        case "%" if b[0] > 0:
            return 0.0, b[1]
        case "//" if b[0] > 0 and a[0] >= 0:
            return 0.0, inf
        case "**" if a[0] > 0 or (a[0] >= 0 and b[0] >= 0):
            return 0.0, (1.0 if a[1] <= 1 and b[0] >= 0 else inf)
        case "**" if isinstance(right, Num) and right.value % 2 == 0:
            return 0.0, inf
    return -inf, inf


def _call_bounds(name: str, args: tuple[Expr, ...], facts: Facts) -> tuple[float, float]:
    inner = [bounds(a, facts) if sort(a) == "number" else (-inf, inf) for a in args]
    match name:
        case "exp":
            low, high = inner[0]
            return (exp(low) if -700 < low < 700 else 0.0), (exp(high) if high < 700 else inf)
        case "sqrt":
            return 0.0, inf
        case "tanh" | "sin" | "cos" | "similarity":
            return -1.0, 1.0
        case "char_similarity":
            return 0.0, 1.0
        case "abs":
            low, high = inner[0]
            return max(0.0, low, -high), max(abs(low), abs(high))
        case "min":
            return min(a for a, _ in inner), min(b for _, b in inner)
        case "max":
            return max(a for a, _ in inner), max(b for _, b in inner)
        case "default":
            return min(a for a, _ in inner), max(b for _, b in inner)
    return -inf, inf


