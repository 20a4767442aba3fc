"""The state of symbolic execution: variables, mutable objects, the path, and how two branches' states become one."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsl.lift.cases import implied_by_cases
from dsl.lift.facts import Facts
from dsl.lift.guards import and_, compare, conjuncts, guard_if, not_
from dsl.lift.infinity import kept
from dsl.lift.ranges import replace_names, size_of
from dsl.lift.rounding import Rounding
from dsl.lift.values import (
    SPENT,
    X0,
    X1,
    Arr,
    Break,
    CondEl,
    Conflict,
    Dict,
    Entry,
    Item,
    Later,
    Loop,
    LoopEl,
    Over,
    Ref,
    Refusal,
    RowView,
    Seq,
    Spent,
    Stream,
    Write,
    dtype_of,
    high_of,
    low_of,
    merge_scalars,
    number,
    sort_of,
)
from dsl.nodes import FALSE, TRUE, Bool, Call, Expr, free_names

STEPS = 60_000
MAX_SIZE = 4_000


class Undefined:
    """The value of a variable on paths that do not set it."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


class Frame:
    """A loop or a function call being executed."""

    def __init__(self, kind: str, base: int, loop: Loop | None = None):
        self.kind = kind
        self.base = base
        self.loop = loop
        self.breaks: list[Break] = []
        self.continues: list[tuple[Expr, dict[Any, Any]]] = []
        self.returns: list[tuple[Expr, Any, dict[Any, Any]]] = []


class Machine:
    def __init__(self, tokenizer: Mapping[str, Any] | None = None) -> None:
        self.tokenizer = tokenizer  # what is known of it: see harness/encodings.py
        self.store: dict[Any, Any] = {}
        self.parents: dict[int, int | None] = {0: None}
        self.scope = 0
        self.path: list[CondEl | LoopEl] = []
        self.frames: list[Frame] = []
        self.failing: list[Expr] | None = None  # inside `try`: the conditions under which Python would raise
        self.try_base = 0
        self.outer_scopes: set[tuple[int, str]] = set()  # names declared global or nonlocal
        self.line = 0
        self.steps = 0
        self.counter = 0
        self.arrays: dict[int, Arr] = {}
        self.closed: dict[str, Expr] = {}  # a variable's value before an iteration, in terms of the loop's variable
        self.closed_in: dict[str, str] = {}  # that variable
        self.rounding = Rounding(self)
        self.multiplied: set[Expr] = set()  # products that the program itself writes
        self.untold: dict[str, Refusal] = {}  # variables that cannot be solved for, and why
        self.origin: dict[str, Refusal] = {}  # names that stand for such a value: where it arises
        self.handed = False  # whether any value of another iteration was asked for
        self.reads: dict[int, tuple[tuple[Loop, ...], int]] = {}
        self.owed: list[tuple[Expr, tuple[Expr, ...], int]] = []  # numbers taken to be at least 0
        self.seen: list[tuple[Arr, tuple[Expr, ...], int]] = []  # cells read, with the line
        self.shared: set[int] = set()  # lists that are elements of others
        self.shared_when: dict[int, Expr] = {}  # under which guards the iteration under way made them that
        self.carried: dict[int, tuple[Expr, Any]] = {}  # arrays filled from the element before: its index, the store's key
        self.keys_made: set[int] = set()  # dictionaries that a read may have given entries (defaultdict)
        self.keys_asked: dict[
            int, tuple[int, frozenset[str]]
        ] = {}  # dictionaries whose entries were asked for: line and loops around
        self.named: dict[str, str] = {}  # Python's name of a loop's variable
        self._facts: tuple[tuple[Any, ...], Facts] | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The parts of the lifter are mixins, one per file; each calls the others' methods through self."""

    # --- counting -----------------------------------------------------------------------------------------------

    def fresh(self) -> int:
        self.counter += 1
        return self.counter

    def var(self, hint: str = "") -> str:
        name = f"$p{self.fresh()}"
        if hint:
            self.named[name] = hint
        return name

    def known_number(self, x: float) -> float:
        return kept(self, x)

    def step(self, node: ast.AST) -> None:
        self.steps += 1
        self.line = getattr(node, "lineno", self.line)
        if self.steps > STEPS:
            self.refuse("the program takes too many steps to follow")

    def refuse(self, reason: str) -> Any:
        raise Refusal(self.line, reason)

    # --- paths --------------------------------------------------------------------------------------------------

    def push(self, element: CondEl | LoopEl) -> None:
        self.path.append(element)

    def facts(self) -> Facts:
        key = tuple(id(p) for p in self.path)
        if self._facts is None or self._facts[0] != key:
            guards: list[Expr] = []
            for el in self.path:
                if isinstance(el, CondEl):
                    guards.append(el.guard)
                else:
                    guards.extend(self.loop_guards(el.loop))
            self._facts = (key, Facts(guards))
        return self._facts[1]

    def loop_guards(self, loop: Loop) -> list[Expr]:
        guards = list(conjuncts(loop.guard))
        if loop.range.domain is None:
            guards.append(compare(">=", loop.var, low_of(loop.range)))
            guards.append(compare("<=", loop.var, high_of(loop.range)))
        return [g for g in guards if not isinstance(g, Bool)]

    def nonnegative(self, e: Expr) -> bool:
        return self.facts().nonnegative(e)

    def inside_later(self, e: Expr) -> bool:
        """Whether e >= 0, now or, where variables of loops are still unknown, once they are known."""
        if self.nonnegative(e):
            return True
        if not any(n[:2] in ("$i", "$f", "$m") for n in free_names(e)):
            return False
        guards: list[Expr] = []
        for el in self.path:
            guards.extend([el.guard] if isinstance(el, CondEl) else self.loop_guards(el.loop))
        self.owed.append((e, tuple(guards), self.line))
        return True

    def settle(self, result: Arr) -> None:
        """Checks what was taken for granted. result: the matrix that the program returns."""
        for e, guards, line in self.owed:
            facts = Facts([self.resolve(g) for g in guards])
            if not facts.nonnegative(self.resolve(e)):
                raise Refusal(line, "a range that may reach beyond the text")
        self.rounding.settle(result)

    def decide(self, guard: Expr) -> Expr:
        if isinstance(guard, Bool):
            return guard
        if size_of(guard, MAX_SIZE) > MAX_SIZE:
            self.refuse("the condition becomes too large to be a guard")
        return self.facts().decide(guard)

    def since(self, base: int) -> Expr:
        return and_(*(el.guard for el in self.path[base:] if isinstance(el, CondEl)))

    def inside(self, cond: Expr) -> CondEl:
        return CondEl(self.fresh(), cond)

    # --- variables ----------------------------------------------------------------------------------------------

    def key_of(self, name: str, scope: int | None = None) -> Any:
        here: int | None = self.scope if scope is None else scope
        while here is not None:
            if ("v", here, name) in self.store:
                return ("v", here, name)
            here = self.parents[here]
        return None

    def new_scope(self, parent: int) -> int:
        scope = self.fresh()
        self.parents[scope] = parent
        return scope

    def lookup(self, name: str) -> Any:
        key = self.key_of(name)
        if key is None:
            return UNDEFINED
        value = self.store[key]
        if isinstance(value, Later):
            value = value.find()
            self.store[key] = value
        return value

    def bind(self, name: str, value: Any) -> None:
        if isinstance(value, Seq) and value.once:
            stream = Stream(self.fresh(), len(self.path))
            self.store["h", stream.id] = replace(value, once=False)
            value = stream
        self.store[("v", self.scope, name)] = value

    def box(self, value: Seq | Dict) -> Ref:
        ref = Ref(self.fresh())
        self.store[("h", ref.id)] = value
        return ref

    def unbox(self, value: Any) -> Any:
        return self.store[("h", value.id)] if isinstance(value, Ref) else value

    def gone_through(self, stream: Stream) -> Seq:
        """The elements of an iterator, which has none from here on."""
        held = self.store["h", stream.id]
        if isinstance(held, Spent):
            self.refuse("an iterator that was gone through before")
        if any(isinstance(el, LoopEl) for el in self.path[stream.base :]):
            self.refuse("an iterator that each round of a loop goes on with")
        self.store["h", stream.id] = SPENT
        return held

    def rebox(self, ref: Ref, value: Any) -> None:
        if ref.id in self.shared:
            self.refuse("a list that is changed after it was put into another")
        self.store[("h", ref.id)] = value

    # --- merging ------------------------------------------------------------------------------------------------

    def merge_stores(self, cond: Expr, a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
        merged = dict(b)
        for key, va in a.items():
            if key not in b:
                merged[key] = va
                continue
            vb = b[key]
            if va is not vb:
                merged[key] = self.merge(cond, va, vb, (a, b))
                if isinstance(va, Ref) and isinstance(vb, Ref) and isinstance(merged[key], Seq) and self.sole(key, va, a, vb, b):
                    ref = Ref(self.fresh())
                    merged[key], merged["h", ref.id] = ref, merged[key]
        return merged

    def sole(self, key: Any, ref_a: Ref, a: dict[Any, Any], ref_b: Ref, b: dict[Any, Any]) -> bool:
        """Whether the variable alone holds these two lists, so that a change of what it holds is seen by nothing else."""
        others = (v for where in (a, b) for k, v in where.items() if k != key)
        return not ({ref_a.id, ref_b.id} & self.shared or any(v in (ref_a, ref_b) for v in others if isinstance(v, Ref)))

    def merge(self, cond: Expr, a: Any, b: Any, stores: tuple[dict[Any, Any], dict[Any, Any]] | None = None) -> Any:
        """The value that is a where cond holds, else b. stores: where each one's lists are, if not in the present state."""
        if cond == TRUE:
            return a
        if cond == FALSE:
            return b
        if a is b:
            return a
        a = a.find() if isinstance(a, Later) else a
        b = b.find() if isinstance(b, Later) else b
        if a is b or (type(a) is type(b) and a == b) or isinstance(b, Undefined):
            return a
        if isinstance(a, Spent) or isinstance(b, Spent):
            return SPENT
        if isinstance(a, Undefined):
            return b
        scalar = merge_scalars(cond, a, b)
        if scalar is not None:
            return scalar
        if isinstance(a, Seq) and isinstance(b, Seq):
            return merge_sequences(cond, a, b)
        if isinstance(a, Dict) and isinstance(b, Dict):
            return self.merge_dicts(cond, a, b)
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            return tuple(self.merge(cond, x, y, stores) for x, y in zip(a, b, strict=True))
        inner_a, inner_b = (
            where.get(("h", x.id), self.store.get(("h", x.id))) if isinstance(x, Ref) else x
            for x, where in zip((a, b), stores or (self.store, self.store), strict=True)
        )
        if isinstance(a, Ref) and isinstance(b, Ref) and isinstance(inner_a, Seq) and isinstance(inner_b, Seq):
            return merge_sequences(cond, inner_a, inner_b)
        if isinstance(inner_a, Dict) and isinstance(inner_b, Dict):
            self.shared |= {x.id for x in (a, b) if isinstance(x, Ref)}
            return self.merge_dicts(cond, inner_a, inner_b)
        for one, inner, other, holds in ((a, inner_a, inner_b, cond), (b, inner_b, inner_a, not_(cond))):
            if isinstance(one, Ref) and isinstance(inner, Seq) and isinstance(other, Seq | tuple):
                return merge_sequences(holds, inner, other if isinstance(other, Seq) else Seq(tuple(Item(v) for v in other)))
        if isinstance(a, Arr | RowView) and isinstance(b, Arr | RowView):
            a, b = self.row_array(a), self.row_array(b)
            return self.merge_arrays(cond, a, b)
        return Conflict(cond, a, b)

    def merge_dicts(self, cond: Expr, a: Dict, b: Dict) -> Any:
        ka, kb = dict(a.items), dict(b.items)
        both = [key for key in ka if key in kb]
        items = [(key, self.merge(cond, ka[key], kb[key])) for key in both]
        alone = [Write((), cond if d is ka else not_(cond), key, v) for d in (ka, kb) for key, v in d.items() if key not in both]
        if any(isinstance(w.value, Ref) for w in alone):
            return Conflict(cond, a, b)
        shared = 0
        while shared < min(len(a.writes), len(b.writes)) and a.writes[shared] == b.writes[shared]:
            shared += 1
        writes = [
            *alone,
            *a.writes[:shared],
            *(conditional(w, cond) for w in a.writes[shared:]),
            *(conditional(w, not_(cond)) for w in b.writes[shared:]),
        ]
        return Dict(tuple(items), tuple(writes), a.factory)

    def merge_arrays(self, cond: Expr, a: Arr, b: Arr) -> Any:
        """A new array that continues the common history of both."""
        if a.lineage.get(b.id) == len(b.log) and a.dims == b.dims:
            old, new, guard = b, a, cond
        elif b.lineage.get(a.id) == len(a.log) and a.dims == b.dims:
            old, new, guard = a, b, not_(cond)
        else:
            return self.chosen_array(cond, a, b)
        taken = new.lineage[old.id]
        merged = self.array(old.dims, old.init, old.base, kind=a.kind if a.kind == b.kind else "mixed")
        merged.log = list(old.log)
        merged.lineage = {**old.lineage, old.id: len(old.log)}
        element = CondEl(self.fresh(), guard)
        for entry in new.log[taken:]:
            merged.log.append(Entry((*entry.path[: len(self.path)], element, *entry.path[len(self.path) :]), *_rest(entry)))
        return merged

    def chosen_array(self, cond: Expr, a: Arr, b: Arr) -> Any:
        """Two arrays of different origin: the longer history, overwritten by the other where that is the one."""

        if len(a.dims) != len(b.dims) or sort_of(a.init) != "number" or sort_of(b.init) != "number":
            return Conflict(cond, a, b)
        old, new, guard = (b, a, cond) if len(b.log) >= len(a.log) else (a, b, not_(cond))
        merged = self.array(old.dims, old.init, old.base, kind=a.kind if a.kind == b.kind else "mixed")
        merged.log = list(old.log)
        merged.lineage = {**old.lineage, old.id: len(old.log)}
        merged.rows = old.rows
        index = (X0, X1)[: len(old.dims)]
        value = number(self.cell(new, index))
        merged.log.append(Entry((*self.path, CondEl(self.fresh(), guard)), "set", index, value, self.line))
        return merged

    def array(
        self, dims: tuple[Expr, ...], init: Any, base: int | None = None, is_list: bool = False, kind: str | None = None
    ) -> Arr:
        """kind: the dtype, told from the cells unless it is given."""
        kind = dtype_of(init) if kind is None else kind
        made = Arr(self.fresh(), dims, init, len(self.path) if base is None else base, is_list=is_list, kind=kind)
        self.arrays[made.id] = made
        return made

    # --- resolved expressions -----------------------------------------------------------------------------------

    def resolve(self, e: Expr) -> Expr:
        """With what is known by now about variables that loops carry along."""
        for _ in range(50):
            new = replace_names(e, self.closed)
            if self.handed:
                new = self.elsewhere(new)
            if new is e or new == e:
                return new
            e = new
        return e

    def read(self, array: Arr, index: tuple[Expr, ...]) -> Call:
        """The cell of an array as it is now."""
        at = self.fresh()
        self.reads[at] = (tuple(el.loop for el in self.path if isinstance(el, LoopEl)), self.line)
        return Call(f"@{array.id}:{len(array.log)}:{at}", index)


def _rest(entry: Entry) -> tuple[Any, ...]:
    return entry.op, entry.index, entry.value, entry.line


def conditional(segment: Any, cond: Expr) -> Any:
    match segment:
        case Item(value, c):
            return Item(value, and_(cond, c))
        case Over(ranges, guard, value, descending, rank):
            return Over(ranges, and_(cond, guard), value, descending, rank)
        case Write(ranges, c, key, value, mode, start, descending):
            return Write(ranges, and_(cond, c), key, value, mode, start, descending)
    return segment


def merge_sequences(cond: Expr, a: Seq, b: Seq) -> Seq:
    """a where cond holds, else b; what both begin with stays one segment."""
    begun: list[Item | Over] = []
    for x, y in zip(a.segments, b.segments, strict=False):
        if x != y and (type(x) is not type(y) or conditional_on(x, TRUE) != conditional_on(y, TRUE)):
            break
        begun.append(x if x == y else conditional_on(x, joined_guard(cond, guard_of(x), guard_of(y))))
    segments = (
        *begun,
        *(conditional(s, cond) for s in a.segments[len(begun) :]),
        *(conditional(s, not_(cond)) for s in b.segments[len(begun) :]),
    )
    return Seq(tuple(s for s in segments if not never(s)), a.is_set or b.is_set, a.ordered and b.ordered)


def guard_of(segment: Item | Over) -> Expr:
    return segment.cond if isinstance(segment, Item) else segment.guard


def conditional_on(segment: Item | Over, guard: Expr) -> Item | Over:
    """The segment with another guard."""
    return replace(segment, cond=guard) if isinstance(segment, Item) else replace(segment, guard=guard)


def joined_guard(cond: Expr, a: Expr, b: Expr) -> Expr:
    """a if cond else b, in which what both ask stays as it is."""
    mine, others = conjuncts(a), conjuncts(b)
    both = [p for p in mine if p in others]
    left, right = (and_(*(p for p in parts if p not in both)) for parts in (mine, others))
    return and_(*both, either_guard(cond, left, right))


def either_guard(cond: Expr, a: Expr, b: Expr) -> Expr:
    """a if cond else b; b alone where the two agree wherever cond holds."""

    if a == b:
        return a
    if implied_by_cases(and_(cond, a), b) and implied_by_cases(and_(cond, b), a):
        return b
    return guard_if(cond, a, b)


def never(segment: Item | Over) -> bool:
    return guard_of(segment) == FALSE
