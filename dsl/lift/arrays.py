"""Arrays: numpy's functions on whole arrays, reads and writes of cells, rows and masked parts."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from dsl.lift.build import (
    MISSING_NUMBER,
    ONE,
    ZERO,
    N,
    and_,
    arith,
    compare,
    conjuncts,
    find,
    if_,
    neg,
    not_,
    num,
    or_,
    quantified,
    replace_names,
)
from dsl.lift.calls import Calls
from dsl.lift.emit import Unsettled, fold
from dsl.lift.sequences import (
    clamp_high,
    clamp_low,
    constant,
    contains,
    fold_numbers,
    items_of,
    length,
    rename_guard,
    renewed,
    wrapped,
)
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    CondEl,
    Dict,
    Entry,
    Loop,
    LoopEl,
    Opaque,
    Over,
    Ref,
    RowView,
    S,
    Seq,
    Slice,
    expr,
    high_of,
    kind_of,
    low_of,
    number,
    rename,
    sort_of,
    value_of,
)
from dsl.nodes import TRUE, Call, Expr, Name, Num, Range

X = (X0, X1)
_UNARY = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "sin": "sin", "cos": "cos", "floor": "floor", "rint": "round",
    "round": "round", "around": "round",
}  # fmt: skip
_AUGMENT = {ast.Add: "add", ast.Sub: "add", ast.Mult: "scale", ast.Div: "scale"}


class Grid(tuple[Any, ...]):
    """np.ix_: all combinations of the indices."""


class Arrays(Calls):
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

    def as_array(self, value: Any) -> Any:
        """A list as an array of one dimension, a list of lists as one of two."""
        value = self.unbox(value)
        if isinstance(value, Arr):
            if value.is_list:
                copy = self.continued(value)
                copy.is_list = False
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
            return self.array((num(len(known)),), cells)
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
            inner = [el for el in e.path[base:]]
            index = tuple(replace_names(i, {"$x0": X1}) for i in e.index)
            value = None if e.value is None else replace_names(e.value, {"$x0": X1})
            path = (*self.path, LoopEl(loop), *inner)
            made.log.append(Entry(path, e.op, (Name(var), *index), value, e.line))
        made.base = len(self.path)
        return made

    def continued(self, a: Arr) -> Arr:
        made = self.array(a.dims, a.init, a.base)
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
        fixed = tuple(ZERO if d == ONE and i in X else i for d, i in zip(a.dims, index, strict=True))
        names = {"$x0": fixed[0]} if len(fixed) == 1 else {"$x0": fixed[0], "$x1": fixed[1]}
        if a.id in self.carried and fixed[0] == self.carried[a.id][0]:
            return self.store[self.carried[a.id][1]]
        self.seen.append((a, fixed, self.line))
        if not a.log:
            return rename(a.init, names)
        numeric = sort_of(a.init) == "number"
        if numeric and len(a.dims) == 2:
            return S("number", self.read(a, fixed))
        active = {el.loop.id for el in self.path if isinstance(el, LoopEl)}
        if numeric and not (self.eager(a, active)):
            return S("number", self.read(a, fixed))
        try:
            return fold(self, a, len(a.log), fixed)
        except Unsettled:
            return S(sort_of(a.init) or "number", Name(f"$f{self.fresh()}"))  # the loop looks at the read once it is through

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
        specs = [self.spec(s) for s in specs]
        if len(specs) == 1 and isinstance(specs[0], Arr) and len(specs[0].dims) == 2:
            return self.selected(a, specs[0])
        if len(a.dims) == 2 and len(specs) == 1 and not isinstance(specs[0], Slice | Arr | Seq) and specs[0] is not None:
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
        return self.array(tuple(dims), self.cell(a, tuple(picks)))

    def selected(self, a: Arr, mask: Arr) -> Any:
        return self.refuse("the cells of a matrix selected by a mask")

    def spec(self, s: Any) -> Any:
        """One index, as a number, a slice, None, an array or a list."""
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
        return self.array((a.dims[1],), self.cell(a, (index, X0)))

    # --- elementwise --------------------------------------------------------------------------------------------

    def elementwise(self, change: Callable[..., Any], *operands: Any) -> Any:
        values = [self.row_array(self.unbox(v)) for v in operands]
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
        main = next((a for a in arrays if a.log and a.dims == made_dims and sort_of(a.init) == "number"), None)
        if main is not None and sort_of(result) == "number" and len(self.path) >= main.base:
            made = self.continued(main)
            made.is_list = False
            made.log.append(Entry(tuple(self.path), "set", tuple(X[:rank]), number(result), self.line))
            return made
        made = self.array(made_dims, result)
        made.mask = next((a.mask for a in arrays if a.mask is not None), None)
        return made

    def augment_array(self, a: Arr, op: ast.operator, value: Any) -> None:
        """attention += value, in place."""
        self.augment_item(a, (Slice(None, None, None),) * len(a.dims), op, value)

    # --- writing ------------------------------------------------------------------------------------------------

    def assign_item(self, of: Any, index: Any, op: str, value: Any) -> None:
        holder = self.decided_conflict(of)
        held = self.unbox(holder)
        match held:
            case RowView():
                rest = index if isinstance(index, tuple) else (index,)
                self.write(held.array, (held.index, *rest), op, value)
            case Arr():
                self.write(held, index if isinstance(index, tuple) else (index,), op, value)
            case Dict():
                if not isinstance(holder, Ref):
                    self.refuse("changing a dictionary inside another object")
                self.write_entry(holder, held, index, value)
            case Seq():
                if not isinstance(holder, Ref):
                    self.refuse("changing a list inside another")
                self.write_list(holder, held, index, op, value)
            case _:
                self.refuse(f"changing a {kind_of(held)}")

    def write_entry(self, ref: Ref, held: Dict, key: Any, value: Any) -> None:
        frozen = self.frozen(value) if _constant(key) else self.stored(value)
        if not _constant(key) and (
            (isinstance(frozen, Seq) and not frozen.segments) or (isinstance(frozen, Dict) and frozen == Dict())
        ):
            return  # d[key] = []: appends create the list
        if isinstance(value, Ref) and _constant(key):
            frozen = value  # a list under a fixed key can still be appended to
        self.rebox(ref, self.with_entry(held, key, frozen))

    def write_list(self, ref: Ref, held: Seq, index: Any, op: str, value: Any) -> None:
        known = items_of(held)
        if isinstance(index, int) and known is not None and -len(known) <= index < len(known):
            known[index] = value
            self.rebox(ref, Seq(constant(known).segments, held.is_set, held.ordered))
            return
        array = self.as_array(held)
        if not isinstance(array, Arr):
            self.refuse("changing this list")
        array.is_list = True
        array.base = min(array.base, self.base_of(ref))
        self.rebox(ref, array)
        self.assign_item(ref, index, op, value)

    def base_of(self, ref: Ref) -> int:
        return 0

    def augment_item(self, of: Any, index: Any, op: ast.operator, value: Any) -> None:
        held = self.unbox(self.decided_conflict(of))
        value = self.decided_conflict(value)
        if isinstance(held, RowView):
            rest = index if isinstance(index, tuple) else (index,)
            self.augment_item(held.array, (held.index, *rest), op, value)
            return
        if isinstance(held, Seq) and isinstance(of, Ref):
            if isinstance(index, int) and items_of(held) is not None:
                self.write_list(of, held, index, "set", self.binary(op, self.item(held, index), value))
                return
            array = self.as_array(held)
            array.is_list = True
            array.base = min(array.base, self.base_of(of))
            self.rebox(of, array)
            held = array
        if isinstance(held, Dict) and isinstance(of, Ref):
            self.augment_entry(of, held, index, op, value)
            return
        if not isinstance(held, Arr):
            self.refuse(f"changing a {kind_of(held)}")
        index = index if isinstance(index, tuple) else (index,)
        if type(op) in _AUGMENT and sort_of(held.init) == "number":
            if isinstance(op, ast.Sub):
                value = self.elementwise(lambda v: value_of("number", neg(number(v))), value)
            elif isinstance(op, ast.Div):
                value = self.elementwise(lambda v: value_of("number", arith("/", ONE, number(v))), value)
            self.write(held, index, _AUGMENT[type(op)], value)
            return
        self.write(held, index, "set", self.binary(op, self.array_item(held, index if len(index) > 1 else index[0]), value))

    def augment_entry(self, ref: Ref, held: Dict, key: Any, op: ast.operator, value: Any) -> None:
        from dsl.lift.values import Write

        if _constant(key) and not held.writes:
            old = self.item(ref, key)
            if isinstance(old, Ref):
                self.binary_into(old, op, value)
                return
            self.rebox(ref, self.with_entry(held, key, self.binary(op, old, value)))
            return
        if not isinstance(op, ast.Add | ast.Sub):
            self.refuse("changing the entries of a dictionary")
        amount = value if isinstance(op, ast.Add) else self.unary_value(ast.USub(), value)
        if isinstance(self.unbox(value), Seq):
            self.refuse("joining lists inside a dictionary")
        start = held.factory() if held.factory is not None else 0
        write = Write((), TRUE, key, amount, "sum", float(start) if isinstance(start, int | float) else 0.0)
        self.rebox(ref, Dict(held.items, (*held.writes, write), held.factory))

    def binary_into(self, ref: Ref, op: ast.operator, value: Any) -> None:
        held = self.unbox(ref)
        result = self.unbox(self.binary(op, held, value))
        self.rebox(ref, result)

    def write(self, a: Arr, index: tuple[Any, ...], op: str, value: Any) -> None:
        """cells op value, with loops of their own for slices, masks and lists among the indices."""
        specs = [self.spec(s) for s in index]
        grid = isinstance(index, Grid)
        value = self.row_array(self.unbox(value))
        if isinstance(value, tuple) or (isinstance(value, Seq)):
            value = self.as_array(value)
        if len(specs) == 1 and isinstance(specs[0], Arr) and len(specs[0].dims) == 2:
            self.write_mask(a, specs[0], op, value)
            return
        specs += [Slice(None, None, None)] * (len(a.dims) - len(specs))
        if len(specs) != len(a.dims):
            self.refuse("an index with another number of dimensions")
        masked = next((s for s in specs if isinstance(s, Arr) and sort_of(s.init) == "guard"), None)
        loops: list[Loop] = []
        cells: list[Expr] = []
        axes: list[Expr] = []  # what the value's axes run over
        shared: Loop | None = None
        pairs = self.paired(specs) if not grid else None
        for axis, s in enumerate(specs):
            size = a.dims[axis]
            if isinstance(s, Slice):
                low, high = self.slice_bounds(s, size)
                if s.step not in (None, 1):
                    self.refuse("a slice with a step")
                v = self.var()
                loops.append(self.loop(v, low, arith("-", high, ONE), TRUE))
                cells.append(Name(v))
                axes.append(arith("-", Name(v), low))
            elif isinstance(s, Arr | Seq):
                if pairs is not None and shared is not None:
                    cells.append(self.along_with(s, shared, pairs, size))
                    continue
                loop, cell, place = self.own_loop(s, size)
                if loop is None:
                    known = items_of(s)
                    if known is None or isinstance(value, Arr) or pairs is not None:
                        self.refuse("an array written at a list of positions")
                    for k in known or []:
                        self.write(a, tuple(k if x is s else x for x in specs), op, value)
                    return
                loops.append(loop)
                cells.append(cell)
                axes.append(place)
                if pairs is not None:
                    shared = loop
            else:
                cells.append(wrapped(self, number(s), size))
        cell_value: Any = value
        if isinstance(value, Arr):
            if value.mask is not None and masked is not None and axes:
                if value.mask != expr(self.cell(masked, (X0,))):
                    self.refuse("rows selected by one mask written to another")
            elif masked is not None and len(value.dims) == 2:
                self.refuse("rows written by a mask")
            if len(value.dims) > len(axes):
                self.refuse("an array written to fewer dimensions")
            picks = axes[len(axes) - len(value.dims) :]
            if MISSING_NUMBER in [p for p, d in zip(picks, value.dims, strict=True) if d != ONE]:
                self.refuse("an array written at a list of positions")
            if masked is not None and value.mask is None and any(
                d != ONE and any(p == loop.var and loop.guard != TRUE for loop in loops) for p, d in zip(picks, value.dims, strict=True)
            ):  # fmt: skip
                self.refuse("an array written by a mask")
            if value.log and len(value.dims) == 1 and op == "set" and self.splice(a, loops, cells, value, picks):
                return
            cell_value = self.cell(value, tuple(picks))
        if cell_value is None and op == "set":
            cell_value = None
        self.emit(a, loops, cells, op, cell_value)

    def splice(self, a: Arr, loops: list[Loop], cells: list[Expr], row: Arr, picks: list[Expr]) -> bool:
        """attention[i] = row, where the row was built by writes of its own: the same writes in the matrix."""
        if len(a.dims) != 2 or len(loops) != 1 or picks != [cells[1]] or loops[0].range.low is not None:
            return False
        if row.lineage or row.base > len(self.path):
            return False
        base = self.path[: row.base]
        if list(base) != list(self.path[: len(base)]):
            return False
        self.emit(a, loops, cells, "set", rename(row.init, {"$x0": cells[1]}))
        lifted = dict(a.lineage)
        a.rows = (*a.rows, row.id)
        for at, e in enumerate(row.log):
            index = (cells[0], e.index[0] if e.index[0] != X0 else X1)
            value = None if e.value is None else replace_names(e.value, {"$x0": X1})
            for reads in _reads(value) if value is not None else ():
                if reads == row.id:
                    self.refuse("a row that is read while it is built")
            a.log.append(Entry((*self.path, *e.path[len(self.path) :]), e.op, index, value, e.line))
        a.lineage = lifted
        return True

    def paired(self, specs: list[Any]) -> Any:
        """Two lists or masks as indices mean cells one by one, not a grid. The first of them, if there are two."""
        advanced = [s for s in specs if isinstance(s, Arr | Seq)]
        return advanced[0] if len(advanced) > 1 else None

    def own_loop(self, s: Any, size: Expr) -> tuple[Loop | None, Expr, Expr]:
        """A loop over the places that a mask, an array of indices or a list names; the index; the place in a value."""
        v = self.var()
        if isinstance(s, Arr):
            if sort_of(s.init) == "guard":
                return self.loop(v, ZERO, arith("-", size, ONE), expr(self.cell(s, (Name(v),)))), Name(v), Name(v)
            loop = self.loop(v, ZERO, arith("-", s.dims[0], ONE), TRUE)
            return loop, wrapped(self, number(self.cell(s, (Name(v),))), size), Name(v)
        if len(s.segments) == 1 and isinstance(s.segments[0], Over) and len(s.segments[0].ranges) == 1:
            o = renewed(self, s.segments[0])
            loop = Loop(self.fresh(), o.ranges[0], o.guard, o.descending, self.line, parallel=True)
            return loop, wrapped(self, number(o.value), size), MISSING_NUMBER
        if items_of(s) is not None:
            return None, ZERO, ZERO
        return self.loop(v, ZERO, arith("-", size, ONE), contains(self, s, S("number", Name(v)))), Name(v), MISSING_NUMBER

    def along_with(self, s: Any, loop: Loop, first: Any, size: Expr) -> Expr:
        """The second index of a pair, in the first one's loop."""
        if isinstance(s, Arr) and isinstance(first, Arr) and (sort_of(s.init) == "guard") == (sort_of(first.init) == "guard"):
            if sort_of(s.init) == "guard":
                if expr(self.cell(s, (X0,))) != expr(self.cell(first, (X0,))):
                    self.refuse("two different masks as one index")
                return loop.var
            return wrapped(self, number(self.cell(s, (loop.var,))), size)
        if isinstance(s, Seq) and len(s.segments) == 1 and isinstance(s.segments[0], Over):
            o = s.segments[0]
            if len(o.ranges) == 1 and o.ranges[0].domain is None:
                here: dict[str, Expr] = {o.ranges[0].var: loop.var}
                if rename_guard(o.guard, here) == loop.guard and low_of(o.ranges[0]) == low_of(loop.range):
                    return wrapped(self, number(rename(o.value, here)), size)
        return self.refuse("two lists as one index")

    def loop(self, v: str, low: Expr, high: Expr, guard: Expr) -> Loop:
        r = Range(v, None if low == ZERO else low, None if high == arith("-", N, ONE) else high)
        return Loop(self.fresh(), r, guard, False, self.line, parallel=True)

    def write_mask(self, a: Arr, mask: Arr, op: str, value: Any) -> None:
        v0, v1 = self.var(), self.var()
        loops = [self.loop(v0, ZERO, arith("-", a.dims[0], ONE), TRUE), self.loop(v1, ZERO, arith("-", a.dims[1], ONE), TRUE)]
        loops[1].guard = expr(self.cell(mask, (Name(v0), Name(v1))))
        if isinstance(value, Arr):
            self.refuse("an array written by a mask")
        self.emit(a, loops, [Name(v0), Name(v1)], op, value)

    def emit(self, a: Arr, loops: list[Loop], cells: list[Expr], op: str, value: Any) -> None:
        path = (*self.path, *(LoopEl(loop) for loop in loops))
        cells = [self.as_variable(c, cells) for c in cells]
        numeric = sort_of(a.init) == "number" and sort_of(value) in ("number", "guard")
        if op != "normalize" and len(a.dims) == 2 and not numeric:
            self.refuse(f"a {kind_of(value)} as a cell of a matrix")
        e: Any = number(value) if numeric else value
        if numeric and isinstance(a.init, int | float) and a.init == 0 and op == "scale" and not a.log:
            return
        a.log.append(Entry(path, op, tuple(cells), e, self.line))

    def as_variable(self, cell: Expr, cells: list[Expr]) -> Expr:
        """A fixed index that the path knows to be a loop's variable: attention[0, 0] where i == 0."""
        from dsl.nodes import Compare

        loops = {el.loop.range.var for el in self.path if isinstance(el, LoopEl)}
        for el in reversed(self.path):
            if isinstance(el, CondEl):
                for part in conjuncts(el.guard):
                    if isinstance(part, Compare) and part.op == "==" and part.right == cell and isinstance(part.left, Name):
                        if part.left.name in loops and part.left != cell and not (isinstance(cell, Name) and cell.name in loops):
                            return part.left
        return cell

    # --- numpy's functions --------------------------------------------------------------------------------------

    def numpy_call(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        short = name.split(".", 1)[1]
        if name.startswith("arr."):
            args = [of, *args]
        keywords.pop("dtype", None)
        keywords.pop("copy", None)
        keywords.pop("order", None)
        method = getattr(self, "np_" + short, None)
        if method is not None:
            try:
                return method(*args, **keywords)
            except TypeError as error:
                if "argument" in str(error):
                    return self.refuse(f"np.{short}(…) with these arguments")
                raise
        if short in _UNARY:
            if len(args) > 1 and short in ("round", "around"):
                return self.elementwise(lambda v: self.py_round(v, args[1]), args[0])
            return self.elementwise(lambda v: self.function_of(_UNARY[short], v), args[0])
        return self.refuse(f"np.{short} has no counterpart")

    def function_of(self, name: str, v: Any) -> Any:
        e = number(v)
        if isinstance(e, Num):
            try:
                if name in ("floor", "round"):
                    return float(math.floor(e.value) if name == "floor" else round(e.value))
                return value_of("number", num(getattr(math, name)(e.value)))
            except (ValueError, OverflowError):
                return self.refuse(f"{name} of {e.value}")
        return value_of("number", Call(name, (e,)))

    def math_call(self, name: str, args: list[Any]) -> Any:
        known = {"exp", "log", "sqrt", "tanh", "sin", "cos"}
        match name:
            case _ if name in known and len(args) == 1:
                return self.function_of(name, args[0])
            case "floor" | "ceil":
                e = number(args[0])
                return (
                    self.py_int(value_of("number", Call("floor", (e,))))
                    if name == "floor"
                    else value_of("number", neg(Call("floor", (neg(e),))))
                )
            case "log" if len(args) == 2:
                return self.binary(ast.Div(), self.function_of("log", args[0]), self.function_of("log", args[1]))
            case "log2" | "log10":
                base = math.log(2 if name == "log2" else 10)
                return self.binary(ast.Div(), self.function_of("log", args[0]), base)
            case "log1p":
                return self.function_of("log", self.binary(ast.Add(), args[0], 1))
            case "pow":
                return self.binary(ast.Pow(), *args)
            case "fabs":
                return self.py_abs(args[0])
            case "isclose" | "isnan" | "isinf":
                return self.refuse(f"math.{name}")
        return self.refuse(f"math.{name} has no counterpart")

    def np_zeros(self, shape: Any) -> Any:
        return self.array(self.dims(shape), 0)

    np_empty = np_zeros

    def np_ones(self, shape: Any) -> Any:
        return self.array(self.dims(shape), 1)

    def np_full(self, shape: Any, fill_value: Any) -> Any:
        return self.array(self.dims(shape), fill_value)

    def shaped_like(self, x: Any) -> tuple[Expr, ...]:
        x = self.row_array(self.unbox(x))
        return x.dims if isinstance(x, Arr) else self.as_array(x).dims

    def np_zeros_like(self, x: Any) -> Any:
        return self.array(self.shaped_like(x), 0)

    np_empty_like = np_zeros_like

    def np_ones_like(self, x: Any) -> Any:
        return self.array(self.shaped_like(x), 1)

    def np_full_like(self, x: Any, fill_value: Any) -> Any:
        return self.array(self.shaped_like(x), fill_value)

    def np_eye(self, n: Any, m: Any = None, k: Any = 0) -> Any:
        size = number(n)
        other = size if m is None else number(m)
        same = compare("==", arith("+", X0, number(k)), X1)
        return self.array((size, other), value_of("number", if_(same, ONE, ZERO)))

    np_identity = np_eye

    def np_arange(self, *args: Any) -> Any:
        low, high = (ZERO, number(args[0])) if len(args) == 1 else (number(args[0]), number(args[1]))
        if len(args) > 2 and args[2] != 1:
            self.refuse("arange with a step")
        return self.array((arith("-", high, low),), value_of("number", arith("+", low, X0)))

    def np_linspace(self, start: Any, stop: Any, count: Any = 50) -> Any:
        size = number(count)
        step = arith("/", arith("-", number(stop), number(start)), arith("-", size, ONE))
        last = arith("-", size, ONE)
        value = arith("+", number(start), if_(compare(">", last, ZERO), arith("*", step, X0), ZERO))
        return self.array((size,), value_of("number", value))

    def np_array(self, x: Any) -> Any:
        made = self.as_array(x)
        if made is x and isinstance(made, Arr):
            return self.continued(made)
        return made

    np_asarray = np_array

    def np_vstack(self, x: Any) -> Any:
        return self.as_array(x)

    np_stack = np_vstack

    def np_fromfunction(self, f: Any, shape: Any) -> Any:
        dims = self.dims(shape)
        grids = [self.array(dims, S("number", X[i])) for i in range(len(dims))]
        return self.apply(f, grids, {})

    def np_meshgrid(self, *xs: Any, indexing: Any = "xy") -> Any:
        a, b = (self.as_array(x) for x in xs)
        if indexing == "xy":
            dims = (b.dims[0], a.dims[0])
            return self.array(dims, self.cell(a, (X1,))), self.array(dims, self.cell(b, (X0,)))
        dims = (a.dims[0], b.dims[0])
        return self.array(dims, self.cell(a, (X0,))), self.array(dims, self.cell(b, (X1,)))

    def np_indices(self, shape: Any) -> Any:
        dims = self.dims(shape)
        return tuple(self.array(dims, S("number", X[i])) for i in range(len(dims)))

    def np_copy(self, a: Any) -> Any:
        a = self.row_array(self.unbox(a))
        return self.continued(a) if isinstance(a, Arr) else self.as_array(a)

    def np_astype(self, a: Any, kind: Any = None) -> Any:
        if isinstance(kind, Opaque | str):
            name = kind.name if isinstance(kind, Opaque) else kind
            if "bool" in name:
                return self.elementwise(lambda v: value_of("guard", self.truth(v)), a)
        is_bool = getattr(kind, "name", "") == "bool"
        if is_bool:
            return self.elementwise(lambda v: value_of("guard", self.truth(v)), a)
        to_int = getattr(kind, "name", "") == "int" or "int" in str(getattr(kind, "name", kind))
        return self.elementwise(lambda v: self.py_int(v) if to_int else value_of("number", number(v)), a)

    def np_tolist(self, a: Any) -> Any:
        return self.box(self.iterable(a))

    def np_item(self, a: Any) -> Any:
        return a

    np_float64 = np_item
    np_int64 = np_item
    np_float32 = np_item

    def np_abs(self, x: Any) -> Any:
        return self.elementwise(self.py_abs, x)

    np_absolute = np_abs
    np_fabs = np_abs

    def np_square(self, x: Any) -> Any:
        return self.binary(ast.Mult(), x, x)

    def np_power(self, x: Any, y: Any) -> Any:
        return self.binary(ast.Pow(), x, y)

    def np_multiply(self, x: Any, y: Any) -> Any:
        return self.binary(ast.Mult(), x, y)

    def np_add(self, x: Any, y: Any) -> Any:
        return self.binary(ast.Add(), x, y)

    def np_divide(self, x: Any, y: Any, out: Any = None, where: Any = None) -> Any:
        if where is None:
            return self.binary(ast.Div(), x, y)
        other = 0 if out is None else out
        return self.np_where(where, self.binary(ast.Div(), x, y), other)

    def np_subtract(self, x: Any, y: Any) -> Any:
        return self.binary(ast.Sub(), x, y)

    def outer(self, x: Any, y: Any, change: Callable[[Any, Any], Any]) -> Any:
        a, b = self.as_array(x), self.as_array(y)
        return self.array((a.dims[0], b.dims[0]), change(self.cell(a, (X0,)), self.cell(b, (X1,))))

    def np_outer(self, x: Any, y: Any) -> Any:
        return self.outer(x, y, lambda u, v: self.binary(ast.Mult(), u, v))

    def np_maximum(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: self.py_max(u, v), x, y)

    def np_minimum(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: self.py_min(u, v), x, y)

    def np_clip(self, x: Any, low: Any = None, high: Any = None, **more: Any) -> Any:
        low = more.get("a_min", more.get("min", low))
        high = more.get("a_max", more.get("max", high))
        if low is not None:
            x = self.np_maximum(x, low)
        return x if high is None else self.np_minimum(x, high)

    def np_sign(self, x: Any) -> Any:
        def sign(v: Any) -> Any:
            e = number(v)
            return value_of("number", if_(compare(">", e, ZERO), ONE, if_(compare("<", e, ZERO), num(-1), ZERO)))

        return self.elementwise(sign, x)

    def np_ceil(self, x: Any) -> Any:
        return self.elementwise(lambda v: value_of("number", neg(Call("floor", (neg(number(v)),)))), x)

    def np_log1p(self, x: Any) -> Any:
        return self.elementwise(lambda v: self.function_of("log", self.binary(ast.Add(), v, 1)), x)

    def np_nan_to_num(self, x: Any, **_: Any) -> Any:
        return x

    def np_isnan(self, x: Any) -> Any:
        return self.elementwise(lambda v: False, x)

    def np_where(self, cond: Any, *choices: Any) -> Any:
        if not choices:
            return self.np_nonzero(cond)
        return self.elementwise(lambda c, a, b: self.merge(self.truth(c), a, b), cond, *choices)

    def np_nonzero(self, cond: Any) -> Any:
        a = self.as_array(cond)
        if len(a.dims) != 1:
            return self.refuse("the cells of a matrix where a condition holds")
        v = self.var()
        truth = self.truth(self.cell(a, (Name(v),)))
        return (self.box(Seq((Over((Range(v, None, arith("-", a.dims[0], ONE)),), truth, S("number", Name(v))),))),)

    def np_flatnonzero(self, cond: Any) -> Any:
        return self.np_nonzero(cond)[0]

    def np_argwhere(self, cond: Any) -> Any:
        return self.refuse("np.argwhere")

    def np_logical_and(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: value_of("guard", and_(self.truth(u), self.truth(v))), x, y)

    def np_logical_or(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: value_of("guard", or_(self.truth(u), self.truth(v))), x, y)

    def np_logical_not(self, x: Any) -> Any:
        return self.elementwise(lambda u: value_of("guard", not_(self.truth(u))), x)

    def np_isin(self, x: Any, values: Any) -> Any:
        seq = self.iterable(values)
        return self.elementwise(lambda v: value_of("guard", contains(self, seq, v)), self.as_array(x))

    np_in1d = np_isin

    def np_tril(self, x: Any, k: Any = 0) -> Any:
        return self.triangle(x, k, "<=")

    def np_triu(self, x: Any, k: Any = 0) -> Any:
        return self.triangle(x, k, ">=")

    def triangle(self, x: Any, k: Any, op: str) -> Any:
        inside = compare(op, arith("-", X1, X0), number(k))
        grid = self.array(self.shaped_like(x), value_of("guard", inside))
        return self.elementwise(lambda g, v: self.merge(expr(g), v, False if sort_of(v) == "guard" else 0), grid, x)

    def np_tri(self, n: Any, m: Any = None, k: Any = 0) -> Any:
        return self.np_tril(self.array((number(n), number(n if m is None else m)), 1), k)

    def np_diag_indices(self, n: Any) -> Any:
        v = self.array((number(n),), S("number", X0))
        return v, v

    def np_diag_indices_from(self, a: Any) -> Any:
        return self.np_diag_indices(value_of("number", a.dims[0]))

    def np_fill_diagonal(self, a: Any, value: Any) -> Any:
        index = self.np_arange(value_of("number", a.dims[0]))
        self.write(a, (index, index), "set", value)

    def np_diag(self, x: Any, k: Any = 0) -> Any:
        a = self.as_array(x)
        if len(a.dims) == 2:
            return self.array((a.dims[0],), self.cell(a, (X0, X0))) if k == 0 else self.refuse("np.diag beside the diagonal")
        if k != 0:
            self.refuse("np.diag beside the diagonal")
        same = compare("==", X0, X1)
        return self.array((a.dims[0], a.dims[0]), value_of("number", if_(same, number(self.cell(a, (X0,))), ZERO)))

    def np_transpose(self, a: Any) -> Any:
        if len(a.dims) == 1:
            return a
        if a.log:
            return self.refuse("a transposed matrix that was written cell by cell")
        return self.array((a.dims[1], a.dims[0]), self.cell(a, (X1, X0)))

    def np_reshape(self, a: Any, *shape: Any) -> Any:
        a = self.as_array(a)
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        if len(a.dims) == 1 and wanted == (-1, 1):
            return self.array_item(a, (Slice(None, None, None), None))
        if len(a.dims) == 1 and wanted == (1, -1):
            return self.array_item(a, (None, Slice(None, None, None)))
        if len(a.dims) == 1 and wanted in ((-1,), -1):
            return a
        return self.refuse("an array of another shape")

    def np_expand_dims(self, a: Any, axis: Any) -> Any:
        return self.np_reshape(a, (-1, 1) if axis in (1, -1) else (1, -1))

    def np_squeeze(self, a: Any, *_: Any) -> Any:
        return a

    def np_concatenate(self, arrays: Any, axis: Any = 0) -> Any:
        seq = self.unbox(arrays)
        parts = list(seq) if isinstance(seq, tuple) else items_of(seq)
        if parts is None:
            self.refuse("arrays put together")
        return self.concatenated([self.as_array(p) for p in parts or []])

    np_hstack = np_concatenate

    def np_append(self, a: Any, b: Any) -> Any:
        return self.np_concatenate((a, b if isinstance(self.unbox(b), Seq | Arr) else (b,)))

    def np_roll(self, a: Any, shift: Any, axis: Any = 0) -> Any:
        a = self.as_array(a)
        if len(a.dims) != 1:
            self.refuse("np.roll of a matrix")
        return self.array(a.dims, self.cell(a, (arith("%", arith("-", X0, number(shift)), a.dims[0]),)))

    def np_repeat(self, *args: Any) -> Any:
        return self.refuse("np.repeat")

    def np_dot(self, *args: Any) -> Any:
        return self.refuse("a matrix product")

    def np_finfo(self, *args: Any) -> Any:
        return Opaque("finfo")

    # reductions

    def along(self, a: Arr, axis: Any, keepdims: Any, change: Callable[[Range, Expr], Any]) -> Any:
        """change(range of the variable, cell) for every row, every column, or the whole array."""
        v = self.var()
        if len(a.dims) == 1:
            return change(self.range_of(v, a.dims[0]), number(self.cell(a, (Name(v),))))
        if axis is None:
            w = self.var()
            inner = change(self.range_of(v, a.dims[1]), number(self.cell(a, (Name(w), Name(v)))))
            return change(self.range_of(w, a.dims[0]), number(inner))
        if axis in (1, -1):
            value = change(self.range_of(v, a.dims[1]), number(self.cell(a, (X0, Name(v)))))
            return self.array((a.dims[0], ONE) if keepdims is True else (a.dims[0],), value)
        value = change(self.range_of(v, a.dims[0]), number(self.cell(a, (Name(v), X1))))
        if keepdims is True:
            return self.array((ONE, a.dims[1]), value)
        return self.array((a.dims[1],), rename(value, {"$x1": X0}))

    def range_of(self, v: str, size: Expr) -> Range:
        return Range(v, None, None if size == N else arith("-", size, ONE))

    def reduced(self, x: Any, kind: str, axis: Any, keepdims: Any) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            return value_of("number", fold_numbers(self, kind, x))
        x = self.as_array(x)
        if not isinstance(x, Arr):
            return x
        return self.along(x, axis, keepdims, lambda r, e: value_of("number", quantified(kind, r, TRUE, e)))

    def np_sum(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = self.unbox(x)
        if isinstance(x, Arr) and sort_of(x.init) == "guard":

            def count(r: Range, e: Expr) -> Any:
                return value_of("number", quantified("sum", r, TRUE, e))

            return self.along_guard(x, axis, keepdims, "count")
        return self.reduced(x, "sum", axis, keepdims)

    def along_guard(self, a: Arr, axis: Any, keepdims: Any, kind: str) -> Any:
        v = self.var()
        sort = "number" if kind == "count" else "guard"

        def change(r: Range, g: Expr) -> Any:
            return value_of(sort, quantified(kind, r, g))

        if len(a.dims) == 1:
            return change(self.range_of(v, a.dims[0]), self.truth(self.cell(a, (Name(v),))))
        if axis in (1, -1):
            value = change(self.range_of(v, a.dims[1]), self.truth(self.cell(a, (X0, Name(v)))))
            return self.array((a.dims[0], ONE) if keepdims is True else (a.dims[0],), value)
        if axis == 0:
            value = change(self.range_of(v, a.dims[0]), self.truth(self.cell(a, (Name(v), X1))))
            return self.array((a.dims[1],), rename(value, {"$x1": X0}))
        if kind == "count":
            self.refuse("a count over a whole matrix")
        w = self.var()
        inner = change(self.range_of(v, a.dims[1]), self.truth(self.cell(a, (Name(w), Name(v)))))
        return change(self.range_of(w, a.dims[0]), expr(inner))

    def np_max(self, x: Any, axis: Any = None, keepdims: Any = False, initial: Any = None) -> Any:
        return self.reduced(x, "max", axis, keepdims)

    def np_min(self, x: Any, axis: Any = None, keepdims: Any = False, initial: Any = None) -> Any:
        return self.reduced(x, "min", axis, keepdims)

    np_amax, np_amin = np_max, np_min

    def np_mean(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        total = self.np_sum(x, axis, keepdims)
        x = self.unbox(x)
        if isinstance(x, Seq):
            return self.binary(ast.Div(), total, value_of("number", length(self, x)))
        a = self.as_array(x)
        size = a.dims[0] if len(a.dims) == 1 or axis == 0 else a.dims[1] if axis is not None else arith("*", a.dims[0], a.dims[1])
        return self.binary(ast.Div(), total, value_of("number", size))

    np_average = np_mean

    def np_any(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            return self.some(x, "any")
        return self.along_guard(self.as_array(x), axis, keepdims, "any")

    def np_all(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            return self.some(x, "all")
        return self.along_guard(self.as_array(x), axis, keepdims, "all")

    def np_count_nonzero(self, x: Any, axis: Any = None) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            x = self.as_array(x)
        return self.along_guard(self.as_array(x), axis, False, "count")

    def np_argmax(self, x: Any, axis: Any = None) -> Any:
        return self.arg_extreme(x, "max", axis)

    def np_argmin(self, x: Any, axis: Any = None) -> Any:
        return self.arg_extreme(x, "min", axis)

    def arg_extreme(self, x: Any, kind: str, axis: Any) -> Any:
        a = self.as_array(x)
        if not isinstance(a, Arr):
            return self.refuse(f"np.arg{kind}")

        def found(r: Range, cell: Callable[[Expr], Any]) -> Any:
            if sort_of(a.init) == "guard" and kind == "max":
                from dsl.lift.build import default

                return value_of("number", default(find("first", r, expr(cell(Name(r.var)))), ZERO))
            other = Range(self.var(), r.low, r.high)
            best = quantified(kind, other, TRUE, number(cell(Name(other.var))))
            return value_of("number", find("first", r, compare("==", number(cell(Name(r.var))), best)))

        v = self.var()
        if len(a.dims) == 1:
            return found(self.range_of(v, a.dims[0]), lambda e: self.cell(a, (e,)))
        if axis in (1, -1):
            return self.array((a.dims[0],), found(self.range_of(v, a.dims[1]), lambda e: self.cell(a, (X0, e))))
        return self.refuse(f"np.arg{kind} over a whole matrix")

    def np_cumsum(self, x: Any, axis: Any = None) -> Any:
        a = self.as_array(x)
        if len(a.dims) != 1:
            return self.refuse("np.cumsum of a matrix")
        v = self.var()
        cell = self.cell(a, (Name(v),))
        r = Range(v, None, X0)
        if sort_of(cell) == "guard":
            return self.array(a.dims, value_of("number", quantified("count", r, expr(cell))))
        e = number(cell)
        from dsl.nodes import IfElse

        if isinstance(e, IfElse) and e.then == ONE and e.other == ZERO:
            return self.array(a.dims, value_of("number", quantified("count", r, e.test)))
        return self.array(a.dims, value_of("number", quantified("sum", r, TRUE, e)))

    def np_accumulate(self, x: Any, kind: str) -> Any:
        """maximum.accumulate and minimum.accumulate."""
        a = self.as_array(x)
        if len(a.dims) != 1:
            return self.refuse("accumulate of a matrix")
        v = self.var()
        e = number(self.cell(a, (Name(v),)))
        r = Range(v, None, X0)
        from dsl.lift.build import default
        from dsl.nodes import IfElse

        if kind == "max" and isinstance(e, IfElse) and e.then == Name(v) and isinstance(e.other, Num) and e.other.value <= 0:
            return self.array(a.dims, value_of("number", default(find("last", r, e.test), e.other)))
        return self.array(a.dims, value_of("number", quantified(kind, r, TRUE, e)))

    def np_sort(self, *args: Any, **kw: Any) -> Any:
        return self.refuse("sorting by computed values")

    np_argsort = np_sort
    np_unique = np_sort
    np_median = np_sort
    np_percentile = np_sort

    def np_fill(self, a: Any, value: Any) -> Any:
        self.write(a, (Slice(None, None, None),), "set", value)

    def np_flatten(self, a: Any) -> Any:
        return a if len(a.dims) == 1 else self.refuse("a matrix made flat")

    np_ravel = np_flatten

    def np_ix_(self, *args: Any) -> Any:
        return Grid(self.unbox(a) for a in args)

    # --- the matrix helpers -------------------------------------------------------------------------------------

    def mask_future(self, a: Any) -> Any:
        a = self.matrix(a)
        made = self.continued(a)
        v0, v1 = self.var(), self.var()
        loops = [
            self.loop(v0, ZERO, arith("-", a.dims[0], ONE), TRUE),
            self.loop(v1, arith("+", Name(v0), ONE), arith("-", N, ONE), TRUE),
        ]
        self.emit(made, loops, [Name(v0), Name(v1)], "set", 0)
        return made

    def row_stochastic(self, a: Any) -> Any:
        a = self.matrix(a)
        made = self.continued(a)
        v0, v1 = self.var(), self.var()
        loops = [self.loop(v0, ZERO, arith("-", a.dims[0], ONE), TRUE), self.loop(v1, ZERO, arith("-", N, ONE), TRUE)]
        made.log.append(Entry((*self.path, *(LoopEl(x) for x in loops)), "stochastic", (Name(v0), Name(v1)), None, self.line))
        return made

    def matrix(self, a: Any) -> Arr:
        a = self.as_array(self.row_array(a))
        if not isinstance(a, Arr) or len(a.dims) != 2:
            self.refuse("a matrix was expected here")
        if sort_of(a.init) == "guard":
            a = self.elementwise(lambda v: value_of("number", number(v)), a)
        return a


def replace_x(init: Any, by: Expr) -> Any:
    return rename(init, {"$x0": by})


def _constant(key: Any) -> bool:
    from dsl.lift.sequences import constant_key

    return constant_key(key)


def _reads(e: Expr) -> list[int]:
    from dsl.nodes import walk

    return [int(x.name[1:].split(":")[0]) for x in walk(e) if isinstance(x, Call) and x.name.startswith("@")]
