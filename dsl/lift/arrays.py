"""Arrays: numpy's functions on whole arrays, reads and writes of cells, rows and masked parts."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import groupby
from typing import Any

from dsl.lift.containers import Containers
from dsl.lift.dictionaries import constant_key
from dsl.lift.elements import clamp_high, clamp_low, wrapped
from dsl.lift.guards import compare
from dsl.lift.normal import Normal, Unsettled, fold
from dsl.lift.ranges import replace_names
from dsl.lift.rounds import in_turn
from dsl.lift.sequences import constant, items_of, renewed
from dsl.lift.terms import ONE, ZERO, arith, num
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    Entry,
    Loop,
    LoopEl,
    Opaque,
    Over,
    Ref,
    Refusal,
    RowView,
    S,
    Seq,
    Slice,
    common_dtype,
    dtype_of,
    expr,
    high_of,
    kind_of,
    low_of,
    number,
    rename,
    sort_of,
)
from dsl.nodes import TRUE, Call, Expr, Name, Range, walk

X = (X0, X1)


class Grid(tuple[Any, ...]):
    """np.ix_: all combinations of the indices."""


class Arrays(Containers):
    # --- making arrays ------------------------------------------------------------------------------------------

    def dims(self, shape: Any) -> tuple[Expr, ...]:
        shape = self.unbox(shape)
        if isinstance(shape, Seq):
            shape = tuple(items_of(shape) or ())
        if not isinstance(shape, tuple):
            shape = (shape,)
        if not 1 <= len(shape) <= 2:
            self.refuse("an array of more than two dimensions")
        return tuple(number(s) for s in shape)

    def list_array(self, size: Expr, value: Any) -> Arr | Ref:
        inner = self.unbox(value)
        if isinstance(inner, Arr):
            self.refuse("one list repeated as the rows of a list")
        if isinstance(inner, Seq):
            seq = Seq((Over((Range(self.var(), None, arith("-", size, ONE)),), TRUE, inner),))
            return self.box(seq)
        return self.array((size,), value, is_list=True)

    def dtype_of_list(self, a: Arr) -> str:
        """The dtype that numpy gives an array made from the list as it is now."""
        return common_dtype((a.kind, *(dtype_of(S("number", e.value) if isinstance(e.value, Expr) else e.value) for e in a.log)))

    def as_array(self, value: Any) -> Any:
        """A list as an array of one dimension, a list of lists as one of two."""
        value = self.unbox(value)
        if isinstance(value, Arr):
            if value.is_list:
                copy = self.continued(value)
                copy.is_list, copy.kind = False, self.dtype_of_list(value)
                return copy
            return value
        if isinstance(value, RowView):
            return self.row_array(value)
        if isinstance(value, Opaque):
            return value
        if isinstance(value, tuple):
            value = constant(value)
        if not isinstance(value, Seq):
            return value
        known = items_of(value)
        if known is not None:
            if known and all(isinstance(self.unbox(k), Seq | tuple | Arr | RowView) for k in known):
                return self.refuse("an array of a few rows")
            cells: Any = known[0] if known else 0.0
            for i, v in enumerate(known[1:], 1):
                cells = self.merge(compare("==", X0, num(i)), v, cells)
            return self.array((num(len(known)),), cells, kind=common_dtype(map(dtype_of, known)))
        if len(value.segments) != 1 or not isinstance(value.segments[0], Over):
            return self.concatenated([self.as_array(Seq((s,))) for s in value.segments])
        o = value.segments[0] if isinstance(value.segments[0].value, Arr) else renewed(self, value.segments[0])
        r = o.ranges[0]
        if len(o.ranges) != 1 or o.guard != TRUE or r.domain is not None:
            self.refuse("an array of a filtered list")
        at = arith("-", high_of(r), X0) if o.descending else arith("+", low_of(r), X0)
        size = arith("+", arith("-", high_of(r), low_of(r)), ONE)
        inner = self.unbox(o.value)
        if isinstance(inner, RowView):
            inner = self.row_array(inner)
        if isinstance(inner, Arr) and len(inner.dims) == 1:
            return self.stacked(inner, r.var, at, size)
        if isinstance(inner, Seq | tuple):
            row = self.as_array(inner)
            cells = replace_x(row.init, X1)
            cells = rename(cells, {r.var: at}) if at != X0 else rename(cells, {r.var: X0})
            return self.array((size, replace_names(row.dims[0], {r.var: at})), cells)
        return self.array((size,), rename(o.value, {r.var: at}))

    def array_of(self, value: Any) -> Arr:
        made = self.as_array(value)
        return made if isinstance(made, Arr) else self.refuse(f"a {kind_of(made)} where an array was expected")

    def stacked(self, row: Arr, var: str, at: Expr, size: Expr) -> Arr:
        """Rows made one by one in a loop, as a matrix."""
        made = self.array((size, row.dims[0]), rename(replace_x(row.init, X1), {var: at}))
        loop = Loop(self.fresh(), Range(var, None, arith("-", size, ONE)), TRUE, False, self.line)
        if at != X0:
            self.refuse("rows stacked in another order")
        made.lineage = {**row.lineage, row.id: len(row.log)}
        made.rows = (*row.rows, row.id, *row.lineage)
        base = row.base
        for e in row.log:
            inner = list(e.path[base:])
            index = tuple(replace_names(i, {"$x0": X1}) for i in e.index)
            value = None if e.value is None else replace_names(e.value, {"$x0": X1})
            path = (*self.path, LoopEl(loop), *inner)
            made.log.append(Entry(path, e.op, (Name(var), *index), value, e.line))
        made.base = len(self.path)
        return made

    def continued(self, a: Arr) -> Arr:
        made = self.array(a.dims, a.init, a.base, kind=a.kind)
        made.log = list(a.log)
        made.lineage = {**a.lineage, a.id: len(a.log)}
        made.rows = a.rows
        made.is_list = a.is_list
        made.mask = a.mask
        return made

    def concatenated(self, arrays: list[Any]) -> Arr:
        parts = [a for a in arrays if isinstance(a, Arr)]
        if len(parts) != len(arrays) or any(len(a.dims) != 1 for a in parts):
            self.refuse("arrays put together")
        start: Expr = ZERO
        cells: Any = None
        for i, a in enumerate(parts):
            here = self.cell(a, (arith("-", X0, start),))
            end = arith("+", start, a.dims[0])
            cells = here if i == 0 else self.merge(compare("<", X0, start), cells, here)
            start = end
        return self.array((start,), cells)

    # --- cells --------------------------------------------------------------------------------------------------

    def cell(self, a: Arr, index: tuple[Expr, ...]) -> Any:
        """The cell's value now."""
        if len(index) != len(a.dims):
            self.refuse("an index with another number of dimensions")
        if a.part_of is not None and len(a.part_of[0].log) != a.part_of[1]:
            self.refuse("a part of an array, read after the array was changed")
        fixed = tuple(ZERO if d == ONE and i in X else i for d, i in zip(a.dims, index, strict=True))
        names = {"$x0": fixed[0]} if len(fixed) == 1 else {"$x0": fixed[0], "$x1": fixed[1]}
        if a.id in self.carried and fixed[0] == self.carried[a.id][0]:
            return self.store[self.carried[a.id][1]]
        self.seen.append((a, fixed, self.line))
        if not a.log:
            value = rename(a.init, names)
            return float(value) if a.kind == "float" and isinstance(value, int) and not a.is_list else value
        numeric = sort_of(a.init) == "number"
        if numeric and len(a.dims) == 2:
            return S("number", self.read(a, fixed))
        active = {el.loop.id for el in self.path if isinstance(el, LoopEl)}
        if numeric and not (self.eager(a, active)):
            return S("number", self.read(a, fixed))
        try:
            return fold(self, a, len(a.log), fixed)
        except Unsettled:
            name = f"$f{self.fresh()}"
            self.origin[name] = Refusal(self.line, "an array that is read while a loop fills it")
            return S(sort_of(a.init) or "number", Name(name))  # the loop looks at the read once it is through

    def rules_of(self, a: Arr, entries: list[Entry], given: list[frozenset[int]]) -> list[Normal]:
        """The writes of an array that is read, as rules; `given` are the loops around each that the reader is in, too."""
        rules: list[Normal] = []
        for around, group in groupby(range(len(entries)), lambda i: given[i]):
            places = list(group)
            for rule in in_turn(self, a, entries[places[0] : places[-1] + 1], {}, around):
                rule.at += places[0]
                rules.append(rule)
        return rules

    def eager(self, a: Arr, active: set[int]) -> bool:
        for e in a.log:
            for el in e.path[a.base :]:
                if isinstance(el, LoopEl) and el.loop.id in active:
                    return True  # fold() decides whether the cell is this iteration's own
            if e.op == "normalize":
                return False
        return True

    def array_item(self, of: Any, index: Any) -> Any:
        if isinstance(of, RowView):
            rest = index if isinstance(index, tuple) else (index,)
            return self.array_item(of.array, (of.index, *rest))
        a: Arr = of
        specs = list(index) if isinstance(index, tuple) else [index]
        specs = [self.spec(s, a) for s in specs]
        if len(specs) == 1 and isinstance(specs[0], Arr) and len(specs[0].dims) == 2:
            return self.refuse("the cells of a matrix selected by a mask")
        row = not isinstance(specs[0], Slice | Arr | Seq) and specs[0] is not None
        if len(a.dims) == 2 and row and (len(specs) == 1 or specs[1:] == [Slice(None, None, None)]):
            return RowView(a, specs[0])
        if len(a.dims) == 1 and len(specs) == 1 and isinstance(specs[0], Arr) and sort_of(specs[0].init) == "guard":
            m = specs[0]
            p = self.var()
            guard = expr(self.cell(m, (Name(p),)))
            return Seq((Over((Range(p, None, arith("-", a.dims[0], ONE)),), guard, self.cell(a, (Name(p),))),))
        if (
            len(a.dims) == 2 and isinstance(specs[0], Arr) and sort_of(specs[0].init) == "guard"
            and all(isinstance(s, Slice) and s == Slice(None, None, None) for s in specs[1:])
        ):  # fmt: skip
            made = self.continued(a)
            made.mask = expr(self.cell(specs[0], (X0,)))
            return made
        if any(isinstance(s, Seq) for s in specs):
            return self.refuse("reading an array at a list of positions")
        dims: list[Expr] = []
        picks: list[Expr] = []
        axis = 0
        fancy = False
        for s in specs:
            if s is None:
                dims.append(ONE)
                continue
            if axis >= len(a.dims):
                self.refuse("too many indices")
            size = a.dims[axis]
            if isinstance(s, Slice):
                low, high = self.slice_bounds(s, size)
                if s.step == -1 and s.low is None and s.high is None:
                    picks.append(arith("-", arith("-", size, ONE), X[len(dims)]))
                    dims.append(size)
                else:
                    if s.step not in (None, 1):
                        self.refuse("a slice with a step")
                    if len(dims) > 1:
                        self.refuse("an array of more than two dimensions")
                    picks.append(arith("+", low, X[len(dims)]))
                    dims.append(arith("-", high, low))
            elif isinstance(s, Arr):
                if fancy:
                    picks.append(number(self.cell(s, tuple(X[: len(s.dims)]))))
                else:
                    start = len(dims)
                    if start + len(s.dims) > 2:
                        self.refuse("an array of more than two dimensions")
                    picks.append(number(self.cell(s, tuple(X[start : start + len(s.dims)]))))
                    dims.extend(s.dims)
                    fancy = True
            else:
                picks.append(wrapped(self, number(s), size))
            axis += 1
        while axis < len(a.dims):
            picks.append(X[len(dims)])
            dims.append(a.dims[axis])
            axis += 1
        if not dims:
            return self.cell(a, tuple(picks))
        made = self.array(tuple(dims), self.cell(a, tuple(picks)), kind=a.kind)
        return made if fancy else self.part(made, a)

    def part(self, made: Arr, a: Arr) -> Arr:
        """What shares its memory with the array that it was made from."""
        whole = a.part_of[0] if a.part_of is not None else a
        made.part_of = (whole, len(whole.log))
        return made

    def spec(self, s: Any, of: Arr) -> Any:
        """One index of an array, as a number, a slice, None, an array or a list."""
        s = self.unbox(s)
        if isinstance(s, RowView):
            return self.row_array(s)
        if isinstance(s, Arr):
            return s
        if isinstance(s, Seq):
            known = items_of(s)
            if known is not None and known and all(sort_of(k) == "guard" for k in known):
                return self.as_array(s)
            if known is None and len(s.segments) == 1 and isinstance(s.segments[0], Over):
                o = s.segments[0]
                if sort_of(o.value) == "guard" and o.guard == TRUE:
                    return self.as_array(s)
            return s
        if isinstance(s, tuple):
            return constant(s)
        if isinstance(s, Slice) or s is None:
            return s
        if sort_of(s) == "guard" and not of.is_list:
            self.refuse("a truth value as an index of an array, which numpy takes for a mask")
        if sort_of(s) in ("number", "guard"):
            return s
        return self.refuse(f"an index that is a {kind_of(s)}")

    def slice_bounds(self, s: Slice, size: Expr) -> tuple[Expr, Expr]:
        low = ZERO if s.low is None else clamp_low(self, number(s.low), size)
        high = size if s.high is None else clamp_high(self, number(s.high), size)
        return low, high

    def row_array(self, value: Any) -> Any:
        """attention[i] as an array of one dimension."""
        if not isinstance(value, RowView):
            return value
        a = value.array
        index = wrapped(self, number(value.index), a.dims[0])
        return self.part(self.array((a.dims[1],), self.cell(a, (index, X0)), kind=a.kind), a)

    # --- elementwise --------------------------------------------------------------------------------------------

    def elementwise(self, change: Callable[..., Any], *operands: Any, kind: str | None = None) -> Any:
        """kind: the result's dtype, if it does not follow from the operands'."""
        values = [self.row_array(self.unbox(v)) for v in operands]
        lists = [v for v in values if isinstance(v, Seq) and unknown_length(v)]
        if len(lists) == 1 and not any(isinstance(v, Arr | tuple) or (isinstance(v, Seq) and v is not lists[0]) for v in values):
            return self.box(self.same_places(lists[0], lambda x: change(*(x if v is lists[0] else v for v in values))))
        values = [self.as_array(v) if isinstance(v, Seq | tuple) else v for v in values]
        arrays = [v for v in values if isinstance(v, Arr)]
        if not arrays:
            return change(*values)
        rank = max(len(a.dims) for a in arrays)
        dims: list[Expr] = [ONE] * rank
        for a in arrays:
            for i, d in enumerate(reversed(a.dims)):
                if d != ONE:
                    dims[rank - 1 - i] = d
        made_dims = tuple(dims)
        cells = []
        for v in values:
            if isinstance(v, Arr):
                offset = rank - len(v.dims)
                cells.append(self.cell(v, tuple(X[offset : offset + len(v.dims)])))
            else:
                cells.append(v)
        result = change(*cells)
        if kind is None and sort_of(result) == "guard":
            kind = "bool"
        elif kind is None:
            kind = common_dtype(v.kind if isinstance(v, Arr) else dtype_of(v) for v in values)
            kind = "int" if kind == "bool" else kind
        main = next((a for a in arrays if a.log and a.dims == made_dims and sort_of(a.init) == "number"), None)
        if main is not None and rank == 1 and self.made_before_loops(main):
            main = None  # an array of its own in every iteration
        if main is not None and sort_of(result) == "number" and len(self.path) >= main.base:
            made = self.continued(main)
            made.is_list, made.kind = False, kind
            made.log.append(Entry(tuple(self.path), "set", tuple(X[:rank]), number(result), self.line))
            return made
        made = self.array(made_dims, result, kind=kind)
        made.mask = next((a.mask for a in arrays if a.mask is not None), None)
        return made

    def made_before_loops(self, a: Arr) -> bool:
        """Whether loops have begun since the array was made and none of them writes to it."""
        active = {el.loop.id for el in self.path[a.base :] if isinstance(el, LoopEl)}
        written = {el.loop.id for e in a.log for el in e.path if isinstance(el, LoopEl)}
        return bool(active) and not active & written

    def augment_array(self, a: Arr, op: ast.operator, value: Any) -> None:
        """attention += value, in place."""
        self.augment_item(a, (Slice(None, None, None),) * len(a.dims), op, value)


def unknown_length(v: Seq) -> bool:
    """A filtered list: what numpy makes of it is treated as the list."""
    return any(isinstance(s, Over) and s.guard != TRUE and len(s.ranges) == 1 for s in v.segments)


def replace_x(init: Any, by: Expr) -> Any:
    return rename(init, {"$x0": by})


def _constant(key: Any) -> bool:

    return constant_key(key)


def _reads(e: Expr) -> list[int]:

    return [int(x.name[1:].split(":")[0]) for x in walk(e) if isinstance(x, Call) and x.name.startswith("@")]
