"""What Python values become during lifting. Python's own numbers, strings, booleans, None and tuples stand for themselves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from dsl.lift.guards import and_, compare, exists, guard_if, if_, member, not_, or_
from dsl.lift.ranges import replace_names
from dsl.lift.terms import MISSING, ONE, ZERO, N, arith, num, whole
from dsl.nodes import TRUE, Binary, Bool, Call, Expr, Name, Num, Range, Str, free_names

X0, X1 = Name("$x0"), Name("$x1")  # the indices of an array's cell


class Refusal(Exception):
    """A program, or a part of it, has no counterpart in the language. Lines count from 1; 0 is the program as a whole."""

    def __init__(self, line: int, reason: str):
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class S:
    """A number, guard, text or word that depends on the text, on q and k, and on the loops' variables."""

    sort: str
    e: Expr


@dataclass(frozen=True, slots=True)
class Item:
    """One element of a list, there if `cond` holds."""

    value: Any
    cond: Expr = TRUE


@dataclass(frozen=True, slots=True)
class Over:
    """The elements value(v1, v2…) for all v1, v2… in the ranges where the guard holds, in that order (or reversed)."""

    ranges: tuple[Range, ...]
    guard: Expr
    value: Any
    descending: bool = False
    rank: Expr | None = None  # the element's number, where the order is not that of the range (sorted by a key)


@dataclass(frozen=True, slots=True)
class Seq:
    """A list, tuple or set: its segments one after the other. `ordered` is False where Python's order is another."""

    segments: tuple[Item | Over, ...] = ()
    is_set: bool = False
    ordered: bool = True
    once: bool = False  # an iterator: what has gone through it leaves nothing for the next


@dataclass(frozen=True, slots=True)
class Extend:
    """Among what a loop appends to a list of lists: this goes to the end of the last list."""

    value: Any


@dataclass(frozen=True, slots=True)
class Write:
    """dict[key] = value for all values of the ranges where cond holds. mode: last, first, sum (value is added), append."""

    ranges: tuple[Range, ...]
    cond: Expr
    key: Any
    value: Any
    mode: str = "last"
    start: float = 0.0  # of a sum
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Dict:
    """A dictionary: constant keys, then writes under computed keys."""

    items: tuple[tuple[Any, Any], ...] = ()
    writes: tuple[Write, ...] = ()
    factory: Any = None  # of a defaultdict


@dataclass(frozen=True, slots=True)
class Ref:
    """A variable's hold on a mutable list, set or dictionary."""

    id: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A variable's hold on an iterator; its elements lie in the store until somebody goes through them."""

    id: int
    base: int  # length of the path where it was made


class Spent:
    """What is left of an iterator that somebody may have gone through."""


SPENT = Spent()


@dataclass(frozen=True, slots=True)
class DictSlot:
    """dict.setdefault(key, []) or dict[key]: a list inside a dictionary, known by its key."""

    ref: Ref
    key: Any


class EmptyList:
    """The factory of a defaultdict of lists or sets."""

    creates = True  # a read makes an entry

    def __init__(self, is_set: bool):
        self.is_set = is_set

    def __call__(self) -> Any:
        return Seq((), self.is_set)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmptyList) and other.is_set == self.is_set

    def __hash__(self) -> int:
        return hash(self.is_set)

    def __repr__(self) -> str:
        return "list"


@dataclass(frozen=True, slots=True)
class Func:
    node: ast.FunctionDef | ast.Lambda
    scope: int
    defaults: tuple[Any, ...] = ()
    bound: Any = None  # self of a method


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function or method of the environment, by name; `of` is the object it belongs to."""

    name: str
    of: Any = None


@dataclass(frozen=True, slots=True)
class Module:
    name: str


@dataclass(frozen=True, slots=True)
class Doc:
    pass


@dataclass(frozen=True, slots=True)
class Sentence:
    """The sentence of a word."""

    word: Expr


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object that only flows into known functions: the sentence, the tokenizer, its encoding."""

    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A string put together from others, which are told apart again in comparisons."""

    parts: tuple[Any, ...]  # strings of the text, and strings between them that no token contains


@dataclass(frozen=True, slots=True)
class Slice:
    low: Any
    high: Any
    step: Any


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the program: its attributes live in a scope of their own."""

    scope: int
    cls: Any


@dataclass(frozen=True, slots=True)
class Class:
    node: ast.ClassDef
    scope: int


@dataclass(frozen=True, slots=True)
class Later:
    """A variable that a loop leaves behind; found out when somebody reads it."""

    find: Callable[[], Any] = field(compare=False)
    token: int = 0


@dataclass(eq=False)
class Arr:
    """An array (or a list used as one): cells init(x0, x1) and the writes since. Guards and texts are possible cells."""

    id: int
    dims: tuple[Expr, ...]
    init: Any  # an S over $x0, $x1
    base: int  # length of the path where it was made
    log: list[Any] = field(default_factory=list)
    lineage: dict[int, int] = field(default_factory=dict)  # arrays it continues: id -> number of writes taken over
    rows: tuple[int, ...] = ()  # of the lineage: one-dimensional arrays that became its rows
    is_list: bool = False
    mask: Expr | None = None  # over $x0: only these rows are meant (attention[mask])
    kind: str = "float"  # numpy's dtype: float, int, bool; whole where it is int or float, mixed where it depends on the path
    part_of: tuple[Arr, int] | None = None  # the array whose memory it shares, and that one's number of writes when it was taken

    def __repr__(self) -> str:
        return f"Arr{self.id}"


@dataclass(frozen=True, slots=True)
class RowView:
    """attention[i] before a second index."""

    array: Arr
    index: Any


class Conflict:
    """Two values that cannot become one; refused when used."""

    def __init__(self, cond: Expr, a: Any, b: Any):
        self.cond, self.a, self.b = cond, a, b


@dataclass(frozen=True, slots=True)
class CondEl:
    """A step of a path: a branch of an `if` (id), taken or not."""

    id: int
    cond: Expr
    positive: bool = True
    excludes: tuple[int, ...] = ()  # breaks that were not taken if this holds

    @property
    def guard(self) -> Expr:
        return self.cond if self.positive else not_(self.cond)


@dataclass(eq=False, slots=True)
class Loop:
    """A loop over one range; what is in `breaks` ends it."""

    id: int
    range: Range
    guard: Expr  # of a list's elements
    descending: bool
    line: int
    ordered: bool = True
    breaks: list[Any] = field(default_factory=list)
    stop: Expr | None = None  # the element at which it ends early, missing if it does not
    unknown: dict[Any, str] = field(default_factory=dict)  # the names of the variables that it hands on, as an iteration starts
    parallel: bool = False  # numpy's: all elements at once, repeated cells written once

    @property
    def var(self) -> Name:
        return Name(self.range.var)


@dataclass(frozen=True, slots=True)
class LoopEl:
    loop: Loop


@dataclass(frozen=True, slots=True)
class Break:
    id: int
    path: tuple[CondEl, ...]
    cond: Expr
    store: Any = field(compare=False)
    returned: bool = False
    value: Any = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A write to cells of an array, along a path of branches and loops."""

    path: tuple[CondEl | LoopEl, ...]
    op: str
    index: tuple[Expr, ...]
    value: Expr | None
    line: int


def sort_of(v: Any) -> str | None:
    if isinstance(v, S):
        return v.sort
    if isinstance(v, bool):
        return "guard"
    if isinstance(v, int | float):
        return "number"
    return "text" if isinstance(v, str) else None


def dtype_of(v: Any) -> str:
    """The dtype of an array of such cells, or "whole" where it is one of int and float."""
    if sort_of(v) == "guard":
        return "bool"
    if isinstance(v, S):
        return "whole" if v.sort != "number" or certainly_whole(v.e) else "float"
    return "int" if isinstance(v, int) else "float"


def common_dtype(kinds: Iterable[str]) -> str:
    """What numpy makes of cells of these dtypes together."""
    met = set(kinds)
    return next((k for k in ("mixed", "float", "whole", "int", "bool") if k in met), "float")


def certainly_whole(e: Expr) -> bool:
    """A whole number, whatever loops hand on."""
    return whole(e) and not any(name.startswith(("$f", "$mf")) for name in free_names(e))


def expr(v: Any) -> Expr:
    """The expression of a scalar value."""
    if isinstance(v, S):
        return v.e
    if isinstance(v, bool):
        return Bool(v)
    if isinstance(v, int | float):
        return num(v)
    if isinstance(v, str):
        return Str(v)
    raise Refusal(0, f"a {kind_of(v)} where a number or a text was expected")


def number(v: Any) -> Expr:
    """The value as a number; True counts as 1."""
    e = expr(v)
    sort = sort_of(v)
    if sort == "guard":
        return if_(e, ONE, ZERO)
    if sort != "number":
        raise Refusal(0, f"a {kind_of(v)} where a number was expected")
    return e


def value_of(sort: str, e: Expr) -> Any:
    """S, or Python's own value where the expression is a constant."""
    if isinstance(e, Bool):
        return e.value
    if isinstance(e, Str):
        return e.value
    if isinstance(e, Num) and sort == "number":
        return int(e.value) if e.value == int(e.value) and abs(e.value) < 1e15 else e.value
    return S(sort, e)


_KINDS = {
    "Arr": "array",
    "RowView": "row of a matrix",
    "Opaque": "object",
    "Joined": "string put together from others",
    "Func": "function",
    "Builtin": "function",
    "Dict": "dictionary",
    "Poison": "variable whose value a loop leaves open",
    "Conflict": "value of different kinds",
    "Undefined": "variable that may not be set",
    "Stream": "iterator",
}


def kind_of(v: Any) -> str:
    if isinstance(v, S):
        return "truth value" if v.sort == "guard" else v.sort
    if isinstance(v, bool | int | float | str):
        return type(v).__name__
    if v is None:
        return "None"
    if isinstance(v, Ref | Seq | tuple):
        return "list"
    return _KINDS.get(type(v).__name__, type(v).__name__.lower())


def merge_scalars(cond: Expr, a: Any, b: Any) -> Any:
    """a if cond else b, for scalars and None; None if they do not go together."""
    if a is None or b is None:
        other = b if a is None else a
        sort = sort_of(other)
        if sort not in MISSING:  # None beside a truth value is as good as False only where nothing but its truth is asked for
            return None
        missing = MISSING[sort]
        return value_of(sort, if_(cond, missing if a is None else expr(a), missing if b is None else expr(b)))
    sa, sb = sort_of(a), sort_of(b)
    if sa is None or sb is None:
        return None
    if sa == sb == "guard":
        return value_of("guard", guard_if(cond, expr(a), expr(b)))
    if {sa, sb} == {"guard", "number"}:
        return value_of("number", if_(cond, number(a), number(b)))
    if sa == sb == "number":
        return value_of(sa, merge_numbers(cond, expr(a), expr(b)))
    if sa == sb:
        return value_of(sa, if_(cond, expr(a), expr(b)))
    return None


def merge_numbers(cond: Expr, a: Expr, b: Expr) -> Expr:
    """a if cond else b; as b + (c if cond else 0) where one is the other with something added, so that it stands there once."""
    for x, y, test in ((a, b, cond), (b, a, not_(cond))):
        if isinstance(y, Num) or any(n[:2] in ("$i", "$f", "$m") for n in free_names(y)):
            continue
        if isinstance(x, Binary) and x.op in "+-" and x.left == y:
            return arith(x.op, y, if_(test, x.right, ZERO))
        if isinstance(x, Binary) and x.op in "*/" and x.left == y:
            return arith(x.op, y, if_(test, x.right, ONE))
        if isinstance(x, Binary) and x.op == "*" and x.right == y:
            return arith("*", y, if_(test, x.left, ONE))
    return if_(cond, a, b)


def map_value(v: Any, change: Callable[[Expr], Expr]) -> Any:
    """The value with every expression in it changed."""
    match v:
        case S(sort, e):
            new = change(e)
            return v if new is e else value_of(sort, new)
        case tuple():
            return tuple(map_value(x, change) for x in v)
        case Extend(value):
            return Extend(map_value(value, change))
        case Item(value, cond):
            return Item(map_value(value, change), change(cond))
        case Over(ranges, guard, value, descending, rank):
            ranked = None if rank is None else change(rank)
            return Over(tuple(map_range(r, change) for r in ranges), change(guard), map_value(value, change), descending, ranked)
        case Seq(segments, is_set, ordered):
            return Seq(tuple(map_value(s, change) for s in segments), is_set, ordered)
        case Write(ranges, cond, key, value, mode, start, descending):
            return Write(
                tuple(map_range(r, change) for r in ranges),
                change(cond),
                map_value(key, change),
                map_value(value, change),
                mode,
                start,
                descending,
            )
        case Dict(items, writes, factory):
            return Dict(tuple((k, map_value(x, change)) for k, x in items), tuple(map_value(w, change) for w in writes), factory)
        case Joined(parts):
            return Joined(tuple(map_value(x, change) for x in parts))
        case Sentence(word):
            return Sentence(change(word))
        case Builtin(name, of):
            return Builtin(name, map_value(of, change))
        case RowView(array, index):
            return RowView(array, map_value(index, change))
        case Arr():
            return map_array(v, change)
        case Conflict():
            return Conflict(change(v.cond), map_value(v.a, change), map_value(v.b, change))
    return v


def map_array(a: Arr, change: Callable[[Expr], Expr]) -> Arr:
    """The array with the expressions of its cells and writes changed; the same object if none changes."""
    loops: dict[int, Loop] = {}
    changed = False

    def see(e: Expr) -> Expr:
        nonlocal changed
        new = change(e)
        changed = changed or (new is not e and new != e)
        return new

    def loop_of(old: Loop) -> Loop:
        if old.id not in loops:
            new = Loop(old.id, map_range(old.range, see), see(old.guard), old.descending, old.line, old.ordered)
            new.parallel = old.parallel
            new.breaks = [Break(b.id, b.path, see(b.cond), b.store, b.returned, b.value) for b in old.breaks]
            new.stop = None if old.stop is None else see(old.stop)
            loops[old.id] = new
        return loops[old.id]

    init = map_value(a.init, see)
    log = []
    for e in a.log:
        path = tuple(
            LoopEl(loop_of(el.loop)) if isinstance(el, LoopEl) else CondEl(el.id, see(el.cond), el.positive, el.excludes)
            for el in e.path
        )
        value = see(e.value) if isinstance(e.value, Expr) else map_value(e.value, see)
        log.append(Entry(path, e.op, tuple(see(i) for i in e.index), value, e.line))
    if not changed:
        return a
    dims = tuple(change(d) for d in a.dims)
    return Arr(a.id, dims, init, a.base, log, a.lineage, a.rows, a.is_list, a.mask, a.kind, a.part_of)


def map_range(r: Range, change: Callable[[Expr], Expr]) -> Range:
    if r.domain is not None:
        return Range(r.var, None, None, Call(r.domain.name, tuple(change(a) for a in r.domain.args)))
    return Range(r.var, None if r.low is None else change(r.low), None if r.high is None else change(r.high))


def rename(v: Any, names: dict[str, Expr]) -> Any:
    return map_value(v, lambda e: replace_names(e, names))


def mentions(v: Any, name: str) -> bool:
    """Whether an expression inside the value uses the name."""
    found = False

    def look(e: Expr) -> Expr:
        nonlocal found
        found = found or name in free_names(e)
        return e

    map_value(v, look)
    return found


def low_of(r: Range) -> Expr:
    return r.low if r.low is not None else ZERO


def high_of(r: Range) -> Expr:
    return r.high if r.high is not None else arith("-", N, ONE)


def is_none(v: Any) -> Expr:
    if v is None:
        return TRUE
    if isinstance(v, S) and v.sort != "guard":
        return not_(exists(v.e))
    return Bool(False)


def equal(a: Any, b: Any) -> Expr:
    """a == b as a guard."""
    if a is None or b is None:
        return is_none(b if a is None else a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return and_(*(equal(x, y) for x, y in zip(a, b, strict=True))) if len(a) == len(b) else Bool(False)
    if isinstance(a, Joined) or isinstance(b, Joined):
        return _equal_joined(a, b)
    if isinstance(a, Sentence) and isinstance(b, Sentence):
        return compare("==", Call("sentence", (a.word,)), Call("sentence", (b.word,)))
    sa, sb = sort_of(a), sort_of(b)
    if {sa, sb} == {"id", "number"}:
        raise Refusal(0, "the numbers of tokens")
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Opaque) and x.name.startswith(("token:", "id:")) and isinstance(y, S):
            if y.sort != ("text" if x.name.startswith("token:") else "id"):
                return Bool(False)
            return member(y.e, x.name.split(":", 1)[1].split(" "))
    if isinstance(a, Opaque) or isinstance(b, Opaque):
        raise Refusal(0, "comparing a string that is put together from others")
    if sa is None or sb is None:
        if not isinstance(a, S) and not isinstance(b, S) and sa != sb:
            return Bool(False)
        raise Refusal(0, f"comparing a {kind_of(a)} with a {kind_of(b)}")
    if sa == sb == "guard":
        return guard_if(expr(a), expr(b), not_(expr(b)))
    if {sa, sb} == {"guard", "number"}:
        return compare("==", number(a), number(b))
    if sa != sb:
        return not_(or_(exists(expr(a)), exists(expr(b)))) if "guard" not in (sa, sb) else Bool(False)
    return or_(compare("==", expr(a), expr(b)), not_(or_(exists(expr(a)), exists(expr(b)))))  # None == None


SEPARATING = frozenset(" \t\n|_~")  # what tokens do not contain, in practice; validation would show it


def joined(*parts: Any) -> Joined | str | None:
    """Strings one after the other; None where something else is among them."""
    flat: list[Any] = []
    for part in (p for given in parts for p in (given.parts if isinstance(given, Joined) else (given,))):
        if sort_of(part) != "text":
            return None
        if isinstance(part, str) and flat and isinstance(flat[-1], str):
            flat[-1] += part
        elif part != "":
            flat.append(part)
    return Joined(tuple(flat)) if any(isinstance(p, S) for p in flat) else "".join(flat)


def _equal_joined(a: Any, b: Any) -> Expr:
    """By the strings between separators."""
    if isinstance(b, Joined) and not isinstance(a, Joined):
        a, b = b, a
    between = [p for p in a.parts if isinstance(p, str)]
    alternate = all(isinstance(p, str) == (i % 2 == 1) for i, p in enumerate(a.parts)) and len(a.parts) % 2 == 1
    if isinstance(b, str) and len(a.parts) == 2 and not between:
        cuts = range(len(b) + 1)
        return or_(*(and_(equal(a.parts[0], b[:i]), equal(a.parts[1], b[i:])) for i in cuts))
    if alternate and all(set(p) <= SEPARATING for p in between):
        if isinstance(b, Joined) and b.parts[1::2] == a.parts[1::2] and len(b.parts) == len(a.parts):
            return and_(*(equal(x, y) for x, y in zip(a.parts[::2], b.parts[::2], strict=True)))
        if isinstance(b, str) and len(set(between)) == 1:
            pieces = b.split(between[0])
            if len(pieces) != len(between) + 1:
                return Bool(False)
            return and_(*(equal(x, y) for x, y in zip(a.parts[::2], pieces, strict=True)))
    raise Refusal(0, "comparing a string that is put together from others")
