"""numpy's functions that make arrays or act on every cell."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from dsl.lift.arrays import X, unknown_length
from dsl.lift.guards import and_, compare, if_, not_, or_
from dsl.lift.infinity import REASON as NO_ARITHMETIC
from dsl.lift.infinity import is_endless, is_lowest, real
from dsl.lift.ranges import quantified
from dsl.lift.sequences import contains, items_of
from dsl.lift.terms import ONE, ZERO, arith, neg, num, sure
from dsl.lift.values import (
    X0,
    X1,
    Arr,
    Opaque,
    Over,
    RowView,
    S,
    Seq,
    Slice,
    common_dtype,
    dtype_of,
    expr,
    kind_of,
    number,
    sort_of,
    value_of,
)
from dsl.lift.writing import Writing
from dsl.nodes import TRUE, Binary, Call, Expr, Name, Num, Range, walk

_UNARY = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "sin": "sin", "cos": "cos", "floor": "floor", "rint": "round",
    "round": "round", "around": "round",
}  # fmt: skip


_DTYPES = {
    **dict.fromkeys(("float", "float64", "float32", "double"), "float"), **dict.fromkeys(("int", "int64", "int32", "intp"), "int"),
    "bool": "bool",
}  # fmt: skip
# what an array of truth values holds at first
_CONSTANT = {"zeros": False, "empty": False, "ones": True, "zeros_like": False, "empty_like": False, "ones_like": True}


class Elementwise(Writing):
    def numpy_call(self, name: str, of: Any, args: list[Any], keywords: dict[str, Any]) -> Any:
        short = name.split(".", 1)[1]
        if name.startswith("arr."):
            args = [of, *args]
        kind = keywords.pop("dtype", None)
        if short in _CONSTANT and len(args) == 2:
            *args, kind = args
        keywords.pop("copy", None)
        keywords.pop("order", None)
        if "out" in keywords and short != "divide":
            return self.refuse("an array given as out")
        dtype = None if kind is None else self.dtype(kind)
        if short in _CONSTANT and dtype == "bool":
            keywords["fill_value"], short = _CONSTANT[short], "full_like" if short.endswith("_like") else "full"
        made = self.numpy_function(short, args, keywords)
        if dtype is not None and isinstance(made, Arr):
            made = made if made.kind == dtype else self.cast(made, dtype)
        return made

    def dtype(self, kind: Any) -> str:
        name = kind if isinstance(kind, str) else getattr(kind, "name", "").removeprefix("np.")
        if name.rstrip("_") in _DTYPES:
            return _DTYPES[name.rstrip("_")]
        return self.refuse(f"arrays of the dtype {name or kind_of(kind)}")

    def cast(self, a: Any, dtype: str) -> Any:
        match dtype:
            case "bool":
                return self.elementwise(lambda v: value_of("guard", self.truth(v)), a, kind="bool")
            case "int":
                return self.elementwise(self.py_int, a, kind="int")
        return self.elementwise(lambda v: value_of("number", number(v)), a, kind="float")

    def numpy_function(self, short: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        method = getattr(self, "np_" + short, None)
        if method is not None:
            return self.called(method, f"np.{short}", args, keywords)
        if short in _UNARY:
            if len(args) > 1 and short in ("round", "around"):
                return self.elementwise(lambda v: self.py_round(v, args[1]), args[0])
            return self.elementwise(lambda v: self.function_of(_UNARY[short], v), args[0], kind="float")
        return self.refuse(f"np.{short} has no counterpart")

    def function_of(self, name: str, v: Any) -> Any:
        e = number(v)
        if is_endless(e) and not (name == "exp" and is_lowest(e)):
            self.refuse(NO_ARITHMETIC)
        if isinstance(e, Num):
            try:
                if name in ("floor", "round"):
                    return float(math.floor(e.value) if name == "floor" else round(e.value))
                return value_of("number", num(self.known_number(getattr(math, name)(real(e.value)))))
            except (ValueError, OverflowError):
                return self.refuse(f"{name} of {e.value}")
        if name in ("floor", "round"):
            self.rounding.doubt("whole", e, ONE if name == "floor" else num(0.5))
        return value_of("number", Call(name, (e,)))

    def math_call(self, name: str, args: list[Any]) -> Any:
        known = {"exp", "log", "sqrt", "tanh", "sin", "cos"}
        match name:
            case _ if name in known and len(args) == 1:
                return self.function_of(name, args[0])
            case "floor" | "ceil":
                e = number(args[0])
                self.rounding.doubt("whole", e, ONE)
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
        return self.array(self.dims(shape), 0, kind="float")

    np_empty = np_zeros

    def np_ones(self, shape: Any) -> Any:
        return self.array(self.dims(shape), 1, kind="float")

    def np_full(self, shape: Any, fill_value: Any) -> Any:
        return self.array(self.dims(shape), fill_value)

    def shaped_like(self, x: Any) -> tuple[Expr, ...]:
        x = self.row_array(self.unbox(x))
        return self.array_of(x).dims

    def np_zeros_like(self, x: Any) -> Any:
        return self.array(self.shaped_like(x), 0, kind=self.array_of(x).kind)

    np_empty_like = np_zeros_like

    def np_ones_like(self, x: Any) -> Any:
        return self.array(self.shaped_like(x), 1, kind=self.array_of(x).kind)

    def np_full_like(self, x: Any, fill_value: Any) -> Any:
        kind = self.array_of(x).kind
        fill_value = fill_value if kind == "bool" and isinstance(fill_value, bool) else self.as_dtype(kind, "set", fill_value)
        return self.array(self.shaped_like(x), fill_value, kind=kind)

    def np_eye(self, n: Any, m: Any = None, k: Any = 0) -> Any:
        size = number(n)
        other = size if m is None else number(m)
        same = compare("==", arith("+", X0, number(k)), X1)
        return self.array((size, other), value_of("number", if_(same, ONE, ZERO)), kind="float")

    np_identity = np_eye

    def np_arange(self, *args: Any) -> Any:
        low, high = (ZERO, number(args[0])) if len(args) == 1 else (number(args[0]), number(args[1]))
        if len(args) > 2 and args[2] != 1:
            self.refuse("arange with a step")
        kind = common_dtype(map(dtype_of, args))
        made = value_of("number", arith("+", low, X0))
        return self.array((arith("-", high, low),), made, kind="int" if kind == "whole" else kind)

    def np_bincount(self, x: Any) -> Any:
        a = self.array_of(x)
        v, w = self.var(), self.var()
        size = quantified("max", Range(w, None, arith("-", a.dims[0], ONE)), TRUE, number(self.cell(a, (Name(w),))))
        same = compare("==", number(self.cell(a, (Name(v),))), X0)
        count = quantified("count", Range(v, None, arith("-", a.dims[0], ONE)), same)
        return self.array((arith("+", size, ONE),), value_of("number", count))

    def np_linspace(self, start: Any, stop: Any, count: Any = 50) -> Any:
        size = number(count)
        step = arith("/", arith("-", number(stop), number(start)), arith("-", size, ONE))
        last = arith("-", size, ONE)
        value = arith("+", number(start), if_(compare(">", last, ZERO), arith("*", step, X0), ZERO))
        return self.array((size,), value_of("number", value), kind="float")

    def np_array(self, x: Any) -> Any:
        held = self.unbox(x)
        if isinstance(held, Seq) and unknown_length(held):
            return self.box(held)
        made = self.as_array(x)
        if isinstance(made, Arr) and (made is x or made.part_of is not None):
            return self.continued(made)
        return made

    def np_asarray(self, x: Any) -> Any:
        return x if isinstance(x, Arr | RowView) and not getattr(x, "is_list", False) else self.np_array(x)

    def np_vstack(self, x: Any) -> Any:
        return self.as_array(x)

    np_stack = np_vstack

    def np_fromfunction(self, f: Any, shape: Any) -> Any:
        dims = self.dims(shape)
        grids = [self.array(dims, S("number", X[i]), kind="float") for i in range(len(dims))]
        return self.apply(f, grids, {})

    def np_meshgrid(self, *xs: Any, indexing: Any = "xy") -> Any:
        if len(xs) != 2:
            self.refuse("np.meshgrid of other than two arrays")
        a, b = (self.array_of(x) for x in xs)
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

    def np_astype(self, a: Any, kind: Any) -> Any:
        return self.cast(a, self.dtype(kind))

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
        if out is None or any(v is out for v in self.store.values()):
            self.refuse("an array given as out")  # where nothing is divided, it keeps what it held
        other = out
        return self.np_where(where, self.binary(ast.Div(), x, y), other)

    def np_subtract(self, x: Any, y: Any) -> Any:
        return self.binary(ast.Sub(), x, y)

    def outer(self, x: Any, y: Any, change: Callable[[Any, Any], Any]) -> Any:
        a, b = self.array_of(x), self.array_of(y)
        value = change(self.cell(a, (X0,)), self.cell(b, (X1,)))
        kind = "bool" if sort_of(value) == "guard" else common_dtype((a.kind, b.kind))
        return self.array((a.dims[0], b.dims[0]), value, kind=kind)

    def np_outer(self, x: Any, y: Any) -> Any:
        return self.outer(x, y, lambda u, v: self.binary(ast.Mult(), u, v))

    def np_maximum(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: self.py_max(u, v), x, y)

    def np_minimum(self, x: Any, y: Any) -> Any:
        return self.elementwise(lambda u, v: self.py_min(u, v), x, y)

    def np_clip(self, x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:
        low, high = a_min if min is None else min, a_max if max is None else max
        if low is not None:
            x = self.np_maximum(x, low)
        return x if high is None else self.np_minimum(x, high)

    def np_sign(self, x: Any) -> Any:
        def sign(v: Any) -> Any:
            e = number(v)
            return value_of("number", if_(compare(">", e, ZERO), ONE, if_(compare("<", e, ZERO), num(-1), ZERO)))

        return self.elementwise(sign, x)

    def np_ceil(self, x: Any) -> Any:
        def ceiling(v: Any) -> Any:
            self.rounding.doubt("whole", number(v), ONE)
            return value_of("number", neg(Call("floor", (neg(number(v)),))))

        return self.elementwise(ceiling, x)

    def np_log1p(self, x: Any) -> Any:
        return self.elementwise(lambda v: self.function_of("log", self.binary(ast.Add(), v, 1)), x)

    def np_nan_to_num(self, x: Any, copy: Any = True) -> Any:
        return self.elementwise(lambda v: self.finite(v, "np.nan_to_num"), x)

    def np_isnan(self, x: Any) -> Any:
        return self.elementwise(lambda v: self.finite(v, "np.isnan") is None, x)

    np_isinf = np_isnan

    def np_isfinite(self, x: Any) -> Any:
        return self.elementwise(lambda v: self.finite(v, "np.isfinite") is not None, x)

    def finite(self, v: Any, name: str) -> Any:
        """The number, of which it must be certain that it is one: the language knows neither NaN nor infinity."""
        e = number(v)
        if not sure(e) or any(isinstance(x, Binary) and x.op in ("/", "//", "%", "**") for x in walk(e)):
            self.refuse(f"{name} of a value that may be no number")
        if any(isinstance(x, Call) and (x.name.startswith("@") or x.name in ("log", "sqrt", "exp")) for x in walk(e)):
            self.refuse(f"{name} of a value that may be no number")
        return v

    def np_where(self, cond: Any, *choices: Any) -> Any:
        if not choices:
            return self.np_nonzero(cond)
        return self.elementwise(lambda c, a, b: self.merge(self.truth(c), a, b), cond, *choices)

    def np_nonzero(self, cond: Any) -> Any:
        a = self.array_of(cond)
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
        return self.np_tril(self.array((number(n), number(n if m is None else m)), 1, kind="float"), k)

    def np_diag_indices(self, n: Any) -> Any:
        v = self.array((number(n),), S("number", X0))
        return v, v

    def np_diag_indices_from(self, a: Any) -> Any:
        return self.np_diag_indices(value_of("number", self.array_of(a).dims[0]))

    def np_fill_diagonal(self, a: Any, value: Any) -> Any:
        a = self.array_of(a)
        index = self.np_arange(value_of("number", a.dims[0]))
        self.write(a, (index, index), "set", value)

    def np_diag(self, x: Any, k: Any = 0) -> Any:
        a = self.array_of(x)
        if len(a.dims) == 2:
            return (
                self.part(self.array((a.dims[0],), self.cell(a, (X0, X0)), kind=a.kind), a)
                if k == 0
                else self.refuse("np.diag beside the diagonal")
            )
        if k != 0:
            self.refuse("np.diag beside the diagonal")
        same = compare("==", X0, X1)
        return self.array((a.dims[0], a.dims[0]), value_of("number", if_(same, number(self.cell(a, (X0,))), ZERO)), kind=a.kind)

    def np_transpose(self, a: Any) -> Any:
        a = self.array_of(a)
        if len(a.dims) == 1:
            return a
        if a.log:
            return self.refuse("a transposed matrix that was written cell by cell")
        return self.part(self.array((a.dims[1], a.dims[0]), self.cell(a, (X1, X0)), kind=a.kind), a)

    def np_reshape(self, a: Any, *shape: Any) -> Any:
        a = self.array_of(a)
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

    def np_squeeze(self, a: Any) -> Any:
        return a if len(self.array_of(a).dims) == 1 else self.refuse("np.squeeze of a matrix")

    def np_concatenate(self, arrays: Any, axis: Any = 0) -> Any:
        seq = self.unbox(arrays)
        parts = list(seq) if isinstance(seq, tuple) else items_of(seq) if isinstance(seq, Seq) else None
        if parts is None:
            self.refuse("arrays put together")
        return self.concatenated([self.as_array(p) for p in parts or []])

    np_hstack = np_concatenate

    def np_append(self, a: Any, b: Any) -> Any:
        return self.np_concatenate((a, b if isinstance(self.unbox(b), Seq | Arr) else (b,)))

    def np_roll(self, a: Any, shift: Any, axis: Any = 0) -> Any:
        a = self.array_of(a)
        if len(a.dims) != 1:
            self.refuse("np.roll of a matrix")
        return self.array(a.dims, self.cell(a, (arith("%", arith("-", X0, number(shift)), a.dims[0]),)))

    def np_broadcast_to(self, x: Any, shape: Any) -> Any:
        return self.elementwise(lambda cell, _: cell, x, self.np_zeros(shape))

    def np_tile(self, x: Any, reps: Any) -> Any:
        """One row or one column, many times."""
        dims, times = self.shaped_like(x), self.dims(reps)
        shape = (ONE,) * (len(times) - len(dims)) + dims
        if len(shape) != len(times) or any(ONE not in pair for pair in zip(shape, times, strict=True)):
            self.refuse("np.tile of more than one row or column")
        return self.np_broadcast_to(x, tuple(value_of("number", arith("*", d, t)) for d, t in zip(shape, times, strict=True)))

    def np_repeat(self, x: Any, repeats: Any, axis: Any = None) -> Any:
        dims = self.shaped_like(x)
        if axis not in (0, 1, -1) or len(dims) != 2:
            self.refuse("np.repeat of single elements")
        return self.np_tile(x, (repeats, 1) if axis == 0 else (1, repeats))

    def np_dot(self, *args: Any) -> Any:
        return self.refuse("a matrix product")

    def np_finfo(self, *args: Any) -> Any:
        return Opaque("finfo")
