"""The language's syntax tree: frozen, hashable, picklable. A program's text is its identity (`parse(str(p)) == p`).

Sorts of expressions: number (positions are numbers), guard, text, word (an annotated word). Any of them may be missing
(no such position, no such word, not a finite number); a comparison with something missing is false, and a rule does not act
on a cell where its value is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _node(cls: T) -> T:
    """A frozen dataclass whose hash is computed once: trees are dictionary keys all over the evaluator."""
    cls = dataclass(frozen=True)(cls)  # type: ignore
    structural: Any = cls.__hash__

    def cached_hash(self: Any) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = structural(self)
            self.__dict__["_hash"] = known
        return int(known)

    def state(self: Any) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # hashes of strings differ between processes

    cls.__hash__ = cached_hash  # type: ignore[assignment]
    cls.__getstate__ = state  # type: ignore[method-assign, assignment]
    return cls


class Node:
    """Base of all nodes; `at` is the (line, column) in the source, ignored by comparison."""

    def __str__(self) -> str:
        from dsl.printer import text

        return text(self)  # type: ignore[arg-type]


At = tuple[int, int] | None


@_node
class Num(Node):
    value: float
    at: At = field(default=None, compare=False, repr=False)


@_node
class Str(Node):
    value: str
    at: At = field(default=None, compare=False, repr=False)


@_node
class Bool(Node):
    value: bool
    at: At = field(default=None, compare=False, repr=False)


@_node
class Name(Node):
    """q, k, n, dist, weight, row, a variable of a range, or a name given by `let`."""

    name: str
    at: At = field(default=None, compare=False, repr=False)


@_node
class Call(Node):
    """A primitive of the vocabulary applied to arguments: text(k), exp(-dist), similarity(q, k)."""

    name: str
    args: tuple[Expr, ...]
    at: At = field(default=None, compare=False, repr=False)


@_node
class Concept(Node):
    """concept name(parameters) = guard. Besides its one or two parameters, which are positions, it reads n alone."""

    name: str
    params: tuple[str, ...]
    guard: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Use(Node):
    """A concept of positions: its guard with these in place of the parameters; false where one is no position of the text.

    It holds the definition itself, so that an expression means the same wherever it stands. `children` are the arguments alone.
    """

    concept: Concept
    args: tuple[Expr, ...]
    at: At = field(default=None, compare=False, repr=False)


@_node
class Same(Node):
    """same(feature): feature(q) == feature(k)."""

    feature: str
    at: At = field(default=None, compare=False, repr=False)


@_node
class Neg(Node):
    item: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Binary(Node):
    op: str  # + - * / // % **
    left: Expr
    right: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Compare(Node):
    op: str  # == != < <= > >=
    left: Expr
    right: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Member(Node):
    """item in {values}: all values are texts, or all are numbers."""

    item: Expr
    values: tuple[str | float, ...]
    at: At = field(default=None, compare=False, repr=False)


@_node
class Not(Node):
    item: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class And(Node):
    items: tuple[Expr, ...]
    at: At = field(default=None, compare=False, repr=False)


@_node
class Or(Node):
    items: tuple[Expr, ...]
    at: At = field(default=None, compare=False, repr=False)


@_node
class IfElse(Node):
    """then if test else other."""

    test: Expr
    then: Expr
    other: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Range(Node):
    """What a variable runs over.

    Positions: low..high, both inclusive, None for the text's end on that side. Words: `domain`, one of
    Call("words", ()) all words, Call("words", (p,)), Call("children", (w,)), Call("ancestors", (w,)), Call("subtree", (w,)).
    """

    var: str
    low: Expr | None = None
    high: Expr | None = None
    domain: Call | None = None
    at: At = field(default=None, compare=False, repr=False)


@_node
class Find(Node):
    """first(p < q: G) or last(p < q: G): the smallest or largest position (or word) of the range where G holds."""

    which: str  # first last
    range: Range
    guard: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Aggregate(Node):
    """count, any, all (of a guard), sum, min, max (of a number, over the elements where the guard holds).

    count is 0, any false, all true, sum 0, min and max missing over nothing. Missing numbers are left out.
    """

    kind: str
    range: Range
    guard: Expr | None
    value: Expr | None = None
    at: At = field(default=None, compare=False, repr=False)


@_node
class Rule(Node):
    """One operation on every cell where the guard holds; all cells at once, `weight` and `row` as they were before.

    share changes whole rows. Masked cells and negative weights become 0, the row is divided by its sum (a row of zeros becomes even
    over the cells that the query sees). If some of these cells, not all, satisfy the guard (and have a value), they get the share
    v of the row, the others 1 - v, each group in the proportions that it has (even, if it has none). v is cut to [0, 1]; a program
    should give one value per row, of several it is the mean. So the row sums to 1 then. Where the guard holds nowhere or everywhere
    the row keeps its proportions. `normalize`, in contrast, divides by the sum of all cells, masked ones too, as `row` has it.
    """

    op: str  # set add scale max min share normalize
    value: Expr | None
    guard: Expr | None = None
    at: At = field(default=None, compare=False, repr=False)


@_node
class Block(Node):
    """when G { then } else { other }: the guard is decided per cell on entry, before any rule inside acts."""

    guard: Expr
    then: tuple[Statement, ...]
    other: tuple[Statement, ...] = ()
    at: At = field(default=None, compare=False, repr=False)


@_node
class Let(Node):
    """Names a value, computed per cell where the `let` stands, until the end of the block it stands in."""

    name: str
    value: Expr
    at: At = field(default=None, compare=False, repr=False)


@_node
class Program(Node):
    statements: tuple[Statement, ...]
    at: At = field(default=None, compare=False, repr=False)

    def rules(self) -> tuple[Rule, ...]:
        """The leaf rules, however they are nested."""
        return tuple(_rules(self.statements))

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The concepts it uses, directly or not: those that use no others first, then by name."""
        known: tuple[Concept, ...] | None = self.__dict__.get("_concepts")
        if known is None:
            known = self.__dict__["_concepts"] = concepts_of(*self.statements)
        return known

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


Expr = Num | Str | Bool | Name | Call | Use | Same | Neg | Binary | Compare | Member | Not | And | Or | IfElse | Find | Aggregate
Statement = Rule | Block | Let
AnyNode = Expr | Range | Statement | Program | Concept

Q, K, N, DIST, WEIGHT, ROW = (Name(n) for n in ("q", "k", "n", "dist", "weight", "row"))
BUILTIN_NAMES = frozenset({"q", "k", "n", "dist", "weight", "row"})
TRUE, FALSE = Bool(True), Bool(False)
OPERATIONS = ("set", "add", "scale", "max", "min", "share", "normalize")


def _rules(statements: tuple[Statement, ...]) -> Iterator[Rule]:
    for s in statements:
        if isinstance(s, Rule):
            yield s
        elif isinstance(s, Block):
            yield from _rules(s.then)
            yield from _rules(s.other)


@cache
def _parts(kind: Any) -> tuple[str, ...]:
    """The fields of a node class that can hold nodes."""
    return tuple(f.name for f in fields(kind) if f.compare and f.type not in ("str", "float", "bool", "Concept"))


def children(node: AnyNode) -> Iterator[AnyNode]:
    """The nodes directly below, in source order."""
    kind: Any = type(node)
    for name in _parts(kind):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value  # type: ignore[misc]
        elif isinstance(value, tuple):
            yield from (v for v in value if isinstance(v, Node))  # type: ignore[misc]


def walk(node: AnyNode) -> Iterator[AnyNode]:
    """The node and everything below, parents first."""
    todo = [node]
    while todo:
        here = todo.pop()
        yield here
        todo.extend(reversed(list(children(here))))


def rebuild(node: Any, change: Callable[[Any], Any]) -> Any:
    """The node with `change` applied to each node directly below; the same object where nothing changed."""
    changes: dict[str, Any] = {}
    kind: Any = type(node)
    for name in _parts(kind):
        value = getattr(node, name)
        if isinstance(value, Node):
            new: Any = change(value)
            if new is not value:
                changes[name] = new
        elif isinstance(value, tuple) and any(isinstance(v, Node) for v in value):
            new = tuple(change(v) if isinstance(v, Node) else v for v in value)
            if any(a is not b for a, b in zip(new, value, strict=True)):
                changes[name] = new
    return replace(node, **changes) if changes else node


def substitute(node: Any, values: dict[str, Any]) -> Any:
    """Replaces free names by expressions; names bound inside (ranges, lets) hide outer ones."""
    if isinstance(node, Name):
        return values.get(node.name, node)
    if "dist" not in values and free_names(node).isdisjoint(values):
        return node
    if isinstance(node, Find | Aggregate):
        inner = {name: v for name, v in values.items() if name != node.range.var}
        bounds = rebuild(node.range, lambda x: substitute(x, values))
        parts: dict[str, Any] = {"range": bounds}
        for part in ("guard", "value"):
            below = getattr(node, part, None)
            if below is not None:
                parts[part] = substitute(below, inner)
        return replace(node, **parts)
    return rebuild(node, lambda x: substitute(x, values))


def concepts_of(*nodes: AnyNode) -> tuple[Concept, ...]:
    """The concepts that the nodes use, directly or not: those that use no others first, then by name."""
    levels: dict[Concept, int] = {}

    def level(concept: Concept) -> int:
        if concept not in levels:
            used = [x.concept for x in walk(concept.guard) if isinstance(x, Use)]
            levels[concept] = 1 + max(map(level, used), default=-1)
        return levels[concept]

    for node in nodes:
        for x in walk(node):
            if isinstance(x, Use):
                level(x.concept)
    return tuple(sorted(levels, key=lambda c: (levels[c], c.name, str(c))))


def all_of(guards: Iterable[Expr]) -> Expr | None:
    """One guard that asks all of them, conjunctions among them taken apart; None for none."""
    parts = [part for g in guards for part in (g.items if isinstance(g, And) else (g,))]
    return None if not parts else parts[0] if len(parts) == 1 else And(tuple(parts))


def free_names(node: AnyNode) -> frozenset[str]:
    """Names used and not bound inside; `dist` counts as q and k, same(f) too."""
    known = node.__dict__.get("_free")
    if known is None:
        known = frozenset(_free(node))
        node.__dict__["_free"] = known
    return known


def _free(node: AnyNode) -> set[str]:
    if isinstance(node, Name):
        return {"q", "k"} if node.name == "dist" else {node.name}
    if isinstance(node, Same):
        return {"q", "k"}
    if isinstance(node, Call) and node.name == "weight":
        return {"weight"}.union(*(free_names(a) for a in node.args))
    if isinstance(node, Find | Aggregate):
        inside: set[str] = set()
        for part in (node.guard, getattr(node, "value", None)):
            if part is not None:
                inside |= free_names(part)
        return (inside - {node.range.var}) | set(free_names(node.range))
    result: set[str] = set()
    for below in children(node):
        result |= free_names(below)
    return result
