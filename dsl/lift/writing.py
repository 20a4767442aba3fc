"""Writes to arrays, lists and dictionaries."""

from __future__ import annotations

import ast
from typing import Any

from dsl.lift.arrays import Arrays, Grid, _constant, _reads
from dsl.lift.elements import wrapped
from dsl.lift.guards import and_, compare, conjuncts, not_
from dsl.lift.infinity import REASON as NO_ARITHMETIC
from dsl.lift.infinity import is_endless, is_lowest
from dsl.lift.ranges import replace_names
from dsl.lift.sequences import constant, contains, items_of, rename_guard, renewed
from dsl.lift.terms import MISSING_NUMBER, ONE, ZERO, N, arith, neg
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    CondEl,
    Dict,
    Entry,
    Loop,
    LoopEl,
    Over,
    Ref,
    RowView,
    S,
    Seq,
    Slice,
    Write,
    certainly_whole,
    expr,
    kind_of,
    low_of,
    number,
    rename,
    sort_of,
    value_of,
)
from dsl.nodes import FALSE, TRUE, Compare, Expr, Name, Range

_AUGMENT = {ast.Add: "add", ast.Sub: "add", ast.Mult: "scale", ast.Div: "scale"}


class Writing(Arrays):
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
        array.base = 0
        self.rebox(ref, array)
        self.assign_item(ref, index, op, value)

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
            array.base = 0
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
        specs = [self.spec(s, a) for s in index]
        grid = isinstance(index, Grid)
        value = self.row_array(self.unbox(value))
        if isinstance(value, (tuple, Seq)):
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
                    known = items_of(s) if isinstance(s, Seq) else None
                    if known is None or isinstance(value, Arr) or pairs is not None:
                        self.refuse("an array written at a list of positions")
                    places = [wrapped(self, number(k), size) for k in known or []]
                    for i, (k, place) in enumerate(zip(known or [], places, strict=True)):
                        new = self.decide(and_(*(not_(compare("==", place, earlier)) for earlier in places[:i])))
                        if new == FALSE:
                            continue  # numpy writes a repeated cell once
                        self.push(CondEl(self.fresh(), new))
                        self.write(a, tuple(k if x is s else x for x in specs), op, value)
                        self.path.pop()
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
            filtered = {loop.var for loop in loops if loop.guard != TRUE}
            along = [p for p, d in zip(picks, value.dims, strict=True) if d != ONE]
            if masked is not None and value.mask is None and any(p in filtered for p in along):
                self.refuse("an array written by a mask")
            if value.log and len(value.dims) == 1 and op == "set" and self.splice(a, loops, cells, value, picks):
                return
            cell_value = self.cell(value, tuple(picks))
        self.emit(a, loops, cells, op, cell_value)

    def splice(self, a: Arr, loops: list[Loop], cells: list[Expr], row: Arr, picks: list[Expr]) -> bool:
        """attention[i] = row, where the row was built by writes of its own: the same writes in the matrix."""
        if len(a.dims) != 2 or len(loops) != 1 or picks != [cells[1]] or loops[0].range.low is not None:
            return False
        if row.lineage or row.base > len(self.path) or a.kind != row.kind or row.part_of is not None:
            return False
        if any(isinstance(el, LoopEl) for el in self.path[row.base :]):
            return False  # a row that lives longer than one round
        base = self.path[: row.base]
        if list(base) != list(self.path[: len(base)]):
            return False
        self.emit(a, loops, cells, "set", rename(row.init, {"$x0": cells[1]}))
        lifted = dict(a.lineage)
        a.rows = (*a.rows, row.id)
        for _at, e in enumerate(row.log):
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
        if a.id in self.shared:
            self.refuse("an array that is changed after it was put into a list")
        if a.part_of is not None:
            self.refuse("a write to a part of an array, which would change the array itself")
        if not a.is_list:
            value = self.as_dtype(a.kind, op, value)
        path = (*self.path, *(LoopEl(loop) for loop in loops))
        cells = [self.as_variable(c, cells) for c in cells]
        numeric = sort_of(a.init) == "number" and sort_of(value) in ("number", "guard")
        if op != "normalize" and len(a.dims) == 2 and not numeric:
            self.refuse(f"a {kind_of(value)} as a cell of a matrix")
        e: Any = number(value) if numeric else value
        if numeric and op in ("add", "scale") and is_endless(e) and not (op == "add" and is_lowest(e)):
            self.refuse(NO_ARITHMETIC)
        in_loop = any(isinstance(el, LoopEl) for el in self.path[a.base :])
        if numeric and isinstance(a.init, int | float) and a.init == 0 and op == "scale" and not a.log and not in_loop:
            return
        a.log.append(Entry(path, op, tuple(cells), e, self.line))

    def as_dtype(self, kind: str, op: str, value: Any) -> Any:
        """What an array of this dtype keeps of a value."""
        if kind == "float" or op == "normalize" or sort_of(value) not in ("number", "guard"):
            return value
        if kind == "bool":
            return value_of("guard", self.truth(value)) if op == "set" else self.refuse("arithmetic in an array of truth values")
        if sort_of(value) == "guard" or certainly_whole(number(value)):
            return value
        if kind == "int" and op == "set" and not _reads(number(value)):
            return self.py_int(value)
        return self.refuse("a fraction written into an array of whole numbers")

    def as_variable(self, cell: Expr, cells: list[Expr]) -> Expr:
        """A fixed index that the path knows to be a loop's variable: attention[0, 0] where i == 0."""

        loops = {el.loop.var for el in self.path if isinstance(el, LoopEl)}
        if cell in loops:
            return cell
        for el in reversed(self.path):
            for part in conjuncts(el.guard) if isinstance(el, CondEl) else ():
                if isinstance(part, Compare) and part.op == "==" and part.right == cell and part.left in loops:
                    return part.left
        return cell
