"""numpy's functions over rows, columns and whole arrays; the helpers for matrices."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from dsl.lift.arrays import Grid, unknown_length
from dsl.lift.elementwise import Elementwise
from dsl.lift.guards import and_, compare, default
from dsl.lift.ranges import find, quantified
from dsl.lift.sequences import fold_numbers, length, renewed
from dsl.lift.terms import ONE, ZERO, N, arith
from dsl.lift.values import X0, X1, Arr, Entry, LoopEl, Over, Seq, Slice, expr, number, rename, sort_of, value_of
from dsl.nodes import TRUE, Aggregate, Expr, IfElse, Name, Num, Range


class Reductions(Elementwise):
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
            return value_of("number", number(x))

        def change(r: Range, e: Expr) -> Any:
            made = quantified(kind, r, TRUE, e)
            return value_of("number", made if kind != "sum" or isinstance(made, Aggregate) else self.rounding.note(made, e))

        return self.along(x, axis, keepdims, change)

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
        a = self.array_of(x)
        size = a.dims[0] if len(a.dims) == 1 or axis == 0 else a.dims[1] if axis is not None else arith("*", a.dims[0], a.dims[1])
        return self.binary(ast.Div(), total, value_of("number", size))

    np_average = np_mean

    def np_any(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            return self.some(x, "any")
        return self.along_guard(self.array_of(x), axis, keepdims, "any")

    def np_all(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            return self.some(x, "all")
        return self.along_guard(self.array_of(x), axis, keepdims, "all")

    def np_count_nonzero(self, x: Any, axis: Any = None) -> Any:
        x = self.unbox(x)
        if isinstance(x, Seq):
            x = self.array_of(x)
        return self.along_guard(self.array_of(x), axis, False, "count")

    def np_argmax(self, x: Any, axis: Any = None) -> Any:
        return self.arg_extreme(x, "max", axis)

    def np_argmin(self, x: Any, axis: Any = None) -> Any:
        return self.arg_extreme(x, "min", axis)

    def arg_extreme(self, x: Any, kind: str, axis: Any) -> Any:
        held = self.unbox(x)
        if isinstance(held, Seq) and unknown_length(held):
            return self.place_of_extreme(held, kind)
        a = self.array_of(x)
        if not isinstance(a, Arr):
            return self.refuse(f"np.arg{kind}")

        def found(r: Range, cell: Callable[[Expr], Any]) -> Any:
            if sort_of(a.init) == "guard" and kind == "max":
                return value_of("number", default(find("first", r, expr(cell(Name(r.var)))), ZERO))
            other = Range(self.var(), r.low, r.high)
            self.rounding.doubt("tie", number(cell(Name(r.var))))
            best = quantified(kind, other, TRUE, number(cell(Name(other.var))))
            return value_of("number", find("first", r, compare("==", number(cell(Name(r.var))), best)))

        v = self.var()
        if len(a.dims) == 1:
            return found(self.range_of(v, a.dims[0]), lambda e: self.cell(a, (e,)))
        if axis in (1, -1):
            return self.array((a.dims[0],), found(self.range_of(v, a.dims[1]), lambda e: self.cell(a, (X0, e))))
        return self.refuse(f"np.arg{kind} over a whole matrix")

    def place_of_extreme(self, held: Seq, kind: str) -> Any:
        """The number, in a filtered list, of the first of its greatest or smallest elements."""
        if len(held.segments) != 1 or not isinstance(held.segments[0], Over) or not held.ordered or held.segments[0].descending:
            return self.refuse(f"np.arg{kind} of a list put together from several")
        a, b, c = (renewed(self, held.segments[0]) for _ in range(3))
        self.rounding.doubt("tie", number(b.value))
        best = quantified(kind, b.ranges[0], b.guard, number(b.value))
        at = find("first", a.ranges[0], and_(a.guard, compare("==", number(a.value), best)))
        before = Range(c.ranges[0].var, c.ranges[0].low, arith("-", at, ONE))
        return value_of("number", quantified("count", before, c.guard))

    def np_cumsum(self, x: Any, axis: Any = None) -> Any:
        a = self.array_of(x)
        if len(a.dims) != 1:
            return self.refuse("np.cumsum of a matrix")
        v = self.var()
        cell = self.cell(a, (Name(v),))
        r = Range(v, None, X0)
        if sort_of(cell) == "guard":
            return self.array(a.dims, value_of("number", quantified("count", r, expr(cell))))
        e = number(cell)

        if isinstance(e, IfElse) and e.then == ONE and e.other == ZERO:
            return self.array(a.dims, value_of("number", quantified("count", r, e.test)))
        return self.array(a.dims, value_of("number", self.rounding.note(quantified("sum", r, TRUE, e), e)))

    def np_accumulate(self, x: Any, kind: str) -> Any:
        """maximum.accumulate and minimum.accumulate."""
        a = self.array_of(x)
        if len(a.dims) != 1:
            return self.refuse("accumulate of a matrix")
        v = self.var()
        e = number(self.cell(a, (Name(v),)))
        r = Range(v, None, X0)

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
        a = self.array_of(a)
        self.write(a, (Slice(None, None, None),), "set", value)

    def np_flatten(self, a: Any) -> Any:
        return self.continued(self.np_ravel(a))

    def np_ravel(self, a: Any) -> Any:
        return a if len(self.array_of(a).dims) == 1 else self.refuse("a matrix made flat")

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
        made.kind = "float"
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
