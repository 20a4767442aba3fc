"""What is known to hold where an expression stands, and what follows from it: what exists, bounds, possible texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from dsl.canonical.binders import is_word
from dsl.canonical.linear import ZERO, Edge, Matrix, closure, edges, range_of
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
    Use,
    free_names,
)
from dsl.vocabulary import VOCABULARY, Sort

WAS, BEFORE = "was", "before"  # how the names start that dsl/canonical/rules.py keeps, of guards and of numbers


def sort(node: Expr) -> Sort:
    """The sort of a checked expression whose range variables are named as in dsl/canonical/binders.py."""
    match node:
        case Str():
            return "text"
        case Bool() | Same() | Compare() | Member() | Not() | And() | Or() | Use():
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
        case Use(_, args):
            return frozenset(args).union(*(needed(a) for a in args), (Call("text", (a,)) for a in args))
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
